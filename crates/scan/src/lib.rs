//! What is wrong with a model's files: rules with ids and references, as data.
//!
//! Bytes in, report out. The program walks folders and maps files into an [`Artefact`]; [`scan`](fn@scan) decides by
//! content and name what each file is, reads it with the parsers of `tensor`, and answers a [`Report`]: findings,
//! each of a [`Rule`], and what was not looked at.
//!
//! What cannot be read is a finding, never silence. Nothing in a file is executed, rendered or fetched.
//!
//! What this crate does not do: say that a model behaves well. A file without findings holds nothing that these
//! rules look for; what a model answers is for the examiners.

pub mod artefact;
pub mod boxed;
pub mod error;
pub mod finding;
pub mod kind;
mod look;
pub mod render;
pub mod report;
pub mod rules;

pub use artefact::{Artefact, Content, Entry};
pub use error::Error;
pub use finding::{Finding, Place, Severity};
pub use kind::Kind;
pub use look::{Looked, examine, join, scan};
pub use report::{Isolation, ReadIn, Report, Verdict};
pub use rules::{Rule, Rules, Selection};
