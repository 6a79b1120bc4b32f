//! Why nothing was audited, or its answer not given: one code each. What is wrong with an export has codes of crate
//! `audit`.

use std::io;
use std::path::PathBuf;

use audit::AuditError;

/// A failure of the program around the audit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is named is no file.
    #[error("`{}` is {what}, not a file", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file is longer than anything of its kind.
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How long it may be.
        limit: u64,
    },
    /// The parts cannot be written out.
    #[error("cannot extract into `{}`", path.display())]
    Extract {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The record has no such change.
    #[error("the record has no change `{0}`")]
    NoChange(String),
    /// It has more than one.
    #[error("`{0}` begins more than one change's id")]
    Ambiguous(String),
    /// The answer cannot be written.
    #[error("the answer cannot be written")]
    Write(#[source] io::Error),
    /// The answer has no form as JSON.
    #[error("the answer has no form as JSON")]
    Json(#[source] serde_json::Error),
    /// The machine's clock says nothing that can be.
    #[error("the clock is before 1970, or beyond reason")]
    Clock,
    /// The auditor's policy is none.
    #[error("`{}` is no attestation policy: [{code}] {what}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// The code of what is wrong.
        code: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The export itself is refused.
    #[error("the export is refused")]
    Refused(#[source] AuditError),
}

impl Fault {
    /// The stable code.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "CS-ACL-001",
            Self::Extract { .. } => "CS-ACL-002",
            Self::NoChange(_) => "CS-ACL-003",
            Self::Ambiguous(_) => "CS-ACL-004",
            Self::Write(_) => "CS-ACL-005",
            Self::Json(_) => "CS-ACL-006",
            Self::Clock => "CS-ACL-007",
            Self::Policy { .. } => "CS-ACL-008",
            Self::NotAFile { .. } => "CS-ACL-009",
            Self::TooLarge { .. } => "CS-ACL-010",
            Self::Refused(error) => error.code(),
        }
    }

    /// What to do about it.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the path and its permissions",
            Self::Extract { .. } => "name a folder that is not there yet, where you may write",
            Self::NoChange(_) => "leave `--change` out: the page lists the changes",
            Self::Ambiguous(_) => "give more digits of the id",
            Self::Write(_) => "check where the output goes",
            Self::Json(_) => "report this as a defect",
            Self::Clock => "set this machine's clock: expiry is judged by it",
            Self::Policy { .. } => "see docs/attest.md for what a policy holds",
            Self::NotAFile { .. } => "copy it to a file first, and name that",
            Self::TooLarge { .. } => "this is not the file that was meant",
            Self::Refused(error) => error.hint(),
        }
    }

    /// Documents that show the fault.
    pub(crate) fn evidence(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Refused(error) => error.evidence(),
            _ => Vec::new(),
        }
    }
}
