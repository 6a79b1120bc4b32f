//! Why an engine is not launched, or no longer runs, each with a stable code.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use statement::Digest;

/// A refusal to launch, or the end of what was launched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("`{}` cannot be {act}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// What was tried.
        act: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it has to be.
    #[error("`{}` has SHA-256 `{found}`, and `{expected}` is approved", path.display())]
    OtherContent {
        /// The path.
        path: PathBuf,
        /// What is approved.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// A served file has changed while its engine ran.
    #[error("`{}` is no longer what was checked: {what}", path.display())]
    Changed {
        /// The path.
        path: PathBuf,
        /// What has changed.
        what: String,
    },
    /// A name that no served file can have.
    #[error("`{name}` is no name of a served file")]
    Name {
        /// The name.
        name: String,
    },
    /// The engine's program is not there.
    #[error("there is no program `{name}`")]
    NoProgram {
        /// Its name.
        name: String,
    },
    /// A placeholder that nothing fills.
    #[error("nothing fills `{place}` in the engine's arguments")]
    Placeholder {
        /// The placeholder.
        place: String,
    },
    /// Nothing tells the engine where to listen.
    #[error("the engine's arguments name neither `{{socket}}` nor `{{port}}`")]
    NoEntrance,
    /// The engine could not be started.
    #[error("`{}` cannot be started", path.display())]
    Start {
        /// Its program.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine does not say that it is healthy.
    #[error("the engine was not healthy within {} seconds", after.as_secs())]
    NotHealthy {
        /// How long it had.
        after: Duration,
    },
    /// The engine has ended.
    #[error("the engine has ended: {status}")]
    Ended {
        /// How.
        status: String,
    },
    /// The address cannot be listened on.
    #[error("`{address}` cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than this machine could ask, and nobody would be asked for a key.
    #[error("`{address}` can be reached from other machines, and no keys are asked for")]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// A file of keys that cannot be used.
    #[error("the keys of those who may ask cannot be used: line {line} {reason}")]
    Keys {
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The system gives no threads, or no randomness.
    #[error("the system gives no {what}: {reason}")]
    System {
        /// What.
        what: &'static str,
        /// What it says.
        reason: String,
    },
    /// The channel.
    #[error("there is no channel to the engine")]
    Channel(#[from] channel::Error),
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "CS-LCH-001",
            Self::OtherContent { .. } => "CS-LCH-002",
            Self::Changed { .. } => "CS-LCH-003",
            Self::Name { .. } => "CS-LCH-004",
            Self::NoProgram { .. } => "CS-LCH-005",
            Self::Placeholder { .. } => "CS-LCH-006",
            Self::NoEntrance => "CS-LCH-007",
            Self::Start { .. } => "CS-LCH-008",
            Self::NotHealthy { .. } => "CS-LCH-009",
            Self::Ended { .. } => "CS-LCH-010",
            Self::Listen { .. } => "CS-LCH-011",
            Self::Open { .. } => "CS-LCH-012",
            Self::Keys { .. } => "CS-LCH-013",
            Self::System { .. } => "CS-LCH-014",
            Self::Channel(error) => error.code(),
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "check the path, its permissions and the room on the disk",
            Self::OtherContent { .. } => {
                "the disk is damaged, or somebody changed the file; nothing was started"
            }
            Self::Changed { .. } => {
                "the engine was stopped; find out who wrote to the file, then launch again from the vault"
            }
            Self::Name { .. } => "components have plain names, without `/` and `..`",
            Self::NoProgram { .. } => "give the program's path, or a name that is found in PATH",
            Self::Placeholder { .. } => {
                "there are `{model}`, `{prompt}`, `{socket}`, `{port}` and `{component:NAME}`; what the state lacks is not filled"
            }
            Self::NoEntrance => "tell the engine where to listen, best with a Unix socket at `{socket}`",
            Self::Start { .. } => "check that it is a program of this machine",
            Self::NotHealthy { .. } => {
                "look at what it says above; large models need more with --ready-seconds"
            }
            Self::Ended { .. } => "look at what it says above; launch it again",
            Self::Listen { .. } => "another program may use the address; name another with --listen",
            Self::Open { .. } => "give keys with --api-key-file, or listen on 127.0.0.1",
            Self::Keys { .. } => "one key a line, of at least 16 characters",
            Self::System { .. } => "close other programs",
            Self::Channel(error) => error.hint(),
        }
    }

    pub(crate) fn file(
        path: &std::path::Path,
        act: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, act, source }
    }

    pub(crate) fn system(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::System { what, reason: reason.to_string() }
    }
}
