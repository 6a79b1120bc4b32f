//! The state depends on the leaves alone, however one reads them.

use audit::fixture::{Plan, Realm, Who};
use dossier::{Applied, Checked, KeyBook, Ledger, replay};
use proptest::prelude::*;
use statement::kind::{
    Capacity, EvidenceKind, Freeze, FreezeAction, FreezeTarget, Outcome, Revocation, RevocationTarget,
};
use statement::{Tracking, leaf};

/// Two ledgers say the same of everything.
#[track_caller]
pub(crate) fn same(left: &Ledger, right: &Ledger) {
    assert_eq!(left.world(), right.world());
    assert_eq!(left.noops(), right.noops());
    assert_eq!(left.effective(), right.effective());
    assert_eq!(left.compromised(), right.compromised());
    assert!(left.dossiers().eq(right.dossiers()));
}

/// The ledger after each of the leaves, read one by one.
fn one_by_one(leaves: &[Checked], realm: &Realm) -> Ledger {
    let mut ledger = Ledger::new();
    for (read, checked) in leaves.iter().enumerate() {
        if ledger.apply(checked, realm.bench()).unwrap() == Applied::Refold {
            ledger = replay(&leaves[..=read], realm.bench()).unwrap();
        }
    }
    ledger
}

/// A step that somebody takes, sensible or not.
#[derive(Debug, Clone, Copy)]
enum Move {
    Propose(u8),
    Find(u8, Outcome),
    Decide(u8),
    Approve(u8, Who, Capacity),
    Order(u8),
    RollBack(u8),
    Freeze(FreezeAction),
    Revoke(Who, u8),
    Noise(u8),
    Again(u8),
}

const LABELS: [&str; 3] = ["one", "two", "three"];

fn plan(label: u8) -> Plan<'static> {
    let proposer = if label.is_multiple_of(2) { Who::Ada } else { Who::Abe };
    Plan { proposer, ..Plan::tuning(LABELS[usize::from(label) % LABELS.len()]) }
}

fn make(realm: &mut Realm, step: Move) {
    let known = |realm: &Realm, label: u8| realm.ledger().dossier(&plan(label).change()).is_some();
    let decided = |realm: &Realm, label: u8| {
        realm.ledger().dossier(&plan(label).change()).is_some_and(|d| d.verdict.is_some())
    };
    let about = |label: u8| Tracking::Change(plan(label).change());
    match step {
        Move::Propose(label) => {
            let plan = plan(label);
            realm.say(&about(label), realm.target_state(plan), &[plan.proposer]);
            realm.say(&about(label), realm.proposal(plan), &[plan.proposer]);
        }
        Move::Find(label, outcome) if known(realm, label) => {
            for (kind, who) in [
                (EvidenceKind::Scope, Who::Ben),
                (EvidenceKind::FormalVerification, Who::Cas),
                (EvidenceKind::SecurityReview, Who::Dan),
                (EvidenceKind::ComplianceReview, Who::Eve),
            ] {
                let mut finding = realm.finding(&plan(label).change(), kind);
                finding.outcome = outcome;
                finding.measures.insert("relative_frobenius_ppm_max".parse().unwrap(), 1_000);
                realm.say(&about(label), finding, &[who]);
            }
        }
        Move::Decide(label) if known(realm, label) => {
            let verdict = realm.verdict_body(&plan(label).change());
            realm.say(&about(label), verdict, &[Who::Automation]);
        }
        Move::Approve(label, who, capacity) if decided(realm, label) => {
            let approval = realm.approval(&plan(label).change(), capacity);
            realm.say(&about(label), approval, &[who]);
        }
        Move::Order(label) if decided(realm, label) => {
            let order = realm.order_body(&plan(label).change());
            realm.say(&about(label), order, &[Who::Lea]);
        }
        Move::RollBack(label) => {
            let order = realm.ledger().dossier(&plan(label).change()).and_then(|d| d.order.clone());
            if let Some(order) = order {
                let body = statement::kind::RollbackOrder {
                    from_state: order.body.to_state,
                    incident: None,
                    order: order.id,
                    reason: "drill".parse().unwrap(),
                    slot: order.body.slot.clone(),
                    to_state: order.body.from_state,
                };
                realm.say(&about(label), body, &[Who::Lea]);
            }
        }
        Move::Freeze(action) => {
            let body = Freeze { action, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm };
            realm.say(&Tracking::Realm, body, &[Who::PolicyOne, Who::PolicyTwo]);
        }
        Move::Revoke(who, share) => {
            let size = realm.ledger().world().size();
            let compromised_since = size * u64::from(share) / 255;
            let target = RevocationTarget::Key { compromised_since, key: who.key_id() };
            let body = Revocation { reason: "stolen".parse().unwrap(), target };
            realm.say(&Tracking::Realm, body, &[Who::OfficerOne, Who::OfficerTwo]);
        }
        Move::Noise(byte) => {
            realm.log(vec![byte; usize::from(byte)]);
        }
        Move::Again(which) => {
            let entries = realm.entries();
            let bytes =
                leaf::split(&entries[usize::from(which) % entries.len()]).map(|(bytes, _)| bytes.to_vec());
            if let Ok(bytes) = bytes {
                realm.log(leaf::stamp(&bytes, realm.now_ms()));
            }
        }
        _ => {}
    }
    realm.advance_ms(1_000);
}

