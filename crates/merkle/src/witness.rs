//! C2SP tlog-witness: the `add-checkpoint` request and the decision whether to cosign.
//!
//! The decision is pure. Who runs a witness stores the new state durably, compare-and-swap on the old one,
//! *before* it cosigns and answers.

mod decision;
mod request;
#[cfg(test)]
mod tests;

pub use decision::{WatchedLog, WitnessRefusal, WitnessState, decide};
pub use request::{AddCheckpoint, MAX_REQUEST};
