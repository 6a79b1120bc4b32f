//! What happens next: a pure step from state and event to state and actions.
//!
//! ```text
//! waiting ──start──► running ──promote──► running (next stage) ──► .. ──► done
//!                    │  ▲  │ ╲
//!              pause │  │  │  ╲ promote, where a hold point is
//!                    ▼  │  │   ╲
//!                  paused  │    held ──sign off──► running (next stage)
//!                          ▼
//!              rolled back (roll back, abort; from every state before done)
//! ```
//!
//! Going back needs nobody; going forward past a hold point needs the person that the plan names. A rollback is final:
//! to try again is another release order.

use std::collections::BTreeSet;

use statement::id::Name;
use statement::kind::GateDecision;

use crate::Error;
use crate::assign::Share;
use crate::plan::{Contexts, Plan, StagePlan};

/// Where a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Ordered, not begun.
    Waiting,
    /// In a stage.
    Running {
        /// Its index.
        stage: usize,
        /// Since when.
        from_ms: u64,
    },
    /// In a stage, its share kept, its gate's promotion not acted on.
    Paused {
        /// Its index.
        stage: usize,
        /// When the stage began.
        from_ms: u64,
    },
    /// A stage has passed, and its hold point waits for a sign-off.
    Held {
        /// Its index.
        stage: usize,
        /// When the stage began.
        from_ms: u64,
    },
    /// Everybody has the candidate.
    Done,
    /// Nobody has it any more.
    RolledBack {
        /// The stage that it reached; none if it had not begun.
        stage: Option<usize>,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begin. The reports that are there.
    Start {
        /// By name.
        reports: BTreeSet<Name>,
    },
    /// A stage's gate has decided.
    Judged {
        /// The stage's index.
        stage: usize,
        /// What it says.
        decision: GateDecision,
        /// The reports that are there.
        reports: BTreeSet<Name>,
    },
    /// A person signed off the hold point.
    SignedOff {
        /// The role under which the person signed.
        holder: Name,
        /// The reports that are there.
        reports: BTreeSet<Name>,
    },
    /// A person, or a monitor, wants it to stay where it is.
    Pause,
    /// It may go on.
    Resume,
    /// A person, or a quorum of monitors, wants it back.
    Abort,
}

/// What has to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Begin a stage.
    Enter {
        /// Its index.
        stage: usize,
        /// The share of units that get the candidate.
        share: Share,
        /// The contexts that take part.
        contexts: Contexts,
    },
    /// Ask somebody to sign off.
    AskSignOff {
        /// The stage.
        stage: usize,
        /// Whom, by role.
        holder: Name,
    },
    /// Serve what was served before, to everybody.
    RollBack,
    /// Record that the rollout is done.
    Finish,
}

impl State {
    /// Its name in refusals.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Held { .. } => "held",
            Self::Done => "done",
            Self::RolledBack { .. } => "rolled back",
        }
    }
}

impl Event {
    /// Its name in refusals.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Judged { .. } => "judged",
            Self::SignedOff { .. } => "sign-off",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
        }
    }
}

/// The next state and what has to be done, or why the event does not apply.
pub fn step(plan: &Plan, state: &State, event: &Event, now_ms: u64) -> Result<(State, Vec<Action>), Error> {
    let refuse = || Error::Step { event: event.name(), state: state.name() };
    match (state, event) {
        (State::Waiting, Event::Start { reports }) => enter(plan, 0, reports, now_ms),
        (State::Waiting, Event::Abort) => Ok((State::RolledBack { stage: None }, Vec::new())),
        (
            State::Running { stage, .. } | State::Paused { stage, .. } | State::Held { stage, .. },
            Event::Judged { stage: judged, decision, .. },
        ) if judged != stage => Err(Error::OtherStage { decision: *decision, given: *judged, stage: *stage }),
        (
            State::Running { stage, .. } | State::Paused { stage, .. } | State::Held { stage, .. },
            Event::Abort | Event::Judged { decision: GateDecision::RollBack, .. },
        ) => Ok(back(*stage)),
        (State::Running { .. }, Event::Judged { decision: GateDecision::Hold, .. })
        | (State::Paused { .. } | State::Held { .. }, Event::Judged { .. }) => {
            Ok((state.clone(), Vec::new()))
        }
        (
            State::Running { stage, from_ms },
            Event::Judged { decision: GateDecision::Promote, reports, .. },
        ) => promote(plan, *stage, *from_ms, reports, now_ms),
        (State::Held { stage, .. }, Event::SignedOff { holder, reports }) => {
            match &plan.stage(*stage)?.hold_point {
                Some(needed) if needed != holder => {
                    Err(Error::SignOff { stage: *stage, holder: needed.clone(), given: holder.clone() })
                }
                _ => after(plan, *stage, reports, now_ms),
            }
        }
        (State::Running { stage, from_ms }, Event::Pause) => {
            Ok((State::Paused { stage: *stage, from_ms: *from_ms }, Vec::new()))
        }
        (State::Paused { stage, from_ms }, Event::Resume) => {
            Ok((State::Running { stage: *stage, from_ms: *from_ms }, Vec::new()))
        }
        (State::Waiting, Event::Judged { .. } | Event::SignedOff { .. } | Event::Pause | Event::Resume)
        | (State::Running { .. }, Event::Start { .. } | Event::SignedOff { .. } | Event::Resume)
        | (State::Paused { .. }, Event::Start { .. } | Event::SignedOff { .. } | Event::Pause)
        | (State::Held { .. }, Event::Start { .. } | Event::Pause | Event::Resume)
        | (State::Done | State::RolledBack { .. }, _) => Err(refuse()),
    }
}

fn back(stage: usize) -> (State, Vec<Action>) {
    (State::RolledBack { stage: Some(stage) }, vec![Action::RollBack])
}

fn promote(
    plan: &Plan,
    stage: usize,
    from_ms: u64,
    reports: &BTreeSet<Name>,
    now_ms: u64,
) -> Result<(State, Vec<Action>), Error> {
    match &plan.stage(stage)?.hold_point {
        Some(holder) => {
            let ask = Action::AskSignOff { stage, holder: holder.clone() };
            Ok((State::Held { stage, from_ms }, vec![ask]))
        }
        None => after(plan, stage, reports, now_ms),
    }
}

/// What comes after a stage that passed.
fn after(
    plan: &Plan,
    stage: usize,
    reports: &BTreeSet<Name>,
    now_ms: u64,
) -> Result<(State, Vec<Action>), Error> {
    if stage + 1 >= plan.stages.len() {
        return Ok((State::Done, vec![Action::Finish]));
    }
    enter(plan, stage + 1, reports, now_ms)
}

fn enter(
    plan: &Plan,
    stage: usize,
    reports: &BTreeSet<Name>,
    now_ms: u64,
) -> Result<(State, Vec<Action>), Error> {
    let planned: &StagePlan = plan.stage(stage)?;
    if let Some(report) = planned.reports.difference(reports).next() {
        return Err(Error::MissingReport { stage, report: report.clone() });
    }
    let enter = Action::Enter { stage, share: planned.share(), contexts: planned.contexts };
    Ok((State::Running { stage, from_ms: now_ms }, vec![enter]))
}

#[cfg(test)]
mod tests;
