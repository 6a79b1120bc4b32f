//! Why a monitor does not start or does not see, each with a stable code.

use std::path::PathBuf;

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that cannot be used.
    #[error("the configuration's {what}: {reason}")]
    Config {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
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
    /// The gateway's tap cannot be read, or does not hear.
    #[error("the tap `{url}` cannot be used: {reason}")]
    Gateway {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// What was learnt is not what this monitor has signed.
    #[error("`{}` is not what this monitor has learnt and signed: {reason}", path.display())]
    Reference {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The log is not believed.
    #[error(transparent)]
    Log(#[from] gateway::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Signer(#[from] signer::SignerError),
    /// A statement cannot be made or read.
    #[error(transparent)]
    Statement(#[from] statement::StatementError),
    /// Detectors, votes or tables refuse.
    #[error(transparent)]
    Watch(#[from] watch::Error),
}

impl Error {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "CS-MON-001",
            Self::File { .. } => "CS-MON-002",
            Self::Gateway { .. } => "CS-MON-003",
            Self::Reference { .. } => "CS-MON-004",
            Self::Log(error) => error.code(),
            Self::Signer(error) => error.code(),
            Self::Statement(error) => error.code(),
            Self::Watch(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Config { .. } => "correct the configuration; `docs/watch.md` describes every member",
            Self::File { .. } => "check the path and its permissions",
            Self::Gateway { .. } => {
                "check the gateway's address, and that its `monitors` name this token's hash"
            }
            Self::Reference { .. } => "remove both files, and let the monitor learn anew while all is well",
            Self::Log(error) => error.hint(),
            Self::Signer(error) => error.hint(),
            Self::Statement(error) => error.hint(),
            Self::Watch(error) => error.hint(),
        }
    }
}
