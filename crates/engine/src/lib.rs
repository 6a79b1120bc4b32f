//! An OpenAI-compatible server on the executor of language models.
//!
//! [`Engine::boxed`] runs a model in a worker of crate `modelbox`, [`Engine::load`] in this process; [`Server::bind`] takes
//! an address, [`Server::run`] serves until it is told to stop. Generations run on threads of their own, one at a time on
//! each; the asynchronous side only reads requests and passes on what has been generated. A worker that ends breaks off
//! the answers under way, each with its code, and is started again. Every queue, body, wait and answer has a bound
//! ([`Limits`]).
//!
//! What this crate does not do: read files, listen for signals, speak TLS, and judge who may use a model. It knows no
//! realm and no release; a gateway in front of it does.

mod answer;
mod app;
mod clock;
mod embedding;
mod error;
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
mod server;
mod speech;

pub use error::Error;
pub use job::Engine;
pub use keys::Keys;
pub use limits::Limits;
pub use modelbox::{
    Adapter, AdapterFiles, Boxed, Files, Launch, Loaded, ModelFiles, Named, OpenFile, Purpose, sample,
};
pub use refusal::Refusal;
pub use server::{Place, Server};
