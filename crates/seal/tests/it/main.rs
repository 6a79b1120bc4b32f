//! Seals of real models.

#[cfg(test)]
mod published;
