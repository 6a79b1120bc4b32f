//! Why a model was not run in its box.

use sandbox::SandboxError;
use serde::{Deserialize, Serialize};
use trace::TraceError;

/// A model or adapter that cannot be opened, in the words of whoever tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct NotOpened {
    /// The adapter; none for the model itself.
    pub adapter: Option<String>,
    /// What is wrong, causes included.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl NotOpened {
    /// From the model's own error.
    pub(crate) fn of(adapter: Option<&str>, error: &model::Error) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { adapter: adapter.map(str::to_owned), message, hint: error.hint().to_owned() }
    }
}

/// What went wrong around a model in its box.
#[derive(Debug, thiserror::Error)]
pub enum BoxError {
    /// The box, or the worker in it.
    #[error(transparent)]
    Box(#[from] SandboxError),
    /// A file cannot be handed over.
    #[error("`{name}` cannot be handed to the worker")]
    File {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The worker cannot open the model.
    #[error("the worker cannot open the model")]
    NotOpened(#[source] NotOpened),
    /// The model cannot be run on what was asked.
    #[error("the model cannot be run on this: {message}")]
    Model {
        /// What is wrong.
        message: String,
    },
    /// The answer took too long.
    #[error("the worker did not answer within {seconds} s")]
    Late {
        /// The limit.
        seconds: u64,
    },
    /// The steps cannot be told.
    #[error("the worker's steps cannot be told")]
    Steps(#[source] TraceError),
}

impl BoxError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Box(error) => error.code(),
            Self::File { .. } => "CS-MBX-001",
            Self::NotOpened(_) => "CS-MBX-002",
            Self::Model { .. } => "CS-MBX-003",
            Self::Late { .. } => "CS-MBX-004",
            Self::Steps(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Box(error) => error.hint(),
            Self::File { .. } => "check that the file is there and can be read",
            Self::NotOpened(error) => &error.hint,
            Self::Model { .. } => "correct what is asked; the message says what is wrong",
            Self::Late { .. } => "ask for less at once, or allow more time",
            Self::Steps(error) => error.hint(),
        }
    }
}
