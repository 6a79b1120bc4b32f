//! Revocations that reach back: what a stolen key said is undone.

use audit::fixture::{Plan, Realm, SLOT, Who};
use dossier::{Ledger, State, replay};
use statement::kind::{Capacity, Revocation, RevocationTarget, Role};
use statement::{KeyId, StateId, Tracking};

use crate::keys::{Key, ROOTS, applies, codes, is_refused, issued, refuses, signed};
use crate::properties::same;
use crate::roots::{add, next_root, opened};

const X: Plan<'static> = Plan::tuning("x");

fn revoke(key: KeyId, compromised_since: u64) -> Revocation {
    Revocation {
        reason: "stolen".parse().unwrap(),
        target: RevocationTarget::Key { compromised_since, key },
    }
}

fn slot_state(realm: &Realm) -> StateId {
    realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap().state
}

fn refusal(ledger: &Ledger, index: u64) -> Vec<&'static str> {
    codes(&ledger.noops()[&index])
}

/// A realm with a third directory officer, so that two can revoke one.
fn three_officers() -> (Realm, Key) {
    let third = Key::new("officer three");
    let realm = opened(|root| add(root, Role::DirectoryOfficer, &third, "o-three"));
    (realm, third)
}

#[test]
fn an_approval_by_a_stolen_key_is_void_and_the_order_undone() {
    let mut realm = Realm::new();
    let before = slot_state(&realm);
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    realm.verdict(&change);
    realm.approve(&change, Who::Gil, Capacity::Ethics);
    realm.approve(&change, Who::Hal, Capacity::Security);
    let stolen_at = realm.ledger().world().size();
    let stolen = realm.approve(&change, Who::Fay, Capacity::Technical);
    let ordered_at = realm.ledger().world().size();
    realm.order(&change);
    let after = slot_state(&realm);
    assert_ne!(before, after);
    // From a later leaf on, nothing that is already there changes.
    realm.establish(&Tracking::Realm, revoke(Who::Fay.key_id(), ordered_at), &[Who::OfficerOne, Who::OfficerTwo]);
    assert_eq!(slot_state(&realm), after);
    assert!(realm.dossier(&change).approvals.contains_key(&stolen));
    // From the approval on: it is void, and so is the order.
    realm.establish(&Tracking::Realm, revoke(Who::Fay.key_id(), stolen_at), &[Who::OfficerOne, Who::OfficerTwo]);
    assert_eq!(slot_state(&realm), before);
    let record = realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap();
    assert!(record.order.is_none());
    assert_eq!(record.history.len(), 1);
    let dossier = realm.dossier(&change);
    assert!(matches!(dossier.state, State::Examined { .. }));
    assert!(dossier.order.is_none());
    assert_eq!(dossier.approvals.len(), 2);
    assert_eq!(refusal(realm.ledger(), stolen_at), ["CS-FLD-013"]);
    assert!(refusal(realm.ledger(), ordered_at).contains(&"CS-GATE-028"));
    // And what the key says from now on.
    let approval = realm.approval(&change, Capacity::Oversight);
    refuses(&mut realm, &Tracking::Change(change), approval, &[Who::Fay], &["CS-FLD-013"]);
    same(realm.ledger(), &replay(realm.leaves(), realm.bench()).unwrap());
}

