//! Teacher-forced scoring: how likely given tokens are after what precedes them.
//!
//! This is how two models are compared on the same tokens at the cost of reading them. Many sequences share a pass;
//! long ones are read in parts. Neither changes a result.

use crate::Error;
use crate::cache::Cache;
use crate::fast::{Segment, Wanted};
use crate::model::Model;
use crate::tap::NoTap;

/// A sequence to be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scored {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// The first token that is scored, at least 1: the first token has nothing before it.
    pub from: usize,
    /// How many of the likeliest tokens are reported at each place.
    pub top: usize,
    /// The name of an adapter.
    pub adapter: Option<String>,
}

/// How likely a token was.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenScore {
    /// The token.
    pub token: u32,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens with their logarithms, likeliest first, of equals the lower id first.
    pub top: Vec<(u32, f32)>,
}

/// Logits of one pass that are held at once.
const LOGITS_MAX: usize = 1 << 24;
/// Rows of one pass.
const ROWS_MAX: usize = 512;
/// Most tokens that are reported beside the scored one.
pub(crate) const TOP_MAX: usize = 1000;

impl Model {
    /// Scores the sequences: for each the tokens from `from` on.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Context`], [`Error::Token`], [`Error::AdapterUnknown`], [`Error::NotFinite`].
    pub fn score(&self, sequences: &[Scored]) -> Result<Vec<Vec<TokenScore>>, Error> {
        for sequence in sequences {
            self.check(sequence)?;
        }
        let rows_max = (LOGITS_MAX / self.config.vocabulary).clamp(8, ROWS_MAX);
        let mut scores: Vec<Vec<TokenScore>> = vec![Vec::new(); sequences.len()];
        let mut short: Vec<usize> = Vec::new();
        let mut rows = 0;
        for (at, sequence) in sequences.iter().enumerate() {
            let len = sequence.tokens.len() - 1;
            if len > rows_max {
                self.score_long(sequence, rows_max, scores.get_mut(at))?;
                continue;
            }
            if rows + len > rows_max {
                self.score_together(sequences, &std::mem::take(&mut short), &mut scores)?;
                rows = 0;
            }
            short.push(at);
            rows += len;
        }
        self.score_together(sequences, &short, &mut scores)?;
        Ok(scores)
    }

    fn check(&self, sequence: &Scored) -> Result<(), Error> {
        let len = sequence.tokens.len();
        if sequence.from == 0 || sequence.from >= len {
            return Err(Error::Request { member: "from", expected: "a place in the tokens after the first" });
        }
        if sequence.top > TOP_MAX {
            return Err(Error::Request { member: "top", expected: "at most 1000" });
        }
        if len - 1 > self.config.context {
            return Err(Error::Context { tokens: len - 1, limit: self.config.context });
        }
        let vocabulary = self.config.vocabulary;
        match sequence.tokens.iter().find(|&&token| token as usize >= vocabulary) {
            Some(&token) => Err(Error::Token { token, vocabulary }),
            None => Ok(()),
        }
    }

    fn score_together(
        &self,
        sequences: &[Scored],
        chosen: &[usize],
        scores: &mut [Vec<TokenScore>],
    ) -> Result<(), Error> {
        let chosen: Vec<(usize, &Scored)> =
            chosen.iter().filter_map(|&at| sequences.get(at).map(|sequence| (at, sequence))).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let mut segments = Vec::with_capacity(chosen.len());
        for (_, sequence) in &chosen {
            let tokens = sequence.tokens.split_last().map(|(_, read)| read).unwrap_or_default();
            let adapter = self.adapter(sequence.adapter.as_deref())?;
            let wanted = Wanted::From(sequence.from - 1);
            segments.push(Segment { tokens, cache: None, adapter, wanted });
        }
        let logits = self.pass(&mut segments, &mut NoTap)?;
        let mut rows = logits.rows();
        for (at, sequence) in chosen {
            let targets = sequence.tokens.get(sequence.from..).unwrap_or_default();
            let found = targets.iter().zip(rows.by_ref().take(targets.len()));
            let found: Result<Vec<_>, _> =
                found.map(|(&token, logits)| self.token_score(token, logits, sequence.top)).collect();
            if let Some(place) = scores.get_mut(at) {
                *place = found?;
            }
        }
        Ok(())
    }

    fn score_long(
        &self,
        sequence: &Scored,
        rows_max: usize,
        place: Option<&mut Vec<TokenScore>>,
    ) -> Result<(), Error> {
        let mut cache = Cache::new(&self.config, self.config.context);
        let mut found = Vec::new();
        let read = sequence.tokens.split_last().map(|(_, read)| read).unwrap_or_default();
        for part in read.chunks(rows_max) {
            let first = cache.len();
            let skipped = (sequence.from - 1).saturating_sub(first).min(part.len());
            let adapter = self.adapter(sequence.adapter.as_deref())?;
            let wanted = Wanted::From(skipped);
            let mut segments = [Segment { tokens: part, cache: Some(&mut cache), adapter, wanted }];
            let logits = self.pass(&mut segments, &mut NoTap)?;
            let targets = sequence.tokens.get(first + skipped + 1..).unwrap_or_default();
            for (&token, logits) in targets.iter().zip(logits.rows()).take(part.len() - skipped) {
                found.push(self.token_score(token, logits, sequence.top)?);
            }
        }
        if let Some(place) = place {
            *place = found;
        }
        Ok(())
    }

    pub(crate) fn token_score(&self, token: u32, logits: &[f32], top: usize) -> Result<TokenScore, Error> {
        let total = self.kernels.log_sum_exp(logits);
        let logit = logits.get(token as usize).copied().unwrap_or(f32::NAN);
        if !total.is_finite() || !logit.is_finite() {
            return Err(Error::NotFinite { place: "logits" });
        }
        let top = likeliest(logits, top).into_iter().map(|(token, logit)| (token, logit - total)).collect();
        Ok(TokenScore { token, logprob: logit - total, top })
    }
}

/// The `count` largest logits with their tokens, largest first, of equals the lower token first.
pub(crate) fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let count = count.min(logits.len());
    if count == 0 {
        return Vec::new();
    }
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut found: Vec<(u32, f32)> = (0_u32..).zip(logits.iter().copied()).collect();
    if count < found.len() {
        found.select_nth_unstable_by(count - 1, order);
        found.truncate(count);
    }
    found.sort_unstable_by(order);
    found
}
