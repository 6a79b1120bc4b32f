//! Which approvals count, and how many persons stand behind them.

use std::collections::BTreeSet;

use audit::fixture::{DAY_MS, Plan, Realm, Who};
use policy::gate;
use proptest::prelude::*;
use statement::kind::{
    Approval, Assurance, Capacity, DirectoryEntry, EvidenceKind, Proposal, Proposer, Role, Tier,
};
use statement::{ChangeId, Digest, StateId, StatementId};

use crate::keys::{Key, OFFICERS, applies, is_refused, refuses, signed};
use crate::stage::*;

/// Approves by a key of the test's own.
#[track_caller]
fn approves(realm: &mut Realm, change: &ChangeId, key: &Key, capacity: Capacity) -> StatementId {
    let envelope = signed(realm, &about(change), realm.approval(change, capacity), key);
    let id = applies(realm, &envelope);
    realm.advance_ms(1);
    id
}

#[track_caller]
fn may_not(realm: &mut Realm, change: &ChangeId, key: &Key, capacity: Capacity, expected: &[&str]) {
    let envelope = signed(realm, &about(change), realm.approval(change, capacity), key);
    is_refused(realm, &envelope, expected);
}

#[test]
fn an_approval_of_anything_else_does_not_count() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    let sound = realm.approval(&change, Capacity::Technical);
    let other = StatementId::from_digest(Digest::of(b"other"));
    let wrong = [
        Approval { verdict: other, ..sound.clone() },
        Approval { findings: BTreeSet::new(), ..sound.clone() },
        Approval { policy: other, ..sound.clone() },
        Approval { target_state: StateId::from_digest(Digest::of(b"other")), ..sound.clone() },
        Approval { artefacts: BTreeSet::from([Digest::of(b"other")]), ..sound.clone() },
        Approval { artefacts: BTreeSet::new(), ..sound.clone() },
        Approval { tier: Tier::Low, ..sound.clone() },
        Approval { tier: Tier::High, ..sound.clone() },
        Approval { risk: sound.risk - 1, ..sound.clone() },
    ];
    for approval in wrong {
        refuses(&mut realm, &about(&change), approval, &[Who::Fay], &["CS-GATE-025"]);
    }
    realm.establish(&about(&change), sound, &[Who::Fay]);
}

#[test]
fn new_evidence_after_an_approval_makes_it_void() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    assert!(approval_of(&realm, &change).is_ok());
    let finding = realm.finding(&change, EvidenceKind::Probe);
    realm.establish(&about(&change), finding, &[Who::Cas]);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-022"]);
    realm.verdict(&change);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-025", "CS-GATE-028", "CS-GATE-029"]);
    let order = realm.order_body(&change);
    refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-GATE-025", "CS-GATE-028", "CS-GATE-029"]);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    assert_eq!(approval_of(&realm, &change).unwrap().signatures(), 3);
}

#[test]
fn a_second_approval_by_the_same_person_raises_no_count() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    let count = |realm: &Realm| {
        let world = realm.ledger().world();
        ask(realm, |rules| gate::counted(world, realm.dossier(&change), rules, realm.now_ms())).unwrap()
    };
    assert_eq!((count(&realm).signatures, count(&realm).needed), (0, 3));
    let first = realm.approve(&change, Who::Fay, Capacity::Technical);
    let once = count(&realm);
    assert_eq!((once.signatures, once.missing.clone()), (1, vec![Capacity::Ethics]));
    realm.advance_ms(1);
    let second = realm.approve(&change, Who::Fay, Capacity::Technical);
    let twice = count(&realm);
    assert_eq!((twice.signatures, &twice.missing), (1, &once.missing));
    let by: Vec<_> = twice.by.values().collect();
    assert_eq!(by, [&BTreeSet::from([first, second])]);
    // Both count while they last: the one that lasts longer takes over from the other.
    assert!(second != first);
}

#[test]
fn another_policy_makes_verdict_and_approvals_void() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    let order = realm.order_body(&change);
    under_policy(&mut realm, |policy| policy.rules.limits.approval_max_ms -= 1);
    refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-GATE-023"]);
    realm.verdict(&change);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-025", "CS-GATE-028", "CS-GATE-029"]);
}

#[test]
fn approvals_end() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    let limit = Realm::policy().rules.limits.approval_max_ms;
    let sound = realm.approval(&change, Capacity::Technical);
    let now = realm.now_ms();
    for expires_ms in [0, now, now + limit + 1] {
        let approval = Approval { expires_ms, ..sound.clone() };
        refuses(&mut realm, &about(&change), approval, &[Who::Fay], &["CS-GATE-026"]);
    }
    realm.establish(&about(&change), Approval { expires_ms: now + DAY_MS, ..sound }, &[Who::Fay]);
    realm.approve(&change, Who::Gil, Capacity::Ethics);
    realm.approve(&change, Who::Hal, Capacity::Security);
    realm.advance_ms(DAY_MS - 1);
    assert!(approval_of(&realm, &change).is_ok());
    realm.advance_ms(1);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-026", "CS-GATE-028", "CS-GATE-029"]);
}

