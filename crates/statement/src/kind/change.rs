//! Statements about one change: what is asked, found, decided.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{ChangeId, Name, PersonId, SlotId, StateId, StatementId};
use crate::json::{self, EncodeError};
use crate::schema::map_schema;

/// What kind of modification a change is (FEATURES P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModificationKind {
    /// A low-rank adapter (LoRA and its kin).
    Adapter,
    /// Whole weights.
    Weights,
    /// A merge of models or adapters.
    Merge,
    /// A copy in fewer bits.
    Quantisation,
    /// A student trained on a teacher.
    Distillation,
    /// A system prompt or template.
    Prompt,
    /// A retrieval index, its settings or its embedding model.
    Retrieval,
    /// Sampling and other settings.
    Settings,
    /// Weights learned continuously from interaction and feedback.
    ContinuousLearning,
    /// The network's architecture.
    Architecture,
    /// The change mechanism itself: policies, examiners, Countersign.
    Mechanism,
}

/// Capability level 1 to 4: what a proposer may do without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// 1: parameter tuning within bounds (5 % by default).
    Tuning,
    /// 2: knowledge updates.
    Knowledge,
    /// 3: architecture.
    Architecture,
    /// 4: the change mechanism itself.
    Mechanism,
}

impl Level {
    /// 1 to 4.
    pub const fn number(self) -> i64 {
        match self {
            Self::Tuning => 1,
            Self::Knowledge => 2,
            Self::Architecture => 3,
            Self::Mechanism => 4,
        }
    }
}

/// Risk tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// One signature; the automation key's under a human's grant will do.
    Minimal,
    /// Two signatures, one of them a person's oversight.
    Low,
    /// Three persons.
    Medium,
    /// Five persons and an external audit.
    High,
}

impl Tier {
    /// Every tier, rising.
    pub const ALL: [Self; 4] = [Self::Minimal, Self::Low, Self::Medium, Self::High];

    /// 0 to 3, as policies write it.
    pub const fn number(self) -> i64 {
        match self {
            Self::Minimal => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
        }
    }
}

/// In which capacity an approver signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// The automation key, under a human's grant.
    Automation,
    /// A person watching over an automatic decision.
    Oversight,
    /// Technical sign-off.
    Technical,
    /// Compliance and ethics sign-off.
    Ethics,
    /// Security sign-off.
    Security,
    /// Business owner's sign-off.
    Business,
}

/// What a finding is evidence of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// The bytes are within the declared scope.
    Scope,
    /// Stage 1: file and delta screening.
    Screen,
    /// Stage 2: adversarial probing.
    Probe,
    /// Stage 3: formal verification.
    FormalVerification,
    /// Stage 4: alignment.
    Alignment,
    /// A review by the security team.
    SecurityReview,
    /// A review by the compliance team.
    ComplianceReview,
    /// An audit by an outside party.
    ExternalAudit,
    /// A red-team exercise.
    RedTeam,
    /// A regression suite.
    Regression,
}

/// A file or folder that a change brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub digest: Digest,
    /// Its name in the proposal.
    pub name: Name,
}

/// What part of a served state a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentRole {
    /// Base weights.
    Weights,
    /// An adapter, applied in the order of the list.
    Adapter,
    /// How weights are quantised.
    Quantisation,
    /// The tokenizer.
    Tokenizer,
    /// The chat template.
    Template,
    /// The system prompt.
    Prompt,
    /// A retrieval index.
    Index,
    /// Sampling settings.
    Sampling,
    /// The engine's build.
    Engine,
}

/// One component of a served state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// SHA-256 of its content.
    pub digest: Digest,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub role: ComponentRole,
}

/// The manifest of a served state: everything that decides what users get. Its digest is what is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The components, in the order in which they are applied.
    pub components: Vec<Component>,
}

impl Manifest {
    /// The state's id: SHA-256 of the manifest's canonical JSON.
    pub fn id(&self) -> Result<StateId, EncodeError> {
        Ok(StateId::from_digest(Digest::of(&json::to_canonical(self)?)))
    }
}

/// What a state consists of and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedState {
    /// Its components.
    pub manifest: Manifest,
    /// The states it was made from; none for the first.
    pub parents: BTreeSet<StateId>,
    /// The change that made it; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<ChangeId>,
}

/// Who really proposes: the human whose person counts in separation of duties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proposer {
    /// A person, with their own key.
    Person(PersonId),
    /// A model, in that state, under that human sponsor.
    Model {
        /// The person who answers for the model.
        sponsor: PersonId,
        /// The state the model runs in.
        state: StateId,
    },
}

impl Proposer {
    /// The human who counts.
    pub const fn person(&self) -> &PersonId {
        match self {
            Self::Person(person) | Self::Model { sponsor: person, .. } => person,
        }
    }
}

/// A change somebody or some model asks for. The intended effect is a compare-and-swap on the slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The files it brings, sorted.
    pub artefacts: BTreeSet<Artefact>,
    /// The state it starts from.
    pub base_state: StateId,
    /// Where it may be used: the slot's contexts or fewer.
    pub contexts: BTreeSet<Name>,
    /// The grant under which it is made, where the level needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<StatementId>,
    /// Which capability level it claims.
    pub level: Level,
    /// What kind of change it is.
    pub modification: ModificationKind,
    /// Who proposes.
    pub proposer: Proposer,
    /// The proposal it takes the place of, after a rebase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<StatementId>,
    /// SHA-256 of the scope file it promises to stay in.
    pub scope: Digest,
    /// The slot it is for.
    pub slot: SlotId,
    /// What it is for, in words: a salted attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Digest>,
    /// The state it leads to.
    pub target_state: StateId,
    /// Digests of the data it was trained on, with their provenance (FEATURES P7).
    pub training_data: BTreeSet<Digest>,
}

