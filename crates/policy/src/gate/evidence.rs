//! From findings to a decision: is the evidence there, is it fresh, is it about these bytes, does it pass.

use std::collections::{BTreeMap, BTreeSet};

use dossier::{ActorKind, Code, Dossier, Reason, Recorded, Refusal, SlotRecord, State, World};
use statement::kind::{
    EvidenceKind, Finding, GrantPurpose, Isolation, Level, ModificationKind, Outcome, Proposal, Role, Tier,
};
use statement::{Digest, PersonId};

use super::family::{self, Family};
use super::{Decision, Examined, Rules, boxed, elsewhere, facts, grant, scoring, target};
use crate::duties::Action;
use crate::quorum;

/// What follows from the change's findings under the policy at `now_ms`: pass only if nothing is missing or against it.
pub fn decide(world: &World, dossier: &Dossier, rules: &Rules<'_>, now_ms: u64) -> Result<Decision, Refusal> {
    let proposal = &dossier.proposal.body;
    let Some(slot) = world.slot(&proposal.slot) else {
        return Err(Refusal::new(Code::UnknownSlot, &proposal.slot));
    };
    let score = scoring::score(world, dossier, slot, rules)?;
    let mut reasons = preconditions(world, dossier, slot, score.tier, now_ms);
    let tier = rules.tier(score.tier)?;
    let evidence = Evidence::weigh(world, dossier, rules, score.tier, now_ms);
    let of_kind = rules.policy.rules.modification_evidence.get(&proposal.modification);
    let required: BTreeSet<EvidenceKind> =
        tier.evidence.iter().chain(of_kind.into_iter().flatten()).copied().collect();
    reasons.extend(evidence.against(&required));
    reasons.extend(elsewhere::against(world, dossier, &evidence.reviews));
    // Examiners who enrolled one another are not independent.
    let examiners = quorum::count(&evidence.examiners, &world.enrolments());
    if evidence.failed.is_empty() && examiners < tier.examiners {
        let text = format!("{examiners} of {}", tier.examiners);
        reasons.push(Reason::new(Code::ExaminersTooFew, text));
    } else if let (Some(families), true) = (tier.families, evidence.failed.is_empty()) {
        let held = family::held(&evidence.by_family, &world.enrolments());
        if held < families {
            reasons.push(Reason::new(Code::FamiliesTooFew, format!("{held} of {families}")));
        }
    }
    reasons.sort();
    reasons.dedup();
    if reasons.iter().any(|reason| reason.code == Code::OrderedAlready) {
        // What its release has changed since, a grant used up for one, would only mislead.
        reasons.retain(|reason| reason.code == Code::OrderedAlready);
    }
    let outcome = if reasons.is_empty() {
        Outcome::Pass
    } else if reasons.iter().any(|reason| is_negative(reason.code)) {
        Outcome::Fail
    } else {
        Outcome::Inconclusive
    };
    Ok(Decision { outcome, reasons, score, findings: dossier.findings.keys().copied().collect() })
}

/// Whether a reason says that something is against the change, not that something is missing.
const fn is_negative(code: Code) -> bool {
    matches!(code, Code::EvidenceFailed | Code::FailedElsewhere)
}

/// Whether the change is examined: the record holds a verdict, it is a pass, and the same decision follows now.
pub fn examined(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    now_ms: u64,
) -> Result<Examined, Refusal> {
    let decision = decide(world, dossier, rules, now_ms)?;
    let Some(verdict) = &dossier.verdict else {
        // What is missing for one is part of the answer.
        let none = Reason::new(Code::NoVerdict, &dossier.change);
        Refusal::from_reasons(std::iter::once(none).chain(decision.reasons))?;
        return Err(Refusal::new(Code::NoVerdict, &dossier.change));
    };
    Refusal::from_reasons(decision.reasons.iter().cloned())?;
    if verdict.body.outcome != Outcome::Pass {
        return Err(Refusal::new(Code::VerdictNegative, verdict.id));
    }
    let same = verdict.body.policy == rules.id
        && verdict.body.score == decision.score
        && verdict.body.findings == decision.findings;
    if !same {
        return Err(Refusal::new(Code::VerdictDiffers, verdict.id));
    }
    Ok(Examined {
        change: dossier.change.clone(),
        proposal: dossier.proposal.id,
        verdict: verdict.id,
        decision,
    })
}

/// The findings that passed and count, by kind, and what is wrong with the others.
pub(super) struct Evidence {
    /// Kinds with a passing finding that counts.
    pub(super) passing: BTreeSet<EvidenceKind>,
    /// Persons behind passing findings that count.
    pub(super) examiners: BTreeSet<PersonId>,
    /// The same by what they looked at.
    by_family: BTreeMap<Family, BTreeSet<PersonId>>,
    /// What persons looked at themselves and passed, and counts.
    reviews: Vec<elsewhere::Review>,
    wrong: BTreeMap<EvidenceKind, Vec<Reason>>,
    failed: Vec<Reason>,
}

