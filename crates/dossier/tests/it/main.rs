//! The fold over real statements with real keys: who may say what, and what becomes of what they said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a wrong step is to fail where it stands"
)]

mod again;
mod back;
mod changes;
mod codes;
mod governance;
mod grants;
mod keys;
mod properties;
mod reader;
mod roots;
mod signers;
mod voices;
