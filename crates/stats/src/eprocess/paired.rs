//! Pairs: the candidate and the control on the same input, as shadow traffic gives them.

use super::Evidence;
use crate::levels::{BET_MOST, BETS, fraction};
use crate::special::ln_sum;
use crate::{Error, bounded};

/// Pairs by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pairs {
    /// The candidate is worse.
    pub worse: u64,
    /// No difference.
    pub equal: u64,
    /// The candidate is better.
    pub better: u64,
}

/// Bets on the share of worse pairs exceeding that of better ones by more than `delta`.
///
/// With `D` = 1, 0, -1 for worse, equal, better, `E = sum_j w_j prod_i (1 + lambda_j (D_i - delta))` is a
/// supermartingale when `E[D_i | past] <= delta` (Waudby-Smith and Ramdas 2024, as for means). It depends on the
/// counts alone. At `delta` = 0 it is the anytime-valid sign test, and discordant pairs alone move it.
#[derive(Debug, Clone, PartialEq)]
pub struct Paired {
    delta: f64,
    wealth: [f64; BETS],
    evidence: Evidence,
}

impl Paired {
    /// A test of the null hypothesis that worse exceeds better by at most `delta`, in [0, 1).
    pub fn new(delta: f64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&delta) {
            return Err(Error::Setting { name: "delta", value: delta, range: "0 to 1, 1 excluded" });
        }
        Self::with_shift(delta)
    }

    /// The same for any `delta` in (-1, 1). With a negative one and worse and better exchanged, a rejection shows that
    /// worse exceeds better by less than `-delta`.
    pub fn with_shift(delta: f64) -> Result<Self, Error> {
        if !(delta > -1.0 && delta < 1.0) {
            return Err(Error::Setting { name: "delta", value: delta, range: "-1 to 1, both excluded" });
        }
        Ok(Self { delta, wealth: [0.0; BETS], evidence: Evidence::default() })
    }

    /// Adds pairs, and looks.
    pub fn update(&mut self, pairs: Pairs) -> Result<Evidence, Error> {
        for (name, count) in [("worse", pairs.worse), ("equal", pairs.equal), ("better", pairs.better)] {
            bounded(name, count)?;
        }
        for (bet, wealth) in self.wealth.iter_mut().enumerate() {
            let bet = fraction(bet) * BET_MOST / (1.0 + self.delta);
            let factor = |difference: f64| libm::log1p(bet * (difference - self.delta));
            *wealth += pairs.worse as f64 * factor(1.0);
            *wealth += pairs.equal as f64 * factor(0.0);
            *wealth += pairs.better as f64 * factor(-1.0);
        }
        self.evidence.set(ln_sum(self.wealth.iter().copied()) - libm::log(BETS as f64));
        Ok(self.evidence)
    }

    /// What it has come to.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }
}
