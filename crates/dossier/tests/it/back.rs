//! Revocations that reach back: what a stolen key said is undone.

use audit::fixture::{Plan, Realm, SLOT, Who};
use dossier::{Ledger, State, replay};
use statement::kind::{Capacity, Freeze, FreezeAction, FreezeTarget, Revocation, RevocationTarget, Role};
use statement::{KeyId, StateId, Tracking};

use crate::keys::{Key, OFFICERS, ROOTS, codes, refuses};
use crate::properties::same;
use crate::roots::{add, next_root};

const X: Plan<'static> = Plan::tuning("x");

fn revoke(key: KeyId, compromised_since: u64) -> Revocation {
    Revocation { reason: "stolen".parse().unwrap(), target: RevocationTarget::Key { compromised_since, key } }
}

fn slot_state(realm: &Realm) -> StateId {
    realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap().state
}

fn refusal(ledger: &Ledger, index: u64) -> Vec<&'static str> {
    codes(&ledger.noops()[&index])
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
    realm.establish(&Tracking::Realm, revoke(Who::Fay.key_id(), ordered_at), &OFFICERS);
    assert_eq!(slot_state(&realm), after);
    assert!(realm.dossier(&change).approvals.contains_key(&stolen));
    // From the approval on: it is void, and so is the order.
    realm.establish(&Tracking::Realm, revoke(Who::Fay.key_id(), stolen_at), &OFFICERS);
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

/// Keys of the trust root end with its rotation: else two officers could undo the founding.
#[test]
fn a_key_of_the_root_is_not_revoked_but_rotated_out() {
    let mut realm = Realm::new();
    for who in [Who::RootOne, Who::OfficerOne, Who::PolicyTwo] {
        for since in [0, realm.ledger().world().size()] {
            let body = revoke(who.key_id(), since);
            refuses(&mut realm, &Tracking::Realm, body, &OFFICERS, &["CS-FLD-024"]);
        }
    }
    let third = Key::new("officer three");
    let mut root = next_root(&realm);
    add(&mut root, Role::DirectoryOfficer, &third, "o-three");
    root.keys.remove(&Who::OfficerOne.key_id());
    root.roles.get_mut(&Role::DirectoryOfficer).unwrap().keys.remove(&Who::OfficerOne.key_id());
    realm.establish(&Tracking::Realm, root, &ROOTS);
    // Whom the officer enrolled stays; the officer enrols nobody any more.
    assert!(realm.ledger().world().actor(&Who::Ada.key_id()).is_some());
    let entry = Key::new("new").entry("n", &[Role::Proposer]);
    refuses(&mut realm, &Tracking::Realm, entry, &OFFICERS, &["CS-FLD-007"]);
}

#[test]
fn what_a_stolen_proposer_began_is_gone_with_everything_that_rests_on_it() {
    let mut realm = Realm::new();
    let stolen_at = realm.ledger().world().size();
    let change = realm.release(X);
    let leaves = stolen_at..realm.ledger().world().size();
    realm.establish(&Tracking::Realm, revoke(Who::Ada.key_id(), stolen_at), &OFFICERS);
    assert!(realm.ledger().dossier(&change).is_none());
    assert!(realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap().order.is_none());
    let expected = |index| if index < stolen_at + 2 { ["CS-FLD-013"] } else { ["CS-FLD-018"] };
    for index in leaves {
        assert_eq!(refusal(realm.ledger(), index), expected(index), "leaf {index}");
    }
    same(realm.ledger(), &replay(realm.leaves(), realm.bench()).unwrap());
}

#[test]
fn what_a_stolen_key_stopped_stays_stopped() {
    let mut realm = Realm::new();
    let before = slot_state(&realm);
    let stolen_at = realm.ledger().world().size();
    let change = realm.release(X);
    let ordered_at = realm.ledger().world().size() - 1;
    realm.roll_back(&change);
    let freeze = Freeze {
        action: FreezeAction::Begin,
        reason: "drill".parse().unwrap(),
        target: FreezeTarget::Slot(SLOT.parse().unwrap()),
    };
    realm.establish(&Tracking::Realm, freeze.clone(), &[Who::Lea]);
    // Back to after the order: the order stands, the rollback and the freeze too.
    realm.establish(&Tracking::Realm, revoke(Who::Lea.key_id(), ordered_at + 1), &OFFICERS);
    assert_eq!(slot_state(&realm), before);
    assert_eq!(realm.dossier(&change).state.name(), "rolled back");
    assert_eq!(realm.ledger().world().freezes().count(), 1);
    // Back to before it: there is nothing to roll back, and still the freeze.
    realm.establish(&Tracking::Realm, revoke(Who::Lea.key_id(), stolen_at), &OFFICERS);
    assert_eq!(realm.dossier(&change).state.name(), "examined: pass");
    assert_eq!(refusal(realm.ledger(), ordered_at), ["CS-FLD-013"]);
    assert_eq!(realm.ledger().world().freezes().count(), 1);
    // After its revocation the key stops nothing more.
    realm.advance_ms(1);
    refuses(&mut realm, &Tracking::Realm, freeze, &[Who::Lea], &["CS-FLD-013"]);
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
    realm.establish(&Tracking::Realm, revoke(Who::Ada.key_id(), stolen_at), &OFFICERS);
    assert_eq!(refusal(realm.ledger(), stolen_at), ["CS-FLD-013"]);
    assert!(!realm.ledger().noops().contains_key(&(stolen_at + 1)));
    // Enrolling it again would look like a key that counts.
    realm.advance_ms(1);
    let entry = Who::Ada.entry();
    refuses(&mut realm, &Tracking::Realm, entry, &OFFICERS, &["CS-FLD-038"]);
}
