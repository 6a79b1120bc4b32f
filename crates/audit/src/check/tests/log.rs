//! Logs that say other things than they should.

use std::collections::BTreeSet;

use dossier::Code;
use statement::kind::{
    Attempt, BreakGlass, Freeze, FreezeAction, FreezeTarget, Purge, Revocation, RevocationTarget, Slot,
    WitnessKey, Witnesses,
};
use statement::{Digest, Envelope, Statement};

use super::*;
use crate::fixture::SCOPE_FILE;
use crate::report::Audited;

/// A statement of another kind than any that this version knows.
fn unknown(realm: &Realm, critical: bool, by: &[Who]) -> Vec<u8> {
    let freeze =
        Freeze { action: FreezeAction::Begin, reason: "x".parse().unwrap(), target: FreezeTarget::Realm };
    let statement = Statement::new(realm.id().clone(), Tracking::Realm, realm.now_ms(), freeze);
    let payload = statement.to_payload().unwrap();
    let text = String::from_utf8(payload).unwrap();
    let text = text.replace(r#""kind":"freeze""#, r#""kind":"thaw""#).replace(":freeze:", ":thaw:");
    let text = text.replace(r#""critical":true"#, &format!(r#""critical":{critical}"#));
    let mut envelope = Envelope::unsigned(text.into_bytes());
    for who in by {
        envelope.add(who.sign(&envelope.message())).unwrap();
    }
    statement::leaf::stamp(&envelope.to_bytes().unwrap(), realm.now_ms())
}

#[test]
fn an_unknown_critical_kind_stops_the_reader() {
    let mut realm = busy();
    realm.log_unread(unknown(&realm, true, &[Who::RootOne, Who::RootTwo]));
    let error = refused(&realm.export(), &realm.expectations(), "CS-AUD-020");
    let index = realm.entries().len() - 1;
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&format!("leaf {index}")) && cause.contains("urn:countersign:thaw:v1"), "{cause}");
}

#[test]
fn an_unknown_kind_is_no_evidence() {
    let mut realm = busy();
    realm.log(unknown(&realm, false, &[Who::Lea]));
    // Nobody is stopped by a stranger, by an operator or by less than the root quorum.
    for by in [[Who::Stranger], [Who::Lea], [Who::RootOne]] {
        realm.log(unknown(&realm, true, &by));
    }
    realm.log(b"not a statement".to_vec());
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::Malformed, RemarkCode::Unknown]);
    assert_eq!(report.population.kinds["unknown"].statements, 4);
    assert_eq!(report.population.kinds["malformed"].statements, 1);
}

#[test]
fn a_stamp_that_runs_back_stops_the_reader() {
    let mut realm = busy();
    let stop =
        Freeze { action: FreezeAction::Begin, reason: "x".parse().unwrap(), target: FreezeTarget::Realm };
    let envelope = realm.sign(&Tracking::Realm, stop, &[Who::Lea]);
    realm.log_unread(statement::leaf::stamp(&envelope.to_bytes().unwrap(), realm.now_ms() - 1));
    refused(&realm.export(), &realm.expectations(), "CS-AUD-020");
}

#[test]
fn a_log_without_a_trust_root_is_nobodys() {
    let mut realm = Realm::found("example");
    realm.log(b"{}".to_vec());
    refused(&realm.export(), &Expectations::none(), "CS-AUD-017");
    let empty = Realm::found("example");
    refused(&empty.export(), &Expectations::none(), "CS-AUD-017");
}

#[test]
fn a_trust_root_whose_keys_cannot_be_read_is_useless() {
    let mut realm = Realm::found("example");
    let mut root = realm.trust_root();
    root.log.key = "example.invalid/log+00000000+AAAA".to_owned();
    realm.establish(&Tracking::Realm, root, &[Who::RootOne, Who::RootTwo]);
    refused(&realm.export(), &Expectations::none(), "CS-AUD-016");
    let mut realm = Realm::found("example");
    let mut root = realm.trust_root();
    let person = root.witnesses.keys.first().unwrap().person.clone();
    root.witnesses.keys.insert(WitnessKey { key: "witness.invalid+00000000+AAAA".to_owned(), person });
    realm.establish(&Tracking::Realm, root, &[Who::RootOne, Who::RootTwo]);
    refused(&realm.export(), &Expectations::none(), "CS-AUD-016");
}

