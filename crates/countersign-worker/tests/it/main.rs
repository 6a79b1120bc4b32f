//! The worker from outside: a model in its box, asked through `modelbox`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is tests"
)]

mod model;
