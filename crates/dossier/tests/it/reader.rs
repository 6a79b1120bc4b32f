//! What stops a reader, what it passes over, and in which order it takes leaves.

use audit::fixture::{Plan, Realm, Who};
use dossier::{Applied, Checked, KeyBook, Ledger, Parsed, Stop};
use statement::kind::{Assurance, Role, RoleRule, RootKey};
use statement::{Envelope, KeyId, RealmId, Statement, Tracking, stamp};

use crate::keys::{Key, OFFICERS, POLICY, ROOTS, applies, codes, is_refused, issued};
use crate::roots::next_root;

/// What the next entry would come to, without taking it in.
fn next(realm: &Realm, entry: &[u8]) -> Result<Applied, Stop> {
    let mut book = KeyBook::new();
    for (index, entry) in (0..).zip(realm.entries()) {
        book.learn(&Parsed::new(index, entry));
    }
    let checked = Checked::read(realm.ledger().world().size(), entry, &mut book);
    realm.ledger().clone().apply(&checked, realm.bench())
}

/// A statement of a kind that nobody knows yet, signed by nobody yet.
fn unknown(realm: &Realm, critical: bool) -> Envelope {
    unknown_of(realm.id(), critical, &[], realm.now_ms())
}

fn unknown_of(realm: &RealmId, critical: bool, named: &[KeyId], issued_ms: u64) -> Envelope {
    let hold = statement::example::body(statement::Kind::Hold);
    let statement = Statement::new(realm.clone(), Tracking::Realm, issued_ms, hold).signed_by(named);
    let payload = String::from_utf8(statement.to_payload().unwrap()).unwrap();
    let payload = payload
        .replace("\"kind\":\"hold\"", "\"kind\":\"future\"")
        .replace("urn:countersign:hold:v1", "urn:countersign:future:v1")
        .replace("\"critical\":true", &format!("\"critical\":{critical}"));
    Envelope::unsigned(payload.into_bytes())
}

fn entry(realm: &Realm, envelope: &Envelope) -> Vec<u8> {
    stamp(&envelope.to_bytes().unwrap(), realm.now_ms())
}

#[test]
fn malformed_leaves_are_passed_over() {
    let mut realm = Realm::new();
    let before = realm.ledger().clone();
    let whole = entry(&realm, &realm.sign(&Tracking::Realm, Realm::policy(), &[Who::PolicyOne]));
    let bad: [&[u8]; 5] = [b"", b"nonsense", b"{}", &whole[..whole.len() - 1], &vec![0xff; 70_000]];
    for bytes in bad {
        let index = realm.log(bytes.to_vec());
        assert_eq!(codes(&realm.ledger().noops()[&index]), ["CS-FLD-001"]);
    }
    assert_eq!(realm.ledger().effective(), before.effective());
    assert_eq!(realm.ledger().world().size(), before.world().size() + 5);
    realm.release(Plan::tuning("x"));
}

#[test]
fn an_unknown_kind_that_is_not_critical_is_passed_over() {
    let mut realm = Realm::new();
    let mut envelope = unknown(&realm, false);
    envelope.add(Who::Ada.sign(&envelope.message())).unwrap();
    is_refused(&mut realm, &envelope, &["CS-FLD-031"]);
}

/// What comes of an unknown critical leaf that these sign: the code of the stop, or of the reasons.
fn comes_to(realm: &Realm, envelope: &Envelope, by: &[Who]) -> Vec<&'static str> {
    let mut signed = envelope.clone();
    for who in by {
        signed.add(who.sign(&envelope.message())).unwrap();
    }
    match next(realm, &entry(realm, &signed)) {
        Err(stop) => {
            let index = realm.ledger().world().size();
            assert_eq!(stop, Stop::UnknownCritical { index, kind: "urn:countersign:future:v1".to_owned() });
            vec![stop.code()]
        }
        Ok(Applied::NoOp(refusal)) => codes(&refusal),
        Ok(applied) => panic!("{applied:?}"),
    }
}

#[test]
fn an_unknown_critical_kind_stops_the_reader_if_the_root_quorum_signed_it() {
    let realm = Realm::new();
    let envelope = unknown(&realm, true);
    assert_eq!(comes_to(&realm, &envelope, &ROOTS), ["CS-STOP-001"]);
    assert_eq!(comes_to(&realm, &envelope, &[Who::RootOne, Who::RootTwo, Who::Stranger]), ["CS-STOP-001"]);
}

