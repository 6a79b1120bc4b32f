//! What stops a reader, what it passes over, and in which order it takes leaves.

use audit::fixture::{Plan, Realm, Who};
use dossier::{Applied, Checked, Code, KeyBook, Ledger, Parsed, Stop};
use statement::{Envelope, Statement, Tracking, stamp};

use crate::keys::{Key, codes, is_refused};

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
    let attempt = statement::example::body(statement::Kind::Attempt);
    let statement = Statement::new(realm.id().clone(), Tracking::Realm, realm.now_ms(), attempt);
    let payload = String::from_utf8(statement.to_payload().unwrap()).unwrap();
    let payload = payload
        .replace("\"kind\":\"attempt\"", "\"kind\":\"future\"")
        .replace("urn:countersign:attempt:v1", "urn:countersign:future:v1")
        .replace("\"critical\":false", &format!("\"critical\":{critical}"));
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

#[test]
fn an_unknown_critical_kind_stops_the_reader_if_somebody_enrolled_signed_it() {
    let realm = Realm::new();
    let envelope = unknown(&realm, true);
    // Nobody, a stranger, a forger: no reason to stop.
    let mut by_stranger = envelope.clone();
    by_stranger.add(Who::Stranger.sign(&envelope.message())).unwrap();
    let mut forged = envelope.clone();
    let sig = Who::Stranger.sign(&envelope.message()).sig;
    forged.add(statement::Signature { keyid: Who::Ada.key_id(), sig }).unwrap();
    for envelope in [&envelope, &by_stranger, &forged] {
        match next(&realm, &entry(&realm, envelope)) {
            Ok(Applied::NoOp(refusal)) => assert!(refusal.has(Code::Malformed)),
            other => panic!("{other:?}"),
        }
    }
    for who in [Who::Ada, Who::Monitor, Who::RootOne, Who::OfficerTwo] {
        let mut signed = envelope.clone();
        signed.add(who.sign(&envelope.message())).unwrap();
        let stop = next(&realm, &entry(&realm, &signed)).unwrap_err();
        assert_eq!(stop.code(), "CS-STOP-001");
        let index = realm.ledger().world().size();
        assert_eq!(stop, Stop::UnknownCritical { index, kind: "urn:countersign:future:v1".to_owned() });
    }
}

#[test]
fn a_revoked_keys_unknown_statement_stops_nobody() {
    let mut realm = Realm::new();
    let revocation = statement::kind::Revocation {
        reason: "stolen".parse().unwrap(),
        target: statement::kind::RevocationTarget::Key {
            compromised_since: realm.ledger().world().size(),
            key: Who::Ada.key_id(),
        },
    };
    realm.establish(&Tracking::Realm, revocation, &[Who::OfficerOne, Who::OfficerTwo]);
    let mut envelope = unknown(&realm, true);
    envelope.add(Who::Ada.sign(&envelope.message())).unwrap();
    is_refused(&mut realm, &envelope, &["CS-FLD-001"]);
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
