//! The vocabulary: digests, identifiers, canonical JSON, signed statements, the trust root.
//!
//! Everything that happens to a model change is a [`Statement`]: an in-toto Statement v1 in a DSSE [`Envelope`], about
//! digests, with a frozen [`Header`]. A log entry is a stamped envelope: [`Leaf`].
//!
//! What this crate does not do: decide anything, read a clock, a file or the environment.

pub mod bytes;
pub mod digest;
pub mod envelope;
pub mod error;
#[cfg(any(test, feature = "examples"))]
pub mod example;
pub mod header;
pub mod id;
pub mod json;
pub mod key;
pub mod kind;
pub mod leaf;
pub mod schema;
mod statement;
#[cfg(test)]
mod vectors;

pub use bytes::Bytes;
pub use digest::{Digest, DigestError};
pub use envelope::{Envelope, Signature};
pub use error::StatementError;
pub use header::Header;
pub use id::{ChangeId, IdError, KeyId, Name, PersonId, RealmId, SlotId, StateId, StatementId, Tracking};
pub use key::{PublicKey, Scheme, SignatureError};
pub use kind::{Body, Kind};
pub use leaf::{Leaf, stamp};
pub use statement::{Content, Opaque, STATEMENT_TYPE, Statement};
