//! A rollout under way: `rollout`'s planner and gates, fed with rows of real answers.
//!
//! A stage that a restart of the gateway interrupts begins anew, with the same share: nobody changes the version, and what
//! was counted before counts for nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use rollout::assign::Share;
use rollout::gate::{Gate, Judgement, Row};
use rollout::plan::{Comparing, Contexts, Plan};
use rollout::planner::{Action, Event, State, step};
use rollout::record::{ROWS_MAX, StageData};
use serde_json::{Value, json};
use statement::kind::{GateDecision, Stage, StageReport};
use statement::{ChangeId, Digest, Name, StatementId};

use crate::Error;
use crate::keep::KeptRollout;
use crate::tally::Tally;

/// A rollout.
#[derive(Debug)]
pub(crate) struct Drive {
    plan: Arc<Plan>,
    digest: Digest,
    pub(crate) order: StatementId,
    pub(crate) change: ChangeId,
    state: State,
    reports: BTreeSet<Name>,
    running: Option<Running>,
    /// The latest judgement, kept when the stage ends: it says why a release was taken back.
    judged: Option<Judgement>,
    /// The latest report: what a sign-off is of.
    report: Option<StatementId>,
    units: usize,
}

/// The stage under way.
#[derive(Debug)]
struct Running {
    reach: Reach,
    gate: Gate,
    data: StageData,
}

/// Who gets what is being released.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// The share of units.
    pub(crate) share: Share,
    /// The contexts that take part.
    pub(crate) contexts: Contexts,
    /// Where units are counted, if the stage compares.
    pub(crate) tally: Option<Arc<Tally>>,
    /// What kind of stage it is.
    pub(crate) stage: Stage,
}

impl Reach {
    /// Everybody, and nothing to compare with.
    pub(crate) fn everybody() -> Self {
        let share = Share::from_ppm(rollout::assign::BUCKETS).unwrap_or(Share::NONE);
        Self { share, contexts: Contexts::All, tally: None, stage: Stage::Full }
    }
}

/// A stage's report, and the data it follows from.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) report: StageReport,
    pub(crate) data: Vec<u8>,
    pub(crate) plan: Vec<u8>,
}

/// Whether a rollout may go further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// It may.
    Open,
    /// Something is frozen.
    Barred,
}

impl Drive {
    /// A rollout that waits.
    pub(crate) fn new(
        plan: Arc<Plan>,
        order: StatementId,
        change: ChangeId,
        units: usize,
    ) -> Result<Self, Error> {
        let digest = plan.digest()?;
        // That it was examined is part of every order's chain.
        let reports = "examination".parse::<Name>().into_iter().collect();
        let state = State::Waiting;
        Ok(Self {
            plan,
            digest,
            order,
            change,
            state,
            reports,
            running: None,
            judged: None,
            report: None,
            units,
        })
    }

    /// A rollout that was under way when the gateway ended; under another plan it begins anew.
    pub(crate) fn resume(&mut self, kept: &KeptRollout, now_ms: u64) -> Result<(), Error> {
        let stage = usize::try_from(kept.stage).unwrap_or(usize::MAX);
        if kept.state == "rolled-back" {
            self.state = State::RolledBack { stage: Some(stage) };
            return Ok(());
        }
        if kept.plan != self.digest || kept.state == "waiting" {
            return Ok(());
        }
        self.reports.clone_from(&kept.reports);
        if kept.state == "done" {
            self.state = State::Done;
            return Ok(());
        }
        self.enter(stage, now_ms)?;
        self.state = match kept.state.as_str() {
            "paused" => State::Paused { stage, from_ms: now_ms },
            "held" if kept.report.is_some() => {
                self.report = kept.report;
                State::Held { stage, from_ms: now_ms }
            }
            _ => State::Running { stage, from_ms: now_ms },
        };
        Ok(())
    }

    /// What is to be kept of it.
    pub(crate) fn kept(&self) -> KeptRollout {
        let (state, stage, from_ms) = match &self.state {
            State::Waiting => ("waiting", 0, 0),
            State::Running { stage, from_ms } => ("running", *stage, *from_ms),
            State::Paused { stage, from_ms } => ("paused", *stage, *from_ms),
            State::Held { stage, from_ms } => ("held", *stage, *from_ms),
            State::Done => ("done", 0, 0),
            State::RolledBack { stage } => ("rolled-back", stage.unwrap_or(0), 0),
        };
        KeptRollout {
            from_ms,
            plan: self.digest,
            report: self.report.filter(|_| state == "held"),
            reports: self.reports.clone(),
            stage: u32::try_from(stage).unwrap_or(u32::MAX),
            state: state.to_owned(),
        }
    }

