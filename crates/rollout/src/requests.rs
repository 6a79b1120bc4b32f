//! Means over all requests, compared with the variance between units.
//!
//! The rows of a stage count every unit once. Where the mean over all requests matters as well, as for the tokens that
//! are paid for, the arms' sums go into the record beside the rows: six integers for each arm (`stats::cluster`). The
//! interval of the difference holds at all looks together, in the limit of many units; with fewer than
//! [`UNITS_MIN`] in an arm it decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statement::id::Name;
use statement::json::INTEGER_MAX;
use statement::kind::{GateDecision, GateResult};
use stats::Decision;
use stats::cluster::{self, Sums};

use crate::Error;
use crate::gate::{Judgement, Over, Reason};
use crate::plan::{Metric, Plan};

/// Units in an arm below which the limit of many units is not relied on.
pub const UNITS_MIN: u64 = 100;

/// The sums of both arms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmSums {
    /// The candidate's.
    pub candidate: UnitSums,
    /// The control's.
    pub control: UnitSums,
}

/// Sums over the units of one arm. Those that may not fit a JSON number are decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitSums {
    /// Sum over units of requests times sum of values.
    pub cross: Integer,
    /// Requests.
    pub requests: u64,
    /// Sum over units of the square of requests.
    pub requests_squared: Integer,
    /// Sum of values.
    pub total: Integer,
    /// Sum over units of the square of the sum of values.
    pub total_squared: Integer,
    /// Units.
    pub units: u64,
}

/// An integer of up to 127 bits, written as decimal text in its one shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Integer(i128);

impl Integer {
    /// Wraps it.
    pub const fn new(value: i128) -> Self {
        Self(value)
    }
}

impl From<Integer> for String {
    fn from(integer: Integer) -> Self {
        integer.0.to_string()
    }
}

impl TryFrom<String> for Integer {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let value: i128 = text.parse().map_err(|_| "it is no integer")?;
        if value.to_string() == text { Ok(Self(value)) } else { Err("it is not in its shortest form") }
    }
}

impl From<&Sums> for UnitSums {
    fn from(sums: &Sums) -> Self {
        Self {
            cross: Integer(sums.cross),
            requests: sums.requests,
            requests_squared: Integer(sums.requests_squared),
            total: Integer(sums.total),
            total_squared: Integer(sums.total_squared),
            units: sums.units,
        }
    }
}

impl UnitSums {
    fn sums(&self) -> Sums {
        Sums {
            cross: self.cross.0,
            requests: self.requests,
            requests_squared: self.requests_squared.0,
            total: self.total.0,
            total_squared: self.total_squared.0,
            units: self.units,
        }
    }
}

/// Adds what the requests show to what the gate says: a difference shown to be above its margin rolls back, and one
/// that is not shown to be within it is held, or rolls back when the stage's time is over.
pub(crate) fn add(
    gate: Judgement,
    plan: &Plan,
    stage: usize,
    requests: &BTreeMap<Name, ArmSums>,
    over: Over,
) -> Result<Judgement, Error> {
    let mut judgement = gate;
    let units_best = plan.stage(stage)?.units_min;
    for metric in &plan.metrics {
        let Some(margin) = metric.request_margin_milli else { continue };
        let result = compare(metric, margin, plan.alpha_back(), units_best, requests.get(&metric.name))?;
        let (name, shown) = (result.gate.clone(), result.decision);
        judgement.results.insert(result);
        let (decision, reason) = match (judgement.decision, shown, over) {
            (GateDecision::RollBack, _, _)
            | (_, GateDecision::Promote, _)
            | (GateDecision::Hold, GateDecision::Hold, _) => continue,
            (_, GateDecision::RollBack, _) => (GateDecision::RollBack, Reason::Shown(name)),
            (GateDecision::Promote, GateDecision::Hold, Over::NotYet) => {
                (GateDecision::Hold, Reason::NotShown(name))
            }
            (GateDecision::Promote, GateDecision::Hold, Over::Yes) => {
                (GateDecision::RollBack, Reason::Undecided(name))
            }
        };
        judgement.decision = decision;
        judgement.reason = reason;
    }
    Ok(judgement)
}

/// The interval's upper end against the margin, in millionths of the metric's unit.
fn compare(
    metric: &Metric,
    margin_milli: u64,
    alpha: f64,
    units_best: u64,
    arms: Option<&ArmSums>,
) -> Result<GateResult, Error> {
    let too_long =
        |_| Error::Plan { what: format!("metric `{}`", metric.name), reason: "its name is too long" };
    let gate: Name = format!("{}:requests", metric.name).parse().map_err(too_long)?;
    let margin = margin_milli as f64 / 1e3;
    let limit_ppm = (margin * 1e6) as i64;
    let open = GateResult {
        decision: GateDecision::Hold,
        gate: gate.clone(),
        limit_ppm,
        statistic_ppm: INTEGER_MAX,
    };
    let Some(arms) = arms else { return Ok(open) };
    let (control, candidate) = (arms.control.sums(), arms.candidate.sums());
    if control.units.min(candidate.units) < UNITS_MIN {
        return Ok(open);
    }
    let interval = cluster::watched_difference(&control, &candidate, alpha, units_best)
        .map_err(|source| Error::Statistics { gate: gate.clone(), source })?;
    let decision = match interval.against(margin) {
        Decision::Pass => GateDecision::Promote,
        Decision::Fail => GateDecision::RollBack,
        Decision::Inconclusive => GateDecision::Hold,
    };
    let statistic_ppm = (interval.upper * 1e6).clamp(-8e15, 8e15) as i64;
    Ok(GateResult { decision, gate, limit_ppm, statistic_ppm })
}

#[cfg(test)]
mod tests;
