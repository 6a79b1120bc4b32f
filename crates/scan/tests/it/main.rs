//! Every rule in an example that fires and one that is silent; hostile input; the other forms of the report.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small files made to order"
)]

#[cfg(test)]
mod examples;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod make;
#[cfg(test)]
mod models;
