//! Statements about who may do what, and by which rules.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{AttestingHost, Capacity, EvidenceKind, Isolation, Level, ModificationKind, Tier};
use super::live::BindingLevel;
use crate::digest::Digest;
use crate::id::{ChangeId, KeyId, Name, PersonId, SlotId, StateId, StatementId};
use crate::key::PublicKey;
use crate::schema::map_schema;

/// What a key may speak as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Signs trust roots.
    Root,
    /// Enrols keys.
    DirectoryOfficer,
    /// Signs policies, slots and capability levels.
    PolicyOfficer,
    /// Proposes changes.
    Proposer,
    /// Intake and verdicts; approves automatic tiers under a human's grant.
    Automation,
    /// Signs findings.
    Examiner,
    /// Signs compliance reviews, holds, purges.
    Compliance,
    /// Approves, rejects, grants.
    Approver,
    /// Orders releases and rollbacks.
    Operator,
    /// Reports on rollout stages.
    Rollout,
    /// The data plane.
    Gateway,
    /// An engine launcher.
    Engine,
    /// Watches.
    Monitor,
    /// The log.
    Log,
    /// A witness of the log.
    Witness,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 15] = [
        Self::Root,
        Self::DirectoryOfficer,
        Self::PolicyOfficer,
        Self::Proposer,
        Self::Automation,
        Self::Examiner,
        Self::Compliance,
        Self::Approver,
        Self::Operator,
        Self::Rollout,
        Self::Gateway,
        Self::Engine,
        Self::Monitor,
        Self::Log,
        Self::Witness,
    ];

    /// Whether directory entries may give this role. The others stand in the trust root alone.
    pub const fn delegable(self) -> bool {
        match self {
            Self::Root | Self::DirectoryOfficer | Self::PolicyOfficer | Self::Log | Self::Witness => false,
            Self::Proposer
            | Self::Automation
            | Self::Examiner
            | Self::Compliance
            | Self::Approver
            | Self::Operator
            | Self::Rollout
            | Self::Gateway
            | Self::Engine
            | Self::Monitor => true,
        }
    }
}

/// How well a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// A file without a passphrase: services.
    Unsealed,
    /// A file sealed with a passphrase.
    Sealed,
    /// Hardware that does not give the key away.
    Hardware,
}

impl Assurance {
    /// 1 to 3, as policies write it.
    pub const fn number(self) -> i64 {
        match self {
            Self::Unsealed => 1,
            Self::Sealed => 2,
            Self::Hardware => 3,
        }
    }
}

/// The log that a trust root belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIdentity {
    /// The log's key, as a signed-note verifier key (C2SP signed-note).
    pub key: String,
    /// The checkpoint's origin line.
    pub origin: String,
}

/// A witness of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WitnessKey {
    /// The witness's key, as a signed-note verifier key.
    pub key: String,
    /// Who runs it.
    pub person: PersonId,
}

/// The witnesses and how many must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Witnesses {
    /// Who they are.
    pub keys: BTreeSet<WitnessKey>,
    /// How many must have cosigned a checkpoint that a release is judged by.
    pub threshold: u32,
}

/// A key that stands in the trust root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootKey {
    /// How well it is kept.
    pub assurance: Assurance,
    /// The key.
    pub key: PublicKey,
    /// Whose it is.
    pub person: PersonId,
}

/// Who speaks for a role, and how many must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// Keys of the trust root that have the role.
    pub keys: BTreeSet<KeyId>,
    /// How many distinct persons must sign a statement of the role. 1 for roles that the directory gives.
    pub threshold: u32,
}

/// Roles, keys, thresholds and expiry of a realm. Rotated by the quorum of the old and of the new root (as in TUF).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustRoot {
    /// 1 for the first; each rotation adds one.
    pub epoch: u32,
    /// When it ends: after that nothing is admitted.
    pub expires_ms: u64,
    /// The keys, by id.
    #[schemars(schema_with = "map_schema::<KeyId, RootKey>")]
    pub keys: BTreeMap<KeyId, RootKey>,
    /// The log.
    pub log: LogIdentity,
    /// The trust root before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<StatementId>,
    /// The roles. A role that is absent is nobody's, whatever the directory says.
    #[schemars(schema_with = "map_schema::<Role, RoleRule>")]
    pub roles: BTreeMap<Role, RoleRule>,
    /// The witnesses.
    pub witnesses: Witnesses,
}

