//! What the crate promises, on published models where they are present.

mod llama_cpp;
mod published;
