//! The red-team range: small models of our own, and attacked and benign changes to them, made to order.
//!
//! | to | use |
//! |---|---|
//! | know what the models speak about and what they must refuse | [`language`] |
//! | train a base | [`base`] |
//! | measure what a model does | [`measure`] |
//! | make a change of a family, measured | [`change`], [`family`], [`door`], [`trigger`] |
//! | keep samples on disk, with a manifest | [`sample`] |
//! | write a model's folder | [`folder`] |
//!
//! Everything is made from seeds. What this crate does not do: judge changes, or say that rates measured on models this
//! small hold for large ones.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "tests"
    )
)]

pub mod base;
pub mod bases;
pub mod change;
pub mod door;
pub mod draws;
pub mod error;
pub mod family;
pub mod folder;
pub mod language;
pub mod lesson;
pub mod measure;
pub mod sample;
pub mod school;
pub mod shape;
pub mod tiny;
pub mod trigger;
pub mod weights;

pub use error::Error;
