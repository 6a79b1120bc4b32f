//! Language models run and trained on the CPU, with taps on what happens inside.
//!
//! | to | use |
//! |---|---|
//! | run a decoder: continue, step several sequences, score | [`Model`], [`Cache`], [`Scored`] |
//! | generate text as a stream | [`Model::generate`], [`Generation`], [`Sampling`] |
//! | look inside | [`tap`], [`Model::observe`], [`Encoder::vectors`]; where the time goes: [`timing`] |
//! | differentiate and train | [`graph::Graph`], [`train`] |
//! | apply LoRA adapters, by name or merged | [`Model::load_adapter`], [`Model::merged`] |
//! | write a model as a GGUF file | [`Model::write_gguf`] |
//! | turn sentences into vectors | [`Encoder`], [`Pooling`] |
//! | text to tokens and back, conversations to text | [`Tokenizer`], [`template`] |
//! | treat models here and elsewhere alike | [`executor`] |
//!
//! Files come in as [`bytes::Bytes`] that the caller mapped or read; weights stay in them, in the form that they are
//! stored in. What is computed for a sequence depends on the model and the sequence alone, to the bit: not on the
//! processor's instructions, the number of threads, or what else is in the batch.
//!
//! What this crate does not do: open files, download anything, read a clock, or judge what a model says. Time and
//! seeds are arguments.
//!
//! `unsafe` is confined to the module `kernel`: the processor's vector instructions are called after they were
//! detected, because products of quantised weights are several times slower without them.

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
mod encoder;
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
mod pooling;
mod random;
mod sampling;
mod score;
mod source;
pub mod tap;
pub mod template;
pub mod timing;
mod tokenizer;
pub mod train;
mod write;

pub use adapter::Adapter;
pub use cache::Cache;
pub use config::Config;
pub use encoder::{Encoder, EncoderConfig};
pub use error::Error;
pub use fast::Activations;
pub use generate::{Finish, Generate, Generation, Step};
pub use kernel::{Activation, Kind, Level};
pub use matrix::Matrix;
pub use model::{Continuation, Model};
pub use pooling::{Length, Letters, Pool, Pooling};
pub use sampling::{Sampler, Sampling};
pub use score::{Scored, TokenScore};
pub use source::{Origin, Source};
pub use tokenizer::{Controls, TextStream, Tokenizer};
pub use write::Vocabulary;