impl Evidence {
    pub(super) fn weigh(
        world: &World,
        dossier: &Dossier,
        rules: &Rules<'_>,
        tier: Tier,
        now_ms: u64,
    ) -> Self {
        let mut evidence = Self {
            passing: BTreeSet::new(),
            examiners: BTreeSet::new(),
            by_family: BTreeMap::new(),
            reviews: Vec::new(),
            wrong: BTreeMap::new(),
            failed: Vec::new(),
        };
        // Duties look at who else did what; which evidence passes does not matter to an examiner's.
        let facts = facts::facts(world, dossier, tier, &BTreeSet::new(), now_ms);
        // A policy without the tier is refused where it is decided; here nothing counts by it.
        let asked = rules.tier(tier).map(|rule| rule.worker.as_ref());
        for finding in dossier.findings.values() {
            let kind = finding.body.evidence;
            if finding.body.outcome == Outcome::Fail {
                // Whoever may speak as an examiner can stop a change, listed worker or not.
                evidence.failed.push(Reason::new(Code::EvidenceFailed, format!("{kind} {}", finding.id)));
                continue;
            }
            let action = if kind == EvidenceKind::ComplianceReview {
                Action::ReviewCompliance
            } else {
                Action::Examine
            };
            let mut reasons = against(world, &dossier.proposal.body, finding, rules, now_ms);
            reasons.extend(boxed::lacks(finding, &asked));
            for signer in &finding.signers {
                reasons.extend(facts::ask(rules, signer, action, &facts, now_ms).err());
            }
            if reasons.is_empty() {
                evidence.passing.insert(kind);
                evidence.reviews.extend(elsewhere::Review::of(finding));
                let persons = finding.signers.iter().map(|signer| signer.person.clone());
                if let Some(family) = Family::of(&finding.body) {
                    evidence.by_family.entry(family).or_default().extend(persons.clone());
                }
                evidence.examiners.extend(persons);
            } else {
                evidence.wrong.entry(kind).or_default().extend(reasons);
            }
        }
        evidence
    }

    fn against(&self, required: &BTreeSet<EvidenceKind>) -> Vec<Reason> {
        // What is against the change says more than what else would be missing.
        if !self.failed.is_empty() {
            return self.failed.clone();
        }
        let mut reasons = Vec::new();
        for kind in required.difference(&self.passing) {
            match self.wrong.get(kind) {
                Some(wrong) => reasons.extend(wrong.iter().cloned()),
                None => reasons.push(Reason::new(Code::EvidenceMissing, format!("{kind}"))),
            }
        }
        reasons
    }
}

/// What keeps a finding that is not a fail from counting.
fn against(
    world: &World,
    proposal: &Proposal,
    finding: &Recorded<Finding>,
    rules: &Rules<'_>,
    now_ms: u64,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let body = &finding.body;
    let mut wrong = |code, about: String| reasons.push(Reason::new(code, about));
    let about = || format!("{} {}", body.evidence, finding.id);
    if body.outcome == Outcome::Inconclusive {
        wrong(Code::EvidenceInconclusive, about());
    }
    if now_ms.saturating_sub(finding.stamp_ms) > rules.policy.rules.limits.finding_max_ms {
        wrong(Code::EvidenceStale, about());
    }
    match &body.worker {
        Some(worker) if !rules.policy.rules.workers.contains_key(worker) => {
            wrong(Code::WorkerUnlisted, worker.to_string());
        }
        Some(_) if is_persons_alone(body.evidence) => wrong(Code::WorkerCannotReview, about()),
        Some(worker) if !rules.policy.rules.lists(worker, body.evidence) => {
            wrong(Code::WorkerKindUnlisted, format!("{} by {}", about(), worker));
        }
        Some(_) if matches!(body.isolation, Isolation::Manual | Isolation::Process) => {
            wrong(Code::WorkerNotBoxed, about());
        }
        None if body.isolation != Isolation::Manual || !is_review(body.evidence) => {
            wrong(Code::WorkerUnlisted, about());
        }
        None if body.attachments.is_empty() => wrong(Code::ReportMissing, about()),
        _ => {}
    }
    let listed = &rules.policy.rules.calibrations;
    if is_examination(body.evidence) && !listed.is_empty() && body.inputs.is_disjoint(listed) {
        wrong(Code::CalibrationUnlisted, about());
    }
    let artefacts = proposal.artefacts.iter().map(|artefact| artefact.digest);
    let scope = (body.evidence == EvidenceKind::Scope).then_some(proposal.scope);
    let missing: BTreeSet<Digest> =
        artefacts.chain(scope).filter(|digest| !body.inputs.contains(digest)).collect();
    if !missing.is_empty() {
        wrong(Code::InputsMismatch, about());
    }
    if body.inputs.iter().chain(&body.attachments).any(|digest| world.purged_at(digest).is_some()) {
        wrong(Code::EvidencePurged, about());
    }
    reasons
}

/// Kinds of evidence that are judged by a calibration, which is one of their inputs.
const fn is_examination(kind: EvidenceKind) -> bool {
    matches!(kind, EvidenceKind::Screen | EvidenceKind::Probe | EvidenceKind::Alignment)
}

