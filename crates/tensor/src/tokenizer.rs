//! Tokenizer files of Hugging Face: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`.
//!
//! A tokenizer decides what a model is told. Two edits of a few bytes each are enough to change what it says
//! without touching a weight: a normaliser that replaces a word, and an added token that swallows one. [`Tokenizer`]
//! and [`Settings`] hold what such files say; [`Tokenizer::oddities`] names what does not fit together. Whether
//! that matters is for rules.
//!
//! Source: huggingface/tokenizers `tokenizers/src/tokenizer/serialization.rs` and `models/`, huggingface/transformers
//! `tokenization_utils_base.py`.
//!
//! What this module does not do: tokenize, run the patterns of normalisers, or follow what `auto_map` points to.

mod error;
mod odd;
mod read;
mod settings;

pub use error::Error;
pub use odd::{Oddity, is_invisible, skeleton};
pub use settings::{ChatTemplate, Settings, SpecialTokens};

/// Bytes of a file. The largest `tokenizer.json` in use has 34 MB.
pub const BYTES_MAX: usize = 64 << 20;

/// A token that is found in text before the model's own tokens are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its number.
    pub id: u64,
    /// Its text.
    pub content: String,
    /// Whether it is left out of decoded text and belongs to the template's marks.
    pub special: bool,
    /// Whether it is found in normalised text.
    pub normalized: bool,
    /// Whether it takes the white space at its side along: before it, after it.
    pub strips: (bool, bool),
    /// Whether it must stand as a word of its own.
    pub single_word: bool,
}

/// What a step of the pipeline looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// The text itself.
    Text(String),
    /// A regular expression; it is not run here.
    Regex(String),
}

/// A part of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before anything else, on the text.
    Normalizer,
    /// Before the model, on pieces of the text.
    PreTokenizer,
    /// After the model, on tokens.
    PostProcessor,
    /// From tokens to text.
    Decoder,
}

/// One step of the pipeline; sequences are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In which stage.
    pub stage: Stage,
    /// Its type: `NFC`, `Replace`.
    pub kind: String,
    /// What it looks for, if it has a pattern.
    pub pattern: Option<Pattern>,
    /// What it puts there: the replacement, or what is prepended.
    pub content: Option<String>,
}

/// A `tokenizer.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokenizer {
    /// The type of model: `BPE`, `WordPiece`, `Unigram`, `WordLevel`.
    pub model: String,
    /// The model's tokens with their numbers, in the order of the file.
    pub vocabulary: Vec<(String, u64)>,
    /// Pairs that are merged, in order.
    pub merges: Vec<(String, String)>,
    /// Tokens beside the model's own.
    pub added: Vec<Added>,
    /// The steps of the pipeline.
    pub steps: Vec<Step>,
    /// Whether byte-level pieces stand for what is not in the vocabulary (`byte_fallback`).
    pub byte_fallback: bool,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        read::tokenizer(file)
    }

    /// How many numbers there are: one above the largest.
    pub fn size(&self) -> u64 {
        let model = self.vocabulary.iter().map(|(_, id)| *id);
        let largest = model.chain(self.added.iter().map(|added| added.id)).max();
        largest.map_or(0, |id| id.saturating_add(1))
    }

    /// What does not fit together, or is not what it looks like; at most 10,000.
    pub fn oddities(&self) -> Vec<Oddity> {
        odd::find(self)
    }
}

#[cfg(test)]
mod tests;
