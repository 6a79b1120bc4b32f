//! Statistics for decisions: exact tests and bounds, tests that may be looked at every second, conformal p-values,
//! drift measures, sketches that merge.
//!
//! | question | module |
//! | --- | --- |
//! | what does "0 of 200" prove? | [`exact`] |
//! | is it worse, and may I look all the time? | [`eprocess`] |
//! | between which bounds does it lie, at every moment? | [`sequence`] |
//! | many metrics, many stages | [`multiplicity`] |
//! | users send many requests each | [`cluster`] |
//! | how unusual is this score, among benign ones? | [`conformal`] |
//! | has the stream changed, with a stated rate of false alarms? | [`detector`] |
//! | how far apart are two samples? | [`drift`], [`mmd`], [`forest`] |
//! | keep it small, and add it up across machines | [`sketch`] |
//!
//! Every function is pure: counts, samples and seeds are arguments. Logarithms and exponentials come from `libm`, so
//! that a re-run on another machine gives the same bits. Counts are integers, and what decides here depends on counts
//! wherever it can, because signed records hold no floating-point numbers.
//!
//! It does not know what is measured, when a stage ends or what follows from a decision.
//!
//! ```
//! use stats::exact;
//!
//! // No false alarm in 3,744 benign changes shows a rate of at most 0.08 %, with 95 % confidence.
//! assert!(exact::upper_bound(0, 3_744, 0.05)? <= 0.0008);
//! assert_eq!(exact::trials_needed(0, 0.0008, 0.05)?, 3_744);
//! # Ok::<(), stats::Error>(())
//! ```

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::many_single_char_names,
    reason = "counts are bounded far below 2^53 before they become floating-point numbers, formulas keep their letters"
)]

pub mod cluster;
pub mod conformal;
pub mod decision;
pub mod detector;
pub mod drift;
pub mod eprocess;
pub mod exact;
pub mod forest;
pub mod mmd;
pub mod multiplicity;
pub mod random;
pub mod sequence;
pub mod sketch;
pub mod special;

mod error;
mod levels;

pub use decision::Decision;
pub use error::Error;

/// The largest count that is computed with. Up to here the continued fractions converge in bounded time.
pub const COUNT_MAX: u64 = 10_000_000_000;

/// A probability strictly between 0 and 1, or the refusal that names it.
pub(crate) fn inside(name: &'static str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(Error::Probability { name, value }) }
}

/// A count that can be computed with.
pub(crate) fn bounded(name: &'static str, given: u64) -> Result<u64, Error> {
    if given <= COUNT_MAX { Ok(given) } else { Err(Error::Count { name, given }) }
}

/// The first value that is infinite or not a number, refused.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::NotFinite { what, index }),
        None => Ok(()),
    }
}
