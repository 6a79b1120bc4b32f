//! `rollout` from outside: assignment, and the promised rates by simulation.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "simulations count in small numbers, and helpers of tests fail as tests do"
)]

mod assignment;
mod rates;
