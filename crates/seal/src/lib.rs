//! Seals of weights, and signatures of model folders.
//!
//! | module | what it answers |
//! |---|---|
//! | [`rule`] | how values become bytes that are hashed, as data with a digest of its own |
//! | [`source`] | the tensors that are sealed, over the caller's bytes |
//! | [`gguf`] | the tensors of a GGUF file as the model's checkpoint has them |
//! | [`fingerprint`] | the seal: a Merkle tree over tensors and blocks, the same for the same weights |
//! | [`proof`] | that one block belongs to a seal's root |
//! | [`difference`] | what changed between two seals, and that base and change give the new one |
//! | [`oms`] | OpenSSF Model Signing bundles: read, written and verified |
//! | [`spot`] | which blocks a spot check looks at |
//!
//! What this crate does not do: open files, look at the clock or draw random numbers. Seeds and times are arguments.
//! A seal says that weights are *these*; whether they are good is for the examiners.

mod coding;
pub mod difference;
mod error;
pub mod fingerprint;
pub mod gguf;
mod hash;
pub mod oms;
pub mod proof;
pub mod rule;
pub mod source;
pub mod spot;

pub use error::Error;
pub use fingerprint::{Seal, TensorSeal};
pub use hash::Mark;
pub use rule::{Coding, Rule};
pub use source::{Decode, Elements, Tensor};