    /// Who gets the candidate now.
    pub(crate) fn reach(&self) -> Reach {
        match (&self.state, &self.running) {
            (State::Done, _) => Reach::everybody(),
            (State::Waiting | State::RolledBack { .. }, _) | (_, None) => {
                Reach { share: Share::NONE, ..Reach::everybody() }
            }
            (_, Some(running)) => running.reach.clone(),
        }
    }

    /// Whether it waits to be begun.
    pub(crate) fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether it was taken back.
    pub(crate) const fn is_back(&self) -> bool {
        matches!(self.state, State::RolledBack { .. })
    }

    /// Begins.
    pub(crate) fn start(&mut self, now_ms: u64) -> Result<(), Error> {
        self.event(&Event::Start { reports: self.reports.clone() }, now_ms)
    }

    /// A report of it was signed.
    pub(crate) const fn reported(&mut self, report: StatementId) {
        self.report = Some(report);
    }

    /// Whose sign-off it waits for, and of which report.
    pub(crate) fn waits_for(&self) -> Option<(&Name, StatementId)> {
        let State::Held { stage, .. } = &self.state else { return None };
        let holder = self.plan.stage(*stage).ok()?.hold_point.as_ref()?;
        Some((holder, self.report?))
    }

    /// It was signed off.
    pub(crate) fn sign_off(&mut self, holder: Name, now_ms: u64) -> Result<(), Error> {
        self.event(&Event::SignedOff { holder, reports: self.reports.clone() }, now_ms)
    }

    /// Stays where it is.
    pub(crate) fn pause(&mut self, now_ms: u64) -> Result<(), Error> {
        self.event(&Event::Pause, now_ms)
    }

    /// Goes on.
    pub(crate) fn resume_from_pause(&mut self, now_ms: u64) -> Result<(), Error> {
        self.event(&Event::Resume, now_ms)
    }

    /// Goes back.
    pub(crate) fn abort(&mut self, now_ms: u64) -> Result<(), Error> {
        self.event(&Event::Abort, now_ms)
    }

    fn event(&mut self, event: &Event, now_ms: u64) -> Result<(), Error> {
        let (state, actions) = step(&self.plan, &self.state, event, now_ms)?;
        for action in actions {
            match action {
                Action::Enter { stage, .. } => self.enter(stage, now_ms)?,
                Action::RollBack | Action::Finish => self.running = None,
                Action::AskSignOff { stage, holder } => {
                    tracing::warn!(stage, %holder, change = %self.change, "a sign-off is needed");
                }
            }
        }
        self.state = state;
        Ok(())
    }

    fn enter(&mut self, stage: usize, now_ms: u64) -> Result<(), Error> {
        let planned = self.plan.stage(stage)?;
        let comparing = planned.comparing();
        self.running = Some(Running {
            reach: Reach {
                share: planned.share(),
                contexts: planned.contexts,
                tally: (comparing != Comparing::Nothing)
                    .then(|| Arc::new(Tally::new(&self.plan, comparing, self.units))),
                stage: planned.stage,
            },
            gate: Gate::new(&self.plan, stage, now_ms)?,
            data: StageData {
                from_ms: now_ms,
                plan: self.digest,
                requests: std::collections::BTreeMap::new(),
                rows: Vec::new(),
                stage: u32::try_from(stage).unwrap_or(u32::MAX),
                to_ms: now_ms,
                version: 1,
            },
        });
        tracing::info!(stage, share_ppm = planned.share_ppm, change = %self.change, "a stage begins");
        Ok(())
    }

    /// Takes what was counted, and does what follows. The report, where a stage ends.
    pub(crate) fn tick(&mut self, now_ms: u64, forward: Forward) -> Result<Option<Reported>, Error> {
        let stage = match &self.state {
            State::Running { stage, .. } | State::Paused { stage, .. } | State::Held { stage, .. } => *stage,
            State::Waiting | State::Done | State::RolledBack { .. } => return Ok(None),
        };
        let Some(running) = &mut self.running else { return Ok(None) };
        // A clock that went back: what was counted waits until it has caught up.
        let now_ms = now_ms.max(running.data.to_ms);
        if running.row_is_due(now_ms)
            && let Some(row) = running.reach.tally.as_ref().and_then(|tally| tally.take_both(now_ms))
        {
            running.push(row)?;
        }
        let mut judgement = running.judge(now_ms);
        let goes_on = forward == Forward::Open && matches!(self.state, State::Running { .. });
        if judgement.decision == GateDecision::Promote
            && goes_on
            && let Some(tally) = running.reach.tally.clone()
        {
            // Who was asked and has not answered yet is waited for: it may be what speaks against the candidate.
            let settled = tally.close();
            running.push(tally.take(now_ms))?;
            judgement = running.judge(now_ms);
            if judgement.decision != GateDecision::Promote {
                tally.open();
            } else if !settled {
                return Ok(None);
            }
        } else if let Some(tally) = &running.reach.tally {
            tally.open();
        }
        let decision = judgement.decision;
        self.judged = Some(judgement);
        match decision {
            GateDecision::Hold => return Ok(None),
            GateDecision::Promote if !goes_on => return Ok(None),
            GateDecision::Promote | GateDecision::RollBack => {}
        }
        let reported = Reported {
            report: running.data.report(&self.plan, self.order)?,
            data: running.data.to_bytes()?,
            plan: self.plan.to_bytes()?,
        };
        if decision == GateDecision::Promote
            && let Ok(name) = kind_name(self.plan.stage(stage)?.stage).parse::<Name>()
        {
            self.reports.insert(name);
        }
        self.event(&Event::Judged { stage, decision, reports: self.reports.clone() }, now_ms)?;
        Ok(Some(reported))
    }

