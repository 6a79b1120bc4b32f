//! What the record says about one change.

use std::collections::BTreeSet;

use dossier::{Dossier, Recorded, World};
use schemars::JsonSchema;
use serde::Serialize;
use statement::kind::{
    Approval, Artefact, BindingLevel, Capacity, EvidenceKind, Finding, GateDecision, Isolation, Level,
    ModificationKind, Outcome, Proposer, Stage, Tier,
};
use statement::{ChangeId, Digest, Name, PersonId, SlotId, StateId, StatementId};

use super::attestation::{AttestationReport, Attestations};
use super::examination::{ExaminationReport, Examinations};

/// What the record says about one change. Persons are pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeReport {
    /// The tracking id.
    pub change: ChangeId,
    /// The slot it is for.
    pub slot: SlotId,
    /// What kind of modification it is.
    pub modification: ModificationKind,
    /// The capability level it claims.
    pub level: Level,
    /// The human who proposes or answers for the proposing model.
    pub proposer: PersonId,
    /// The state of the proposing model, where a model proposes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposing_model: Option<StateId>,
    /// The present proposal.
    pub proposal: StatementId,
    /// Its leaf.
    pub index: u64,
    /// How many proposals it took the place of.
    pub rebased: u64,
    /// What it brings.
    pub artefacts: Vec<Artefact>,
    /// Where it stands.
    pub state: String,
    /// The verdict on the present proposal and evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictReport>,
    /// Findings on the present proposal.
    pub findings: Vec<FindingReport>,
    /// Approvals of the present proposal.
    pub approvals: Vec<ApprovalReport>,
    /// A person's no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<RejectionReport>,
    /// The release order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderReport>,
    /// Engines that the record ties to the state.
    pub bindings: Vec<BindingNote>,
    /// Stages of the rollout.
    pub stages: Vec<StageNote>,
    /// How many incidents there were.
    pub incidents: u64,
    /// The way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackReport>,
    /// Its leaves with effect.
    pub leaves: Vec<u64>,
    /// Its leaves without effect; why stands in the report's `noops`.
    pub noops: Vec<u64>,
}

/// The score and decision, recomputed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VerdictReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// What it says.
    pub outcome: Outcome,
    /// Codes of what is missing or against the change.
    pub reasons: BTreeSet<Name>,
    /// The score.
    pub score: ScoreReport,
}

/// The impact score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScoreReport {
    /// log10 of probability times loss, in thousandths.
    pub risk: i64,
    /// The tier.
    pub tier: Tier,
    /// The inputs on one line.
    pub vector: String,
}

/// What a finding audits as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Audited {
    /// Nothing against the change.
    Pass,
    /// Something against it.
    Fail,
    /// The evidence does not suffice.
    Inconclusive,
    /// What it rests on was destroyed, whatever it said.
    Purged,
}

/// What an examiner or reviewer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FindingReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// What it is evidence of.
    pub evidence: EvidenceKind,
    /// What it audits as.
    pub outcome: Audited,
    /// The examiner's name and version.
    pub examiner: Name,
    /// The persons who signed.
    pub persons: BTreeSet<PersonId>,
    /// The box it ran in.
    pub isolation: Isolation,
    /// Digests of its inputs and evidence that were destroyed.
    pub purged: Vec<Digest>,
    /// Attestations of where it was made, as far as the export carries them.
    pub attestations: Vec<AttestationReport>,
    /// The examination judged again, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examination: Option<ExaminationReport>,
    /// The steps that its worker took, where it signs any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceReport>,
}

/// The steps that a finding signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TraceReport {
    /// How many.
    pub leaves: u64,
    /// The root of their tree.
    pub root: Digest,
    /// Whether they were there to be checked.
    pub carried: Carried,
}

/// Whether something was there to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Carried {
    /// It was, and is what is signed.
    Checked,
    /// The export does not carry it.
    Absent,
}

/// Whether an approval counts towards the release order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// The order rests on it.
    Yes,
    /// The order does not rest on it.
    No,
    /// There is no order.
    NotOrdered,
}

/// A person's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApprovalReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// Who signed: one.
    pub persons: BTreeSet<PersonId>,
    /// In which capacity.
    pub capacity: Capacity,
    /// Whether it counts.
    pub counted: Counted,
}

/// A person's no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectionReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// Who signed.
    pub persons: BTreeSet<PersonId>,
    /// Why, as a code.
    pub reason: Name,
}

/// The order to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrderReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// When it was logged.
    pub stamp_ms: u64,
    /// Who signed.
    pub persons: BTreeSet<PersonId>,
    /// From which state.
    pub from_state: StateId,
    /// To which state.
    pub to_state: StateId,
    /// Until when a gateway could begin to serve.
    pub admit_before_ms: u64,
    /// Until when it may serve.
    pub serve_until_ms: u64,
    /// The leaf that revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
}

/// An engine that is tied to the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BindingNote {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// The order.
    pub order: StatementId,
    /// How strongly it is tied.
    pub level: BindingLevel,
    /// The persons who answer for the key that signed.
    pub persons: BTreeSet<PersonId>,
}

/// A stage of the rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StageNote {
    /// Its leaf.
    pub index: u64,
    /// The stage.
    pub stage: Stage,
    /// What its gate said.
    pub decision: GateDecision,
}

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RollbackReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// Who signed.
    pub persons: BTreeSet<PersonId>,
    /// To which state.
    pub to_state: StateId,
    /// Why, as a code.
    pub reason: Name,
}

