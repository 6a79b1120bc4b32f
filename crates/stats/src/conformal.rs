//! Split-conformal calibration: how unusual a score is among the scores of benign changes.
//!
//! If a new benign change is exchangeable with the calibration set, its p-value is at most `alpha` with a chance of at
//! most `alpha`, whatever the score is (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005). Strata
//! are calibrated apart (Mondrian), so that the promise holds within each. Nothing is promised about changes from
//! elsewhere, and a stratum that was not calibrated gets no p-value at all.

use std::collections::BTreeMap;

use crate::{Error, exact, inside};

/// At most so many scores in a stratum.
const SCORES_MAX: usize = 10_000_000;

/// Scores of benign changes, by stratum, in ascending order. High is suspicious.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calibration {
    strata: BTreeMap<String, Vec<f64>>,
}

impl Calibration {
    /// Calibrates from named strata. Every stratum has at least one score, all finite.
    pub fn new(strata: impl IntoIterator<Item = (String, Vec<f64>)>) -> Result<Self, Error> {
        let mut sorted = BTreeMap::new();
        for (name, mut scores) in strata {
            if scores.is_empty() {
                return Err(Error::TooFew { what: "scores", given: 0, needed: 1 });
            }
            if scores.len() > SCORES_MAX {
                return Err(Error::TooMany { what: "scores", given: scores.len(), limit: SCORES_MAX });
            }
            crate::finite("scores", &scores)?;
            scores.sort_by(f64::total_cmp);
            sorted.insert(name, scores);
        }
        Ok(Self { strata: sorted })
    }

    /// The scores of a stratum.
    pub fn scores(&self, stratum: &str) -> Result<&[f64], Error> {
        let scores =
            self.strata.get(stratum).ok_or_else(|| Error::Stratum { stratum: stratum.to_owned() })?;
        Ok(scores)
    }

    /// The names of the strata.
    pub fn strata(&self) -> impl Iterator<Item = &str> {
        self.strata.keys().map(String::as_str)
    }

    /// The p-value of a score: `(1 + scores at least as high) / (n + 1)`. Ties count against the change. A score that
    /// is not a number is as suspicious as can be: so is a detector that was made to fail.
    pub fn p_value(&self, stratum: &str, score: f64) -> Result<PValue, Error> {
        let scores = self.scores(stratum)?;
        let below =
            if score.is_nan() { scores.len() } else { scores.partition_point(|other| *other < score) };
        Ok(PValue { at_least: (scores.len() - below) as u64 + 1, of: scores.len() as u64 + 1 })
    }

    /// The randomised p-value for a given `u` in [0, 1]: exactly uniform for benign changes even with ties.
    pub fn smoothed_p_value(&self, stratum: &str, score: f64, u: f64) -> Result<f64, Error> {
        if !(0.0..=1.0).contains(&u) {
            return Err(Error::Setting { name: "u", value: u, range: "0 to 1" });
        }
        let scores = self.scores(stratum)?;
        crate::finite("score", &[score])?;
        let below = scores.partition_point(|other| *other < score);
        let up_to = scores.partition_point(|other| *other <= score);
        let (above, ties) = ((scores.len() - up_to) as f64, (up_to - below) as f64 + 1.0);
        Ok((above + u * ties) / (scores.len() + 1) as f64)
    }

    /// The score above which a change of this stratum is flagged, with false positives at most at rate `alpha`; none
    /// where the stratum has too few scores for such a rate.
    pub fn threshold(&self, stratum: &str, alpha: f64, promise: Promise) -> Result<Option<f64>, Error> {
        let scores = self.scores(stratum)?;
        let allowed = exceedances(scores.len() as u64, alpha, promise)?;
        // With `k` allowed, what lies above the (k + 1)-th highest score is flagged.
        Ok(allowed.and_then(|k| scores.iter().rev().nth(k as usize).copied()))
    }
}

