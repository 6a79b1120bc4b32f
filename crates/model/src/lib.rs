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

mod adapter;
mod cache;
pub mod config;
mod decoder;
pub mod error;
pub mod executor;
mod fast;
mod generate;
pub mod graph;
mod kernel;
#[cfg(test)]
mod made;
mod matrix;
mod model;
mod names;
mod random;
mod sampling;
mod score;
mod source;
pub mod tap;
pub mod template;
mod tokenizer;
pub mod train;

pub use adapter::Adapter;
pub use cache::Cache;
pub use config::Config;
pub use error::Error;
pub use fast::Activations;
pub use generate::{Finish, Generate, Generation, Step};
pub use kernel::{Activation, Kind, Level};
pub use matrix::Matrix;
pub use model::{Continuation, Model};
pub use sampling::{Sampler, Sampling};
pub use score::{Scored, TokenScore};
pub use source::{Origin, Source};
pub use tokenizer::{Controls, TextStream, Tokenizer};
