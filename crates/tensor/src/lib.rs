//! Model files read from byte slices, and what a change does to them, measured.
//!
//! | module | what it answers |
//! |---|---|
//! | [`safetensors`] | which tensors a file holds, if every rule of the format is kept |
//! | [`gguf`] | the same of GGUF files, with their metadata; and writes them |
//! | [`imatrix`] | how much each column of a weight counts, as `llama-imatrix` measured it |
//! | [`onnx`] | the graph and weights of an ONNX model |
//! | [`weights`] | any of these as one list of tensors, and one name for the same tensor |
//! | [`numpy`] | the array in an `.npy` file |
//! | [`peft`] | which modules of a base model an adapter changes, and through which factors |
//! | [`measure`] | how far: norms and largest elements, as integers that never understate |
//! | [`scope`] | whether a change stays inside what a scope file allows |
//! | `delta` | what differs between two models, tensor by tensor (feature `spectrum`) |
//! | `spectrum` | singular values of a change, and how unevenly it is spread (feature `spectrum`) |
//! | [`json`] | the strict JSON reader under all of them |
//! | [`sample`] | small made (not trained) models for demonstrations and tests |
//!
//! Files come in as `&[u8]` (the caller maps or reads them) and every bound is checked before memory is asked
//! for. Nothing here opens a file, reads a clock, draws a random number or runs what a file contains.
//!
//! What this crate does not do: say whether a change is *safe*. A change inside its scope is small and where it
//! was said to be; whether the model still behaves is for the examiners.

#[cfg(feature = "spectrum")]
pub mod delta;
pub mod error;
pub mod gguf;
pub mod imatrix;
pub mod jinja;
pub mod json;
pub mod measure;
pub mod numpy;
pub mod onnx;
pub mod peft;
pub mod pickle;
pub mod safetensors;
pub mod sample;
pub mod scope;
#[cfg(feature = "spectrum")]
pub mod spectrum;
pub mod tokenizer;
pub mod torch;
pub mod weights;
pub mod zip;

pub use error::Error;
