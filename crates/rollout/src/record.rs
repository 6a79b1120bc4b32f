//! A stage's data, the report on it, and the re-run of the report.
//!
//! The data are canonical JSON with integers only, named by digest in the signed stage report. Whoever has the bytes
//! feeds the same rows to the same gate and must come to the same report, bit for bit: [`rerun`] says whether.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use statement::digest::Digest;
use statement::id::{Name, StatementId};
use statement::json;
use statement::kind::{GateDecision, GateResult, StageReport};

use crate::Error;
use crate::gate::{Gate, Judgement, Row};
use crate::plan::{Comparing, Plan};
use crate::requests::{self, ArmSums};

/// Bytes of a stage's data at most.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows of a stage at most: more than a day of seconds.
pub const ROWS_MAX: usize = 100_000;

/// Everything that a stage's gate was fed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageData {
    /// When the stage began.
    pub from_ms: u64,
    /// SHA-256 of the plan's canonical bytes.
    pub plan: Digest,
    /// Sums over all requests, by metric, for the metrics that have a margin of requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<Name, ArmSums>,
    /// What was counted, in the order of time.
    pub rows: Vec<Row>,
    /// Index of the stage in the plan.
    pub stage: u32,
    /// When it was judged.
    pub to_ms: u64,
    /// Version of the format: 1.
    pub version: u32,
}

impl StageData {
    /// Reads data: canonical JSON, bounded.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Unreadable { what: "stage data", reason };
        let value = json::parse_canonical(bytes, BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
        let data: Self = json::from_value(&value).map_err(|error| unreadable(error.to_string()))?;
        if data.version != 1 {
            return Err(unreadable(format!("version {} is not known", data.version)));
        }
        if data.rows.len() > ROWS_MAX {
            return Err(unreadable(format!("{} rows are more than {ROWS_MAX}", data.rows.len())));
        }
        Ok(data)
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::to_canonical(self)
            .map_err(|error| Error::Unreadable { what: "stage data", reason: error.to_string() })
    }

    /// Runs the gate over all rows, as it was run when they came.
    pub fn judge(&self, plan: &Plan) -> Result<Judgement, Error> {
        let expected = plan.digest()?;
        if self.plan != expected {
            return Err(Error::Report {
                what: "plan",
                given: self.plan.to_string(),
                found: expected.to_string(),
            });
        }
        let mut gate = Gate::new(plan, self.stage as usize, self.from_ms)?;
        for row in &self.rows {
            gate.push(row)?;
        }
        let judgement = gate.judge(self.to_ms);
        if plan.stage(self.stage as usize)?.comparing() == Comparing::Arms {
            return requests::add(
                judgement,
                plan,
                self.stage as usize,
                &self.requests,
                gate.over(self.to_ms),
            );
        }
        Ok(judgement)
    }

    /// The report on these data, for the rollout's key to sign.
    pub fn report(&self, plan: &Plan, order: StatementId) -> Result<StageReport, Error> {
        let stage = plan.stage(self.stage as usize)?;
        let judgement = self.judge(plan)?;
        Ok(StageReport {
            data: Digest::of(&self.to_bytes()?),
            decision: judgement.decision,
            from_ms: self.from_ms,
            gates: judgement.results,
            order,
            share_ppm: stage.share_ppm,
            stage: stage.stage,
            to_ms: self.to_ms,
        })
    }
}

/// Runs a report again from the bytes of plan and data. Answers what they lead to; refuses a report that says anything
/// else.
pub fn rerun(plan: &[u8], data: &[u8], report: &StageReport) -> Result<Judgement, Error> {
    let plan = Plan::parse(plan)?;
    let digest = Digest::of(data);
    same("data", &report.data, &digest)?;
    let data = StageData::parse(data)?;
    let again = data.report(&plan, report.order)?;
    same("beginning", &report.from_ms, &again.from_ms)?;
    same("end", &report.to_ms, &again.to_ms)?;
    same("share", &report.share_ppm, &again.share_ppm)?;
    if report.stage != again.stage {
        return Err(differs("stage", &report.stage, &again.stage));
    }
    if report.decision != again.decision {
        return Err(differs("decision", &report.decision, &again.decision));
    }
    same_gates(&report.gates, &again.gates)?;
    data.judge(&plan)
}

fn same<T: PartialEq + std::fmt::Display>(what: &'static str, given: &T, found: &T) -> Result<(), Error> {
    if given == found {
        return Ok(());
    }
    Err(Error::Report { what, given: given.to_string(), found: found.to_string() })
}

fn differs(what: &'static str, given: &impl std::fmt::Debug, found: &impl std::fmt::Debug) -> Error {
    Error::Report { what, given: format!("{given:?}"), found: format!("{found:?}") }
}

fn same_gates(given: &BTreeSet<GateResult>, found: &BTreeSet<GateResult>) -> Result<(), Error> {
    let shown = |gates: Option<&GateResult>| {
        gates.map_or_else(
            || "no such gate".to_owned(),
            |gate| {
                format!("{} {:?} at {} of {}", gate.gate, gate.decision, gate.statistic_ppm, gate.limit_ppm)
            },
        )
    };
    match given.symmetric_difference(found).next() {
        None => Ok(()),
        Some(_) => Err(Error::Report {
            what: "gate",
            given: shown(given.difference(found).next()),
            found: shown(found.difference(given).next()),
        }),
    }
}

/// Whether a decision ends the stage.
pub const fn ends(decision: GateDecision) -> bool {
    !matches!(decision, GateDecision::Hold)
}

#[cfg(test)]
mod tests;
