//! Choosing the next token.
//!
//! A choice depends on the logits, the settings and the seed alone. Tokens of equal probability are ordered by id.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Error;
use crate::score::likeliest;

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 always takes the likeliest token.
    pub temperature: f32,
    /// Only so many of the likeliest tokens; nothing for all.
    pub top_k: Option<usize>,
    /// Only the likeliest tokens that together reach this probability; 1 for all.
    pub top_p: f32,
    /// The seed.
    pub seed: u64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: None, top_p: 1.0, seed: 0 };

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Request`] names the one that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=100.0).contains(&self.temperature) {
            return Err(Error::Request { member: "temperature", expected: "between 0 and 100" });
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::Request { member: "top_p", expected: "above 0 and at most 1" });
        }
        if self.top_k == Some(0) {
            return Err(Error::Request { member: "top_k", expected: "at least 1" });
        }
        Ok(())
    }
}

/// Chooses tokens one after the other.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    generator: ChaCha8Rng,
}

impl Sampler {
    /// A sampler.
    ///
    /// # Errors
    /// As [`Sampling::check`].
    pub fn new(sampling: Sampling) -> Result<Self, Error> {
        sampling.check()?;
        let generator = ChaCha8Rng::seed_from_u64(sampling.seed);
        Ok(Self { sampling, generator })
    }

    /// Chooses a token.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where no logit is a number.
    pub fn choose(&mut self, logits: &[f32]) -> Result<u32, Error> {
        let none = Error::NotFinite { place: "logits" };
        if self.sampling.temperature == 0.0 {
            let first = likeliest(logits, 1).first().copied();
            return first.filter(|(_, logit)| logit.is_finite()).map(|(token, _)| token).ok_or(none);
        }
        let count = self.sampling.top_k.unwrap_or(logits.len());
        let candidates = likeliest(logits, count);
        let largest = candidates.first().map_or(f32::NAN, |(_, logit)| *logit);
        if !largest.is_finite() {
            return Err(none);
        }
        let temperature = f64::from(self.sampling.temperature);
        let weight = |logit: f32| libm::exp((f64::from(logit) - f64::from(largest)) / temperature);
        let weights: Vec<f64> = candidates.iter().map(|&(_, logit)| weight(logit)).collect();
        let total: f64 = weights.iter().sum();
        let mut kept = 0;
        let mut reached = 0.0;
        for weight in &weights {
            kept += 1;
            reached += weight;
            if reached >= f64::from(self.sampling.top_p) * total {
                break;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut left = unit * reached;
        for (&(token, _), weight) in candidates.iter().zip(&weights).take(kept) {
            left -= weight;
            if left < 0.0 {
                return Ok(token);
            }
        }
        candidates.get(kept.saturating_sub(1)).map(|(token, _)| *token).ok_or(none)
    }
}
