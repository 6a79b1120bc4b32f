//! Text to tokens and back.
//!
//! The tokenizers library does the work; this module feeds it a `tokenizer.json` or what a GGUF file holds, bounds
//! what it is given, and says whether control tokens in a text count as such. Text from strangers never should: a
//! message that contains `<|im_end|>` would otherwise end itself and begin another.
//!
//! What this module does not do: chat templates, see [`crate::template`].

pub(crate) mod gguf;

use std::sync::{Arc, OnceLock};

use tokenizers::Tokenizer as Inner;

use crate::Error;
use crate::error::shown;

/// Most bytes of a `tokenizer.json`.
const JSON_MAX: usize = 64 << 20;
/// Most bytes of a text that is encoded at once.
const TEXT_MAX: usize = 16 << 20;

/// What names of control tokens in a text mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controls {
    /// They are control tokens: for text that a template has made.
    Parsed,
    /// They are text like any other: for text from strangers.
    Text,
}

/// A tokenizer with the tokens that a model gives a meaning to.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    /// The same, for which control tokens are text.
    plain: Arc<OnceLock<Inner>>,
    /// Tokens that end a generation.
    ends: Vec<u32>,
    /// Which of them is named as the end of a text.
    end: Option<u32>,
    begin: Option<u32>,
    adds_begin: bool,
    template: Option<String>,
}

impl Tokenizer {
    /// A tokenizer from `tokenizer.json` and, where there is one, `tokenizer_config.json`, which names the tokens at
    /// the beginning and end and holds the chat template.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn from_json(tokenizer: &[u8], config: Option<&[u8]>) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Tokenizer { reason: reason.to_owned() };
        if tokenizer.len() > JSON_MAX || config.is_some_and(|config| config.len() > JSON_MAX) {
            return Err(refused("its file has more than 64 MiB"));
        }
        let inner = parsed(tokenizer)?;
        let config: serde_json::Value = match config {
            Some(config) => {
                serde_json::from_slice(config).map_err(|_| refused("its configuration is not JSON"))?
            }
            None => serde_json::Value::Null,
        };
        // A token is named by its text, or by an object with the text in `content`.
        let token = |member: &str| {
            let value = config.get(member)?;
            let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
            inner.token_to_id(text)
        };
        let (begin, end) = (token("bos_token"), token("eos_token"));
        let template = config.get("chat_template").and_then(serde_json::Value::as_str).map(str::to_owned);
        let mut ends: Vec<u32> = end.into_iter().collect();
        ends.extend(TURN_ENDS.iter().filter_map(|name| inner.token_to_id(name)));
        ends.sort_unstable();
        ends.dedup();
        // The post-processor adds the beginning where the model wants one.
        Ok(Self::new(inner, ends, end, begin, false, template))
    }

    /// The same without the padding and the cutting of texts that its file may ask for: a text's tokens are then its own, and
    /// all of them.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn whole(&self) -> Result<Self, Error> {
        let mut inner = self.inner.as_ref().clone();
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|cause| Error::Tokenizer { reason: shown(&cause.to_string()) })?;
        Ok(Self { inner: Arc::new(inner), plain: Arc::default(), ..self.clone() })
    }

    fn new(
        inner: Inner,
        ends: Vec<u32>,
        end: Option<u32>,
        begin: Option<u32>,
        adds_begin: bool,
        template: Option<String>,
    ) -> Self {
        Self { inner: Arc::new(inner), plain: Arc::default(), ends, end, begin, adds_begin, template }
    }

    /// Tokens of a text, with what the model wants at the beginning.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] for more than 16 MiB.
    pub fn encode(&self, text: &str, controls: Controls) -> Result<Vec<u32>, Error> {
        let mut tokens = self.encode_part(text, controls, true)?;
        if let (true, Some(begin)) = (self.adds_begin, self.begin)
            && tokens.first() != Some(&begin)
        {
            tokens.insert(0, begin);
        }
        Ok(tokens)
    }

    /// Tokens of a text and nothing else.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_bare(&self, text: &str, controls: Controls) -> Result<Vec<u32>, Error> {
        self.encode_part(text, controls, false)
    }

    fn encode_part(&self, text: &str, controls: Controls, processed: bool) -> Result<Vec<u32>, Error> {
        if text.len() > TEXT_MAX {
            return Err(Error::Tokenizer { reason: "the text has more than 16 MiB".to_owned() });
        }
        let inner = match controls {
            Controls::Parsed => self.inner.as_ref(),
            Controls::Text => self.plain.get_or_init(|| {
                let mut plain = self.inner.as_ref().clone();
                plain.set_encode_special_tokens(true);
                plain
            }),
        };
        let encoding = inner
            .encode_fast(text, processed)
            .map_err(|cause| Error::Tokenizer { reason: shown(&cause.to_string()) })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens, without control tokens.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn decode(&self, tokens: &[u32]) -> Result<String, Error> {
        self.inner
            .decode(tokens, true)
            .map_err(|cause| Error::Tokenizer { reason: shown(&cause.to_string()) })
    }

    /// The name of a token in the vocabulary, in the tokenizer's own spelling.
    pub fn name(&self, token: u32) -> Option<String> {
        self.inner.id_to_token(token)
    }

    /// The token of that name.
    pub fn token(&self, name: &str) -> Option<u32> {
        self.inner.token_to_id(name)
    }

    /// Tokens in the vocabulary, added ones included.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Tokens that end a generation.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The token that ends a text: the one that is named so, or else the first that ends a generation.
    pub(crate) fn end(&self) -> Option<u32> {
        self.end.or(self.ends.first().copied())
    }

    /// The token at the beginning of a text, if the model has one.
    pub const fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The chat template that came with the tokenizer.
    pub fn template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// A stream of text from tokens as they come.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { tokenizer: self, tokens: Vec::new(), context: 0, told: 0 }
    }
}

