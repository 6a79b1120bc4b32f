//! Examinations of made models.

#[cfg(test)]
mod calibration;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod examiners;
#[cfg(test)]
mod made;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod retrieval;
