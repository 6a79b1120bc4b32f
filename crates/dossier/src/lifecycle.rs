//! The lifecycle of a change: a pure `step` from state and event to state and effects.

use statement::kind::{GateDecision, Outcome, Stage};
use statement::{StateId, StatementId};

use crate::refusal::{Code, Refusal};

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Asked for; evidence comes in.
    Proposed,
    /// A verdict stands; approvals come in.
    Examined {
        /// The verdict.
        verdict: StatementId,
        /// What it says.
        outcome: Outcome,
    },
    /// Ordered into its slot.
    Ordered {
        /// The order.
        order: StatementId,
        /// The stage it has reached.
        stage: Option<Stage>,
    },
    /// Served to all.
    Serving {
        /// The order.
        order: StatementId,
    },
    /// Replaced in its slot by a later change.
    Succeeded {
        /// Its order.
        order: StatementId,
        /// How far it had come.
        reached: Reached,
    },
    /// Taken back.
    RolledBack {
        /// Its order.
        order: StatementId,
    },
    /// A person said no.
    Rejected,
    /// Its service was ended.
    Retired {
        /// Its order.
        order: StatementId,
    },
}

/// How far an ordered change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// A stage, or none yet.
    Stage(Option<Stage>),
    /// All traffic.
    All,
}

/// What happens to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is proposed again, on another base.
    Rebased,
    /// A new finding.
    Found,
    /// A verdict that follows from the record.
    Decided {
        /// The verdict.
        verdict: StatementId,
        /// What it says.
        outcome: Outcome,
    },
    /// An approval.
    Approved,
    /// A rejection.
    Rejected,
    /// An order that the judge agrees with.
    Ordered {
        /// The order.
        order: StatementId,
        /// The state the slot leaves.
        from: StateId,
        /// The state the slot enters.
        to: StateId,
    },
    /// A stage report.
    Staged {
        /// The stage.
        stage: Stage,
        /// What its gate says.
        decision: GateDecision,
    },
    /// A rollback.
    RolledBack {
        /// The state the slot goes back to.
        to: StateId,
    },
    /// Another change took the slot.
    Replaced,
    /// The change that took its slot was taken back, and it has the slot again.
    Reinstated,
    /// Its service was ended; the slot goes to its fallback.
    Retired {
        /// The state the slot enters.
        to: StateId,
    },
}

/// What the world has to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The slot enters a state.
    MoveSlot {
        /// The state.
        to: StateId,
    },
    /// The class of change has one more release that went well.
    CountSuccess,
    /// The class of change has one more release that went wrong.
    CountFailure,
}

/// The state after an event, and what follows from it; or why the event cannot happen now.
pub fn step(state: State, event: &Event) -> Result<(State, Vec<Effect>), Refusal> {
    let none = Vec::new();
    match (state, *event) {
        (State::Proposed | State::Examined { .. }, Event::Rebased | Event::Found) => {
            Ok((State::Proposed, none))
        }
        (State::Proposed | State::Examined { .. }, Event::Decided { verdict, outcome }) => {
            Ok((State::Examined { verdict, outcome }, none))
        }
        (State::Examined { .. }, Event::Approved) => Ok((state, none)),
        (State::Proposed | State::Examined { .. }, Event::Rejected) => Ok((State::Rejected, none)),
        (State::Examined { .. }, Event::Ordered { order, to, .. }) => {
            Ok((State::Ordered { order, stage: None }, vec![Effect::MoveSlot { to }]))
        }
        (State::Ordered { order, .. }, Event::Staged { stage, decision }) => {
            if stage == Stage::Full && decision == GateDecision::Promote {
                Ok((State::Serving { order }, vec![Effect::CountSuccess]))
            } else {
                Ok((State::Ordered { order, stage: Some(stage) }, none))
            }
        }
        // A success that was counted when it reached all traffic stays; the failure counts beside it.
        (State::Ordered { order, .. } | State::Serving { order }, Event::RolledBack { to }) => {
            Ok((State::RolledBack { order }, vec![Effect::MoveSlot { to }, Effect::CountFailure]))
        }
        // A change that was replaced before it reached all traffic has shown nothing: only what was served counts.
        (State::Ordered { order, stage }, Event::Replaced) => {
            Ok((State::Succeeded { order, reached: Reached::Stage(stage) }, none))
        }
        (State::Serving { order }, Event::Replaced) => {
            Ok((State::Succeeded { order, reached: Reached::All }, none))
        }
        // It goes on where it was; what it had shown by then was counted then.
        (State::Succeeded { order, reached: Reached::Stage(stage) }, Event::Reinstated) => {
            Ok((State::Ordered { order, stage }, none))
        }
        (State::Succeeded { order, reached: Reached::All }, Event::Reinstated) => {
            Ok((State::Serving { order }, none))
        }
        (State::Ordered { order, .. } | State::Serving { order }, Event::Retired { to }) => {
            Ok((State::Retired { order }, vec![Effect::MoveSlot { to }]))
        }
        (
            State::Proposed
            | State::Examined { .. }
            | State::Ordered { .. }
            | State::Serving { .. }
            | State::Succeeded { .. }
            | State::RolledBack { .. }
            | State::Rejected
            | State::Retired { .. },
            _,
        ) => Err(Refusal::new(Code::WrongState, state.name())),
    }
}

impl State {
    /// The state's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Examined { outcome: Outcome::Pass, .. } => "examined: pass",
            Self::Examined { outcome: Outcome::Fail, .. } => "examined: fail",
            Self::Examined { outcome: Outcome::Inconclusive, .. } => "examined: inconclusive",
            Self::Ordered { .. } => "ordered",
            Self::Serving { .. } => "serving",
            Self::Succeeded { .. } => "succeeded",
            Self::RolledBack { .. } => "rolled back",
            Self::Rejected => "rejected",
            Self::Retired { .. } => "retired",
        }
    }
}

#[cfg(test)]
mod tests;
