//! What a user sees when something does not work: a code, the thing, a hint.

use std::fmt;
use std::path::Path;

use dossier::Refusal;
use serde::{Deserialize, Serialize};

/// Why a command did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// A stable code.
    pub(crate) code: String,
    /// What happened, with the thing in backticks.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
    /// Further reasons, of a refusal with several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more: Vec<Failure>,
}

/// What commands answer.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure of the command line's own.
    pub(crate) fn new(code: &str, message: impl fmt::Display, hint: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_string(), hint: hint.to_owned(), more: Vec::new() }
    }

    /// Something the user asked for cannot be asked for.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new("CS-CLI-001", message, "`countersign COMMAND --help` shows how it is used")
    }

    /// Something is not there.
    pub(crate) fn missing(what: &str, name: impl fmt::Display) -> Self {
        Self::new(
            "CS-CLI-002",
            format!("there is no {what} `{name}`"),
            "`countersign list` shows what there is",
        )
    }

    /// A file cannot be read or written.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("`{}`: {error}", path.display());
        Self::new("CS-CLI-003", message, "check the path and its permissions")
    }

    /// The outside world answers what it should not.
    pub(crate) fn outside(message: impl fmt::Display, hint: &str) -> Self {
        Self::new("CS-CLI-004", message, hint)
    }

    /// The log and a witness of it have seen different histories. `evidence` holds what both signed.
    pub(crate) fn contradicted(message: impl fmt::Display, evidence: &str) -> Self {
        let hint = "keep both as evidence, stop writing, and find out which copy of the log is the true one";
        Self::new("CS-CLI-014", format!("{message}\n{}", evidence.trim_end()), hint)
    }

    /// A file is not what it is said to be.
    pub(crate) fn not_a(what: &str, path: &Path, why: impl fmt::Display) -> Self {
        let message = format!("`{}` is no {what}: {why}", path.display());
        Self::new("CS-CLI-015", message, "this is not the file that was meant, or it is damaged")
    }

    /// This failure of reading a file, which the message need not have named.
    pub(crate) fn of_file(mut self, path: &Path) -> Self {
        let path = path.display().to_string();
        if !self.message.contains(&path) {
            self.message = format!("`{path}`: {}", self.message);
        }
        self
    }

    /// This failure, with the folder where it happened: what the log names is relative to that.
    pub(crate) fn at(mut self, folder: &Path) -> Self {
        self.message = format!("{} (in `{}`)", self.message, folder.display());
        self
    }

    /// This failure, and another that came after it.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.more.push(other);
        self
    }

    /// A failure to publish what is in the log all the same: told, so that nobody says it twice.
    pub(crate) fn after(mut self, logged: u64) -> Self {
        if logged > 0 {
            self.message = format!("{} (the {logged} new statements are in the log)", self.message);
        }
        self
    }

    /// Whether the command line is at fault, and not the world.
    pub(crate) fn is_usage(&self) -> bool {
        self.code == "CS-CLI-001"
    }

    /// Whether this code, and no other, is the reason.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code == code && self.more.iter().all(|failure| failure.is(code))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused [{}]: {}\n  hint: {}", self.code, self.message, self.hint)?;
        for failure in &self.more {
            write!(f, "\nand [{}]: {}\n  hint: {}", failure.code, failure.message, failure.hint)?;
        }
        Ok(())
    }
}

/// Makes an error of reading a file one that names the file.
pub(crate) fn in_file<E>(path: &Path) -> impl Fn(E) -> Failure + '_
where
    Failure: From<E>,
{
    move |error| Failure::from(error).of_file(path)
}

/// An error and its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

macro_rules! from_coded {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.code(), chain(&error), error.hint())
            }
        })+
    };
}

from_coded!(
    statement::StatementError,
    signer::SignerError,
    translog::LogError,
    vault::Error,
    tensor::Error,
    policy::PolicyError,
    policy::compare::CompareError,
    merkle::MerkleError,
    audit::AuditError,
    bundle::BundleError,
    dossier::Stop,
    scan::Error,
    seal::Error,
    quant::Error,
    model::Error,
    tensor::gguf::GgufError,
    tensor::torch::Error,
    tensor::weights::WeightsError,
    engine::Error,
    gateway::Error,
    ::launch::Error,
    ::monitor::Error,
    range::Error,
    evidence::Error,
    attest::Error,
    examine::Error,
    calibration::Error,
    trace::TraceError
);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let mut failures = refusal.reasons().map(|reason| {
            Self::new(
                reason.code.as_str(),
                format!("{} (`{}`)", reason.code.text(), reason.about),
                reason.code.hint(),
            )
        });
        let first = failures.next();
        let more: Vec<Self> = failures.collect();
        match first {
            Some(first) => Self { more, ..first },
            None => Self::usage("refused without a reason"),
        }
    }
}

impl From<statement::IdError> for Failure {
    fn from(error: statement::IdError) -> Self {
        Self::usage(error)
    }
}

impl From<statement::DigestError> for Failure {
    fn from(error: statement::DigestError) -> Self {
        Self::usage(error)
    }
}

impl From<statement::json::EncodeError> for Failure {
    fn from(error: statement::json::EncodeError) -> Self {
        statement::StatementError::Encode(error).into()
    }
}

impl From<statement::json::JsonError> for Failure {
    fn from(error: statement::json::JsonError) -> Self {
        statement::StatementError::Json(error).into()
    }
}

impl From<statement::json::ShapeError> for Failure {
    fn from(error: statement::json::ShapeError) -> Self {
        statement::StatementError::Shape(error).into()
    }
}
