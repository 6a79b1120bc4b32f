//! Why a trace or a proof is not believed, each with a stable code.

use statement::json::EncodeError;

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read.
    #[error("the trace cannot be read at leaf {leaf}: {why}")]
    Form {
        /// The leaf, from zero.
        leaf: usize,
        /// What is wrong.
        why: String,
    },
    /// It is empty, or larger than traces may be.
    #[error("the trace is not in order: {what} must be from 1 to {limit}")]
    Size {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// There is no such step.
    #[error("there is no leaf {leaf}: the trace has {leaves}")]
    NoLeaf {
        /// What was asked for.
        leaf: u64,
        /// How many there are.
        leaves: u64,
    },
    /// The proof does not lead to the root.
    #[error("leaf {leaf} is not shown to be in the trace")]
    NotIncluded {
        /// The leaf.
        leaf: u64,
        /// Why.
        #[source]
        source: merkle::ProofError,
    },
    /// The proof cannot be read.
    #[error("this is no proof of a step: {why}")]
    NoProof {
        /// What is wrong.
        why: String,
    },
    /// The trace and the finding say different things.
    #[error("the trace is not the finding's: {what}")]
    Disagrees {
        /// What differs.
        what: &'static str,
    },
    /// A step cannot be written as canonical JSON.
    #[error("a step cannot be written")]
    Encode(#[source] EncodeError),
}

impl TraceError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "CS-TRC-001",
            Self::Size { .. } => "CS-TRC-002",
            Self::NoLeaf { .. } => "CS-TRC-003",
            Self::NotIncluded { .. } => "CS-TRC-004",
            Self::NoProof { .. } => "CS-TRC-005",
            Self::Disagrees { .. } => "CS-TRC-006",
            Self::Encode(_) => "CS-TRC-007",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Form { .. } | Self::NoProof { .. } => "fetch it again; what cannot be read proves nothing",
            Self::Size { .. } => "examine less at once",
            Self::NoLeaf { .. } => "leaves are counted from 0",
            Self::NotIncluded { .. } => {
                "the step was not part of what was signed, or the root and number of leaves are another finding's"
            }
            Self::Disagrees { .. } => "do not rely on the finding; keep both as evidence",
            Self::Encode(_) => "report this as a fault",
        }
    }
}
