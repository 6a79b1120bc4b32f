//! The plan: stages in order, what is measured, how much worse is tolerated.
//!
//! A plan is data: canonical JSON with integers only, so that it can be named by digest in a signed record. Rates are
//! parts per million.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use statement::digest::Digest;
use statement::id::Name;
use statement::json;
use statement::kind::Stage;

use crate::Error;
use crate::assign::Share;

mod standard;

/// Bytes of a plan at most.
const BYTES_MAX: usize = 256 * 1024;
/// Metrics at most.
const METRICS_MAX: usize = 64;
/// Stages at most.
const STAGES_MAX: usize = 32;
/// The longest stage, extension included: 400 days.
const STAGE_MS_MAX: u64 = 34_560_000_000;

/// A rollout's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The chance of a wrong rollback, and of a wrong pass, that is accepted for the whole rollout.
    pub alpha_ppm: u32,
    /// What is compared.
    pub metrics: Vec<Metric>,
    /// The stages in order; the last one serves everybody.
    pub stages: Vec<StagePlan>,
    /// Version of the plan's format: 1.
    pub version: u32,
}

/// Something that is compared. High is bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// What the control is expected to show: one number for a rate, quantile or mean (in parts per million of the
    /// range), one for each category. A wrong one costs time, not validity.
    pub expected_ppm: Vec<u32>,
    /// How a unit's value becomes a level.
    pub measure: Measure,
    /// The name.
    pub name: Name,
    /// By how much the mean over all requests may be higher, in thousandths of the metric's unit. Where it is given, the
    /// interval of the difference, its variance taken between units, has to be within it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_margin_milli: Option<u64>,
    /// A difference up to this is no reason to go back.
    pub tolerated_ppm: u32,
}

/// How a unit's value becomes one of a few levels, counted in rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Measure {
    /// Which of several categories, as finish reasons: by position in `expected_ppm`.
    Categories,
    /// A mean of values from `low` to `high`, in the metric's unit, at so many levels; what lies outside is cut off.
    Mean {
        /// The value of the highest level.
        high: i64,
        /// How many levels.
        levels: u8,
        /// The value of level 0.
        low: i64,
    },
    /// Whether a value is above a limit: the share of the control above it is the quantile that is watched.
    Quantile {
        /// The limit, in the metric's unit: the control's quantile times what is tolerated.
        limit: i64,
    },
    /// Whether it happened.
    Rate,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePlan {
    /// Which contexts take part.
    pub contexts: Contexts,
    /// How long it lasts at least.
    pub duration_ms: u64,
    /// How much longer it may last to be decided.
    pub extension_ms: u64,
    /// Whose named sign-off is needed to leave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_point: Option<Name>,
    /// For each metric, by how much the candidate has to be shown to be less than worse, to pass.
    pub margins_ppm: Vec<u32>,
    /// Reports that have to be there before it begins.
    pub reports: BTreeSet<Name>,
    /// The share of units that get the candidate.
    pub share_ppm: u32,
    /// What kind of stage it is.
    pub stage: Stage,
    /// Units, or pairs, that each arm needs at least to pass.
    pub units_min: u64,
}

/// Which contexts take part in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contexts {
    /// Every context.
    All,
    /// Those that nobody's safety depends on.
    NonCritical,
}

/// How a stage compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparing {
    /// The same input to both.
    Pairs,
    /// Two arms at the same time.
    Arms,
    /// Nothing to compare with: everybody has the candidate.
    Nothing,
}

impl StagePlan {
    /// How it compares.
    pub const fn comparing(&self) -> Comparing {
        match self.stage {
            Stage::Synthetic | Stage::Shadow => Comparing::Pairs,
            Stage::Canary | Stage::Ramp => Comparing::Arms,
            Stage::Full => Comparing::Nothing,
        }
    }

    /// The share of units that get the candidate.
    pub fn share(&self) -> Share {
        Share::from_ppm(self.share_ppm).unwrap_or(Share::NONE)
    }
}

impl Metric {
    /// How many levels, or categories, it is counted at.
    pub fn levels(&self) -> usize {
        match self.measure {
            Measure::Categories => self.expected_ppm.len(),
            Measure::Mean { levels, .. } => usize::from(levels),
            Measure::Quantile { .. } | Measure::Rate => 2,
        }
    }

    /// The level of a value; none for a category that the plan does not name.
    ///
    /// Means round half upwards; both arms the same way, so that the comparison is of what the levels say.
    pub fn level(&self, value: i64) -> Option<usize> {
        let level = match self.measure {
            Measure::Categories => usize::try_from(value).ok().filter(|at| *at < self.levels())?,
            Measure::Rate => usize::from(value > 0),
            Measure::Quantile { limit } => usize::from(value > limit),
            Measure::Mean { high, levels, low } => {
                let (span, steps) = (i128::from(high) - i128::from(low), i128::from(levels) - 1);
                let above = i128::from(value.clamp(low, high)) - i128::from(low);
                usize::try_from((2 * above * steps + span) / (2 * span)).ok()?
            }
        };
        Some(level)
    }
}