/// Kinds of evidence that no code can give.
pub(crate) const fn is_persons_alone(kind: EvidenceKind) -> bool {
    matches!(
        kind,
        EvidenceKind::SecurityReview | EvidenceKind::ComplianceReview | EvidenceKind::ExternalAudit
    )
}

/// Kinds of evidence that a person may give by looking, without listed code, with a report attached.
const fn is_review(kind: EvidenceKind) -> bool {
    match kind {
        EvidenceKind::FormalVerification
        | EvidenceKind::SecurityReview
        | EvidenceKind::ComplianceReview
        | EvidenceKind::ExternalAudit
        | EvidenceKind::RedTeam => true,
        EvidenceKind::Scope
        | EvidenceKind::Screen
        | EvidenceKind::Probe
        | EvidenceKind::Alignment
        | EvidenceKind::Regression => false,
    }
}

/// What stands against the change before any evidence is looked at.
fn preconditions(
    world: &World,
    dossier: &Dossier,
    slot: &SlotRecord,
    tier: Tier,
    now_ms: u64,
) -> Vec<Reason> {
    let proposal = &dossier.proposal.body;
    let definition = &slot.definition.body;
    let mut reasons = Vec::new();
    let mut wrong = |code, about: String| reasons.push(Reason::new(code, about));
    let by_itself = slot.order.as_ref().filter(|(change, _)| *change == dossier.change);
    if let Some((_, order)) = by_itself {
        wrong(Code::OrderedAlready, order.to_string());
    } else if slot.state != proposal.base_state {
        wrong(Code::SlotMoved, format!("{} is at {}", proposal.slot, slot.state.short()));
    }
    if !definition.modifications.contains(&proposal.modification) {
        wrong(Code::KindNotOpen, format!("{}", proposal.modification));
    }
    if proposal.level < least_level(proposal.modification) {
        wrong(Code::KindNotOpen, format!("{} at level {}", proposal.modification, proposal.level));
    }
    if !proposal.contexts.is_subset(&definition.contexts) || proposal.contexts.is_empty() {
        wrong(Code::ContextNotOpen, proposal.slot.to_string());
    }
    match definition.scopes.get(&proposal.level) {
        None => wrong(Code::KindNotOpen, format!("{}", proposal.level)),
        Some(scope) if *scope != proposal.scope => wrong(Code::OtherScope, proposal.scope.to_string()),
        Some(_) => {}
    }
    if let Some(freeze) = world.freeze(&proposal.slot, &dossier.change) {
        wrong(Code::Frozen, freeze.id.to_string());
    }
    if dossier.state == State::Rejected {
        wrong(Code::Rejected, dossier.change.to_string());
    }
    let purged = proposal.artefacts.iter().find(|artefact| world.purged_at(&artefact.digest).is_some());
    if let Some(artefact) = purged {
        wrong(Code::EvidencePurged, artefact.digest.to_string());
    }
    match (world.state(&proposal.base_state), world.state(&proposal.target_state)) {
        (Some(base), Some(target)) => {
            if let Some(artefact) = target::served_already(&base.body, proposal) {
                wrong(Code::ArtefactServed, format!("{} {}", artefact.name, artefact.digest));
            } else if let Some(what) = target::mismatch(&base.body, &target.body, dossier) {
                wrong(Code::ManifestMismatch, what);
            }
        }
        _ => wrong(Code::StateUnknown, proposal.target_state.to_string()),
    }
    reasons.extend(authorisation(world, dossier, tier, now_ms));
    reasons
}

/// The lowest capability level at which a kind of modification may be proposed, whatever the proposer claims.
const fn least_level(modification: ModificationKind) -> Level {
    match modification {
        ModificationKind::Adapter
        | ModificationKind::Weights
        | ModificationKind::Quantisation
        | ModificationKind::Prompt
        | ModificationKind::Settings => Level::Tuning,
        ModificationKind::Merge
        | ModificationKind::Distillation
        | ModificationKind::Retrieval
        | ModificationKind::ContinuousLearning => Level::Knowledge,
        ModificationKind::Architecture => Level::Architecture,
        ModificationKind::Mechanism => Level::Mechanism,
    }
}

/// The proposer has a level for the slot, or a grant that covers the change.
fn authorisation(world: &World, dossier: &Dossier, tier: Tier, now_ms: u64) -> Vec<Reason> {
    let proposal = &dossier.proposal.body;
    let signers = dossier.proposal.signers.iter().filter(|signer| signer.roles.contains(&Role::Proposer));
    let mut reasons = Vec::new();
    for signer in signers {
        if let Some(id) = proposal.grant {
            let purpose = GrantPurpose::Propose;
            reasons.extend(grant::against(world, dossier, id, signer.key, purpose, tier, now_ms));
        } else {
            let level = world.level(&signer.key, &proposal.slot);
            if !level.is_some_and(|level| facts::covers(level, proposal.level)) {
                reasons.push(Reason::new(Code::NotAuthorised, signer.key));
            }
        }
        if signer.kind() == ActorKind::Automation {
            reasons.push(Reason::new(Code::NotAuthorised, signer.key));
        }
    }
    reasons
}
