//! Generation: tokens one after the other, as they come.
//!
//! A [`Generation`] is an iterator: whoever holds it decides when the next token is computed, so several can be
//! advanced in turn, and dropping one ends it.

use crate::Error;
use crate::cache::Cache;
use crate::model::{Continuation, Model};
use crate::sampling::{Sampler, Sampling};
use crate::score::TokenScore;
use crate::tokenizer::{TextStream, Tokenizer};

/// What is generated after.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// The tokens before; at least one.
    pub prompt: Vec<u32>,
    /// Most tokens to generate.
    pub tokens_max: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts at whose first appearance the generation ends; they are not part of its text.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens are reported at each place.
    pub top: usize,
    /// The name of an adapter.
    pub adapter: Option<String>,
}

/// Most texts that stop a generation, and most bytes of one.
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 1024;

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it.
    End,
    /// A text at which it was to stop appeared.
    Stop,
    /// The most tokens were generated, or the context is full.
    Length,
}

/// One generated token.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The token and how likely it was, before temperature and the like.
    pub score: TokenScore,
    /// The text that is now certain; it may be empty, and text may wait where it could begin a stop.
    pub text: String,
    /// Why the generation ends with this token, if it does.
    pub finish: Option<Finish>,
}

/// A generation under way.
#[derive(Debug)]
pub struct Generation<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    request: Generate,
    sampler: Sampler,
    stream: Option<TextStream<'a>>,
    cache: Cache,
    logits: Vec<f32>,
    count: usize,
    /// Text that could be the beginning of a stop.
    held: String,
    finished: Option<Finish>,
}

impl Model {
    /// Begins a generation: reads the prompt. `cache` may hold the beginning of the prompt from an earlier
    /// generation with the same adapter; what does not belong to it is forgotten.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Context`], [`Error::Token`], [`Error::AdapterUnknown`], [`Error::NotFinite`].
    pub fn generate<'a>(
        &'a self,
        tokenizer: &'a Tokenizer,
        request: Generate,
        cache: Option<Cache>,
    ) -> Result<Generation<'a>, Error> {
        let bounded = |stop: &String| !stop.is_empty() && stop.len() <= STOP_BYTES_MAX;
        if request.stop.len() > STOPS_MAX || !request.stop.iter().all(bounded) {
            return Err(Error::Request { member: "stop", expected: "at most 16 texts of 1 to 1024 bytes" });
        }
        if request.top > crate::score::TOP_MAX {
            return Err(Error::Request { member: "top", expected: "at most 1000" });
        }
        if request.prompt.is_empty() {
            return Err(Error::Request { member: "prompt", expected: "at least one token" });
        }
        let sampler = Sampler::new(request.sampling.clone())?;
        let mut cache = cache.unwrap_or_else(|| Cache::new(self.config(), self.config().context));
        let same = cache.tokens().iter().zip(&request.prompt).take_while(|(a, b)| a == b).count();
        // The last token is read again for its logits.
        cache.truncate(same.min(request.prompt.len() - 1));
        let mut logits = Vec::new();
        let unread = request.prompt.get(cache.len()..).unwrap_or_default().to_vec();
        cache.room_for(unread.len())?;
        for tokens in unread.chunks(READ_AT_ONCE) {
            let adapter = request.adapter.as_deref();
            logits = self.next(Continuation { tokens, cache: &mut cache, adapter })?;
        }
        let stream = Some(tokenizer.stream());
        let held = String::new();
        Ok(Generation {
            model: self,
            tokenizer,
            request,
            sampler,
            stream,
            cache,
            logits,
            count: 0,
            held,
            finished: None,
        })
    }
}

/// Tokens of a prompt that are read in one pass.
const READ_AT_ONCE: usize = 512;

impl Generation<'_> {
    /// What the model remembers, for a generation that continues this one.
    pub fn into_cache(self) -> Cache {
        self.cache
    }

    /// Tokens of the prompt and tokens generated.
    pub const fn usage(&self) -> (usize, usize) {
        (self.request.prompt.len(), self.count)
    }

    fn advance(&mut self) -> Result<Step, Error> {
        if self.request.tokens_max == 0 {
            let score = self.model.token_score(0, &self.logits, self.request.top)?;
            return Ok(self.ended(score, String::new(), Finish::Length));
        }
        let token = self.sampler.choose(&self.logits)?;
        let score = self.model.token_score(token, &self.logits, self.request.top)?;
        self.count += 1;
        if self.tokenizer.ends().contains(&token) {
            return Ok(self.ended(score, String::new(), Finish::End));
        }
        let new = match &mut self.stream {
            Some(stream) => stream.push(token)?,
            None => String::new(),
        };
        self.held.push_str(&new);
        let first = self.request.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = first {
            self.held.truncate(at);
            self.stream = None;
            return Ok(self.ended(score, String::new(), Finish::Stop));
        }
        if self.count >= self.request.tokens_max || self.cache.room_for(1).is_err() {
            return Ok(self.ended(score, String::new(), Finish::Length));
        }
        let adapter = self.request.adapter.as_deref();
        self.logits = self.model.next(Continuation { tokens: &[token], cache: &mut self.cache, adapter })?;
        let text = self.certain();
        Ok(Step { score, text, finish: None })
    }

    /// Takes out the text that no longer can begin a stop.
    fn certain(&mut self) -> String {
        let waits = |at: &usize| {
            let rest = self.held.get(*at..).unwrap_or_default();
            self.request.stop.iter().any(|stop| stop.starts_with(rest))
        };
        let from = self.held.char_indices().map(|(at, _)| at).find(waits).unwrap_or(self.held.len());
        self.held.drain(..from).collect()
    }

    fn ended(&mut self, score: TokenScore, mut text: String, finish: Finish) -> Step {
        text.push_str(&std::mem::take(&mut self.held));
        // What waited for the rest of a character comes as it is; where it cannot be written, nothing is lost.
        if let Some(Ok(rest)) = self.stream.take().map(TextStream::finish) {
            text.push_str(&rest);
        }
        self.finished = Some(finish);
        Step { score, text, finish: Some(finish) }
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished.is_some() {
            return None;
        }
        let step = self.advance();
        if step.is_err() {
            self.finished = Some(Finish::End);
        }
        Some(step)
    }
}
