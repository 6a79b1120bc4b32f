//! Why a scan cannot be asked for, each with a stable code. What is wrong with a *file* is a finding, never an error.

/// A refusal of the scan as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A rule was named that there is not.
    #[error("there is no rule `{id}`")]
    UnknownRule {
        /// What was named.
        id: String,
    },
    /// A rule is to be ignored without saying why.
    #[error("the rule `{id}` is to be ignored and no reason is given")]
    NoReason {
        /// The rule.
        id: String,
    },
    /// A catalogue of rules that cannot be read.
    #[error("the rules in `{file}` cannot be used: {reason}")]
    Catalogue {
        /// Which file.
        file: String,
        /// What the reader says.
        reason: String,
    },
    /// A worker says something of a file that cannot be.
    #[error("what was said of `{path}` cannot be: {why}")]
    Told {
        /// The file.
        path: String,
        /// What cannot be.
        why: String,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownRule { .. } => "CS-SCN-001",
            Self::NoReason { .. } => "CS-SCN-002",
            Self::Catalogue { .. } => "CS-SCN-003",
            Self::Told { .. } => "CS-SCN-004",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::UnknownRule { .. } => "`countersign scan --list-rules` shows every rule with its id",
            Self::NoReason { .. } => "write `--ignore RULE=REASON`; the reason stands in the report",
            Self::Catalogue { .. } => "this program is damaged; fetch it again",
            Self::Told { .. } => "the file may have taken over the worker that read it: do not use it",
        }
    }
}
