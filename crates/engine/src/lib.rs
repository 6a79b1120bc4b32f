//! An OpenAI-compatible server on the executor of language models.
//!
//! [`Engine::load`] takes a model's files as bytes, [`Server::bind`] an address, [`Server::run`] serves until it is
//! told to stop. Generations run on threads of their own, one at a time on each; the asynchronous side only reads
//! requests and passes on what has been generated. Every queue, body, wait and answer has a bound
//! ([`Limits`]).
//!
//! What this crate does not do: read files, listen for signals, speak TLS, and judge who may use a model. It knows no
//! realm and no release; a gateway in front of it does.

mod answer;
mod app;
mod clock;
mod error;
mod files;
mod generate;
mod host;
mod job;
mod keys;
mod limits;
mod listing;
mod members;
mod metrics;
mod queue;
mod refusal;
mod request;
pub mod sample;
mod server;
mod speech;
mod token;

pub use error::Error;
pub use files::{AdapterFiles, Loaded, ModelFiles, Named};
pub use job::Engine;
pub use keys::Keys;
pub use limits::Limits;
pub use refusal::Refusal;
pub use server::Server;
