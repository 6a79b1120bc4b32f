//! The quantisers against what ggml's C and bitsandbytes made of the same weights.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "inputs are made from integers, and helpers of tests fail as tests do"
)]

mod bitsandbytes;
mod ggml;
mod inputs;
mod packing;
