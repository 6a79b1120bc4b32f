//! Why there is no channel, each with a stable code.

/// A channel that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library of cryptography refuses: it has no randomness, or not the algorithms.
    #[error("a channel key cannot be used: {reason}")]
    Key {
        /// What it says.
        reason: String,
    },
    /// A key that no channel can have.
    #[error("`{key}` is no key of a channel: {reason}")]
    Scheme {
        /// The key's id.
        key: statement::KeyId,
        /// Why not.
        reason: &'static str,
    },
    /// The other side does not answer as a channel does.
    #[error("`{address}` does not answer as a channel does")]
    NoChannel {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The other side proved another kind of key.
    #[error("`{address}` shows a key that is not Ed25519")]
    OtherKey {
        /// Where.
        address: String,
    },
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Key { .. } => "CS-CHN-001",
            Self::Scheme { .. } => "CS-CHN-002",
            Self::NoChannel { .. } => "CS-CHN-003",
            Self::OtherKey { .. } => "CS-CHN-004",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Key { .. } => "the system may be out of randomness; try again",
            Self::Scheme { .. } => "channel keys are Ed25519, as `countersign launch` makes them",
            Self::NoChannel { .. } => "check that `countersign launch` listens there",
            Self::OtherKey { .. } => {
                "another program listens there; name the address of `countersign launch`"
            }
        }
    }

    pub(crate) fn key(error: impl std::fmt::Display) -> Self {
        Self::Key { reason: error.to_string() }
    }
}
