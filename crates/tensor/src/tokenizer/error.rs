//! Why a tokenizer's file could not be read.

use crate::json;

/// A refusal of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON.
    #[error("the {document} is not JSON that can be read")]
    Json {
        /// Which document.
        document: &'static str,
        /// Where and why.
        #[source]
        fault: json::Fault,
    },
    /// Larger than the limit.
    #[error("the {document} has {length} bytes, the limit is {limit}")]
    TooLong {
        /// Which document.
        document: &'static str,
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A member that is not what it must be.
    #[error("the {document}: `{member}` must be {expected}")]
    Form {
        /// Which document.
        document: &'static str,
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "CS-TSR-265",
            Self::TooLong { .. } => "CS-TSR-266",
            Self::Form { .. } => "CS-TSR-267",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Json { .. } => "mend the JSON at the byte named",
            Self::TooLong { .. } => "find out why the file is larger than any in use",
            Self::Form { .. } => "write the file again with the library that made it",
        }
    }
}
