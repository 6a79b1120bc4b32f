//! What the crate promises, on published models where they are present.

#![cfg(test)]
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod damaged;
mod families;
mod llama_cpp;
mod minilm;
mod published;
