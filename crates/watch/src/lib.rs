//! Is what is served still what it was?
//!
//! * [`fingerprint`]: what a second of traffic looked like, in counts that add up across gateways and seconds.
//! * [`baseline`]: what such a second usually looks like at this hour of the day, adapting slowly.
//! * [`drift`]: how far apart the two are, by dimension, as effect sizes against limits.
//! * [`window`]: what a gateway counted in a second of one version's traffic, as its tap gives it out.
//! * [`text`]: what a text looks like in numbers.
//! * [`reference`](mod@reference): what a monitor has learnt and signs: baseline, and examples of answers and of seconds.
//! * [`watcher`]: the detectors of one monitor, and what they find about a version.
//! * [`ensemble`]: what several detectors of one monitor say together.
//! * [`vote`]: what five monitors say together, two of which may lie or be dead.
//! * [`response`]: what follows, by a table.
//!
//! Nothing here reads a clock, measures or acts: times are milliseconds, data are counts, and what follows is a value
//! for others to carry out.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are bounded far below 2^53, and effect sizes are clamped before they become integers"
)]

pub mod baseline;
pub mod drift;
pub mod ensemble;
pub mod fingerprint;
pub mod reference;
pub mod response;
pub mod text;
pub mod vote;
pub mod watcher;
pub mod window;

mod error;
mod wire;

pub use error::Error;