#[test]
fn two_witnesses_of_one_person_count_once() {
    let mut realm = Realm::found("example");
    let mut root = realm.trust_root();
    let mut keys: Vec<_> = root.witnesses.keys.iter().cloned().collect();
    let third = merkle::Ed25519Cosigner::from_seed("witness-three.invalid", &[5; 32]).unwrap();
    let person = keys[0].person.clone();
    keys.push(WitnessKey { key: merkle::Cosigner::verifier(&third).to_string(), person });
    root.witnesses = Witnesses { keys: keys.iter().cloned().collect(), threshold: 2 };
    realm.establish(&Tracking::Realm, root, &[Who::RootOne, Who::RootTwo]);
    let mut head = realm.checkpoint(1, 1);
    let line = merkle::Cosigner::cosign(&third, head.note().text(), realm.now_ms() / 1000).unwrap();
    head.add(line).unwrap();
    let report = audit(&realm.export_with(&head, None).to_bytes(), &realm.expectations()).unwrap();
    // Nothing there names the scope file that the fixture exports.
    remarks(&report, &[RemarkCode::Unwitnessed], &[RemarkCode::AttachmentUnnamed]);
    assert_eq!(
        (report.checkpoint.witnesses.len(), report.reasons[0].text.as_str()),
        (2, "unwitnessed: 1 of 2")
    );
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::AttachmentUnnamed]);
}

#[test]
fn a_self_approval_has_no_effect_and_is_listed() {
    let realm = busy();
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    let [noop] = report.noops.as_slice() else { panic!("{:?}", report.noops) };
    assert_eq!((noop.index, noop.kind.as_str()), (realm.entries().len() as u64 - 1, "approval"));
    assert_eq!(noop.reasons[0].code, "CS-FLD-006");
    assert_eq!(noop.change, Some(Plan::tuning("third").change()));
    assert_eq!(report.changes[2].noops, [noop.index]);
    assert_eq!(report.changes[2].approvals, []);
}

#[test]
fn a_forged_order_has_no_effect() {
    let mut realm = busy();
    let third = Plan::tuning("third").change();
    let order = realm.order_body(&third);
    realm.say(&Tracking::Change(third.clone()), order, &[Who::Lea]);
    let order = realm.order_body(&third);
    realm.advance_ms(1);
    realm.say(&Tracking::Change(third), order, &[Who::Stranger]);
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    let codes: Vec<&str> = report.noops.iter().map(|noop| noop.reasons[0].code.as_str()).collect();
    assert_eq!(codes, ["CS-FLD-006", "CS-GATE-028", "CS-FLD-005"]);
    assert_eq!(report.changes[2].order, None);
    let deployment = report.population.controls[&crate::report::Control::Deployment];
    // Two orders and a rollback with effect, two orders without.
    assert_eq!((deployment.statements, deployment.effective), (5, 3));
}

