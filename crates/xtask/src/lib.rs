//! The project's chores, so that a person and a machine run the same thing: `cargo xtask --help` lists them.
//!
//! This crate also holds the rules about the workspace itself: layers, licences, purity of the deciding crates, one
//! meaning for each code. Its tests apply them.

pub mod bench;
pub mod codes;
pub mod demo;
pub mod fuzz;
pub mod generate;
pub mod golden;
pub mod live;
pub mod models;
pub mod node;
pub mod process;
pub mod purity;
pub mod python;
pub mod readme;
pub mod rules;
pub mod samples;
pub mod sim;
pub mod source;
pub mod test;
pub mod workspace;