fn anybody() -> impl Strategy<Value = Who> {
    prop::sample::select(vec![
        Who::Ada,
        Who::Ben,
        Who::Eve,
        Who::Fay,
        Who::Gil,
        Who::Hal,
        Who::Lea,
        Who::Automation,
        Who::OfficerOne,
        Who::PolicyTwo,
        Who::RootOne,
    ])
}

fn capacity() -> impl Strategy<Value = Capacity> {
    prop::sample::select(vec![Capacity::Technical, Capacity::Ethics, Capacity::Security, Capacity::Oversight])
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (0..3_u8).prop_map(Move::Propose),
        4 => (0..3_u8, prop::sample::select(vec![Outcome::Pass, Outcome::Pass, Outcome::Fail])).prop_map(|(l, o)| Move::Find(l, o)),
        4 => (0..3_u8).prop_map(Move::Decide),
        2 => (0..3_u8, anybody(), capacity()).prop_map(|(l, w, c)| Move::Approve(l, w, c)),
        2 => (0..3_u8).prop_map(|l| Move::Approve(l, Who::Fay, Capacity::Technical)),
        2 => (0..3_u8).prop_map(|l| Move::Approve(l, Who::Gil, Capacity::Ethics)),
        2 => (0..3_u8).prop_map(|l| Move::Approve(l, Who::Hal, Capacity::Security)),
        4 => (0..3_u8).prop_map(Move::Order),
        1 => (0..3_u8).prop_map(Move::RollBack),
        1 => prop::sample::select(vec![FreezeAction::Begin, FreezeAction::End]).prop_map(Move::Freeze),
        1 => (anybody(), any::<u8>()).prop_map(|(w, s)| Move::Revoke(w, s)),
        1 => any::<u8>().prop_map(Move::Noise),
        1 => any::<u8>().prop_map(Move::Again),
    ]
}

/// Every way to an order in one go, so that what follows has something to undo.
fn opening(realm: &mut Realm) {
    for step in [
        Move::Propose(0),
        Move::Find(0, Outcome::Pass),
        Move::Decide(0),
        Move::Approve(0, Who::Fay, Capacity::Technical),
        Move::Approve(0, Who::Gil, Capacity::Ethics),
        Move::Approve(0, Who::Hal, Capacity::Security),
        Move::Order(0),
    ] {
        make(realm, step);
    }
    let change = plan(0).change();
    assert!(realm.dossier(&change).order.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reading_at_once_and_leaf_by_leaf_is_the_same(moves in prop::collection::vec(a_move(), 1..24)) {
        let mut realm = Realm::new();
        opening(&mut realm);
        for step in moves {
            make(&mut realm, step);
        }
        same(realm.ledger(), &replay(realm.leaves(), realm.bench()).unwrap());
        // Keys learned beforehand or on the way: a signature is as good.
        let mut book = KeyBook::new();
        let read: Vec<Checked> =
            (0..).zip(realm.entries()).map(|(index, entry)| Checked::read(index, entry, &mut book)).collect();
        same(realm.ledger(), &one_by_one(&read, &realm));
    }

    #[test]
    fn saying_it_again_changes_nothing(moves in prop::collection::vec(a_move(), 1..12), which in any::<prop::sample::Index>()) {
        let mut realm = Realm::new();
        opening(&mut realm);
        for step in moves {
            make(&mut realm, step);
        }
        let entry = which.get(realm.entries()).clone();
        let Ok((bytes, _)) = leaf::split(&entry) else { return Ok(()) };
        let said = which.index(realm.entries().len()) as u64;
        let had_effect = !realm.ledger().noops().contains_key(&said);
        let before = realm.ledger().clone();
        let index = realm.log(leaf::stamp(bytes, realm.now_ms()));
        if had_effect {
            prop_assert!(realm.ledger().noops().contains_key(&index));
            prop_assert_eq!(before.effective(), realm.ledger().effective());
            prop_assert!(before.dossiers().eq(realm.ledger().dossiers()));
            prop_assert!(before.world().slots().eq(realm.ledger().world().slots()));
            prop_assert!(before.world().actors().eq(realm.ledger().world().actors()));
            prop_assert!(before.world().freezes().eq(realm.ledger().world().freezes()));
        }
    }
}