#[test]
fn what_a_stolen_officer_enrolled_is_gone_with_everything_it_did() {
    let (mut realm, third) = three_officers();
    let stolen_at = realm.ledger().world().size();
    let mallory = Key::enrolled("mallory", "m", &[Role::Proposer, Role::Operator], &mut realm);
    let about = Tracking::Change(X.change());
    let envelope = signed(&realm, &about, realm.target_state(X), &mallory);
    let state_at = realm.ledger().world().size();
    applies(&mut realm, &envelope);
    let mut proposal = realm.proposal(X);
    proposal.proposer = statement::kind::Proposer::Person("m".parse().unwrap());
    let envelope = signed(&realm, &about, proposal, &mallory);
    applies(&mut realm, &envelope);
    assert!(realm.ledger().dossier(&X.change()).is_some());
    let now = realm.now_ms();
    let revocation = revoke(Who::OfficerOne.key_id(), stolen_at);
    let envelope = issued(&realm, &Tracking::Realm, revocation, now, &[Who::OfficerTwo], &[&third]);
    applies(&mut realm, &envelope);
    assert!(realm.ledger().world().actor(&mallory.id()).is_none());
    assert!(realm.ledger().dossier(&X.change()).is_none());
    assert_eq!(refusal(realm.ledger(), stolen_at), ["CS-FLD-007"]);
    assert_eq!(refusal(realm.ledger(), state_at), ["CS-FLD-005"]);
    assert_eq!(refusal(realm.ledger(), state_at + 1), ["CS-FLD-005"]);
    // Whom the officer enrolled before is still there.
    assert!(realm.ledger().world().actor(&Who::Ada.key_id()).is_some());
    same(realm.ledger(), &replay(realm.leaves(), realm.bench()).unwrap());
}

#[test]
fn a_statement_that_a_stolen_key_said_first_counts_when_another_says_it() {
    let mut realm = Realm::new();
    let about = Tracking::Change(X.change());
    let stolen_at = realm.ledger().world().size();
    let state = realm.target_state(X);
    realm.establish(&about, state.clone(), &[Who::Ada]);
    refuses(&mut realm, &about, state, &[Who::Lea], &["CS-FLD-003"]);
    realm.establish(&Tracking::Realm, revoke(Who::Ada.key_id(), stolen_at), &[Who::OfficerOne, Who::OfficerTwo]);
    assert_eq!(refusal(realm.ledger(), stolen_at), ["CS-FLD-013"]);
    assert!(!realm.ledger().noops().contains_key(&(stolen_at + 1)));
}

#[test]
fn an_officer_may_sign_the_end_of_their_own_key() {
    let mut realm = Realm::new();
    let at = realm.ledger().world().size();
    let revocation = revoke(Who::OfficerOne.key_id(), at + 1);
    refuses(&mut realm, &Tracking::Realm, revocation, &[Who::OfficerOne, Who::OfficerTwo], &["CS-FLD-024"]);
    realm.establish(
        &Tracking::Realm,
        revoke(Who::OfficerOne.key_id(), at + 1),
        &[Who::OfficerOne, Who::OfficerTwo],
    );
    let entry = Key::new("new").entry("n", &[Role::Proposer]);
    refuses(&mut realm, &Tracking::Realm, entry, &[Who::OfficerOne, Who::OfficerTwo], &["CS-FLD-007"]);
    same(realm.ledger(), &replay(realm.leaves(), realm.bench()).unwrap());
}

/// The officers of a trust root that turns out to be void say nothing, whether one reads leaf by leaf or all at once.
#[test]
fn revocations_under_a_void_root_are_void_however_one_reads() {
    let (mut realm, _) = three_officers();
    let new = [Key::new("new officer one"), Key::new("new officer two")];
    let mut root = next_root(&realm);
    for (key, person) in new.iter().zip(["n-one", "n-two"]) {
        add(&mut root, Role::DirectoryOfficer, key, person);
    }
    let rotated_at = realm.ledger().world().size();
    realm.establish(&Tracking::Realm, root, &ROOTS);
    let now = realm.now_ms();
    let revocation = revoke(Who::RootOne.key_id(), rotated_at);
    realm.establish(&Tracking::Realm, revocation, &[Who::OfficerOne, Who::OfficerTwo]);
    assert_eq!(realm.ledger().world().roots().len(), 1);
    let hostile = revoke(Who::Ada.key_id(), 0);
    let envelope = issued(&realm, &Tracking::Realm, hostile, now, &[], &[&new[0], &new[1]]);
    is_refused(&mut realm, &envelope, &["CS-FLD-005"]);
    assert!(!realm.ledger().compromised().contains_key(&Who::Ada.key_id()));
    same(realm.ledger(), &replay(realm.leaves(), realm.bench()).unwrap());
}