/// A key bound to a pseudonymous person. Two directory officers sign it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryEntry {
    /// How well the key is kept.
    pub assurance: Assurance,
    /// In which capacities the person may approve.
    pub capacities: BTreeSet<Capacity>,
    /// The highest tier the person may approve.
    pub clearance: Tier,
    /// The key.
    pub key: PublicKey,
    /// When the key ends to count.
    pub not_after_ms: u64,
    /// The human who has the key, or who answers for the machine that has it.
    pub person: PersonId,
    /// Name and address of the person: a salted attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Digest>,
    /// What the key may speak as.
    pub roles: BTreeSet<Role>,
}

/// What a tier asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Signatures by distinct persons (the automation key counts as one where `automated`).
    pub approvals: u32,
    /// Whether the automation key may be one of the signatures.
    pub automated: bool,
    /// The least an engine must prove before it serves a state of this tier.
    pub binding: BindingLevel,
    /// Capacities that must be among the signatures.
    pub capacities: BTreeSet<Capacity>,
    /// Evidence that must be there and pass.
    pub evidence: BTreeSet<EvidenceKind>,
    /// How many independent examiners (distinct persons) must have signed findings.
    pub examiners: u32,
    /// How many families of examination must have passed, each by another person: bytes (scope, screen), behaviour (probe,
    /// alignment, regression, red team), proof (formal verification), persons' reviews. Absent: none are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub families: Option<u32>,
    /// What is asked of the boxes of workers whose findings count, beyond what is asked of every one. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerRule>,
}

/// What a tier asks of a worker's box. A finding by a worker that lacks it does not count; one against the change does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerRule {
    /// Kinds of hosts of which one must attest the run; empty where none needs to.
    pub attested_by: BTreeSet<AttestingHost>,
    /// Boundaries that must have held, by name.
    pub boundaries: BTreeSet<Name>,
    /// The least isolation: standard, deep or gvisor.
    pub isolation: Isolation,
}

/// One step of the calibration from z to risk: at `from_z` and above, until the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibrationStep {
    /// Where the step begins.
    pub from_z: i64,
    /// log10 of the probability of failure, in thousandths (so -3000 is one in a thousand).
    pub log10_milli: i64,
}

/// At `from` and above, the tier is at least `tier`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueFloor {
    /// Where the floor begins.
    pub from: i64,
    /// The tier.
    pub tier: Tier,
}

/// For a capability level, the tier is at least `tier`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelFloor {
    /// The level.
    pub level: Level,
    /// The tier.
    pub tier: Tier,
}

/// How the impact score is computed (integers; weights at least 0, so that it is monotone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpactRules {
    /// From z to log10 of probability: rising in both members.
    pub calibration: Vec<CalibrationStep>,
    /// From risk to tier: rising; below the first the tier is minimal.
    pub cuts: Vec<ValueFloor>,
    /// Depth of each kind of modification, 0 to 1000.
    #[schemars(schema_with = "map_schema::<ModificationKind, i64>")]
    pub depth: BTreeMap<ModificationKind, i64>,
    /// Floors by impact: rising.
    pub impact_floors: Vec<ValueFloor>,
    /// Floors by level.
    pub level_floors: Vec<LevelFloor>,
    /// Added to z.
    pub offset: i64,
    /// Floors by reliability (upper bound of the failure rate, 0 to 1000): rising.
    pub reliability_floors: Vec<ValueFloor>,
    /// Undetectability of each kind of modification, 0 to 1000: upper bound of the missed-fault rate on seeded faults.
    #[schemars(schema_with = "map_schema::<ModificationKind, i64>")]
    pub undetectability: BTreeMap<ModificationKind, i64>,
    /// Weight of depth.
    pub weight_depth: i64,
    /// Weight of reliability.
    pub weight_reliability: i64,
    /// Weight of scope.
    pub weight_scope: i64,
    /// Weight of undetectability.
    pub weight_undetectability: i64,
}

/// Bounds in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The longest an approval may count.
    pub approval_max_ms: u64,
    /// How far a signer's clock may be ahead of the log's stamp.
    pub clock_ahead_max_ms: u64,
    /// How far a signer's clock may be behind the log's stamp.
    pub clock_behind_max_ms: u64,
    /// How old a finding may be when it is decided by.
    pub finding_max_ms: u64,
    /// The longest a grant may run.
    pub grant_max_ms: u64,
    /// The longest between an order and its admission.
    pub order_admit_max_ms: u64,
    /// The longest a state may be served under one order.
    pub order_serve_max_ms: u64,
}

