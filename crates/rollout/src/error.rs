//! Refusals of plans, data, reports and steps, each with a stable code.

use statement::id::Name;
use statement::kind::GateDecision;

/// A refusal: nothing has been decided and no step follows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A plan that cannot be carried out.
    #[error("the plan's {what}: {reason}")]
    Plan {
        /// Which part.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Bytes that are no plan or no stage data.
    #[error("the {what} cannot be read: {reason}")]
    Unreadable {
        /// What they should be.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A row that does not fit the plan's metrics.
    #[error("row {row} does not fit the plan: {reason}")]
    Row {
        /// Which row of the stage.
        row: usize,
        /// What does not fit.
        reason: &'static str,
    },
    /// A row that is earlier than the one before it.
    #[error("row {row} is of {at_ms} ms, before the row before it")]
    Order {
        /// Which row of the stage.
        row: usize,
        /// Its time.
        at_ms: u64,
    },
    /// A statistic that cannot be computed.
    #[error("gate `{gate}` cannot be computed")]
    Statistics {
        /// Whose.
        gate: Name,
        /// Why.
        #[source]
        source: stats::Error,
    },
    /// A report that does not follow from its data.
    #[error("the report's {what} does not follow from its data: it says {given}, and a re-run says {found}")]
    Report {
        /// What differs.
        what: &'static str,
        /// What the report says.
        given: String,
        /// What follows.
        found: String,
    },
    /// A stage that is not planned.
    #[error("the plan has no stage {stage}")]
    NoStage {
        /// Its index.
        stage: usize,
    },
    /// A step that does not apply now.
    #[error("`{event}` does not apply while the rollout is {state}")]
    Step {
        /// What was asked.
        event: &'static str,
        /// In which state.
        state: &'static str,
    },
    /// A stage that needs reports which are not there.
    #[error("stage {stage} needs the report `{report}`")]
    MissingReport {
        /// The stage.
        stage: usize,
        /// The first report that is missing.
        report: Name,
    },
    /// A sign-off by somebody who may not give it.
    #[error("the hold point of stage {stage} is `{holder}`'s to sign off, not `{given}`'s")]
    SignOff {
        /// The stage.
        stage: usize,
        /// Whose it is.
        holder: Name,
        /// Who gave it.
        given: Name,
    },
    /// A stage's decision that is for another stage.
    #[error("the decision {decision:?} is for stage {given}, and the rollout is at stage {stage}")]
    OtherStage {
        /// The decision.
        decision: GateDecision,
        /// Its stage.
        given: usize,
        /// The stage that the rollout is at.
        stage: usize,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "CS-RLO-001",
            Self::Unreadable { .. } => "CS-RLO-002",
            Self::Row { .. } => "CS-RLO-003",
            Self::Order { .. } => "CS-RLO-004",
            Self::Statistics { .. } => "CS-RLO-005",
            Self::Report { .. } => "CS-RLO-006",
            Self::NoStage { .. } => "CS-RLO-007",
            Self::Step { .. } => "CS-RLO-008",
            Self::MissingReport { .. } => "CS-RLO-009",
            Self::SignOff { .. } => "CS-RLO-010",
            Self::OtherStage { .. } => "CS-RLO-011",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "correct the plan; `policies/rollout.json` is one that works",
            Self::Unreadable { .. } => "give the canonical JSON bytes that the record names by digest",
            Self::Row { .. } => "count every metric of the plan in every row, in the plan's order",
            Self::Order { .. } => "give the rows in the order of their times",
            Self::Statistics { .. } => "look at the counts of this metric; they are not those of one window",
            Self::Report { .. } => {
                "do not rely on this report; find out which program wrote it, and with which version"
            }
            Self::NoStage { .. } => "count stages from 0, as the plan lists them",
            Self::Step { .. } => "ask for the rollout's state first",
            Self::MissingReport { .. } => "provide the report, then ask for the step again",
            Self::SignOff { .. } => "let the holder of the hold point sign off",
            Self::OtherStage { .. } => "judge the stage that the rollout is at",
        }
    }
}