/// How well the box around an examination held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A person looked; no code ran.
    Manual,
    /// A process of its own, nothing more enforced.
    Process,
    /// The standard sandbox.
    Standard,
    /// The deep sandbox.
    Deep,
    /// gVisor.
    Gvisor,
}

/// What an examiner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing against it.
    Pass,
    /// Something is against it.
    Fail,
    /// The evidence does not suffice. Never counts as a pass.
    Inconclusive,
}

/// One thing that is against a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// A stable code.
    pub code: Name,
    /// The limit, in the measure's unit, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// What was measured, in the measure's unit, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<i64>,
    /// Where: a tensor, a section, a setting.
    pub place: String,
}

/// A kind of host that attests what runs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttestingHost {
    /// A TPM 2.0.
    Tpm2,
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel SGX.
    Sgx,
    /// An NVIDIA GPU.
    NvidiaGpu,
}

impl AttestingHost {
    /// Its name in statements.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tpm2 => "tpm2",
            Self::Tdx => "tdx",
            Self::SevSnp => "sev-snp",
            Self::Sgx => "sgx",
            Self::NvidiaGpu => "nvidia-gpu",
        }
    }
}

/// Which hosts attest a worker's run, in the word of who signs the finding. The evidence is an attachment, which auditors
/// verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestedBy {
    /// The digest of the attachment with the evidence; it is among the finding's attachments.
    pub attachment: Digest,
    /// The hosts that said something; a simulated one is none of them.
    pub hosts: BTreeSet<AttestingHost>,
}

/// What a worker did, step by step: the root of the tree of steps (RFC 6962), and where the steps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceRoot {
    /// The digest of the attachment that holds the steps; it is among the finding's attachments.
    pub attachment: Digest,
    /// How many steps there are.
    pub leaves: u64,
    /// The root.
    pub root: Digest,
}

/// What an examiner found out about a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Digests of evidence in the vault.
    pub attachments: BTreeSet<Digest>,
    /// Which hosts attest the run; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<AttestedBy>,
    /// The boundaries that held around the worker (`landlock`, `network-namespace`), as its supervisor checked from outside;
    /// empty where a person looked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub boundaries: BTreeSet<Name>,
    /// What it is evidence of.
    pub evidence: EvidenceKind,
    /// The examiner's name and version.
    pub examiner: Name,
    /// Digests of everything it read: the artefacts, the scope file, base tensors.
    pub inputs: BTreeSet<Digest>,
    /// The box it ran in.
    pub isolation: Isolation,
    /// What was measured, in integers, units in the names.
    #[schemars(schema_with = "map_schema::<Name, i64>")]
    pub measures: BTreeMap<Name, i64>,
    /// What it says.
    pub outcome: Outcome,
    /// The proposal it is about.
    pub proposal: StatementId,
    /// What the worker did; absent where a person looked, or the worker keeps no trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceRoot>,
    /// What is against the change, sorted; bounded by the examiner, `violations_left_out` counts the rest.
    pub violations: BTreeSet<Violation>,
    /// How many violations are not listed.
    pub violations_left_out: u64,
    /// SHA-256 of the worker's code; absent where a person looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Digest>,
}

/// One line of the score's waterfall.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreTerm {
    /// The factor: scope, depth, reliability, undetectability, impact, offset or calibration.
    pub factor: Name,
    /// Its input, 0 to 1000, harm rising; 0 for offset and calibration.
    pub input: i64,
    /// What it adds.
    pub points: i64,
}

/// The modification impact score and the tier that follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// log10 of probability times loss, in thousandths.
    pub risk: i64,
    /// How it came about, in order.
    pub terms: Vec<ScoreTerm>,
    /// The tier.
    pub tier: Tier,
    /// Why the tier is not lower: the cut and each floor that bound.
    pub tier_reasons: BTreeSet<Name>,
    /// The inputs as one line: `MIS:1.0/S:…`.
    pub vector: String,
}

/// The score and decision that follow from findings and policy. An auditor recomputes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Name and version of the code that decided.
    pub decider: Name,
    /// The findings it rests on.
    pub findings: BTreeSet<StatementId>,
    /// What it says.
    pub outcome: Outcome,
    /// The policy it was decided by.
    pub policy: StatementId,
    /// The proposal.
    pub proposal: StatementId,
    /// Codes of what is missing or against it.
    pub reasons: BTreeSet<Name>,
    /// The score.
    pub score: Score,
    /// The size of the log it was decided at.
    pub tree_size: u64,
}

/// A person's yes, to exactly this. One signer each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Digests of the artefacts approved.
    pub artefacts: BTreeSet<Digest>,
    /// In which capacity.
    pub capacity: Capacity,
    /// When it ends to count.
    pub expires_ms: u64,
    /// The findings seen.
    pub findings: BTreeSet<StatementId>,
    /// For the automation key: the human's grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<StatementId>,
    /// The approver's words: a salted attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Digest>,
    /// The policy it was decided by.
    pub policy: StatementId,
    /// The proposal.
    pub proposal: StatementId,
    /// The score's risk, as shown.
    pub risk: i64,
    /// The state approved.
    pub target_state: StateId,
    /// The tier, as shown.
    pub tier: Tier,
    /// The verdict seen.
    pub verdict: StatementId,
}

/// A person's no. Ends the proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// The person's words: a salted attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Digest>,
    /// The proposal.
    pub proposal: StatementId,
    /// Why, as a code.
    pub reason: Name,
}
