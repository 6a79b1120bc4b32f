//! Statements about what runs: orders, engines, stages, what monitors see.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::Tier;
use super::governance::Role;
use crate::digest::Digest;
use crate::id::{Name, PersonId, SlotId, StateId, StatementId};
use crate::key::PublicKey;
use crate::schema::map_schema;

/// The order to serve a state: a compare-and-swap on the slot, with everything it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseOrder {
    /// When a gateway may last begin to serve it.
    pub admit_before_ms: u64,
    /// The approvals.
    pub approvals: BTreeSet<StatementId>,
    /// The oldest checkpoint a gateway may judge by.
    pub checkpoint_age_max_ms: u64,
    /// What is served when the order ends.
    pub fallback: StateId,
    /// The state the slot must be in.
    pub from_state: StateId,
    /// The policy it was decided by.
    pub policy: StatementId,
    /// The proposal.
    pub proposal: StatementId,
    /// How long the state may be served.
    pub serve_until_ms: u64,
    /// The slot.
    pub slot: SlotId,
    /// The tier.
    pub tier: Tier,
    /// The state to serve.
    pub to_state: StateId,
    /// The size of the log it was decided at.
    pub tree_size: u64,
    /// The verdict.
    pub verdict: StatementId,
}

/// How strongly an engine process is tied to the state it says it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BindingLevel {
    /// The operator says so.
    Declared,
    /// The files were checked before it started.
    FileChecked,
    /// The launcher opened the verified files read-only and started it.
    Launched,
    /// Hardware attests the launcher and the files.
    Attested,
}

/// Which engine process serves which state, over which channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineBinding {
    /// SHA-256 of the canonical JSON of its arguments.
    pub arguments: Digest,
    /// SHA-256 of its binary.
    pub binary: Digest,
    /// SHA-256 of the boot's identity: another boot is another binding.
    pub boot: Digest,
    /// The key of the channel to it.
    pub channel: PublicKey,
    /// How strongly it is tied.
    pub level: BindingLevel,
    /// The order.
    pub order: StatementId,
    /// The state it serves.
    pub state: StateId,
}

/// A stage of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Made-up requests.
    Synthetic,
    /// Mirrored requests, answers not served.
    Shadow,
    /// A share of real traffic.
    Canary,
    /// Rising to all.
    Ramp,
    /// All traffic.
    Full,
}

/// What a stage's gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateDecision {
    /// Go on.
    Promote,
    /// Neither yet.
    Hold,
    /// Go back.
    RollBack,
}

/// One gate's result, with what a re-run needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// What it says.
    pub decision: GateDecision,
    /// The gate's name.
    pub gate: Name,
    /// The limit, in parts per million.
    pub limit_ppm: i64,
    /// The statistic, in parts per million.
    pub statistic_ppm: i64,
}

/// What a rollout stage showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageReport {
    /// SHA-256 of the data from which the gates can be run again.
    pub data: Digest,
    /// What follows.
    pub decision: GateDecision,
    /// When the stage began.
    pub from_ms: u64,
    /// The gates.
    pub gates: BTreeSet<GateResult>,
    /// The order.
    pub order: StatementId,
    /// Share of traffic, in parts per million.
    pub share_ppm: u32,
    /// The stage.
    pub stage: Stage,
    /// When it was judged.
    pub to_ms: u64,
}

/// A named person's yes to leaving a rollout stage: what a hold point waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOff {
    /// SHA-256 of a salted note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Digest>,
    /// The order.
    pub order: StatementId,
    /// The stage report that was looked at: one that says `promote`.
    pub report: StatementId,
    /// What the signer speaks as, as the plan's hold point names it.
    pub role: Role,
}

/// What a monitor saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// SHA-256 of the data.
    pub data: Digest,
    /// The detector's name and version.
    pub detector: Name,
    /// When the window began.
    pub from_ms: u64,
    /// What was measured, in integers, units in the names.
    #[schemars(schema_with = "map_schema::<Name, i64>")]
    pub measures: BTreeMap<Name, i64>,
    /// The slot.
    pub slot: SlotId,
    /// The state that was served.
    pub state: StateId,
    /// When the window ended.
    pub to_ms: u64,
}

/// How bad an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// To be looked at.
    Warning,
    /// To be acted on at once.
    Critical,
}

/// What was done about an incident, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// Watch closer.
    Watch,
    /// Freeze the rollout.
    Freeze,
    /// Restrict capabilities or contexts.
    Restrict,
    /// Roll back.
    RollBack,
    /// Quarantine the version.
    Quarantine,
    /// Stop serving.
    Stop,
}

/// Something went wrong. Counts against the reliability of the kind of change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Observations it rests on.
    pub observations: BTreeSet<StatementId>,
    /// The order under which it happened.
    pub order: StatementId,
    /// What was done.
    pub response: Response,
    /// How bad.
    pub severity: Severity,
    /// The slot.
    pub slot: SlotId,
    /// What it is about: a salted attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Digest>,
}

/// The order to go back. Pre-authorised by the release order: an operator or a quorum of monitors suffices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackOrder {
    /// The state the slot is in.
    pub from_state: StateId,
    /// The incident, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<StatementId>,
    /// The release order that is taken back.
    pub order: StatementId,
    /// Why, as a code.
    pub reason: Name,
    /// The slot.
    pub slot: SlotId,
    /// The state to go back to: the one before the order, or its fallback.
    pub to_state: StateId,
}

/// An emergency act outside the rules: never opens a gate, always needs a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// What was done, as a code.
    pub action: Name,
    /// Why: a salted attachment.
    pub reason: Digest,
    /// When the review is due.
    pub review_by_ms: u64,
    /// Who would have had to sign.
    pub skipped: BTreeSet<PersonId>,
    /// The slot.
    pub slot: SlotId,
}