/// Has the library read a document. It panics at some that are damaged, which must not end whoever opens a file.
fn parsed(document: &[u8]) -> Result<Inner, Error> {
    let refused = |reason: &str| Error::Tokenizer { reason: reason.to_owned() };
    match std::panic::catch_unwind(|| Inner::from_bytes(document)) {
        Ok(read) => read.map_err(|cause| refused(&shown(&cause.to_string()))),
        Err(_) => Err(refused("a part of it is not what its type says")),
    }
}

/// Tokens that end a turn in the chat formats in use.
const TURN_ENDS: [&str; 5] = ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|endoftext|>", "<|end|>"];

/// Turns tokens into text as they come: whole characters only.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    tokens: Vec<u32>,
    /// The first token that decides how the next is written.
    context: usize,
    /// Tokens whose text has been told.
    told: usize,
}

/// Tokens that may wait for a character to become whole.
const WAITING_MAX: usize = 16;

impl TextStream<'_> {
    /// Takes a token; answers the text that is now certain, which may be empty.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, token: u32) -> Result<String, Error> {
        self.tokens.push(token);
        self.advance(self.tokens.len() - self.told > WAITING_MAX)
    }

    /// The text that was still waiting, incomplete as it is.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn finish(mut self) -> Result<String, Error> {
        self.advance(true)
    }

    fn advance(&mut self, incomplete_too: bool) -> Result<String, Error> {
        let part = |from: usize, to: usize| self.tokens.get(from..to).unwrap_or_default();
        let before = self.tokenizer.decode(part(self.context, self.told))?;
        let now = self.tokenizer.decode(part(self.context, self.tokens.len()))?;
        let Some(new) = now.get(before.len()..).filter(|_| now.starts_with(&before)) else {
            return Ok(String::new());
        };
        if new.is_empty() || (new.ends_with('\u{fffd}') && !incomplete_too) {
            return Ok(String::new());
        }
        let new = new.to_owned();
        (self.context, self.told) = (self.told, self.tokens.len());
        Ok(new)
    }
}
