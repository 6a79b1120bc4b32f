//! Realms at the points where gates are asked, and how gates answer.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Realm, SLOT, Who};
use dossier::Refusal;
use policy::gate::{Approved, CheckpointView, Decision, Rules, approved, decide, examined};
use statement::kind::{Capacity, Isolation, Policy, Proposal, Slot, Tier, WorkerRule};
use statement::{ChangeId, SlotId, StatementId, Tracking};

use crate::keys::{POLICY, codes};

pub(crate) const R: Tracking = Tracking::Realm;
pub(crate) const X: Plan<'static> = Plan::tuning("x");

/// Who approves in what at the medium tier.
pub(crate) const MEDIUM: [(Who, Capacity); 3] =
    [(Who::Fay, Capacity::Technical), (Who::Gil, Capacity::Ethics), (Who::Hal, Capacity::Security)];

pub(crate) fn about(change: &ChangeId) -> Tracking {
    Tracking::Change(change.clone())
}

pub(crate) fn slot_id() -> SlotId {
    SLOT.parse().unwrap()
}

/// Proposed, with another proposal than the fixture's.
#[track_caller]
pub(crate) fn proposed(realm: &mut Realm, plan: Plan<'_>, alter: impl FnOnce(&mut Proposal)) -> ChangeId {
    let change = plan.change();
    let state = realm.target_state(plan);
    realm.establish(&about(&change), state, &[plan.proposer]);
    let mut proposal = realm.proposal(plan);
    alter(&mut proposal);
    realm.establish(&about(&change), proposal, &[plan.proposer]);
    change
}

/// Proposed, examined and decided, at whatever tier that is.
#[track_caller]
pub(crate) fn decided(realm: &mut Realm, plan: Plan<'_>) -> ChangeId {
    let change = realm.propose(plan);
    realm.examine(&change, plan.drift_ppm);
    realm.verdict(&change);
    change
}

/// Puts another policy into force.
pub(crate) fn under_policy(realm: &mut Realm, alter: impl FnOnce(&mut Policy)) -> StatementId {
    let present = realm.ledger().world().policy().unwrap();
    let mut policy = Policy { supersedes: Some(present.id), ..present.body.clone() };
    alter(&mut policy);
    realm.advance_ms(1);
    realm.establish(&R, policy, &POLICY)
}

/// What every worker's box is.
pub(crate) fn any_box() -> WorkerRule {
    WorkerRule { attested_by: BTreeSet::new(), boundaries: BTreeSet::new(), isolation: Isolation::Standard }
}

/// Puts another definition of the slot into force.
pub(crate) fn with_slot(realm: &mut Realm, alter: impl FnOnce(&mut Slot)) {
    let definition = realm.ledger().world().slot(&slot_id()).unwrap().definition.clone();
    let mut slot = Slot { supersedes: Some(definition.id), ..definition.body };
    alter(&mut slot);
    realm.establish(&R, slot, &POLICY);
}

/// A policy by which a first change may be of the minimal tier, without any history.
pub(crate) fn without_history(realm: &mut Realm) {
    under_policy(realm, |policy| {
        policy.rules.impact.reliability_floors.clear();
        policy.rules.impact.weight_reliability = 0;
    });
}

/// Asks a gate under the policy in force.
pub(crate) fn ask<T>(
    realm: &Realm,
    gate: impl FnOnce(&Rules<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let world = realm.ledger().world();
    let duties = realm.bench().duties(world)?;
    gate(&Rules::new(world, &duties)?)
}

pub(crate) fn decision(realm: &Realm, change: &ChangeId) -> Decision {
    ask(realm, |rules| decide(realm.ledger().world(), realm.dossier(change), rules, realm.now_ms())).unwrap()
}

/// The codes of what stands against a change's evidence now.
pub(crate) fn against(realm: &Realm, change: &ChangeId) -> Vec<&'static str> {
    let reasons = decision(realm, change).reasons;
    let mut codes: Vec<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    codes.dedup();
    codes
}

/// The codes of why a change is not examined.
pub(crate) fn unexamined(realm: &Realm, change: &ChangeId) -> Vec<&'static str> {
    let world = realm.ledger().world();
    codes(&ask(realm, |rules| examined(world, realm.dossier(change), rules, realm.now_ms())).unwrap_err())
}

pub(crate) fn approval_of(realm: &Realm, change: &ChangeId) -> Result<Approved, Refusal> {
    let world = realm.ledger().world();
    ask(realm, |rules| approved(world, realm.dossier(change), rules, realm.now_ms()))
}

/// The codes of why a change is not approved.
#[track_caller]
pub(crate) fn unapproved(realm: &Realm, change: &ChangeId) -> Vec<&'static str> {
    codes(&approval_of(realm, change).unwrap_err())
}

pub(crate) fn tier(realm: &Realm, change: &ChangeId) -> Tier {
    decision(realm, change).score.tier
}

/// The checkpoint of now, cosigned now.
pub(crate) fn view(realm: &Realm) -> CheckpointView {
    CheckpointView { size: realm.ledger().world().size(), witnessed_ms: realm.now_ms(), witnesses: 1 }
}

/// The order in force of a change.
pub(crate) fn order_of(realm: &Realm, change: &ChangeId) -> StatementId {
    realm.dossier(change).order.as_ref().unwrap().id
}
