//! Attestations under findings, of a simulated TPM.

use std::collections::BTreeSet;

use evidence::fixture::Chip;
use evidence::{Attestation, Claims, Hex, Host, HostKind, TierRule, inputs_digest};
use statement::Digest;
use statement::kind::{AttestedBy, AttestingHost, Finding, Tier};

use super::*;
use crate::report::{Attested, FindingReport};

fn chip() -> Chip {
    Chip::new(&[5; 32]).unwrap()
}

/// What the examiner of this finding would have attested.
fn claims(finding: &Finding) -> Claims {
    Claims {
        inputs: inputs_digest(&finding.inputs),
        nonce: Hex::new(finding.proposal.digest().as_bytes().to_vec()),
        trace_root: Digest::of(b"trace"),
        worker: finding.worker.unwrap(),
    }
}

/// A realm with one finding that has an attestation of these claims, quoted for those.
fn realm(said: impl Fn(Claims) -> Claims, quoted: impl Fn(Claims) -> Claims, hosts: usize) -> Realm {
    realm_with(said, quoted, hosts, |_| {})
}

/// The same, with another finding.
fn realm_with(
    said: impl Fn(Claims) -> Claims,
    quoted: impl Fn(Claims) -> Claims,
    hosts: usize,
    alter: impl Fn(&mut Finding),
) -> Realm {
    let mut realm = Realm::new();
    let change = realm.propose(Plan::tuning("first"));
    let mut finding = realm.finding(&change, EvidenceKind::Scope);
    alter(&mut finding);
    let binding = quoted(claims(&finding)).binding().unwrap();
    let hosts = vec![Host::Tpm2(chip().quote(binding.as_bytes())); hosts];
    let bytes = Attestation::new(said(claims(&finding)), hosts).unwrap().to_bytes().unwrap();
    let finding = Finding { attachments: BTreeSet::from([Digest::of(&bytes)]), ..finding };
    realm.attach(bytes);
    realm.establish(&Tracking::Change(change), finding, &[Who::Ben]);
    realm
}

fn report(realm: &Realm, policy: Option<evidence::Policy>) -> Report {
    audit(&realm.export(), &Expectations { attestation: policy, ..realm.expectations() }).unwrap()
}

fn only(report: &Report) -> &FindingReport {
    &report.changes[0].findings[0]
}

const fn same(claims: Claims) -> Claims {
    claims
}

#[test]
fn an_attestation_of_an_enrolled_key_shows_where_the_finding_was_made() {
    let report = report(&realm(same, same, 1), Some(chip().policy()));
    remarks(&report, &[], &[]);
    let [attestation] = only(&report).attestations.as_slice() else { panic!("one attestation") };
    assert_eq!(attestation.outcome, Attested::Holds);
    let [host] = attestation.hosts.as_slice() else { panic!("one host") };
    assert_eq!((host.kind.as_str(), host.status.as_str(), host.simulated), ("tpm2", "key-pinned", true));
    let page = report.render_change(&report.changes[0].change, 100).unwrap();
    assert!(page.contains("tpm2 key-pinned SIMULATED"), "{page}");
}

#[test]
fn a_key_that_the_auditor_does_not_know_is_a_warning() {
    let report = report(&realm(same, same, 1), None);
    remarks(&report, &[], &[RemarkCode::AttestationNotAccepted]);
    assert_eq!(only(&report).attestations[0].code.as_deref(), Some("CS-EVI-017"));
}

#[test]
fn an_attestation_about_another_run_is_against_the_record() {
    let other = |claims| Claims { trace_root: Digest::of(b"another"), ..claims };
    let worker = |claims| Claims { worker: Digest::of(b"another"), ..claims };
    let inputs = |claims| Claims { inputs: Digest::of(b"another"), ..claims };
    let nonce = |claims| Claims { nonce: Hex::new(vec![0; 32]), ..claims };
    for (realm, code) in [
        (realm(same, other, 1), "CS-EVI-011"),
        (realm(worker, worker, 1), "CS-EVI-031"),
        (realm(inputs, inputs, 1), "CS-EVI-031"),
        (realm(nonce, nonce, 1), "CS-EVI-030"),
    ] {
        let report = report(&realm, Some(chip().policy()));
        remarks(&report, &[RemarkCode::AttestationFalse], &[]);
        assert_eq!(only(&report).attestations[0].code.as_deref(), Some(code));
    }
}

