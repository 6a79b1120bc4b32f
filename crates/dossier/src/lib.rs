//! The fold of the log: the world, the dossiers, and the lifecycle of a change.
//!
//! [`Ledger::apply`] takes leaves in order and knows, after each, who may say what ([`World`]) and how every change
//! stands ([`Dossier`]). Being in the log is not authority: a leaf that does not apply is a recorded no-op with its
//! [`Reason`]s. Verdicts and release orders apply only if a [`Judge`] (crate `policy`) comes to the same decision.
//!
//! Invariant: the state depends on the leaves alone. No clock, no IO, no randomness; every map is ordered.
//! What this crate does not do: decide by policy. It asks the judge.

mod actor;
mod change;
mod fold;
mod keybook;
mod lifecycle;
mod refusal;
mod world;

pub use actor::{Actor, ActorKind};
pub use change::{Dossier, Recorded};
pub use fold::{Applied, Judge, Ledger, Moment, RealmAct, Stop, replay};
pub use keybook::{Checked, KeyBook, Parsed};
pub use lifecycle::{Effect, Event, Reached, State, step};
pub use refusal::{Code, Reason, Refusal};
pub use world::{ClassHistory, Current, Fail, FrozenBy, GrantRecord, SlotRecord, World};
