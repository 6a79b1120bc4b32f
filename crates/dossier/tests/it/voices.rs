//! Whose word a statement is: one key's own, or several keys' together.

use audit::fixture::{Plan, Realm, SLOT, Who};
use statement::kind::{
    Approval, Body, Capacity, EvidenceKind, Freeze, FreezeAction, FreezeTarget, Incident, Kind, Observation,
    Rejection, Response, Role, RollbackOrder, Severity, Voice,
};
use statement::{ChangeId, Digest, Envelope, KeyId, Statement, Tracking, example};

use crate::keys::{Key, OFFICERS, ROOTS, applies, is_refused, issued, refuses, signed};
use crate::roots::next_root;

fn about(change: &ChangeId) -> Tracking {
    Tracking::Change(change.clone())
}

/// A change with a verdict, and the approval that everybody could sign.
fn decided(realm: &mut Realm) -> (ChangeId, Approval) {
    let change = realm.propose(Plan::tuning("x"));
    realm.examine(&change, 2_000);
    realm.verdict(&change);
    let approval = realm.approval(&change, Capacity::Technical);
    (change, approval)
}

/// A statement of now that names these, signed by nobody yet.
fn naming(realm: &Realm, about: &Tracking, body: impl Into<Body>, named: &[KeyId]) -> Envelope {
    let statement = Statement::new(realm.id().clone(), about.clone(), realm.now_ms(), body);
    statement.signed_by(named).to_envelope().unwrap()
}

#[test]
fn two_persons_who_approve_the_same_in_one_millisecond_both_count() {
    let mut realm = Realm::new();
    let (change, approval) = decided(&mut realm);
    let fay = realm.establish(&about(&change), approval.clone(), &[Who::Fay]);
    let jon = realm.establish(&about(&change), approval.clone(), &[Who::Jon]);
    assert_ne!(fay, jon);
    let persons: Vec<_> =
        realm.dossier(&change).approvals.values().map(|it| it.signers[0].person.clone()).collect();
    assert_eq!(persons.len(), 2);
    assert!(persons.contains(&Who::Fay.person()) && persons.contains(&Who::Jon.person()));
    // The same person saying the same again says nothing new.
    refuses(&mut realm, &about(&change), approval, &[Who::Fay], &["CS-FLD-003"]);
}

#[test]
fn two_who_find_or_see_the_same_in_one_millisecond_are_both_heard() {
    let mut realm = Realm::new();
    let change = realm.propose(Plan::tuning("x"));
    let finding = realm.finding(&change, EvidenceKind::Scope);
    for who in [Who::Ben, Who::Cas] {
        realm.establish(&about(&change), finding.clone(), &[who]);
    }
    assert_eq!(realm.dossier(&change).findings.len(), 2);
    let second = Key::enrolled("second monitor", "p-max", &[Role::Monitor], &mut realm);
    let Body::Observation(seen) = example::body(Kind::Observation) else { panic!("an observation") };
    let seen = Observation { slot: SLOT.parse().unwrap(), ..*seen };
    let first = realm.establish(&Tracking::Realm, seen.clone(), &[Who::Monitor]);
    let envelope = signed(&realm, &Tracking::Realm, seen, &second);
    assert_ne!(applies(&mut realm, &envelope), first);
}

#[test]
fn two_who_reject_in_one_millisecond_are_told_apart() {
    let mut realm = Realm::new();
    let (change, approval) = decided(&mut realm);
    let no = Rejection { note: None, proposal: approval.proposal, reason: "drill".parse().unwrap() };
    realm.establish(&about(&change), no.clone(), &[Who::Fay]);
    // The first ended the proposal; the second is no repetition of it.
    refuses(&mut realm, &about(&change), no, &[Who::Eve], &["CS-FLD-026"]);
}

#[test]
fn one_keys_own_word_has_exactly_one_signature() {
    let mut realm = Realm::new();
    let (change, approval) = decided(&mut realm);
    for by in [&[Who::Fay, Who::Jon][..], &[Who::Fay, Who::Stranger], &[]] {
        let statement = Statement::new(realm.id().clone(), about(&change), realm.now_ms(), approval.clone());
        let envelope = realm.seal(&statement.signed_by(&[Who::Fay.key_id()]), by);
        is_refused(&mut realm, &envelope, &["CS-FLD-022"]);
    }
    realm.establish(&about(&change), approval, &[Who::Fay]);
}

#[test]
fn nobody_signs_anothers_word() {
    let mut realm = Realm::new();
    let key = Key::enrolled("of every role", "p-all", &DELEGABLE, &mut realm);
    let machine = Key::enrolled("machine", "p-machine", &[Role::Automation], &mut realm);
    let mut kinds = 0;
    for kind in Kind::ALL.iter().filter(|kind| kind.voice() != Voice::Joint) {
        let statement = example::statement(*kind);
        // Who signs could say such things; whom it names could too, or is nobody.
        for named in [Who::Stranger.key_id(), Who::Fay.key_id(), Who::Lea.key_id()] {
            let signer = if kind.signers() == [Role::Automation] { &machine } else { &key };
            let mut envelope = naming(&realm, &statement.header.change, statement.body.clone(), &[named]);
            envelope.add(signer.sign(&envelope.message())).unwrap();
            is_refused(&mut realm, &envelope, &["CS-FLD-035"]);
        }
        kinds += 1;
    }
    assert_eq!(kinds, 21);
}

const DELEGABLE: [Role; 8] = [
    Role::Proposer,
    Role::Examiner,
    Role::Compliance,
    Role::Approver,
    Role::Operator,
    Role::Rollout,
    Role::Engine,
    Role::Monitor,
];