/// What the export carries beside the statements.
pub(super) struct Attached<'a> {
    /// The attachments that are there.
    pub(super) digests: BTreeSet<Digest>,
    /// Those of them that attest a host.
    pub(super) attestations: Attestations<'a>,
    /// Those of them that are evidence of examinations.
    pub(super) examinations: Examinations<'a>,
}

impl ChangeReport {
    pub(super) fn of(world: &World, carried: &Attached<'_>, dossier: &Dossier, noops: Vec<u64>) -> Self {
        let proposal = &dossier.proposal.body;
        let proposing_model = match &proposal.proposer {
            Proposer::Person(_) => None,
            Proposer::Model { state, .. } => Some(*state),
        };
        Self {
            change: dossier.change.clone(),
            slot: proposal.slot.clone(),
            modification: proposal.modification,
            level: proposal.level,
            proposer: proposal.proposer.person().clone(),
            proposing_model,
            proposal: dossier.proposal.id,
            index: dossier.proposal.index,
            rebased: crate::export::count(dossier.replaced.len()),
            artefacts: proposal.artefacts.iter().cloned().collect(),
            state: dossier.state.name().to_owned(),
            verdict: dossier.verdict.as_ref().map(|verdict| VerdictReport {
                id: verdict.id,
                index: verdict.index,
                outcome: verdict.body.outcome,
                reasons: verdict.body.reasons.clone(),
                score: ScoreReport {
                    risk: verdict.body.score.risk,
                    tier: verdict.body.score.tier,
                    vector: verdict.body.score.vector.clone(),
                },
            }),
            findings: in_order(
                dossier.findings.values().map(|found| finding(world, carried, found)),
                |found| found.index,
            ),
            approvals: in_order(dossier.approvals.values().map(|given| approval(dossier, given)), |it| {
                it.index
            }),
            rejection: dossier.rejection.as_ref().map(|rejection| RejectionReport {
                id: rejection.id,
                index: rejection.index,
                persons: persons(rejection),
                reason: rejection.body.reason.clone(),
            }),
            order: dossier.order.as_ref().map(|order| OrderReport {
                id: order.id,
                index: order.index,
                stamp_ms: order.stamp_ms,
                persons: persons(order),
                from_state: order.body.from_state,
                to_state: order.body.to_state,
                admit_before_ms: order.body.admit_before_ms,
                serve_until_ms: order.body.serve_until_ms,
                revoked_at: world.order_revoked_at(&order.id),
            }),
            bindings: dossier
                .bindings
                .iter()
                .map(|binding| BindingNote {
                    id: binding.id,
                    index: binding.index,
                    order: binding.body.order,
                    level: binding.body.level,
                    persons: persons(binding),
                })
                .collect(),
            stages: dossier
                .stages
                .iter()
                .map(|report| StageNote {
                    index: report.index,
                    stage: report.body.stage,
                    decision: report.body.decision,
                })
                .collect(),
            incidents: crate::export::count(dossier.incidents.len()),
            rollback: dossier.rollback.as_ref().map(|rollback| RollbackReport {
                id: rollback.id,
                index: rollback.index,
                persons: persons(rollback),
                to_state: rollback.body.to_state,
                reason: rollback.body.reason.clone(),
            }),
            leaves: dossier.leaves.clone(),
            noops,
        }
    }

    /// Whether one of its leaves is at `from` or after.
    pub(super) fn is_since(&self, from: u64) -> bool {
        self.leaves.iter().chain(&self.noops).any(|index| *index >= from)
    }
}

fn in_order<T>(items: impl Iterator<Item = T>, index: impl Fn(&T) -> u64) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by_key(index);
    items
}

fn persons<T>(recorded: &Recorded<T>) -> BTreeSet<PersonId> {
    recorded.signers.iter().map(|signer| signer.person.clone()).collect()
}

/// Traces that the export carries have been checked.
fn finding(world: &World, carried: &Attached<'_>, finding: &Recorded<Finding>) -> FindingReport {
    let body = &finding.body;
    let rests_on: BTreeSet<&Digest> = body.inputs.iter().chain(&body.attachments).collect();
    let purged: Vec<Digest> =
        rests_on.into_iter().filter(|digest| world.purged_at(digest).is_some()).copied().collect();
    let outcome = match body.outcome {
        _ if !purged.is_empty() => Audited::Purged,
        Outcome::Pass => Audited::Pass,
        Outcome::Fail => Audited::Fail,
        Outcome::Inconclusive => Audited::Inconclusive,
    };
    FindingReport {
        id: finding.id,
        index: finding.index,
        evidence: body.evidence,
        outcome,
        examiner: body.examiner.clone(),
        persons: persons(finding),
        isolation: body.isolation,
        purged,
        attestations: carried.attestations.of(finding),
        examination: carried.examinations.of(finding),
        trace: body.trace.map(|trace| TraceReport {
            leaves: trace.leaves,
            root: trace.root,
            carried: if carried.digests.contains(&trace.attachment) {
                Carried::Checked
            } else {
                Carried::Absent
            },
        }),
    }
}

fn approval(dossier: &Dossier, approval: &Recorded<Approval>) -> ApprovalReport {
    let counted = match &dossier.order {
        None => Counted::NotOrdered,
        Some(order) if order.body.approvals.contains(&approval.id) => Counted::Yes,
        Some(_) => Counted::No,
    };
    ApprovalReport {
        id: approval.id,
        index: approval.index,
        persons: persons(approval),
        capacity: approval.body.capacity,
        counted,
    }
}
