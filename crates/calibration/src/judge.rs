//! The judgement.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stats::exact;

use crate::looked::{Level, Looked, Missed};
use crate::table::{Scores, Stratum, Table};

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

/// Judges what was looked at up to a level by a calibration, at level of significance `alpha`.
pub fn judge(looked: &Looked, level: Level, table: Option<&Table>, alpha: f64) -> Judgement {
    let mut judgement = Judgement {
        outcome: Outcome::Inconclusive,
        reasons: Vec::new(),
        stratum: looked.kind.clone(),
        p_value: None,
        benign_share: None,
        detectors: Vec::new(),
        calibration: table.map(|table| table.set.clone()),
        alpha,
    };
    let stratum = table.and_then(|table| table.strata.get(&looked.kind));
    let open = match stratum {
        None => Some(format!("there is no calibration for changes of kind `{}`", looked.kind)),
        Some(stratum) => calibrated(&mut judgement, stratum, looked, level).err(),
    };
    let refusals = looked.refusals.iter();
    judgement.reasons.extend(refusals.map(|found| format!("{}: {}", found.what, found.why)));
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
    judgement.reasons.extend(unseen(looked, level, stratum));
    if judgement.reasons.is_empty() {
        judgement.outcome = Outcome::Pass;
    }
    judgement
}

/// What keeps an examination that found nothing from passing: who could not look, and what nobody can judge.
fn unseen(looked: &Looked, level: Level, stratum: Option<&Stratum>) -> Vec<String> {
    let mut reasons: Vec<String> = looked.unable.iter().cloned().collect();
    for ran in looked.examiners.iter().filter(|ran| ran.missed == Some(Missed::Unable)) {
        let why = looked.gaps.iter().find(|gap| gap.what == ran.examiner);
        let why = why.map_or("", |gap| gap.why.as_str());
        reasons.push(format!("`{}` could not look: {why}", ran.examiner));
    }
    // Files that were not looked at may hold anything. Other examiners that looked say with a gap how far they went, as
    // they did at the benign changes.
    let gap_in_files = looked.gaps.iter().find(|gap| gap.what == FILES);
    let worked = |name: &str| looked.examiners.iter().any(|ran| ran.examiner == name && ran.missed.is_none());
    if let Some(gap) = gap_in_files.filter(|_| worked(FILES)) {
        reasons.push(format!("`{FILES}` could not look at everything: {}", gap.why));
    }
    if let Some(stratum) = stratum {
        let names: BTreeSet<&str> = looked.scores.iter().map(|score| score.detector.as_str()).collect();
        let strange = names.into_iter().filter(|name| !stratum.detectors.contains_key(*name));
        reasons.extend(strange.map(|name| format!("`{name}` measured and is not calibrated")));
    }
    if level == Level::Align && !looked.compared {
        reasons.push("its behaviour was not compared with the base's".to_owned());
    }
    reasons.extend(
        looked
            .undecided
            .iter()
            .map(|found| format!("{}: the suite has too few prompts at risk to decide", found.what)),
    );
    reasons
}

/// The examiner of files.
const FILES: &str = "files";

fn calibrated(
    judgement: &mut Judgement,
    stratum: &Stratum,
    looked: &Looked,
    level: Level,
) -> Result<(), String> {
    let scores: Scores =
        looked.scores.iter().map(|score| (score.detector.clone(), (score.value.0, 0.0))).collect();
    for (name, usual) in stratum.up_to(level) {
        if let Some((value, _)) = scores.get(name) {
            judgement.detectors.push((name.clone(), *value, share(&usual.scores, *value)));
        }
    }
    if stratum.up_to(level).next().is_none() {
        return Err(format!("no detector of the level `{}` is calibrated", level.name()));
    }
    judgement.detectors.sort_by(|a, b| a.2.value().total_cmp(&b.2.value()).then_with(|| a.0.cmp(&b.0)));
    let fused = stratum
        .fuse(&scores, level)
        .map_err(|name| format!("`{name}` was calibrated and did not measure"))?;
    let found = share(&stratum.fused, fused);
    let (above, of) = (found.at_least - 1, found.of - 1);
    judgement.p_value = Some(found);
    judgement.benign_share = exact::interval(above, of, 0.05).ok().map(|share| (share.lower, share.upper));
    if 1.0 / found.of as f64 > judgement.alpha {
        let alpha = judgement.alpha;
        return Err(format!("the calibration has {of} changes held out: too few for the level {alpha}"));
    }
    Ok(())
}

/// Scores at least as high, the change's own and its equals included; what is no number is higher than all.
fn share(sorted: &[f64], value: f64) -> Share {
    let below = if value.is_nan() { sorted.len() } else { sorted.partition_point(|other| *other < value) };
    Share { at_least: (sorted.len() - below) as u64 + 1, of: sorted.len() as u64 + 1 }
}