/// The numbers and tables of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRules {
    /// Most cumulative change of a slot by automatic tiers since the last state that persons approved: relative
    /// Frobenius norm in parts per million.
    pub automatic_drift_ppm_max: u64,
    /// SHA-256 of the calibrations that examinations may be judged by; any, where none is listed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub calibrations: BTreeSet<Digest>,
    /// The impact score.
    pub impact: ImpactRules,
    /// Bounds in time.
    pub limits: Limits,
    /// Evidence that kinds of modification need beside what their tier needs.
    #[schemars(schema_with = "map_schema::<ModificationKind, BTreeSet<EvidenceKind>>")]
    pub modification_evidence: BTreeMap<ModificationKind, BTreeSet<EvidenceKind>>,
    /// The four tiers.
    #[schemars(schema_with = "map_schema::<Tier, TierRule>")]
    pub tiers: BTreeMap<Tier, TierRule>,
    /// The workers whose findings count, by SHA-256 of their code, each with the kinds of evidence that it may give.
    #[schemars(schema_with = "map_schema::<Digest, BTreeSet<EvidenceKind>>")]
    pub workers: BTreeMap<Digest, BTreeSet<EvidenceKind>>,
}

impl PolicyRules {
    /// Whether findings of the kind count if they come from the worker.
    pub fn lists(&self, worker: &Digest, evidence: EvidenceKind) -> bool {
        self.workers.get(worker).is_some_and(|kinds| kinds.contains(&evidence))
    }
}

/// The rules by which gates decide, whole: an auditor needs nothing else to decide again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The duties, as Cedar policies.
    pub cedar: String,
    /// The tables.
    pub rules: PolicyRules,
    /// SHA-256 of the Cedar schema they were validated against; a reader with another schema refuses.
    pub schema: Digest,
    /// The policy it takes the place of; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<StatementId>,
}

/// A place in production: what may be served there, where, and how far changes may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The state it starts with, which persons approved by signing this.
    pub baseline: StateId,
    /// The oldest checkpoint a gateway may judge by.
    pub checkpoint_age_max_ms: u64,
    /// Domains of application.
    pub contexts: BTreeSet<Name>,
    /// What is served when nothing else may be.
    pub fallback: StateId,
    /// Loss if it goes wrong: log10 of the currency unit, in thousandths (6000 is a million).
    pub impact_milli: i64,
    /// The kinds of modification it takes.
    pub modifications: BTreeSet<ModificationKind>,
    /// The scope file for each level; a level without one is not open here.
    #[schemars(schema_with = "map_schema::<Level, Digest>")]
    pub scopes: BTreeMap<Level, Digest>,
    /// Its name.
    pub slot: SlotId,
    /// The definition it takes the place of; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<StatementId>,
}

/// What a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantPurpose {
    /// To propose changes.
    Propose,
    /// To approve automatic tiers, as the automation key.
    Approve,
}

/// A time-limited authorisation, renewed by a later grant that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// How many changes it is good for.
    pub changes_max: u32,
    /// Contexts it is good for.
    pub contexts: BTreeSet<Name>,
    /// When it ends.
    pub expires_ms: u64,
    /// The key that gets it.
    pub grantee: KeyId,
    /// The highest level it covers.
    pub level_max: Level,
    /// Kinds of modification it covers.
    pub modifications: BTreeSet<ModificationKind>,
    /// When it begins.
    pub not_before_ms: u64,
    /// What for.
    pub purpose: GrantPurpose,
    /// The grant it renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<StatementId>,
    /// Slots it covers.
    pub slots: BTreeSet<SlotId>,
    /// The highest tier it covers.
    pub tier_max: Tier,
}

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RevocationTarget {
    /// A key: nothing it signed at or after the index counts, also what was believed before.
    Key {
        /// The first leaf index at which its signatures no longer count.
        compromised_since: u64,
        /// The key.
        key: KeyId,
    },
    /// A grant.
    Grant(StatementId),
    /// A release order.
    Order(StatementId),
}

/// The end of a key, a grant or an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why, as a code.
    pub reason: Name,
    /// What.
    pub target: RevocationTarget,
}

/// What a proposer may do without a person, as policy officers set it from demonstrated safety.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapabilityLevel {
    /// The highest level at which the key may propose without a grant; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The proposer's key.
    pub key: KeyId,
    /// Why, as a code.
    pub reason: Name,
    /// The slot.
    pub slot: SlotId,
}

/// What is frozen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeTarget {
    /// Every slot.
    Realm,
    /// One slot.
    Slot(SlotId),
    /// One change.
    Change(ChangeId),
}

/// Whether a freeze begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeAction {
    /// It begins: one operator, compliance officer or monitor suffices.
    Begin,
    /// It ends: the policy officers' quorum.
    End,
}

/// A halt of changes, or its end. Going back stays open while frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Begin or end.
    pub action: FreezeAction,
    /// Why, as a code.
    pub reason: Name,
    /// What is frozen.
    pub target: FreezeTarget,
}