#[test]
fn purged_evidence_is_purged_and_never_passed() {
    let mut realm = busy();
    let first = Plan::tuning("first").change();
    let report = realm.finding(&first, EvidenceKind::SecurityReview).attachments;
    let purge = Purge { basis: "erasure-request".parse().unwrap(), targets: report.clone() };
    realm.establish(&Tracking::Realm, purge, &[Who::Eve]);
    let audited = audit(&realm.export(), &realm.expectations()).unwrap();
    remarks(&audited, &[], &[RemarkCode::Purged]);
    let outcomes: Vec<_> = audited.changes[0].findings.iter().map(|it| (it.evidence, it.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            (EvidenceKind::Scope, Audited::Pass),
            (EvidenceKind::FormalVerification, Audited::Pass),
            (EvidenceKind::SecurityReview, Audited::Purged),
            (EvidenceKind::ComplianceReview, Audited::Pass),
        ]
    );
    assert_eq!(audited.purged[0].index, realm.entries().len() as u64 - 1);
    assert!(audited.render(80).contains("3/4 purged"));
    // What a slot rests on is not purged; once it rests on another scope, the old one may go. The export carries it.
    let purge = Purge {
        basis: "erasure-request".parse().unwrap(),
        targets: BTreeSet::from([Digest::of(SCOPE_FILE)]),
    };
    realm.say(&Tracking::Realm, purge.clone(), &[Who::Eve]);
    assert_eq!(realm.ledger().noops().values().last().unwrap().reasons().next().unwrap().code, Code::InForce);
    let definitions: Vec<_> = realm.ledger().world().slots().map(|slot| slot.definition.clone()).collect();
    for definition in definitions {
        let scopes =
            definition.body.scopes.keys().map(|level| (*level, Digest::of(b"another scope"))).collect();
        let slot = Slot { scopes, supersedes: Some(definition.id), ..definition.body };
        realm.establish(&Tracking::Realm, slot, &[Who::PolicyOne, Who::PolicyTwo]);
    }
    let purge = Purge { basis: "erasure-request-again".parse().unwrap(), ..purge };
    realm.establish(&Tracking::Realm, purge, &[Who::Eve]);
    let audited = audit(&realm.export(), &realm.expectations()).unwrap();
    // The scope that the slots name now is in nobody's hands.
    remarks(&audited, &[], &[RemarkCode::Purged, RemarkCode::PurgedCarried, RemarkCode::NotCarried]);
}

#[test]
fn a_key_revoked_from_the_past_takes_its_approvals_back() {
    let mut realm = busy();
    let since = realm.dossier(&Plan::tuning("second").change()).proposal.index;
    let target = RevocationTarget::Key { compromised_since: since, key: Who::Gil.key_id() };
    let revocation = Revocation { reason: "device-stolen".parse().unwrap(), target };
    realm.establish(&Tracking::Realm, revocation, &[Who::OfficerOne, Who::OfficerTwo]);
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::KeyRevoked]);
    assert_eq!((report.revoked_keys[0].since, report.revoked_keys[0].key), (since, Who::Gil.key_id()));
    // The second order rested on his approval; what followed from it has no effect either.
    assert_eq!(report.changes[0].state, "serving");
    assert_eq!(report.changes[1].state, "examined: pass");
    assert_eq!(report.changes[1].order, None);
    let codes: Vec<&str> = report.noops.iter().map(|noop| noop.reasons[0].code.as_str()).collect();
    assert_eq!(codes[0], "CS-FLD-013");
}

#[test]
fn what_happens_outside_the_rules_is_told() {
    let mut realm = busy();
    let act = BreakGlass {
        action: "restart-engine".parse().unwrap(),
        reason: Digest::of(b"why"),
        review_by_ms: realm.now_ms() + 86_400_000,
        skipped: BTreeSet::from([Who::Fay.person()]),
        slot: crate::fixture::SLOT.parse().unwrap(),
    };
    realm.establish(&Tracking::Realm, act, &[Who::Lea]);
    let freeze = Freeze {
        action: FreezeAction::Begin,
        reason: "incident".parse().unwrap(),
        target: FreezeTarget::Realm,
    };
    realm.establish(&Tracking::Realm, freeze, &[Who::Monitor]);
    let attempt = Attempt {
        action: "approve".parse().unwrap(),
        reasons: BTreeSet::from(["CS-GATE-020".parse().unwrap()]),
        request: None,
        requester: Some(Who::Fay.key_id()),
        subject: None,
    };
    realm.establish(&Tracking::Change(Plan::tuning("third").change()), attempt, &[Who::Automation]);
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::Emergency]);
    assert_eq!((report.emergencies.len(), report.freezes.len(), report.attempts.len()), (1, 1, 1));
    assert_eq!(report.attempts[0].requester, Some(Who::Fay.key_id()));
}
