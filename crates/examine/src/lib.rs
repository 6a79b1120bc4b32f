//! Examiners of model changes: each looks for something, says what it found and what it could not look for.
//!
//! | to | use |
//! |---|---|
//! | give an examination its files | [`Files`], [`Change`] |
//! | give it questions with expected answers | [`suite::Suite`] |
//! | decide how deep it goes, by kind of change | [`depth::Table`] |
//! | run it | [`run`]; each examiner by itself: [`run_one`], [`Apart`] |
//! | hold against the question what somebody else has run | [`Examination::check`] |
//! | have it made in a worker's box | [`boxed`] |
//! | judge its scores by a calibration | [`verdict`] |
//! | read results of other tools | [`import`] |
//! | merge models, with a test after each step | [`merge`] |
//! | show it | [`report`] |
//!
//! An examination has three stages. *Screen* looks at files and weights without running anything, *probe* runs the
//! model in circumstances that attacks need (quantised, disturbed, merged, with words put in), *align* asks the suite.
//! Files come in as bytes; the clock and the terminal belong to the caller, who is told of progress.
//!
//! What this crate does not do: open files, sign, or say that what was not looked for is not there. A class of attack
//! that no examiner could look for stands as that in the [coverage], whatever else was found.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of prompts, tokens and tensors, far below 2^53, and single precision where models have it"
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

mod align;
mod apart;
mod bench;
pub mod boxed;
mod change;
pub mod coverage;
pub mod depth;
pub mod error;
mod examination;
mod finding;
pub mod import;
pub mod merge;
mod passages;
mod probe;
mod reply;
pub mod report;
mod screen;
mod subject;
pub mod suite;
mod vary;
pub mod verdict;

pub use apart::Apart;
pub use change::{Change, Declaration, Declared, Files, Form, Kind};
pub use error::Error;
pub use examination::{
    Behaviour, Examination, Place, Progress, Ran, SliceDelta, Stage, Transcript, run, run_one,
};
pub use finding::{Finding, Gap, Score, Weight};
