//! The data plane: an OpenAI-compatible reverse proxy that serves a version only when it has itself verified the whole
//! chain of its release order, brings it to users in stages, and takes it back.
//!
//! * [`Config`]: what is served for which slot, who may ask, which realm is believed.
//! * [`Warden`]: follows the log, folds it, asks `policy::gate` whether a state may be served, drives the rollout, and
//!   publishes what is to be routed to. It runs on one thread and takes the time as an argument.
//! * [`Server`]: takes requests and passes them on by the routes that the warden published last. It decides nothing.
//!
//! Invariant: a route to a state exists only while the fold of a log that was verified down to the pinned trust root
//! lets the state be served.
//!
//! What this crate does not do: start engines (`countersign launch` does, and signs which state an engine serves; the
//! gateway verifies that, talks to such an engine over the launcher's channel alone, and says in every answer how strongly
//! its engine is tied), watch for drift (monitors do, by what its tap gives out; it acts by what a quorum of them signs).

mod answers;
mod binding;
mod body;
mod callers;
mod config;
mod control;
mod decide;
mod engines;
mod error;
mod follow;
mod heads;
mod keep;
mod knock;
mod limits;
mod live;
mod log;
mod members;
mod metrics;
mod paced;
mod plane;
mod probes;
#[cfg(any(test, feature = "fuzz"))]
pub mod promises;
mod reader;
mod refusal;
mod routes;
mod server;
mod sessions;
mod source;
mod tally;
mod tap;
mod tls;
mod traces;
mod view;
mod warden;
mod workers;

pub use config::{
    Config, Context, LogPlace, MonitorEntry, Realm, Release, SlotEntry, SystemPrompts, Tls, Traces, Unit,
};
pub use control::{Asked as ControlRequest, ask as ask_control, socket_path};
pub use error::Error;
pub use follow::Follower;
pub use limits::Limits;
pub use log::Log;
pub use refusal::Refusal;
pub use server::Server;
pub use source::{FolderSource, HttpSource, Source};
pub use view::checkpoint_view;
pub use warden::{Clock, Warden};
