//! The gates over a real realm: every reason, every count, and hostile sequences.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a wrong step is to fail where it stands"
)]

mod admission;
mod approvals;
mod automation;
mod compare;
mod corpus;
mod elsewhere;
mod evidence;
mod hostile;
mod keys;
mod loosened;
mod members;
mod reasons;
mod stage;
