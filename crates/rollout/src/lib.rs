//! Release in stages: a change reaches users by small steps, is compared with what it replaces while it does, and goes
//! back where it is worse or where nobody can tell.
//!
//! * [`assign`]: which arm a user is in: sticky, nested, with an equal control arm at the same time.
//! * [`plan`]: stages, metrics, tolerances, hold points.
//! * [`gate`]: what a stage's evidence says: promote, hold, roll back. Looked at every second.
//! * [`requests`]: means over all requests, with the variance between units.
//! * [`record`]: a stage's data in integers, the report on it, and the re-run of the report by somebody else.
//! * [`planner`]: what happens next, as a pure step.
//!
//! Nothing here sends traffic, reads a clock or signs. Data come as counts by row, times as milliseconds.
//!
//! What holds, with the plan's significance `alpha` (0.01 in [`plan::Plan::standard`]):
//!
//! * a candidate that is not worse is rolled back by the gates' comparisons with a chance of at most `alpha` over the
//!   whole rollout, although they are looked at every second;
//! * a candidate that is worse than a stage's margin in any metric passes that stage with a chance of at most `alpha`
//!   divided by the number of stages;
//! * what is neither shown to be worse nor shown to be good enough is held, and rolled back at the end of the stage's
//!   extension.
//!
//! These hold for units that are independent of each other: a user who sends many requests is one unit, and counts
//! once in a stage.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts are bounded far below 2^53, and statistics are clamped before they become integers"
)]

pub mod assign;
pub mod gate;
pub mod plan;
pub mod planner;
pub mod record;
pub mod requests;

mod error;

pub use error::Error;
