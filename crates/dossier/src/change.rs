//! The dossier of a change: everything in the record about it.

use std::collections::{BTreeMap, BTreeSet};

use statement::kind::{
    Approval, EngineBinding, EvidenceKind, Finding, Incident, Isolation, ModificationKind, Outcome,
    PolicyRules, Proposal, Rejection, ReleaseOrder, RollbackOrder, SignOff, StageReport, Verdict,
};
use statement::{ChangeId, Digest, StatementId};

use crate::actor::Actor;
use crate::lifecycle::State;

/// A statement as the fold took it in: where, when, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<T> {
    /// The statement's id.
    pub id: StatementId,
    /// Its place in the log.
    pub index: u64,
    /// The log's stamp.
    pub stamp_ms: u64,
    /// Who signed, as the directory had them then; those with the kind's role.
    pub signers: Vec<Actor>,
    /// What it says.
    pub body: T,
}

/// Everything in the record about one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    /// The tracking id.
    pub change: ChangeId,
    /// Where the change stands.
    pub state: State,
    /// The present proposal.
    pub proposal: Recorded<Proposal>,
    /// Proposals it took the place of.
    pub replaced: Vec<Recorded<Proposal>>,
    /// Artefacts of earlier proposals that persons found against, by digest.
    pub refused: BTreeSet<BTreeSet<Digest>>,
    /// Findings on the present proposal.
    pub findings: BTreeMap<StatementId, Recorded<Finding>>,
    /// The latest verdict on the present proposal.
    pub verdict: Option<Recorded<Verdict>>,
    /// Approvals on the present proposal.
    pub approvals: BTreeMap<StatementId, Recorded<Approval>>,
    /// The rejection.
    pub rejection: Option<Recorded<Rejection>>,
    /// The order in force or last in force.
    pub order: Option<Recorded<ReleaseOrder>>,
    /// The change whose place the order took, with that change's order.
    pub displaced: Option<(ChangeId, StatementId)>,
    /// Engines that serve it.
    pub bindings: Vec<Recorded<EngineBinding>>,
    /// Stage reports.
    pub stages: Vec<Recorded<StageReport>>,
    /// Sign-offs of stage reports.
    pub sign_offs: Vec<Recorded<SignOff>>,
    /// Incidents.
    pub incidents: Vec<Recorded<Incident>>,
    /// The rollback.
    pub rollback: Option<Recorded<RollbackOrder>>,
    /// Every leaf of the change that applied, in order.
    pub leaves: Vec<u64>,
}

/// The measure of a scope finding that says how far a change moves the weights: the largest relative Frobenius norm
/// of a module, in parts per million.
const DRIFT_MEASURE: &str = "relative_frobenius_ppm_max";

/// Whether changes of the kind move weights, so that their scope is measured in them.
const fn brings_weights(modification: ModificationKind) -> bool {
    match modification {
        ModificationKind::Adapter
        | ModificationKind::Weights
        | ModificationKind::Merge
        | ModificationKind::Quantisation
        | ModificationKind::Distillation
        | ModificationKind::ContinuousLearning
        | ModificationKind::Architecture
        | ModificationKind::Mechanism => true,
        ModificationKind::Prompt | ModificationKind::Retrieval | ModificationKind::Settings => false,
    }
}

impl Dossier {
    /// The scope findings on the present proposal that come from workers listed for that: only their measures count.
    pub fn scope_findings<'a>(
        &'a self,
        rules: &'a PolicyRules,
    ) -> impl Iterator<Item = &'a Recorded<Finding>> + 'a {
        self.findings.values().filter(|finding| {
            let scope = EvidenceKind::Scope;
            finding.body.evidence == scope
                && finding.body.worker.is_some_and(|worker| rules.lists(&worker, scope))
        })
    }

    /// The largest value of a measure among the scope findings that count.
    pub fn scope_measure(&self, name: &str, rules: &PolicyRules) -> Option<u64> {
        let scope = self.scope_findings(rules);
        let named =
            scope.flat_map(|finding| finding.body.measures.iter()).filter(|(key, _)| key.as_str() == name);
        named.filter_map(|(_, value)| u64::try_from(*value).ok()).max()
    }

    /// How far the change moves the weights, in parts per million, what was not measured as everything; none for kinds of
    /// modification that bring no weights.
    pub fn weights_moved_ppm(&self, rules: &PolicyRules) -> Option<u64> {
        let brings = brings_weights(self.proposal.body.modification);
        brings.then(|| self.scope_measure(DRIFT_MEASURE, rules).unwrap_or(1_000_000))
    }

    /// What an automatic release of the change takes from the slot's drift budget, in parts per million.
    pub fn drift_ppm(&self, rules: &PolicyRules) -> u64 {
        self.weights_moved_ppm(rules).unwrap_or(0)
    }

    /// Whether it went wrong: an incident under its order, or a rollback. A change counts as one failure at most.
    pub fn has_failed(&self) -> bool {
        self.rollback.is_some() || !self.incidents.is_empty()
    }

    /// The dossier that a first proposal opens.
    pub(crate) fn open(change: ChangeId, proposal: Recorded<Proposal>) -> Self {
        Self {
            change,
            state: State::Proposed,
            leaves: vec![proposal.index],
            proposal,
            replaced: Vec::new(),
            refused: BTreeSet::new(),
            findings: BTreeMap::new(),
            verdict: None,
            approvals: BTreeMap::new(),
            rejection: None,
            order: None,
            bindings: Vec::new(),
            stages: Vec::new(),
            sign_offs: Vec::new(),
            incidents: Vec::new(),
            displaced: None,
            rollback: None,
        }
    }

    /// Whether a person has found against these artefacts, in the present proposal or an earlier one.
    pub(crate) fn was_refused(&self, artefacts: &BTreeSet<Digest>) -> bool {
        let now = self.is_refused_by_a_person() && *artefacts == digests(&self.proposal.body);
        now || self.refused.contains(artefacts)
    }

    fn is_refused_by_a_person(&self) -> bool {
        let mut persons =
            self.findings.values().filter(|finding| finding.body.isolation == Isolation::Manual);
        persons.any(|finding| finding.body.outcome == Outcome::Fail)
    }

    /// Puts another proposal in the place of the present one: nothing said about the old one counts for the new, but
    /// that a person was against its artefacts.
    pub(crate) fn rebase(&mut self, proposal: Recorded<Proposal>) {
        if self.is_refused_by_a_person() {
            self.refused.insert(digests(&self.proposal.body));
        }
        let old = std::mem::replace(&mut self.proposal, proposal);
        self.replaced.push(old);
        self.findings.clear();
        self.approvals.clear();
        self.verdict = None;
    }
}

/// The digests of what a proposal brings.
pub(crate) fn digests(proposal: &Proposal) -> BTreeSet<Digest> {
    proposal.artefacts.iter().map(|artefact| artefact.digest).collect()
}