#[test]
fn a_signature_cannot_be_put_under_another_name() {
    let mut realm = Realm::new();
    let (change, approval) = decided(&mut realm);
    let own = realm.sign(&about(&change), approval.clone(), &[Who::Fay]);
    let signature = own.signatures[0].clone();
    // Fay's signature under what says it is Jon's word: in her name, in his, and the same without any name.
    let jons = naming(&realm, &about(&change), approval, &[Who::Jon.key_id()]);
    let mut twin = jons.clone();
    twin.add(signature.clone()).unwrap();
    is_refused(&mut realm, &twin, &["CS-FLD-035"]);
    let mut twin = jons;
    let sig = signature.sig.clone();
    twin.add(statement::Signature { keyid: Who::Jon.key_id(), sig }).unwrap();
    is_refused(&mut realm, &twin, &["CS-FLD-005"]);
    let text = String::from_utf8(own.payload.as_slice().to_vec()).unwrap();
    let member = format!("\"signer\":\"{}\",", Who::Fay.key_id());
    assert!(text.contains(&member));
    let mut twin = Envelope::unsigned(text.replace(&member, "").into_bytes());
    twin.add(Who::Fay.sign(&twin.message())).unwrap();
    is_refused(&mut realm, &twin, &["CS-FLD-001"]);
    let refusal = realm.ledger().noops().values().last().unwrap();
    assert_eq!(refusal.reasons().next().unwrap().about, "CS-STM-024");
    applies(&mut realm, &own);
}

#[test]
fn what_several_sign_names_nobody() {
    let mut realm = Realm::new();
    let entry = Key::new("n").entry("n", &[Role::Proposer]);
    let text = String::from_utf8(naming(&realm, &Tracking::Realm, entry, &[]).payload.into_vec()).unwrap();
    let named = format!("\"signer\":\"{}\",\"version\":1", Who::OfficerOne.key_id());
    let mut twin = Envelope::unsigned(text.replace("\"version\":1", &named).into_bytes());
    for who in [Who::OfficerOne, Who::OfficerTwo] {
        twin.add(who.sign(&twin.message())).unwrap();
    }
    is_refused(&mut realm, &twin, &["CS-FLD-001"]);
    let refusal = realm.ledger().noops().values().last().unwrap();
    assert_eq!(refusal.reasons().next().unwrap().about, "CS-STM-025");
}

#[test]
fn half_a_quorum_that_is_logged_first_spoils_nothing() {
    let mut realm = Realm::new();
    let entry = Key::new("n").entry("n", &[Role::Proposer]);
    let whole = realm.sign(&Tracking::Realm, entry, &OFFICERS);
    // The id is the same whoever signed: what was refused for want of signatures is not what applied.
    let mut half = whole.clone();
    half.signatures.truncate(1);
    assert_eq!(half.id(), whole.id());
    is_refused(&mut realm, &half, &["CS-FLD-007"]);
    applies(&mut realm, &whole);
    is_refused(&mut realm, &half, &["CS-FLD-003"]);
}

#[test]
fn a_word_of_one_realm_is_none_of_another() {
    let mut realm = Realm::new();
    let (change, approval) = decided(&mut realm);
    // The same keys, persons and change; only the realm is another.
    let elsewhere: statement::RealmId = "elsewhere".parse().unwrap();
    let statement = Statement::new(elsewhere, about(&change), realm.now_ms(), approval);
    let envelope = realm.seal(&statement.signed_by(&[Who::Fay.key_id()]), &[Who::Fay]);
    is_refused(&mut realm, &envelope, &["CS-FLD-002"]);
}

#[test]
fn a_quorum_of_monitors_goes_back_together_and_each_speaks_alone() {
    let mut realm = Realm::new();
    let second = Key::enrolled("second monitor", "p-mia", &[Role::Monitor], &mut realm);
    let own = Key::enrolled("third monitor", "p-max", &[Role::Monitor], &mut realm);
    let mut root = next_root(&realm);
    root.roles.get_mut(&Role::Monitor).unwrap().threshold = 2;
    realm.establish(&Tracking::Realm, root, &ROOTS);
    let change = realm.release(Plan::tuning("x"));
    let order = realm.dossier(&change).order.clone().unwrap();
    let incident = Incident {
        observations: std::collections::BTreeSet::new(),
        order: order.id,
        response: Response::RollBack,
        severity: Severity::Critical,
        slot: SLOT.parse().unwrap(),
        summary: Some(Digest::of(b"salted")),
    };
    realm.establish(&about(&change), incident.clone(), &[Who::Monitor]);
    let envelope = signed(&realm, &about(&change), incident, &second);
    applies(&mut realm, &envelope);
    let freeze =
        Freeze { action: FreezeAction::Begin, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm };
    realm.establish(&Tracking::Realm, freeze, &[Who::Monitor]);
    // Going back takes two persons, whose signatures stand under one statement.
    let back = RollbackOrder {
        from_state: order.body.to_state,
        incident: None,
        order: order.id,
        reason: "drill".parse().unwrap(),
        slot: SLOT.parse().unwrap(),
        to_state: order.body.from_state,
    };
    let now = realm.now_ms();
    let alone = signed(&realm, &about(&change), back.clone(), &second);
    is_refused(&mut realm, &alone, &["CS-FLD-007"]);
    let one_person = issued(&realm, &about(&change), back.clone(), now, &[Who::Monitor], &[&own]);
    is_refused(&mut realm, &one_person, &["CS-FLD-007"]);
    let two = issued(&realm, &about(&change), back, now, &[Who::Monitor], &[&second]);
    applies(&mut realm, &two);
    assert_eq!(realm.dossier(&change).state.name(), "rolled back");
}