#[test]
fn the_proposers_person_does_not_approve_under_any_account() {
    let mut realm = Realm::new();
    let second = Key::enrolled("ada's second", "p-ada", &[Role::Approver], &mut realm);
    let change = decided(&mut realm, X);
    may_not(&mut realm, &change, &second, Capacity::Technical, &["CS-GATE-027"]);
    // A model's sponsor is its proposer.
    let plan = Plan::tuning("model");
    let base = realm.proposal(plan).base_state;
    let change = proposed(&mut realm, plan, |proposal| {
        proposal.proposer = Proposer::Model { sponsor: Who::Ada.person(), state: base };
    });
    realm.examine(&change, plan.drift_ppm);
    realm.verdict(&change);
    may_not(&mut realm, &change, &second, Capacity::Technical, &["CS-GATE-027"]);
}

#[test]
fn nobody_wears_two_hats_on_one_change() {
    let mut realm = Realm::new();
    let ben = Key::enrolled("ben's second", "p-ben", &[Role::Approver], &mut realm);
    let eve = Key::enrolled("eve's second", "p-eve", &[Role::Approver, Role::Examiner], &mut realm);
    let fay = Key::enrolled("fay's second", "p-fay", &[Role::Operator, Role::Examiner], &mut realm);
    let change = decided(&mut realm, X);
    for key in [&ben, &eve] {
        may_not(&mut realm, &change, key, Capacity::Ethics, &["CS-GATE-027"]);
    }
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    // An approver, the proposer, an examiner order nothing.
    let ada = Key::enrolled("ada's second", "p-ada", &[Role::Operator], &mut realm);
    let cas = Key::enrolled("cas's second", "p-cas", &[Role::Operator], &mut realm);
    for key in [&fay, &ada, &cas] {
        let envelope = signed(&realm, &about(&change), realm.order_body(&change), key);
        is_refused(&mut realm, &envelope, &["CS-GATE-027"]);
    }
    // Who approved and then finds, finds nothing that counts; the approvals are void by then.
    let finding = realm.finding(&change, EvidenceKind::Regression);
    let envelope = signed(&realm, &about(&change), finding, &fay);
    applies(&mut realm, &envelope);
    realm.verdict(&change);
    let expected = ["CS-GATE-025", "CS-GATE-027", "CS-GATE-028", "CS-GATE-029"];
    assert_eq!(unapproved(&realm, &change), expected);
    let again = realm.approval(&change, Capacity::Technical);
    refuses(&mut realm, &about(&change), again, &[Who::Fay], &["CS-GATE-027"]);
}

#[test]
fn a_persons_approvals_count_once_whatever_keys_and_capacities() {
    let mut realm = Realm::new();
    let second = Key::enrolled("fay's second", "p-fay", &[Role::Approver], &mut realm);
    let change = decided(&mut realm, X);
    realm.approve(&change, Who::Fay, Capacity::Technical);
    realm.approve(&change, Who::Fay, Capacity::Oversight);
    approves(&mut realm, &change, &second, Capacity::Ethics);
    approves(&mut realm, &change, &second, Capacity::Security);
    // One person, and one capacity: technical or ethics, not both.
    let refusal = approval_of(&realm, &change).unwrap_err();
    let told: Vec<String> =
        refusal.reasons().map(|reason| format!("{} {}", reason.code.as_str(), reason.about)).collect();
    assert_eq!(told, ["CS-GATE-028 1 of 3", "CS-GATE-029 ethics"]);
    realm.approve(&change, Who::Hal, Capacity::Security);
    realm.approve(&change, Who::Ivy, Capacity::Business);
    // Three persons now, and still technical and ethics by one of them.
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-029"]);
    realm.approve(&change, Who::Jon, Capacity::Technical);
    let approved = approval_of(&realm, &change).unwrap();
    assert_eq!((approved.signatures(), approved.persons()), (4, 4));
}

#[test]
fn capacities_and_clearance_are_the_directorys() {
    let mut realm = Realm::new();
    let low = Key::new("low");
    let entry = DirectoryEntry { clearance: Tier::Low, ..low.entry("p-low", &[Role::Approver]) };
    realm.establish(&R, entry, &OFFICERS);
    let weak = Key::new("weak");
    let entry = DirectoryEntry { assurance: Assurance::Unsealed, ..weak.entry("p-weak", &[Role::Approver]) };
    realm.establish(&R, entry, &OFFICERS);
    let change = decided(&mut realm, X);
    assert_eq!(tier(&realm, &change), Tier::Medium);
    let ethics = realm.approval(&change, Capacity::Ethics);
    refuses(&mut realm, &about(&change), ethics, &[Who::Fay], &["CS-GATE-030"]);
    may_not(&mut realm, &change, &low, Capacity::Technical, &["CS-GATE-027"]);
    may_not(&mut realm, &change, &weak, Capacity::Technical, &["CS-GATE-027"]);
    // A person is no automation, and the automation is no person.
    let automatic = Approval { grant: None, ..realm.approval(&change, Capacity::Automation) };
    let expected = ["CS-GATE-016", "CS-GATE-027", "CS-GATE-030"];
    refuses(&mut realm, &about(&change), automatic, &[Who::Fay], &expected);
    let technical = realm.approval(&change, Capacity::Technical);
    refuses(&mut realm, &about(&change), technical, &[Who::Automation], &["CS-GATE-027", "CS-GATE-030"]);
}

