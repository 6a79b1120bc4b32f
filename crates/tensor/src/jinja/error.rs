//! Why a template could not be parsed.

/// A refusal of a template. Offsets are in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Larger than the limit.
    #[error("the template has {length} bytes, the limit is {limit}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Nested deeper than the limit.
    #[error("the template nests deeper than {limit} at byte {at}")]
    TooDeep {
        /// The limit in force.
        limit: usize,
        /// Where.
        at: usize,
    },
    /// More parts than the limit.
    #[error("the template has more than {limit} parts")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
    /// A tag, comment or string without its end.
    #[error("the {what} that begins at byte {at} has no end")]
    Open {
        /// What has none.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// Something other than what the grammar asks for.
    #[error("expected {expected} at byte {at}")]
    Expected {
        /// What the grammar asks for.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// A statement that neither Jinja nor chat templates know.
    #[error("the statement `{name}` at byte {at} is unknown")]
    Statement {
        /// Its name, escaped and shortened.
        name: String,
        /// Where.
        at: usize,
    },
    /// A character that begins nothing.
    #[error("the character `{character}` at byte {at} begins nothing")]
    Character {
        /// The character, escaped.
        character: String,
        /// Where.
        at: usize,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "CS-TSR-250",
            Self::TooDeep { .. } => "CS-TSR-251",
            Self::TooMany { .. } => "CS-TSR-252",
            Self::Open { .. } => "CS-TSR-253",
            Self::Expected { .. } => "CS-TSR-254",
            Self::Statement { .. } => "CS-TSR-255",
            Self::Character { .. } => "CS-TSR-256",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::TooDeep { .. } | Self::TooMany { .. } => {
                "chat templates are a few kilobytes; find out why this one is not"
            }
            Self::Open { .. } | Self::Expected { .. } | Self::Statement { .. } | Self::Character { .. } => {
                "mend the template at the byte named; a template that cannot be parsed cannot be checked"
            }
        }
    }
}
