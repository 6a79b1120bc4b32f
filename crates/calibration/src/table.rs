//! Scores of benign changes, by kind of change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::looked::Level;
use crate::shown;

/// The form of a calibration, with its version.
pub const FORM: &str = "countersign-calibration/1";

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
        let mut fused: Vec<f64> =
            held_out.iter().filter_map(|scores| stratum.fuse(scores, Level::Align).ok()).collect();
        fused.sort_by(f64::total_cmp);
        stratum.fused = fused;
        Ok(stratum)
    }

    /// How far the most unusual detector lies out, in units of its scale, of those that measure up to a level.
    ///
    /// # Errors
    /// The name of a detector that did not measure.
    pub fn fuse(&self, scores: &Scores, level: Level) -> Result<f64, String> {
        let mut most = f64::NEG_INFINITY;
        for (name, usual) in self.up_to(level) {
            let (value, _) = scores.get(name).ok_or_else(|| name.clone())?;
            let out = (value - usual.centre) / usual.scale;
            // What is no number is as suspicious as can be, whatever the others are.
            most = if out.is_nan() { f64::INFINITY } else { most.max(out) };
        }
        Ok(most)
    }

    /// The detectors that measure up to a level.
    pub(crate) fn up_to(&self, level: Level) -> impl Iterator<Item = (&String, &Usual)> {
        self.detectors.iter().filter(move |(name, _)| Level::of(name) <= level)
    }
}

impl Table {
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