    /// How it stands, for people and scripts.
    pub(crate) fn status(&self) -> Value {
        let judged = self.judged.as_ref();
        let gates: Vec<_> = judged
            .iter()
            .flat_map(|judged| &judged.results)
            .map(|gate| {
                json!({ "gate": gate.gate, "decision": gate.decision, "statistic_ppm": gate.statistic_ppm, "limit_ppm": gate.limit_ppm })
            })
            .collect();
        let (stage, from_ms) = match &self.state {
            State::Running { stage, from_ms }
            | State::Paused { stage, from_ms }
            | State::Held { stage, from_ms } => (Some(*stage), Some(*from_ms)),
            State::RolledBack { stage } => (*stage, None),
            State::Waiting | State::Done => (None, None),
        };
        let rows = self.running.as_ref().map_or(0, |running| running.data.rows.len());
        let reason = judged.map(|judged| format!("{:?}", judged.reason));
        let pairs = self.running.as_ref().filter(|running| running.reach.share == Share::NONE);
        let pairs = pairs.and_then(|running| running.reach.tally.as_ref()).map(|tally| {
            let [same, other] = tally.alike();
            json!({ "same_text": same, "other_text": other })
        });
        json!({
            "change": self.change, "order": self.order, "state": self.state.name(), "stage": stage, "stages": self.plan.stages.len(),
            "from_ms": from_ms, "share_ppm": self.reach().share.ppm(), "rows": rows, "reason": reason, "gates": gates,
            "pairs": pairs,
            "waits_for": self.waits_for().map(|(holder, report)| json!({ "sign_off_by": holder, "report": report })),
        })
    }
}

impl Running {
    /// Whether what was counted is to be judged by now. A stage that lasts, because it is paused or waits for a sign-off, is
    /// looked at less and less often, so that its rows never become more than an auditor reads.
    fn row_is_due(&self, now_ms: u64) -> bool {
        let rows = self.data.rows.len();
        self.data.rows.last().is_none_or(|last| now_ms.saturating_sub(last.at_ms) >= spacing_ms(rows))
    }

    /// Feeds the gate.
    fn push(&mut self, row: Row) -> Result<(), Error> {
        if has_counts(&row) && self.data.rows.len() < ROWS_MAX {
            self.gate.push(&row)?;
            self.data.rows.push(row);
        }
        Ok(())
    }

    fn judge(&mut self, now_ms: u64) -> Judgement {
        self.data.to_ms = now_ms;
        self.gate.judge(now_ms)
    }
}

/// How far apart the next row of a stage is that has so many: none for half of what an auditor reads, then ever more, so that
/// the rest lasts for months.
const fn spacing_ms(rows: usize) -> u64 {
    const DENSE: usize = ROWS_MAX / 2;
    const STEP: usize = ROWS_MAX / 20;
    match rows {
        0..DENSE => 0,
        // A few are left for the stage's end.
        _ if rows + 8 >= ROWS_MAX => u64::MAX,
        _ => 2_000 << ((rows - DENSE) / STEP),
    }
}

fn has_counts(row: &Row) -> bool {
    let counted = |cell: &rollout::gate::Cell| match cell {
        rollout::gate::Cell::Arms { candidate, control } => {
            candidate.iter().chain(control).any(|count| *count > 0)
        }
        rollout::gate::Cell::Pairs { better, equal, worse } => better + equal + worse > 0,
    };
    row.assigned.is_some_and(|assigned| assigned != [0, 0]) || row.cells.iter().any(counted)
}

const fn kind_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Synthetic => "synthetic",
        Stage::Shadow => "shadow",
        Stage::Canary => "canary",
        Stage::Ramp => "ramp",
        Stage::Full => "full",
    }
}

#[cfg(test)]
mod tests;
