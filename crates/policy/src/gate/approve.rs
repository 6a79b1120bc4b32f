//! Counting approvals: exactly this, by persons who may, enough of them, in the capacities the tier asks for.

use std::collections::{BTreeMap, BTreeSet};

use dossier::{Actor, Code, Dossier, Reason, Recorded, Refusal, World};
use statement::kind::{Approval, Capacity, GrantPurpose, TierRule};
use statement::{Digest, PersonId, StatementId};

use super::evidence::Evidence;
use super::{Approved, Decision, Examined, Rules, examined, facts, grant};
use crate::duties::Action;
use crate::quorum;

/// Whether enough persons who count have approved exactly what is in force at `now_ms`.
pub fn approved(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    now_ms: u64,
) -> Result<Approved, Refusal> {
    let examined = examined(world, dossier, rules, now_ms)?;
    let tally = Tally::count(world, dossier, rules, &examined, now_ms);
    let tier = examined.decision.score.tier;
    Refusal::from_reasons(tally.against(rules.tier(tier)?))?;
    Ok(Approved {
        target_state: dossier.proposal.body.target_state,
        approvals: tally.approvals,
        signatures: tally.signatures,
        persons: tally.signatures.saturating_sub(u32::from(tally.automation.is_some())),
        examined,
    })
}

/// Whether this approval would count, by itself: before it is signed, and when the fold takes it in.
pub fn may_approve(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    approval: &Recorded<Approval>,
    now_ms: u64,
) -> Result<(), Refusal> {
    let examined = examined(world, dossier, rules, now_ms)?;
    let evidence = Evidence::weigh(world, dossier, rules, examined.decision.score.tier, now_ms);
    Refusal::from_reasons(against(world, dossier, rules, &examined, &evidence, approval, now_ms))
}

/// How far the approvals reach that count now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How many signatures they count as.
    pub signatures: u32,
    /// How many the tier asks for.
    pub needed: u32,
    /// The capacities that the tier asks for and that nobody fills yet.
    pub missing: Vec<Capacity>,
    /// The approvals by who signed them.
    pub by: BTreeMap<PersonId, BTreeSet<StatementId>>,
}

/// Counts the approvals of a change, whether they suffice or not.
pub fn counted(world: &World, dossier: &Dossier, rules: &Rules<'_>, now_ms: u64) -> Result<Counted, Refusal> {
    let examined = examined(world, dossier, rules, now_ms)?;
    let tally = Tally::count(world, dossier, rules, &examined, now_ms);
    let rule = rules.tier(examined.decision.score.tier)?;
    let wanted: Vec<Capacity> = rule.capacities.iter().copied().collect();
    let mut by: BTreeMap<PersonId, BTreeSet<StatementId>> = BTreeMap::new();
    for approval in tally.approvals.iter().filter_map(|id| dossier.approvals.get(id)) {
        for signer in &approval.signers {
            by.entry(signer.person.clone()).or_default().insert(approval.id);
        }
    }
    Ok(Counted {
        signatures: tally.signatures,
        needed: rule.approvals,
        missing: unmatched(&wanted, &tally.capacities),
        by,
    })
}

/// The approvals that count.
struct Tally {
    approvals: BTreeSet<StatementId>,
    persons: BTreeSet<PersonId>,
    automation: Option<StatementId>,
    capacities: BTreeMap<Capacity, BTreeSet<PersonId>>,
    signatures: u32,
    wrong: Vec<Reason>,
}

impl Tally {
    fn count(world: &World, dossier: &Dossier, rules: &Rules<'_>, examined: &Examined, now_ms: u64) -> Self {
        let evidence = Evidence::weigh(world, dossier, rules, examined.decision.score.tier, now_ms);
        let mut tally = Self {
            approvals: BTreeSet::new(),
            persons: BTreeSet::new(),
            automation: None,
            capacities: BTreeMap::new(),
            signatures: 0,
            wrong: Vec::new(),
        };
        for approval in dossier.approvals.values() {
            let reasons = against(world, dossier, rules, examined, &evidence, approval, now_ms);
            if !reasons.is_empty() {
                tally.wrong.extend(reasons);
                continue;
            }
            tally.approvals.insert(approval.id);
            if approval.body.capacity == Capacity::Automation {
                tally.automation = Some(approval.id);
                continue;
            }
            let persons = approval.signers.iter().map(|signer| signer.person.clone());
            tally.capacities.entry(approval.body.capacity).or_default().extend(persons.clone());
            tally.persons.extend(persons);
        }
        tally.leave_out(world, dossier);
        let persons = quorum::count(&tally.persons, &world.enrolments());
        tally.signatures = persons.saturating_add(u32::from(tally.automation.is_some()));
        tally
    }

    /// Nobody fills a capacity beside a person they enrolled, and nobody watches over the machine they answer for.
    fn leave_out(&mut self, world: &World, dossier: &Dossier) {
        let approval = self.automation.and_then(|id| dossier.approvals.get(&id));
        let answers_for: BTreeSet<PersonId> = approval
            .into_iter()
            .flat_map(|approval| approval.signers.iter().map(|signer| signer.person.clone()))
            .collect();
        self.persons.retain(|person| !answers_for.contains(person));
        let enrolments = world.enrolments();
        let persons = self.persons.clone();
        let fills = |person: &PersonId| {
            let enrolled = enrolments.get(person);
            persons.contains(person)
                && enrolled.is_none_or(|others| {
                    !others.iter().any(|other| other != person && persons.contains(other))
                })
        };
        for holders in self.capacities.values_mut() {
            holders.retain(fills);
        }
    }

