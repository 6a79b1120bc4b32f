//! Means of values in [0, 1] against a fixed mean, by betting.

use super::Evidence;
use crate::levels::{BET_MOST, BETS, checked, checked_levels, fraction, ln_product};
use crate::special::ln_sum;
use crate::{Error, inside};

/// Bets on values in [0, 1] being above `m` on average, from counts of values at equally spaced levels.
///
/// `E = sum_j w_j prod_i (1 + lambda_j (x_i - m))`, with bets `lambda_j` fixed beforehand, is a supermartingale when
/// every value's mean, given the past, is at most `m` (Waudby-Smith and Ramdas, "Estimating means of bounded random
/// variables by betting", JRSS B 86, 2024, section 4; the mixture is their equation for a grid of bets). Because the
/// bets are fixed, it depends on the counts alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Mean {
    m: f64,
    levels: usize,
    wealth: [f64; BETS],
    evidence: Evidence,
}

impl Mean {
    /// A test of the null hypothesis that the mean is at most `m`, on values at `levels` equally spaced levels from
    /// 0 to 1.
    pub fn new(m: f64, levels: usize) -> Result<Self, Error> {
        inside("m", m)?;
        let levels = checked_levels(levels)?;
        Ok(Self { m, levels, wealth: [0.0; BETS], evidence: Evidence::default() })
    }

    /// Adds how many values there were at each level, and looks.
    pub fn update(&mut self, counts: &[u64]) -> Result<Evidence, Error> {
        checked("counts", counts, self.levels)?;
        for (bet, wealth) in self.wealth.iter_mut().enumerate() {
            *wealth += ln_product(counts, fraction(bet) * BET_MOST / self.m, self.m);
        }
        self.evidence.set(ln_sum(self.wealth.iter().copied()) - libm::log(BETS as f64));
        Ok(self.evidence)
    }

    /// What it has come to.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }
}