/// A p-value as a fraction of counts, which a signed record can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PValue {
    /// Scores at least as high, the change's own included.
    pub at_least: u64,
    /// All scores, the change's own included.
    pub of: u64,
}

impl PValue {
    /// As a number.
    pub fn value(self) -> f64 {
        self.at_least as f64 / self.of as f64
    }
}

/// For which calibration sets the rate is promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Promise {
    /// On average over calibration sets.
    Marginal,
    /// For this calibration set, unless it is among the unluckiest: confidence `1 - beta`.
    Conditional {
        /// The share of unlucky calibration sets.
        beta: f64,
    },
}

/// How many of `n` calibration scores may lie above a threshold that flags at most `alpha` of benign changes; none
/// where not even a threshold above all of them will do.
///
/// Marginally `(k + 1) / (n + 1) <= alpha`. Conditionally, the rate above the `(k + 1)`-th highest of `n` scores is
/// stochastically at most Beta(k + 1, n - k), whose upper quantile is the Clopper-Pearson bound for `k` of `n` (Vovk,
/// "Conditional validity of inductive conformal predictors", Machine Learning 92, 2013, proposition 2a).
pub fn exceedances(n: u64, alpha: f64, promise: Promise) -> Result<Option<u64>, Error> {
    inside("alpha", alpha)?;
    crate::bounded("n", n)?;
    let holds = |k: u64| -> Result<bool, Error> {
        match promise {
            Promise::Marginal => Ok((k as f64 + 1.0) / (n as f64 + 1.0) <= alpha),
            Promise::Conditional { beta } => Ok(exact::upper_bound(k, n, beta)? <= alpha),
        }
    };
    if n == 0 || !holds(0)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0, n);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(low))
}

/// Several detectors as one: each score to a p-value by the first calibration set, their `-ln` summed with weights,
/// and the sum conformalised again on a second set that no detector and no weight has seen.
///
/// Summing p-values of dependent detectors has no known distribution; the second calibration gives it one.
#[derive(Debug, Clone, PartialEq)]
pub struct Fusion {
    detectors: Vec<(Calibration, f64)>,
    fused: Calibration,
}

impl Fusion {
    /// Fuses detectors with weights. `held_out` are benign changes of a set apart from the detectors' own: by stratum,
    /// each with one score for each detector.
    pub fn new(
        detectors: Vec<(Calibration, f64)>,
        held_out: impl IntoIterator<Item = (String, Vec<Vec<f64>>)>,
    ) -> Result<Self, Error> {
        if detectors.is_empty() {
            return Err(Error::TooFew { what: "detectors", given: 0, needed: 1 });
        }
        for (_, weight) in &detectors {
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(Error::Setting { name: "weight", value: *weight, range: "positive numbers" });
            }
        }
        let mut strata = Vec::new();
        for (stratum, changes) in held_out {
            let sums: Result<Vec<f64>, Error> =
                changes.iter().map(|scores| fused(&detectors, &stratum, scores)).collect();
            strata.push((stratum, sums?));
        }
        Ok(Self { detectors, fused: Calibration::new(strata)? })
    }

    /// The p-value of a change from its scores, one for each detector.
    pub fn p_value(&self, stratum: &str, scores: &[f64]) -> Result<PValue, Error> {
        self.fused.p_value(stratum, fused(&self.detectors, stratum, scores)?)
    }

    /// The calibration of the fused score.
    pub fn calibration(&self) -> &Calibration {
        &self.fused
    }
}

fn fused(detectors: &[(Calibration, f64)], stratum: &str, scores: &[f64]) -> Result<f64, Error> {
    if scores.len() != detectors.len() {
        return Err(Error::Length { what: "scores", given: scores.len(), expected: detectors.len() });
    }
    let mut sum = 0.0;
    for ((calibration, weight), score) in detectors.iter().zip(scores) {
        sum -= weight * libm::log(calibration.p_value(stratum, *score)?.value());
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
