//! What follows from an examination: by what refuses a change outright, and by how unusual its scores are among benign
//! changes. Examiners, who sign what follows, and auditors, who follow it again, share this one function.
//!
//! | to | use |
//! | --- | --- |
//! | read scores of benign changes, or make a table of them | [`Table`], [`Stratum`] |
//! | say what an examination came to | [`Looked`] |
//! | judge it | [`judge`] |
//! | keep it beside a signed finding, so that others judge it again | [`Evidence`] |
//!
//! A calibration holds the scores of benign changes in two parts. The first says for each detector where scores usually
//! lie; a change's fused score is how far the most unusual of its detectors lies out. The second part, which the first
//! has not seen, turns fused scores into p-values (split conformal prediction: Vovk, Gammerman, Shafer,
//! Algorithmic Learning in a Random World, 2005): a benign change
//! that is exchangeable with them is flagged at level `alpha` with a chance of at most `alpha`. Kinds of change are
//! strata of their own. Nothing is promised about changes from elsewhere.
//!
//! An examination that stops at an early [`Level`] has the scores of that level alone. They are held against the same
//! held-out changes, whose scores were fused over all detectors and so are no smaller: such a p-value errs to the larger
//! side, and flags less.
//!
//! Where there is no calibration for a kind, where a calibrated detector did not measure or a detector measured that is
//! not calibrated, and where an examiner could not look, the answer is inconclusive.
//!
//! What this crate does not do: examine, sign, or read a file.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of changes, far below 2^53"
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod error;
mod evidence;
mod judge;
mod looked;
mod table;

pub use error::Error;
pub use evidence::{Evidence, FORM as EVIDENCE_FORM};
pub use judge::{Judgement, Outcome, Share, judge};
pub use looked::{Cell, Figure, Level, Looked, Missed, Number, Ran, Why};
pub use table::{FORM, Scores, Stratum, Table, Usual};

/// Text of a stranger, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}
