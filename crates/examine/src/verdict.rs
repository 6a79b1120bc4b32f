//! What follows from an examination: by its findings, and by how unusual its scores are among benign changes.
//!
//! A calibration holds the scores of benign changes in two parts. The first says for each detector where scores usually
//! lie; a change's fused score is how far the most unusual of its detectors lies out. The second part, which the first
//! has not seen, turns fused scores into p-values (split conformal prediction: Vovk, Gammerman, Shafer,
//! Algorithmic Learning in a Random World, 2005): a benign change
//! that is exchangeable with them is flagged at level `alpha` with a chance of at most `alpha`. Kinds of change are
//! strata of their own. Nothing is promised about changes from elsewhere.
//!
//! Where there is no calibration for a kind, or a detector that was calibrated did not measure, the answer is
//! inconclusive.

use std::collections::BTreeMap;

use crate::error::{Error, shown};
use crate::examination::Examination;
use crate::finding::Weight;
use serde::{Deserialize, Serialize};
use stats::exact;

/// The form of a calibration, with its version.
pub const FORM: &str = "countersign-calibration/1";

/// The calibration that comes with the product: none, until one was measured.
const BUILT_IN: Option<&str> = None;

/// Most bytes of a calibration.
const BYTES_MAX: usize = 64 << 20;
/// The least difference that any score can have.
const SCALE_MIN: f64 = 1e-3;

/// Scores of benign changes, by stratum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// [`FORM`].
    pub form: String,
    /// SHA-256 of the manifest of the changes that were measured.
    pub set: String,
    /// How they were made, in words.
    pub made: String,
    /// By kind of change.
    pub strata: BTreeMap<String, Stratum>,
}

/// The scores of one kind of benign changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// Where each detector's scores usually lie.
    pub detectors: BTreeMap<String, Usual>,
    /// Fused scores of the changes held out, in ascending order.
    pub fused: Vec<f64>,
}

/// Where a detector's scores usually lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usual {
    /// The median.
    pub centre: f64,
    /// From the median to the ninth decile, and no less than the score's grain.
    pub scale: f64,
    /// The scores, in ascending order.
    pub scores: Vec<f64>,
}

/// Scores of one change: by detector, value and grain.
pub type Scores = BTreeMap<String, (f64, f64)>;

/// The scores of an examination.
pub fn scores(examination: &Examination) -> Scores {
    examination.scores.iter().map(|score| (score.detector.clone(), (score.value, score.grain))).collect()
}

impl Stratum {
    /// Calibrates from benign changes: `fitted` says what is usual, `held_out` how often that is exceeded. Detectors
    /// that did not measure every change are left out.
    ///
    /// # Errors
    /// [`Error::Calibration`] where a part is empty or no detector measured everything.
    pub fn new(fitted: &[Scores], held_out: &[Scores]) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Calibration { reason: reason.to_owned() };
        let first = fitted.first().ok_or_else(|| refused("there are no changes"))?;
        if held_out.is_empty() {
            return Err(refused("no changes are held out"));
        }
        let mut detectors = BTreeMap::new();
        for name in first.keys() {
            let all = || fitted.iter().chain(held_out);
            if !all().all(|scores| scores.get(name).is_some_and(|(value, _)| value.is_finite())) {
                continue;
            }
            let mut values: Vec<f64> = fitted.iter().filter_map(|scores| Some(scores.get(name)?.0)).collect();
            values.sort_by(f64::total_cmp);
            let grain = all().filter_map(|scores| Some(scores.get(name)?.1)).fold(SCALE_MIN, f64::max);
            let at =
                |share: f64| values.get(((values.len() - 1) as f64 * share) as usize).copied().unwrap_or(0.0);
            let centre = at(0.5);
            let scale = (at(0.9) - centre).max(grain);
            detectors.insert(name.clone(), Usual { centre, scale, scores: values });
        }
        if detectors.is_empty() {
            return Err(refused("no detector measured every change"));
        }
        let mut stratum = Self { detectors, fused: Vec::new() };
        let mut fused: Vec<f64> = held_out.iter().filter_map(|scores| stratum.fuse(scores).ok()).collect();
        fused.sort_by(f64::total_cmp);
        stratum.fused = fused;
        Ok(stratum)
    }

    /// How far the most unusual detector lies out, in units of its scale.
    ///
    /// # Errors
    /// The name of a detector that did not measure.
    pub fn fuse(&self, scores: &Scores) -> Result<f64, String> {
        let mut most = f64::NEG_INFINITY;
        for (name, usual) in &self.detectors {
            let (value, _) = scores.get(name).ok_or_else(|| name.clone())?;
            let out = (value - usual.centre) / usual.scale;
            // What is no number is as suspicious as can be.
            most = if out.is_nan() { f64::INFINITY } else { most.max(out) };
        }
        Ok(most)
    }
}

impl Table {
    /// The calibration that comes with the product, where there is one.
    ///
    /// # Errors
    /// [`Error::Calibration`], which a test would see.
    pub fn built_in() -> Result<Option<Self>, Error> {
        BUILT_IN.map(|text| Self::read(text.as_bytes())).transpose()
    }

