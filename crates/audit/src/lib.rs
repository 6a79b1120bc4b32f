//! An outsider's check of an export: the record is whole, and the decisions follow from it.
//!
//! [`audit`] takes the bytes of an [`Export`] and answers with a [`Report`], or with an [`AuditError`] that names what
//! is wrong and carries the evidence. It needs no network, no server and no trust in who made the file: it hashes every
//! leaf, checks every signature, folds the log from the first leaf and decides every verdict, approval and release
//! order again with the same gates ([`policy::gate::Bench`]) that decided them.
//!
//! Invariant: the report depends on the file and the [`Expectations`] alone. No clock, no IO, no randomness; threads only
//! share out work whose order does not matter.
//! What this crate does not do: read files, or believe a date.

// The fuzz target that a test replays names the crate from outside.
#[cfg(test)]
extern crate self as audit;

mod check;
mod context;
mod error;
pub mod export;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod parallel;
pub mod report;

pub use check::{Expectations, audit};
pub use context::{Context, context};
pub use error::AuditError;
pub use evidence::Policy as AttestationPolicy;
pub use export::{Export, Section, Writer};
pub use report::Report;