#[test]
fn nobody_but_the_root_quorum_stops_readers() {
    let mut realm = Realm::new();
    let envelope = unknown(&realm, true);
    // Nobody, a stranger, every enrolled key alone and all together, each officer, the other quorums, half of the root's.
    let all: Vec<Who> = Who::ENROLLED.to_vec();
    let mut groups: Vec<Vec<Who>> = vec![vec![], vec![Who::Stranger], all];
    groups.extend(Who::ENROLLED.map(|who| vec![who]));
    groups.extend([
        OFFICERS.to_vec(),
        POLICY.to_vec(),
        vec![Who::RootOne],
        vec![Who::RootTwo, Who::OfficerOne],
    ]);
    for by in groups {
        assert_eq!(comes_to(&realm, &envelope, &by), ["CS-FLD-036"], "{by:?}");
    }
    // A forged signature beside a good one.
    let mut forged = envelope.clone();
    let sig = Who::Stranger.sign(&envelope.message()).sig;
    forged.add(statement::Signature { keyid: Who::RootTwo.key_id(), sig }).unwrap();
    assert_eq!(comes_to(&realm, &forged, &[Who::RootOne]), ["CS-FLD-036"]);
    // One key's own word is signed by that key alone, so that it is never a quorum of two.
    let named = unknown_of(realm.id(), true, &[Who::RootOne.key_id()], realm.now_ms());
    assert_eq!(comes_to(&realm, &named, &ROOTS), ["CS-FLD-036"]);
    // Another realm's root quorum, were it the same persons.
    let elsewhere = unknown_of(&"elsewhere".parse().unwrap(), true, &[], realm.now_ms());
    assert_eq!(comes_to(&realm, &elsewhere, &ROOTS), ["CS-FLD-002"]);
    // It is recorded, and the realm goes on.
    let mut alone = envelope.clone();
    alone.add(Who::RootOne.sign(&envelope.message())).unwrap();
    is_refused(&mut realm, &alone, &["CS-FLD-036"]);
    realm.release(Plan::tuning("x"));
}

#[test]
fn the_root_quorum_of_the_day_introduces_kinds() {
    // Before there is a root, there is nobody whom a reader could believe.
    let realm = Realm::found("example");
    assert_eq!(comes_to(&realm, &unknown(&realm, true), &ROOTS), ["CS-FLD-004"]);

    // Keys that were rotated out say nothing any more; those that came in do.
    let mut realm = Realm::new();
    let mut root = next_root(&realm);
    let fresh = [Key::new("fresh one"), Key::new("fresh two")];
    for (key, person) in fresh.iter().zip(["f-one", "f-two"]) {
        let entry =
            RootKey { assurance: Assurance::Sealed, key: key.public(), person: person.parse().unwrap() };
        root.keys.insert(key.id(), entry);
    }
    root.roles.insert(Role::Root, RoleRule { keys: fresh.iter().map(Key::id).collect(), threshold: 2 });
    let keys: Vec<&Key> = fresh.iter().collect();
    let envelope = issued(&realm, &Tracking::Realm, root.clone(), realm.now_ms(), &ROOTS, &keys);
    applies(&mut realm, &envelope);
    let envelope = unknown(&realm, true);
    assert_eq!(comes_to(&realm, &envelope, &ROOTS), ["CS-FLD-036"]);
    let mut signed = envelope.clone();
    for key in fresh {
        signed.add(key.sign(&envelope.message())).unwrap();
    }
    assert_eq!(comes_to(&realm, &signed, &[]), ["CS-STOP-001"]);

    // A root that has expired can still be rotated, so it can still introduce kinds; nothing else of it counts.
    realm.advance_ms(root.expires_ms - realm.now_ms());
    assert_eq!(comes_to(&realm, &signed, &[]), ["CS-STOP-001"]);
}

#[test]
fn a_known_kind_with_the_wrong_mark_is_malformed() {
    // Not critical where the kind is: a reader that does not know it would pass it over.
    let mut realm = Realm::new();
    let statement = Statement::new(realm.id().clone(), Tracking::Realm, realm.now_ms(), Realm::policy());
    let payload = String::from_utf8(statement.to_payload().unwrap()).unwrap();
    let payload = payload.replace("\"critical\":true", "\"critical\":false");
    let mut envelope = Envelope::unsigned(payload.into_bytes());
    envelope.add(Who::PolicyOne.sign(&envelope.message())).unwrap();
    envelope.add(Who::PolicyTwo.sign(&envelope.message())).unwrap();
    is_refused(&mut realm, &envelope, &["CS-FLD-001"]);
}

#[test]
fn leaves_come_in_order_and_stamps_never_fall() {
    let realm = Realm::new();
    let mut ledger = Ledger::new();
    let stop = ledger.apply(&realm.leaves()[1], realm.bench()).unwrap_err();
    assert_eq!((stop.code(), stop), ("CS-STOP-002", Stop::OutOfOrder { index: 1, expected: 0 }));
    ledger.apply(&realm.leaves()[0], realm.bench()).unwrap();
    let stop = ledger.apply(&realm.leaves()[0], realm.bench()).unwrap_err();
    assert_eq!(stop, Stop::OutOfOrder { index: 0, expected: 1 });
    let envelope = realm.sign(&Tracking::Realm, Key::new("n").entry("n", &[]), &[]);
    let early = stamp(&envelope.to_bytes().unwrap(), realm.now_ms() - 1);
    let stop = next(&realm, &early).unwrap_err();
    let index = realm.ledger().world().size();
    assert_eq!((stop.code(), stop), ("CS-STOP-003", Stop::StampDecreases { index }));
}