    fn against(&self, rule: &TierRule) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.signatures < rule.approvals {
            reasons.push(Reason::new(
                Code::ApprovalsTooFew,
                format!("{} of {}", self.signatures, rule.approvals),
            ));
        }
        let wanted: Vec<Capacity> = rule.capacities.iter().copied().collect();
        for capacity in unmatched(&wanted, &self.capacities) {
            reasons.push(Reason::new(Code::CapacityMissing, format!("{capacity}")));
        }
        if !reasons.is_empty() {
            // Why the others did not count is part of the answer.
            reasons.extend(self.wrong.iter().cloned());
        }
        reasons
    }
}

/// The capacities that cannot all be filled by different persons (augmenting paths, as for bipartite matching).
pub(super) fn unmatched(wanted: &[Capacity], held: &BTreeMap<Capacity, BTreeSet<PersonId>>) -> Vec<Capacity> {
    let mut taken: BTreeMap<PersonId, Capacity> = BTreeMap::new();
    let mut missing = Vec::new();
    for capacity in wanted {
        if !assign(*capacity, held, &mut taken, &mut BTreeSet::new()) {
            missing.push(*capacity);
        }
    }
    missing
}

fn assign(
    capacity: Capacity,
    held: &BTreeMap<Capacity, BTreeSet<PersonId>>,
    taken: &mut BTreeMap<PersonId, Capacity>,
    tried: &mut BTreeSet<PersonId>,
) -> bool {
    for person in held.get(&capacity).into_iter().flatten() {
        if !tried.insert(person.clone()) {
            continue;
        }
        let free = match taken.get(person).copied() {
            None => true,
            Some(other) => assign(other, held, taken, tried),
        };
        if free {
            taken.insert(person.clone(), capacity);
            return true;
        }
    }
    false
}

/// What keeps one approval from counting.
fn against(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    examined: &Examined,
    evidence: &Evidence,
    approval: &Recorded<Approval>,
    now_ms: u64,
) -> Vec<Reason> {
    let body = &approval.body;
    let mut reasons = Vec::new();
    if !is_of(body, dossier, rules, examined.verdict, &examined.decision) {
        reasons.push(Reason::new(Code::ApprovalOtherEvidence, approval.id));
    }
    let lasts_ms = body.expires_ms.saturating_sub(approval.stamp_ms);
    if now_ms >= body.expires_ms || lasts_ms > rules.policy.rules.limits.approval_max_ms {
        reasons.push(Reason::new(Code::ApprovalExpired, approval.id));
    }
    let mut facts = facts::facts(world, dossier, examined.decision.score.tier, &evidence.passing, now_ms);
    for signer in &approval.signers {
        let automatic = body.capacity == Capacity::Automation;
        facts.approvers.remove(&signer.person);
        let action = if automatic { Action::AutoApprove } else { Action::Approve };
        reasons.extend(facts::ask(rules, signer, action, &facts, now_ms).err());
        if automatic {
            reasons.extend(automation(world, dossier, rules, examined, signer, body, now_ms));
        }
        if !signer.capacities.contains(&body.capacity) {
            reasons.push(Reason::new(Code::CapacityNotHeld, format!("{}: {}", signer.person, body.capacity)));
        }
    }
    reasons
}

/// Whether the approval says what is in force: the same evidence, artefacts, policy, state, tier and score.
fn is_of(
    approval: &Approval,
    dossier: &Dossier,
    rules: &Rules<'_>,
    verdict: StatementId,
    decision: &Decision,
) -> bool {
    let artefacts: BTreeSet<Digest> =
        dossier.proposal.body.artefacts.iter().map(|artefact| artefact.digest).collect();
    approval.proposal == dossier.proposal.id
        && approval.verdict == verdict
        && approval.findings == decision.findings
        && approval.policy == rules.id
        && approval.target_state == dossier.proposal.body.target_state
        && approval.artefacts == artefacts
        && approval.tier == decision.score.tier
        && approval.risk == decision.score.risk
}

/// What keeps the automation key's approval from counting.
fn automation(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    examined: &Examined,
    signer: &Actor,
    approval: &Approval,
    now_ms: u64,
) -> Vec<Reason> {
    let Some(id) = approval.grant else { return vec![Reason::new(Code::NotAuthorised, signer.key)] };
    let tier = examined.decision.score.tier;
    let mut reasons = grant::against(world, dossier, id, signer.key, GrantPurpose::Approve, tier, now_ms);
    reasons.extend(drift_budget(world, dossier, rules));
    reasons
}

/// Automatic steps together stay within what persons allowed since they last approved. Beyond that the automation's
/// signature does not count; persons' alone do, and set a new baseline.
fn drift_budget(world: &World, dossier: &Dossier, rules: &Rules<'_>) -> Option<Reason> {
    let slot = world.slot(&dossier.proposal.body.slot)?;
    let total = slot.automatic_drift_ppm.saturating_add(dossier.drift_ppm(&rules.policy.rules));
    let budget = rules.policy.rules.automatic_drift_ppm_max;
    (total > budget).then(|| Reason::new(Code::DriftBudget, format!("{total} of {budget} ppm")))
}
