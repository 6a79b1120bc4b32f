//! E-processes: evidence against a null hypothesis that may be looked at after every observation.
//!
//! An e-process starts at 1 and, as long as the null hypothesis is true, reaches `1 / alpha` at any time at all with a
//! chance of at most `alpha` (Ville's inequality). So a rollout may be watched every second and stopped at will; a
//! p-value of a fixed-size test may not. See Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe
//! anytime-valid inference", Statistical Science 38, 2023.
//!
//! | data | null hypothesis | type |
//! | --- | --- | --- |
//! | successes and failures | the rate is at most, at least or exactly `p` | [`Bernoulli`] |
//! | values in [0, 1], in levels | the mean is at most `m` | [`Mean`] |
//! | pairs: worse, equal, better | worse exceeds better by at most `delta` | [`Paired`] |
//! | two arms at the same time | the candidate's mean exceeds the control's by at most `delta` | [`Comparison`] |
//! | two arms, categories | no share differs by more than `delta` | [`Categories`] |
//! | units by arm | the arms have their shares: sample ratio mismatch | [`Multinomial`] |
//!
//! Each keeps the logarithm of its value and the largest that it has been: a crossing is never taken back.

mod bernoulli;
mod categories;
mod comparison;
mod mean;
mod multinomial;
mod paired;

pub(crate) use bernoulli::ln_mixture;
pub use bernoulli::{Bernoulli, Null, Prior};
pub use categories::Categories;
pub use comparison::{Comparison, Direction, Settings};
pub use mean::Mean;
pub use multinomial::Multinomial;
pub use paired::{Paired, Pairs};

use crate::{Error, inside};

/// How strong the evidence is now, and how strong it has been at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    ln_now: f64,
    ln_most: f64,
}

impl Default for Evidence {
    /// No evidence: the value 1.
    fn default() -> Self {
        Self { ln_now: 0.0, ln_most: 0.0 }
    }
}

impl Evidence {
    /// The natural logarithm of the e-process now.
    pub fn ln(self) -> f64 {
        self.ln_now
    }

    /// The natural logarithm of the largest value so far.
    pub fn ln_most(self) -> f64 {
        self.ln_most
    }

    /// Whether the null hypothesis is rejected at level `alpha`, now or at any time before.
    pub fn rejects(self, alpha: f64) -> Result<bool, Error> {
        Ok(self.ln_most >= ln_limit(inside("alpha", alpha)?))
    }

    /// The anytime-valid p-value: one over the largest value so far.
    pub fn p_value(self) -> f64 {
        libm::exp(-self.ln_most.max(0.0))
    }

    fn set(&mut self, ln_now: f64) {
        // A wealth of not-a-number cannot arise from checked counts; were it to, it would be no evidence.
        self.ln_now = if ln_now.is_nan() { f64::NEG_INFINITY } else { ln_now };
        self.ln_most = self.ln_most.max(self.ln_now);
    }
}

/// The logarithm at which evidence rejects at level `alpha`.
pub fn ln_limit(alpha: f64) -> f64 {
    -libm::log(alpha)
}

/// Evidence of several e-processes for the same null hypothesis, averaged with equal weights: again an e-process.
pub fn average(processes: &[f64]) -> Result<f64, Error> {
    if processes.is_empty() {
        return Err(Error::TooFew { what: "processes", given: 0, needed: 1 });
    }
    Ok(crate::special::ln_sum(processes.iter().copied()) - libm::log(processes.len() as f64))
}

#[cfg(test)]
mod tests;
