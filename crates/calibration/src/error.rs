//! Why a calibration or an examination's evidence cannot be read.

/// A refusal of what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A calibration that does not have its form, or cannot be made.
    #[error("the calibration cannot be read: {reason}")]
    Calibration {
        /// Why.
        reason: String,
    },
    /// The evidence of an examination that does not have its form.
    #[error("the examination's evidence cannot be read: {reason}")]
    Evidence {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Calibration { .. } => "CS-CAL-001",
            Self::Evidence { .. } => "CS-CAL-002",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Calibration { .. } => "make the table again with `cargo xtask bench detect`",
            Self::Evidence { .. } => "do not rely on the finding: ask for the examination again",
        }
    }
}
