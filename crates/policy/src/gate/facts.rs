//! What the duties are asked about: who did what on a change so far.

use std::collections::BTreeSet;

use dossier::{Actor, Code, Dossier, RealmAct, Reason, World};
use statement::PersonId;
use statement::kind::{EvidenceKind, FreezeTarget, Level, Outcome, Tier};

use crate::duties::{self, Action, Decision, Facts};
use crate::gate::Rules;

/// The actor as the duties see it.
pub(super) fn duty_actor(actor: &Actor) -> duties::Actor {
    duties::Actor {
        key: actor.key,
        person: actor.person.clone(),
        roles: actor.roles.clone(),
        clearance: actor.clearance,
        assurance: actor.assurance,
        kind: match actor.kind() {
            dossier::ActorKind::Person => duties::ActorKind::Person,
            dossier::ActorKind::Automation => duties::ActorKind::Automation,
        },
    }
}

/// The facts of a change at a tier, before any approvals are counted.
pub(super) fn facts(
    world: &World,
    dossier: &Dossier,
    tier: Tier,
    passing: &BTreeSet<EvidenceKind>,
    now_ms: u64,
) -> Facts {
    let proposal = &dossier.proposal.body;
    let review = |kind| kind == EvidenceKind::ComplianceReview;
    let persons_of = |wanted: fn(bool) -> bool| -> BTreeSet<PersonId> {
        dossier
            .findings
            .values()
            .filter(|finding| wanted(review(finding.body.evidence)))
            .flat_map(|finding| finding.signers.iter().map(|signer| signer.person.clone()))
            .collect()
    };
    let approvers = dossier
        .approvals
        .values()
        .flat_map(|approval| approval.signers.iter())
        .map(|signer| signer.person.clone())
        .collect();
    let orders = dossier.order.iter().flat_map(|order| order.signers.iter());
    let operators = orders.map(|signer| signer.person.clone()).collect();
    let in_bounds = dossier
        .findings
        .values()
        .filter(|finding| finding.body.evidence == EvidenceKind::Scope)
        .all(|finding| finding.body.outcome == Outcome::Pass)
        && passing.contains(&EvidenceKind::Scope);
    Facts {
        proposers: BTreeSet::from([proposal.proposer.person().clone()]),
        examiners: persons_of(|review| !review),
        compliance: persons_of(|review| review),
        approvers,
        operators,
        tier,
        level: proposal.level,
        approvals: 0,
        human_approvals: 0,
        evidence: passing.clone(),
        in_bounds,
        frozen: world.freeze(&proposal.slot, &dossier.change).is_some(),
        on_hold: false,
        authorised_until_ms: authorised_until(world, dossier, now_ms),
    }
}

fn authorised_until(world: &World, dossier: &Dossier, now_ms: u64) -> u64 {
    let grant = dossier.proposal.body.grant.as_ref().and_then(|named| {
        world.grant_in_force(named, &dossier.change, now_ms).or_else(|| world.grant(named))
    });
    grant.map_or(u64::MAX, |record| record.grant.body.expires_ms)
}

/// Asks the duties; a no becomes a reason that names the deciding policies.
pub(super) fn ask(
    rules: &Rules<'_>,
    actor: &Actor,
    action: Action,
    facts: &Facts,
    now_ms: u64,
) -> Result<(), Reason> {
    match rules.ask(duty_actor(actor), action, facts, now_ms) {
        Decision::Permit { .. } => Ok(()),
        Decision::Deny { policies, .. } => {
            let named: Vec<String> = policies.iter().map(ToString::to_string).collect();
            Err(Reason::new(Code::DutyForbids, format!("{}: {}", actor.person, named.join(", "))))
        }
    }
}

/// 1 to 4 as a level, for grants that say how far they reach.
pub(super) fn covers(granted: Level, wanted: Level) -> bool {
    wanted <= granted
}

/// What the duties are asked about an act on the realm.
pub(super) fn realm(world: &World, act: RealmAct<'_>) -> Option<(Action, Facts)> {
    let mut facts = Facts {
        proposers: BTreeSet::new(),
        examiners: BTreeSet::new(),
        compliance: BTreeSet::new(),
        approvers: BTreeSet::new(),
        operators: BTreeSet::new(),
        tier: Tier::Minimal,
        level: Level::Tuning,
        approvals: 0,
        human_approvals: 0,
        evidence: BTreeSet::new(),
        in_bounds: false,
        frozen: false,
        on_hold: false,
        authorised_until_ms: u64::MAX,
    };
    match act {
        // The officers' quorum is the duty here; that the policy can be used is looked at before.
        RealmAct::Policy(_) => None,
        RealmAct::Grant(grant) => {
            facts.proposers.extend(world.actor(&grant.grantee).map(|actor| actor.person));
            facts.tier = grant.tier_max;
            facts.level = grant.level_max;
            facts.authorised_until_ms = grant.expires_ms;
            facts.frozen = world.freezes().any(|(target, _)| match target {
                FreezeTarget::Realm => true,
                FreezeTarget::Slot(slot) => grant.slots.contains(slot),
                FreezeTarget::Change(_) => false,
            });
            Some((Action::Grant, facts))
        }
        RealmAct::Purge(purge) => {
            facts.on_hold = purge.targets.iter().any(|target| world.is_held(target));
            Some((Action::Purge, facts))
        }
        RealmAct::Unfreeze(_) => {
            facts.frozen = true;
            Some((Action::Unfreeze, facts))
        }
    }
}