#[test]
fn an_attestation_without_hosts_says_so() {
    let report = report(&realm(same, same, 0), None);
    remarks(&report, &[], &[]);
    let page = report.render_change(&report.changes[0].change, 100).unwrap();
    assert!(page.contains("no host says where it ran"), "{page}");
}

#[test]
fn a_tier_that_requires_a_host_is_met_by_it_and_by_no_other() {
    let mut realm = realm(same, same, 1);
    let change = Plan::tuning("first").change();
    realm.verdict(&change);
    let requiring = |kind| {
        let mut policy = chip().policy();
        let hosts = BTreeSet::from([kind]);
        policy.tiers = Tier::ALL.map(|tier| TierRule { tier, hosts: hosts.clone() }).to_vec();
        policy
    };
    remarks(&report(&realm, Some(requiring(HostKind::Tpm2))), &[], &[]);
    remarks(&report(&realm, Some(requiring(HostKind::Tdx))), &[RemarkCode::AttestationMissing], &[]);
    // Nothing is required by default.
    remarks(&report(&realm, Some(chip().policy())), &[], &[]);
}

/// That a host attests a finding says where it was made. A tier's requirement is met only by one that the decision could
/// rest on: a pass, of a worker that the policy lists for that kind of evidence.
#[test]
fn only_what_a_decision_may_rest_on_meets_a_tier() {
    let requiring = || {
        let mut policy = chip().policy();
        let hosts = BTreeSet::from([HostKind::Tpm2]);
        policy.tiers = Tier::ALL.map(|tier| TierRule { tier, hosts: hosts.clone() }).to_vec();
        policy
    };
    let check = |alter: &dyn Fn(&mut Finding), expected: &[RemarkCode]| {
        let mut realm = realm_with(same, same, 1, alter);
        realm.verdict(&Plan::tuning("first").change());
        let report = report(&realm, Some(requiring()));
        assert_eq!(only(&report).attestations[0].outcome, Attested::Holds);
        remarks(&report, expected, &[]);
    };
    check(&|_| {}, &[]);
    let missing = [RemarkCode::AttestationMissing];
    check(&|finding| finding.outcome = statement::kind::Outcome::Fail, &missing);
    check(&|finding| finding.outcome = statement::kind::Outcome::Inconclusive, &missing);
    check(&|finding| finding.worker = Some(Digest::of(b"another worker")), &missing);
    check(&|finding| finding.evidence = EvidenceKind::FormalVerification, &missing);
}

/// Gates have counted the hosts that a finding names. What it names as their word and is none is against the record, as a
/// false one is; what it merely has beside it is not looked at.
#[test]
fn what_a_finding_says_is_an_attestation_and_is_none_is_against_the_record() {
    let with = |bytes: &[u8], is_named: bool| {
        let mut realm = Realm::new();
        let change = realm.propose(Plan::tuning("first"));
        let attachment = Digest::of(bytes);
        let attested =
            is_named.then(|| AttestedBy { attachment, hosts: BTreeSet::from([AttestingHost::Tdx]) });
        let finding = realm.finding(&change, EvidenceKind::Scope);
        let finding = Finding { attachments: BTreeSet::from([attachment]), attested, ..finding };
        realm.attach(bytes.to_vec());
        realm.establish(&Tracking::Change(change), finding, &[Who::Ben]);
        report(&realm, None)
    };
    let claims = Claims {
        inputs: Digest::of(b"inputs"),
        nonce: Hex::new(vec![7; 32]),
        trace_root: Digest::of(b"trace"),
        worker: Digest::of(b"worker"),
    };
    let sound = Attestation::new(claims, Vec::new()).unwrap().to_bytes().unwrap();
    let sound = String::from_utf8(sound).unwrap();
    let other = sound.replacen("\"format\":\"", "\"format\":\"x", 1);
    assert_ne!(other, sound);
    for bytes in [b"no JSON at all".as_slice(), b"{}", b"\xff", b"", other.as_bytes()] {
        let named = with(bytes, true);
        remarks(&named, &[RemarkCode::AttestationFalse], &[]);
        let [attestation] = only(&named).attestations.as_slice() else { panic!("one attestation") };
        assert_eq!((attestation.outcome, attestation.hosts.len()), (Attested::Contradicts, 0));
        assert!(attestation.code.is_some(), "{attestation:?}");
        assert!(only(&with(bytes, false)).attestations.is_empty(), "nothing says that it is one");
    }
    // It reads as one and is not of the host that is named.
    remarks(&with(sound.as_bytes(), true), &[RemarkCode::AttestationFalse], &[]);
}
