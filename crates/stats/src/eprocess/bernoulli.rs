//! Rates of yes or no against a fixed rate: a beta mixture of likelihood ratios.

use super::Evidence;
use crate::special::{beta_tails, deviance, ln_beta, stirling_error};
use crate::{Error, bounded, inside};

/// `ln(sqrt(2 pi))`.
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;

/// What is to be refuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Null {
    /// The rate is at most `p`: evidence is that it is higher.
    AtMost,
    /// The rate is at least `p`: evidence is that it is lower.
    AtLeast,
    /// The rate is `p`: evidence is that it is another.
    Equal,
}

/// The mixture over alternatives: Beta(`a`, `b`), cut to the alternative's side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// The first parameter, as if that many successes had been seen.
    pub a: f64,
    /// The second, of failures.
    pub b: f64,
}

impl Prior {
    /// Every rate alike.
    pub const UNIFORM: Self = Self { a: 1.0, b: 1.0 };
}

/// The test. Its value is a function of the two counts alone, in whatever order they came.
///
/// `E = int (theta/p)^s ((1-theta)/(1-p))^f dPi(theta)` with `Pi` a beta distribution on the alternative's side of
/// `p`: each factor under the integral is a supermartingale under every rate of the null, and so is the mixture
/// (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon, Annals of Statistics 49, 2021, section 3; for the one-sided cut,
/// the same argument as their proposition 7).
#[derive(Debug, Clone, PartialEq)]
pub struct Bernoulli {
    p: f64,
    null: Null,
    prior: Prior,
    /// `ln` of the prior's mass on the alternative's side.
    ln_mass: f64,
    successes: u64,
    failures: u64,
    evidence: Evidence,
}

impl Bernoulli {
    /// A test of the rate `p`.
    pub fn new(p: f64, null: Null, prior: Prior) -> Result<Self, Error> {
        inside("p", p)?;
        for (name, value) in [("a", prior.a), ("b", prior.b)] {
            if !(1e-3..=1e6).contains(&value) {
                return Err(Error::Setting { name, value, range: "0.001 to 1,000,000" });
            }
        }
        let ln_mass = side(null, prior.a, prior.b, p);
        Ok(Self { p, null, prior, ln_mass, successes: 0, failures: 0, evidence: Evidence::default() })
    }

    /// Adds counts, and looks.
    pub fn update(&mut self, successes: u64, failures: u64) -> Result<Evidence, Error> {
        let all = bounded("successes", self.successes.saturating_add(successes))?;
        let missed = bounded("failures", self.failures.saturating_add(failures))?;
        bounded("n", all + missed)?;
        self.successes = all;
        self.failures = missed;
        self.evidence.set(self.ln_at(all as f64, missed as f64));
        Ok(self.evidence)
    }

    /// What it has come to.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// The logarithm of the e-process at given counts.
    fn ln_at(&self, s: f64, f: f64) -> f64 {
        let (a, b) = (self.prior.a + s, self.prior.b + f);
        ln_mixture(self.prior, s, f, self.p) + side(self.null, a, b, self.p) - self.ln_mass
    }
}

/// `ln` of the mass that Beta(a, b) has on the alternative's side of `p`.
fn side(null: Null, a: f64, b: f64, p: f64) -> f64 {
    let (below, above) = beta_tails(a, b, p);
    match null {
        Null::AtMost => libm::log(above),
        Null::AtLeast => libm::log(below),
        Null::Equal => 0.0,
    }
}

/// `ln( B(a + s, b + f) / B(a, b) / (p^s (1-p)^f) )`, in a form that keeps its accuracy at large counts.
pub(crate) fn ln_mixture(prior: Prior, s: f64, f: f64, p: f64) -> f64 {
    let q = 1.0 - p;
    let (a, b) = (prior.a + s, prior.b + f);
    if a.min(b) < 1.0 {
        return ln_beta(a, b) - ln_beta(prior.a, prior.b) - s * libm::log(p) - f * libm::log1p(-p);
    }
    let n = a + b;
    let errors = stirling_error(a) + stirling_error(b) - stirling_error(n);
    let ln_beta_without_powers = errors + LN_SQRT_2PI - 0.5 * (libm::log(a) + libm::log(b / n));
    deviance(a, n * p)
        + deviance(b, n * q)
        + prior.a * libm::log(p)
        + prior.b * libm::log1p(-p)
        + ln_beta_without_powers
        - ln_beta(prior.a, prior.b)
}