    /// Reads a calibration.
    ///
    /// # Errors
    /// [`Error::Calibration`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |reason: String| Error::Calibration { reason };
        if bytes.len() > BYTES_MAX {
            return Err(refused("it has more than 64 MiB".to_owned()));
        }
        let table: Self =
            serde_json::from_slice(bytes).map_err(|cause| refused(shown(&cause.to_string())))?;
        if table.form != FORM {
            return Err(refused(format!("`{}` is not `{FORM}`", shown(&table.form))));
        }
        for (name, stratum) in &table.strata {
            let sorted = |values: &[f64]| !values.is_empty() && values.is_sorted();
            let usual = stratum
                .detectors
                .values()
                .all(|usual| usual.centre.is_finite() && usual.scale >= SCALE_MIN && sorted(&usual.scores));
            if !usual || stratum.detectors.is_empty() || !sorted(&stratum.fused) {
                return Err(refused(format!("stratum `{}` is not what it should be", shown(name))));
            }
        }
        Ok(table)
    }
}

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything that was to be looked at was, and nothing is unusual.
    Pass,
    /// Refused.
    Fail,
    /// Not shown to be one or the other.
    Inconclusive,
}

impl Outcome {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A share of calibrated changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Changes at least as suspicious, this one included.
    pub at_least: u64,
    /// All, this one included.
    pub of: u64,
}

impl Share {
    /// As a number.
    pub fn value(self) -> f64 {
        self.at_least as f64 / self.of.max(1) as f64
    }
}

/// The judgement of an examination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The answer.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<String>,
    /// The stratum it was judged in.
    pub stratum: String,
    /// The p-value of the fused score.
    pub p_value: Option<Share>,
    /// The interval, 95 %, of the share of benign changes of this kind that score at least as high.
    pub benign_share: Option<(f64, f64)>,
    /// Each detector's own p-value, smallest first; not corrected for there being several.
    pub detectors: Vec<(String, f64, Share)>,
    /// The digest of the calibration's set.
    pub calibration: Option<String>,
    /// The level.
    pub alpha: f64,
}

/// Judges an examination by a calibration, at level `alpha`.
pub fn judge(examination: &Examination, table: Option<&Table>, alpha: f64) -> Judgement {
    let mut judgement = Judgement {
        outcome: Outcome::Inconclusive,
        reasons: Vec::new(),
        stratum: examination.kind.clone(),
        p_value: None,
        benign_share: None,
        detectors: Vec::new(),
        calibration: table.map(|table| table.set.clone()),
        alpha,
    };
    let scores = scores(examination);
    let open = match table.and_then(|table| table.strata.get(&examination.kind)) {
        None => Some(format!("there is no calibration for changes of kind `{}`", examination.kind)),
        Some(stratum) => calibrated(&mut judgement, stratum, &scores, alpha).err(),
    };
    let refusals = examination.findings.iter().filter(|finding| finding.weight == Weight::Refusal);
    judgement.reasons.extend(refusals.map(|finding| format!("{}: {}", finding.what, finding.text)));
    let unusual = judgement.p_value.is_some_and(|share| share.value() <= alpha);
    if let (true, Some(share)) = (unusual, judgement.p_value) {
        judgement.reasons.push(format!(
            "its scores are as unusual as those of {} in {} benign changes",
            share.at_least, share.of
        ));
    }
    if !judgement.reasons.is_empty() {
        judgement.outcome = Outcome::Fail;
        return judgement;
    }
    judgement.reasons.extend(open);
    let undecided = |what: &str| examination.findings.iter().any(|finding| finding.what == what);
    if examination.behaviour.is_none() {
        judgement.reasons.push("its behaviour was not compared with the base's".to_owned());
    }
    for what in ["drift-undecided", "lineage-undecided"] {
        if undecided(what) {
            judgement.reasons.push(format!("{what}: the suite has too few prompts at risk to decide"));
        }
    }
    if judgement.reasons.is_empty() {
        judgement.outcome = Outcome::Pass;
    }
    judgement
}

fn calibrated(
    judgement: &mut Judgement,
    stratum: &Stratum,
    scores: &Scores,
    alpha: f64,
) -> Result<(), String> {
    for (name, usual) in &stratum.detectors {
        if let Some((value, _)) = scores.get(name) {
            judgement.detectors.push((name.clone(), *value, share(&usual.scores, *value)));
        }
    }
    judgement.detectors.sort_by(|a, b| a.2.value().total_cmp(&b.2.value()).then_with(|| a.0.cmp(&b.0)));
    let fused =
        stratum.fuse(scores).map_err(|name| format!("`{name}` was calibrated and did not measure"))?;
    let found = share(&stratum.fused, fused);
    let (above, of) = (found.at_least - 1, found.of - 1);
    judgement.p_value = Some(found);
    judgement.benign_share = exact::interval(above, of, 0.05).ok().map(|share| (share.lower, share.upper));
    if 1.0 / found.of as f64 > alpha {
        return Err(format!("the calibration has {of} changes held out: too few for the level {alpha}"));
    }
    Ok(())
}

/// Scores at least as high, the change's own and its equals included; what is no number is higher than all.
fn share(sorted: &[f64], value: f64) -> Share {
    let below = if value.is_nan() { sorted.len() } else { sorted.partition_point(|other| *other < value) };
    Share { at_least: (sorted.len() - below) as u64 + 1, of: sorted.len() as u64 + 1 }
}

#[cfg(test)]
mod tests;