#[test]
fn nobody_counts_beside_whom_they_enrolled() {
    let mut realm = Realm::new();
    // The first officer approves too, with a key of their own.
    let officer = Key::enrolled("officer's second", "o-one", &[Role::Approver], &mut realm);
    let change = decided(&mut realm, X);
    realm.approve(&change, Who::Fay, Capacity::Technical);
    realm.approve(&change, Who::Gil, Capacity::Ethics);
    approves(&mut realm, &change, &officer, Capacity::Security);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-028"]);
    realm.approve(&change, Who::Hal, Capacity::Security);
    assert_eq!(approval_of(&realm, &change).unwrap().signatures(), 3);
    // Nor does their sign-off.
    let other = decided(&mut realm, Plan::tuning("other"));
    realm.approve(&other, Who::Fay, Capacity::Technical);
    realm.approve(&other, Who::Hal, Capacity::Security);
    realm.approve(&other, Who::Ivy, Capacity::Business);
    approves(&mut realm, &other, &officer, Capacity::Ethics);
    assert_eq!(unapproved(&realm, &other), ["CS-GATE-029"]);
    realm.approve(&other, Who::Gil, Capacity::Ethics);
    assert!(approval_of(&realm, &other).is_ok());
}

#[test]
fn the_order_names_exactly_the_approvals_that_count() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    let order = realm.order_body(&change);
    let mut fewer = order.clone();
    fewer.approvals.pop_first();
    refuses(&mut realm, &about(&change), fewer, &[Who::Lea], &["CS-GATE-031"]);
    realm.approve(&change, Who::Ivy, Capacity::Business);
    refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-GATE-031"]);
    realm.order(&change);
}

#[test]
fn replayed_on_the_next_proposal_an_approval_is_nothing() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    let approval = realm.approval(&change, Capacity::Technical);
    let old = realm.dossier(&change).proposal.id;
    let rebased = Proposal { replaces: Some(old), summary: Some(Digest::of(b"again")), ..realm.proposal(X) };
    realm.establish(&about(&change), rebased, &[Who::Ada]);
    realm.examine(&change, X.drift_ppm);
    realm.verdict(&change);
    refuses(&mut realm, &about(&change), approval.clone(), &[Who::Fay], &["CS-FLD-018"]);
    let patched = Approval { proposal: realm.dossier(&change).proposal.id, ..approval };
    refuses(&mut realm, &about(&change), patched, &[Who::Fay], &["CS-GATE-025"]);
}

/// How many signatures the gate counts.
fn counted(realm: &Realm, change: &ChangeId) -> u32 {
    match approval_of(realm, change) {
        Ok(approved) => approved.signatures(),
        Err(refusal) => {
            let few = refusal.reasons().find(|reason| reason.code == dossier::Code::ApprovalsTooFew);
            // Only a capacity is missing: as many as the tier asks for, or more.
            few.map_or(5, |reason| reason.about.split(' ').next().unwrap().parse().unwrap())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn one_more_approval_never_counts_for_less(order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut realm = Realm::new();
        with_slot(&mut realm, |slot| slot.impact_milli = 9_000);
        let keys = [
            Key::enrolled("officer one's second", "o-one", &[Role::Approver], &mut realm),
            Key::enrolled("officer two's second", "o-two", &[Role::Approver], &mut realm),
            Key::enrolled("fay's second", "p-fay", &[Role::Approver], &mut realm),
        ];
        let change = decided(&mut realm, X);
        prop_assert_eq!(tier(&realm, &change), Tier::High);
        let whos = [
            (Who::Fay, Capacity::Technical),
            (Who::Gil, Capacity::Ethics),
            (Who::Hal, Capacity::Security),
            (Who::Ivy, Capacity::Business),
            (Who::Jon, Capacity::Technical),
            (Who::Fay, Capacity::Oversight),
        ];
        let mut before = counted(&realm, &change);
        prop_assert_eq!(before, 0);
        for which in order {
            match whos.get(which) {
                Some((who, capacity)) => { realm.approve(&change, *who, *capacity); }
                None => { approves(&mut realm, &change, &keys[which - whos.len()], Capacity::Ethics); }
            }
            realm.advance_ms(1);
            let now = counted(&realm, &change);
            prop_assert!(now >= before && now <= before + 1);
            before = now;
        }
        prop_assert_eq!(before, 5);
        prop_assert!(approval_of(&realm, &change).is_ok());
    }
}
