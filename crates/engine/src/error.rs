//! Why an engine could not be started, each with a stable code.

use std::net::SocketAddr;

use modelbox::{BoxError, NotOpened};

use crate::server::Place;

/// A refusal to start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Others than this machine could ask, and nobody would be asked for a key.
    #[error("`{address}` can be reached from other machines, and no keys are asked for")]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The address or socket cannot be listened on.
    #[error("`{place}` cannot be listened on")]
    Listen {
        /// The address or socket.
        place: Place,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of API keys that cannot be used.
    #[error("the API keys cannot be used: line {line} {reason}")]
    Keys {
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A model that cannot be opened.
    #[error("the model `{name}` cannot be opened")]
    Model {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: NotOpened,
    },
    /// An adapter that cannot be opened.
    #[error("the adapter `{name}` cannot be loaded")]
    Adapter {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: NotOpened,
    },
    /// A name that cannot be one, or that is taken.
    #[error("`{name}` cannot be a model's name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A limit that leaves nothing to work with.
    #[error("the limit `{limit}` must be {expected}")]
    Limit {
        /// Which.
        limit: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The system gives no threads, or no randomness.
    #[error("the system gives no {what}: {reason}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it says.
        reason: String,
    },
    /// The box around the model, or the worker in it.
    #[error("the model cannot be run in its box")]
    Box(#[source] Box<BoxError>),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "CS-ENG-001",
            Self::Listen { .. } => "CS-ENG-002",
            Self::Keys { .. } => "CS-ENG-003",
            Self::Model { .. } => "CS-ENG-004",
            Self::Adapter { .. } => "CS-ENG-005",
            Self::Name { .. } => "CS-ENG-006",
            Self::Limit { .. } => "CS-ENG-007",
            Self::System { .. } => "CS-ENG-008",
            Self::Box(_) => "CS-ENG-010",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Open { .. } => "give keys with --api-key-file, or listen on 127.0.0.1",
            Self::Listen { .. } => "another program may use the port or socket; give another",
            Self::Keys { .. } => {
                "one key a line, of at least 16 characters, or `sha256:` and the key's SHA-256 in hexadecimal"
            }
            Self::Model { source, .. } | Self::Adapter { source, .. } => &source.hint,
            Self::Name { .. } => "give each model and adapter a short name of its own",
            Self::Limit { .. } => "raise the limit",
            Self::System { .. } => "close other programs, or ask for fewer threads",
            Self::Box(source) => source.hint(),
        }
    }
}
