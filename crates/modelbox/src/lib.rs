//! Models run in a box: what is asked, what is answered, on both sides.
//!
//! A model's files, its tokenizer and its chat template are strangers' bytes, and what runs on them is the largest part of
//! the code. So it runs in a worker that has the files and nothing else; this process keeps the network, the keys and the
//! clock. Both sides speak in bounded messages, read strictly.
//!
//! | module | what it is for |
//! |---|---|
//! | [`files`] | a model's files: open, mapped, or by the number of a worker's input |
//! | [`task`] | what is asked of a model, and what it says while it answers |
//! | [`generator`] | answering on a model that is at hand: in the worker, or in this process where no box is asked for |
//! | [`wire`] | the messages |
//! | [`inside`] | the worker's side |
//! | [`boxed`] | the other side: a worker that is started, asked, ended, and started again when it ended by itself |
//! | [`sample`] | a small made model, for tests |
//!
//! Invariant: what a worker says is checked before it is believed, and a worker that says nothing is ended, never waited
//! for without a limit. What this crate does not do: serve anybody, or judge what a model says.

pub mod boxed;
mod encoder;
mod error;
pub mod files;
pub mod generator;
pub mod inside;
pub mod sample;
pub mod task;
mod token;
pub mod wire;

pub use boxed::{Boxed, Launch};
pub use error::{BoxError, NotOpened};
pub use files::{Adapter, AdapterFiles, Files, Loaded, ModelFiles, Named, OpenFile};
pub use generator::{Generator, Listener, Opened};
pub use task::{
    Broken, Caller, Echo, Event, Fault, Likely, Prompt, Purpose, Score, Sequence, Task, Turn, Vector,
};
pub use token::Token;