impl Plan {
    /// Reads and checks a plan: canonical JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Unreadable { what: "plan", reason };
        let value =
            json::parse(bytes, json::Limits::signed(BYTES_MAX)).map_err(|e| unreadable(e.to_string()))?;
        let plan: Self = json::from_value(&value).map_err(|error| unreadable(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::to_canonical(self)
            .map_err(|error| Error::Unreadable { what: "plan", reason: error.to_string() })
    }

    /// The digest of its canonical bytes.
    pub fn digest(&self) -> Result<Digest, Error> {
        Ok(Digest::of(&self.to_bytes()?))
    }

    /// A stage by its index.
    pub fn stage(&self, stage: usize) -> Result<&StagePlan, Error> {
        self.stages.get(stage).ok_or(Error::NoStage { stage })
    }

    /// The stages in which something is compared: the level is shared among them.
    pub fn comparing_stages(&self) -> u32 {
        let comparing = self.stages.iter().filter(|stage| stage.comparing() != Comparing::Nothing);
        u32::try_from(comparing.count()).unwrap_or(u32::MAX)
    }

    /// The level of each comparison that can roll back: `alpha` split over stages, and in each over the metrics, those
    /// compared over all requests once more, and the sample ratio.
    pub fn alpha_back(&self) -> f64 {
        let requests = self.metrics.iter().filter(|metric| metric.request_margin_milli.is_some()).count();
        let tests = f64::from(self.comparing_stages()) * (self.metrics.len() as f64 + requests as f64 + 1.0);
        f64::from(self.alpha_ppm) / 1e6 / tests
    }

    /// The level at which each metric has to be shown to be within its margin: `alpha` split over stages. It is not
    /// split over metrics, because all of them have to be shown.
    pub fn alpha_pass(&self) -> f64 {
        f64::from(self.alpha_ppm) / 1e6 / f64::from(self.comparing_stages().max(1))
    }

    /// Whether it can be carried out.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |what: String, reason: &'static str| Err(Error::Plan { what, reason });
        if self.version != 1 {
            return refuse("version".to_owned(), "only version 1 is known");
        }
        if !(1..=500_000).contains(&self.alpha_ppm) {
            return refuse("alpha_ppm".to_owned(), "it is from 1 to 500,000");
        }
        if self.metrics.is_empty() || self.metrics.len() > METRICS_MAX {
            return refuse("metrics".to_owned(), "there are 1 to 64");
        }
        let mut names = BTreeSet::new();
        for metric in &self.metrics {
            if !names.insert(&metric.name) {
                return refuse(format!("metric `{}`", metric.name), "its name is there twice");
            }
            if let Err(reason) = check_metric(metric) {
                return refuse(format!("metric `{}`", metric.name), reason);
            }
        }
        if self.stages.is_empty() || self.stages.len() > STAGES_MAX {
            return refuse("stages".to_owned(), "there are 1 to 32");
        }
        let (mut share, mut kind) = (0, Stage::Synthetic);
        for (at, stage) in self.stages.iter().enumerate() {
            if stage.stage < kind || stage.share_ppm < share {
                return refuse(format!("stage {at}"), "stages and shares rise, never fall");
            }
            (share, kind) = (stage.share_ppm, stage.stage);
            if let Err(reason) = self.check_stage(stage) {
                return refuse(format!("stage {at}"), reason);
            }
        }
        if kind == Stage::Full { Ok(()) } else { refuse("stages".to_owned(), "the last one is `full`") }
    }

    fn check_stage(&self, stage: &StagePlan) -> Result<(), &'static str> {
        if stage.margins_ppm.len() != self.metrics.len() {
            return Err("it has one margin for each metric");
        }
        if stage.margins_ppm.iter().any(|margin| !(1..1_000_000).contains(margin)) {
            return Err("margins are from 1 to 999,999");
        }
        if stage.duration_ms.saturating_add(stage.extension_ms) > STAGE_MS_MAX {
            return Err("it lasts longer than 400 days");
        }
        let share_fits = match stage.comparing() {
            Comparing::Pairs => stage.share_ppm == 0,
            Comparing::Arms => (1..1_000_000).contains(&stage.share_ppm),
            Comparing::Nothing => stage.share_ppm == 1_000_000,
        };
        if !share_fits {
            return Err("pairs are of no share, arms of a part, `full` of all");
        }
        if stage.comparing() != Comparing::Nothing && (stage.units_min == 0 || stage.duration_ms == 0) {
            return Err("a comparison needs units and time");
        }
        Ok(())
    }
}

fn check_metric(metric: &Metric) -> Result<(), &'static str> {
    if metric.expected_ppm.iter().any(|expected| !(1..1_000_000).contains(expected)) {
        return Err("what is expected is from 1 to 999,999");
    }
    if metric.request_margin_milli.is_some_and(|margin| margin == 0 || margin > 1_000_000_000_000) {
        return Err("a margin of requests is from 1 to 10^12 thousandths");
    }
    if metric.tolerated_ppm >= 1_000_000 {
        return Err("what is tolerated is below 1,000,000");
    }
    let single = metric.expected_ppm.len() == 1;
    match metric.measure {
        Measure::Categories if !(2..=64).contains(&metric.expected_ppm.len()) => {
            Err("there are 2 to 64 categories")
        }
        Measure::Mean { low, high, levels } if !(single && low < high && (2..=64).contains(&levels)) => {
            Err("a mean has one expected value, a range and 2 to 64 levels")
        }
        Measure::Rate | Measure::Quantile { .. } if !single => Err("it has one expected value"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
