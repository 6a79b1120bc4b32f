//! Language models run and trained on the CPU, with taps on what happens inside.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "tests of numerics"
    )
)]

mod kernel;
#[cfg(test)]
mod made;

pub use kernel::{Activation, Kind, Level};
