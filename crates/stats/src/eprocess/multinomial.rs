//! Counts by category against known shares: sample ratio mismatch.

use super::Evidence;
use crate::special::ln_gamma;
use crate::{Error, bounded, inside};

/// At most so many categories.
const CATEGORIES_MAX: usize = 1_024;

/// The sequential multinomial test of Lindon and Malek ("Anytime-valid inference for multinomial count data",
/// NeurIPS 2022, equation 6): a Dirichlet mixture, concentrated at the expected shares, of likelihood ratios. Its
/// value is a function of the counts alone.
///
/// Where units are assigned to arms by a hash, a rejection says that one arm loses units: nothing else that is
/// measured can be believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Multinomial {
    shares: Vec<f64>,
    concentration: f64,
    counts: Vec<u64>,
    evidence: Evidence,
}

impl Multinomial {
    /// A test of the expected shares, which add up to 1. A high `concentration` finds small departures in many
    /// counts, a low one large departures in few; Lindon and Malek use 100.
    pub fn new(shares: &[f64], concentration: f64) -> Result<Self, Error> {
        if shares.len() < 2 {
            return Err(Error::TooFew { what: "shares", given: shares.len(), needed: 2 });
        }
        if shares.len() > CATEGORIES_MAX {
            return Err(Error::TooMany { what: "shares", given: shares.len(), limit: CATEGORIES_MAX });
        }
        for share in shares {
            inside("shares", *share)?;
        }
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() > 1e-9 {
            return Err(Error::Setting { name: "shares", value: sum, range: "a sum of 1" });
        }
        if !(1e-2..=1e9).contains(&concentration) {
            return Err(Error::Setting {
                name: "concentration",
                value: concentration,
                range: "0.01 to 1,000,000,000",
            });
        }
        let counts = vec![0; shares.len()];
        Ok(Self { shares: shares.to_vec(), concentration, counts, evidence: Evidence::default() })
    }

    /// Adds counts, and looks.
    pub fn update(&mut self, counts: &[u64]) -> Result<Evidence, Error> {
        if counts.len() != self.shares.len() {
            let (given, expected) = (counts.len(), self.shares.len());
            return Err(Error::Length { what: "counts", given, expected });
        }
        let mut all = 0_u64;
        let mut next = Vec::with_capacity(counts.len());
        for (so_far, more) in self.counts.iter().zip(counts) {
            let count = so_far.saturating_add(*more);
            all = bounded("counts", all.saturating_add(count))?;
            next.push(count);
        }
        self.counts = next;
        self.evidence.set(self.ln_now(all as f64));
        Ok(self.evidence)
    }

    /// What it has come to.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// `ln` of the multivariate beta quotient over the likelihood under the expected shares.
    fn ln_now(&self, n: f64) -> f64 {
        let k = self.concentration;
        let mut sum = rising(k, n, n);
        sum = -sum;
        for (share, count) in self.shares.iter().zip(&self.counts) {
            let count = *count as f64;
            sum += rising(k * share, count, n * share);
        }
        sum
    }
}

/// `ln( Gamma(a + c) / Gamma(a) ) - c ln(m)`, roughly: the part of the rising factorial that does not cancel when
/// summed over categories, with `m` the expected count and `c ln(m)` replaced by `c ln(m/n)` after the sum.
///
/// Written out, the sum over categories of `ln Gamma(a_i + c_i)/Gamma(a_i) - c_i ln(share_i)` minus
/// `ln Gamma(k + n)/Gamma(k)` is the wanted logarithm. Each term below has `c_i ln(n share_i)` subtracted instead, and
/// the total `n ln(n)`, which cancels as the counts add up to `n`.
fn rising(a: f64, count: f64, expected: f64) -> f64 {
    if count <= 0.0 {
        return 0.0;
    }
    let z = a + count;
    if z < 16.0 {
        return ln_gamma(z) - ln_gamma(a) - count * libm::log(expected);
    }
    // ln Gamma(z) = z ln z - z - ln(z)/2 + ln(sqrt(2 pi)) + error(z).
    let stirling = -0.5 * libm::log(z) + 0.918_938_533_204_672_8 + crate::special::stirling_error(z);
    // z ln z - z - count ln(expected) = a ln(expected) + z ln(z / expected) - z.
    let powers = crate::special::deviance(z, expected) - expected + a * libm::log(expected);
    powers + stirling - ln_gamma(a)
}
