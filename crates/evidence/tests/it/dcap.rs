//! Quotes of SGX and TDX with the collateral of their time, from `dcap-qvl`.

use std::collections::BTreeSet;

use evidence::{Error, Facts, Hex, Host, HostKind, Intel, Policy, Status};
use statement::{Bytes, Digest};

use crate::samples::{refused_when_flipped, sample};

/// 1 July 2025, when the collateral of `sgx_quote` and `tdx_quote` was in force.
const SUMMER: i64 = 1_751_328_000;
/// 1 March 2026, for `tdx_quote_outdated`.
const SPRING: i64 = 1_772_323_200;
/// 1 November 2026, for `tdx_quote_td15ex`.
const AUTUMN: i64 = 1_793_491_200;

fn quote(name: &str) -> Option<Intel> {
    let quote = sample("dcap-qvl", name)?;
    let collateral = sample("dcap-qvl", &format!("{name}_collateral.json"))?;
    Some(Intel { collateral: Some(Bytes::new(collateral)), quote: Bytes::new(quote) })
}

fn check(kind: HostKind, evidence: &Intel, policy: &Policy, at: i64) -> Result<Facts, Error> {
    let host = match kind {
        HostKind::Sgx => Host::Sgx(evidence.clone()),
        _ => Host::Tdx(evidence.clone()),
    };
    evidence::host(&host, policy, at)
}

fn allowing(status: Status) -> Policy {
    let mut policy = Policy::none_required();
    policy.allow_statuses = BTreeSet::from([status]);
    policy
}

#[test]
fn a_trust_domain_that_is_up_to_date_is_accepted_and_its_twins_refused() {
    let Some(evidence) = quote("tdx_quote") else { return };
    let policy = Policy::none_required();
    let facts = check(HostKind::Tdx, &evidence, &policy, SUMMER).unwrap();
    assert_eq!((facts.status, facts.data.len()), (Status::UpToDate, 64));
    // Header, body, the length of what follows, the signature and the key: 48 + 584 + 4 + 64 + 64 bytes.
    let codes = refused_when_flipped(evidence.quote.as_slice(), (0..764).step_by(5), |quote| {
        check(HostKind::Tdx, &Intel { quote: Bytes::new(quote), ..evidence.clone() }, &policy, SUMMER)
            .map(drop)
    });
    assert_eq!(codes, BTreeSet::from(["CS-EVI-021"]));
    assert_eq!(check(HostKind::Sgx, &evidence, &policy, SUMMER).unwrap_err().code(), "CS-EVI-015");
}

#[test]
fn an_enclave_that_needs_configuration_counts_only_where_the_policy_says_so() {
    let Some(evidence) = quote("sgx_quote") else { return };
    let refused = check(HostKind::Sgx, &evidence, &Policy::none_required(), SUMMER).unwrap_err();
    let Error::NotAllowed { status, advisories, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*status, Status::ConfigurationAndSwHardeningNeeded);
    assert_eq!(*advisories, ["INTEL-SA-00289", "INTEL-SA-00615"]);
    let policy = allowing(Status::ConfigurationAndSwHardeningNeeded);
    check(HostKind::Sgx, &evidence, &policy, SUMMER).unwrap();
    // Header, body, length, signature and key: 48 + 384 + 4 + 64 + 64 bytes.
    let codes = refused_when_flipped(evidence.quote.as_slice(), (0..564).step_by(5), |quote| {
        check(HostKind::Sgx, &Intel { quote: Bytes::new(quote), ..evidence.clone() }, &policy, SUMMER)
            .map(drop)
    });
    assert_eq!(codes, BTreeSet::from(["CS-EVI-021"]));
    assert_eq!(check(HostKind::Tdx, &evidence, &policy, SUMMER).unwrap_err().code(), "CS-EVI-015");
}

#[test]
fn a_platform_that_is_out_of_date_is_refused() {
    let Some(evidence) = quote("tdx_quote_outdated") else { return };
    let refused = check(HostKind::Tdx, &evidence, &Policy::none_required(), SPRING).unwrap_err();
    println!("{refused}");
    assert!(matches!(refused.code(), "CS-EVI-017" | "CS-EVI-021"), "{refused}");
}

#[test]
fn a_quote_of_the_fifth_form_is_read() {
    let Some(evidence) = quote("tdx_quote_td15ex") else { return };
    match check(HostKind::Tdx, &evidence, &Policy::none_required(), AUTUMN) {
        Ok(facts) => assert_eq!(facts.status, Status::UpToDate),
        Err(Error::NotAllowed { status, .. }) => {
            assert_eq!(check(HostKind::Tdx, &evidence, &allowing(status), AUTUMN).unwrap().status, status);
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn collateral_counts_only_in_its_time_and_unaltered() {
    let Some(evidence) = quote("tdx_quote") else { return };
    let policy = Policy::none_required();
    // Before it was issued, after it ran out, after the revocation list of April 2026 ran out, before 1970.
    for at in [1_700_000_000, 1_754_006_400, AUTUMN, 4_000_000_000] {
        assert_eq!(check(HostKind::Tdx, &evidence, &policy, at).unwrap_err().code(), "CS-EVI-021", "{at}");
    }
    assert_eq!(check(HostKind::Tdx, &evidence, &policy, -1).unwrap_err().code(), "CS-EVI-003");
    let none = Intel { collateral: None, ..evidence.clone() };
    assert_eq!(check(HostKind::Tdx, &none, &policy, SUMMER).unwrap_err().code(), "CS-EVI-020");
    let collateral: serde_json::Value =
        serde_json::from_slice(evidence.collateral.as_ref().unwrap().as_slice()).unwrap();
    for member in
        ["root_ca_crl", "pck_crl", "tcb_info", "tcb_info_signature", "qe_identity", "qe_identity_signature"]
    {
        let mut twin = collateral.clone();
        let text = twin[member].as_str().unwrap();
        // A digit in the middle becomes another one.
        let place = (text.len() / 2..).find(|place| text.as_bytes()[*place].is_ascii_digit()).unwrap();
        let mut altered = text.as_bytes().to_vec();
        altered[place] = if altered[place] == b'7' { b'8' } else { b'7' };
        twin[member] = String::from_utf8(altered).unwrap().into();
        let twin =
            Intel { collateral: Some(Bytes::new(serde_json::to_vec(&twin).unwrap())), ..evidence.clone() };
        let refused = check(HostKind::Tdx, &twin, &policy, SUMMER).unwrap_err();
        assert_eq!(refused.code(), "CS-EVI-021", "{member}: {refused}");
    }
}

#[test]
fn only_listed_measurements_count_where_a_list_is_given() {
    let Some(domain) = quote("tdx_quote") else { return };
    let Some(enclave) = quote("sgx_quote") else { return };
    let mut policy = allowing(Status::ConfigurationAndSwHardeningNeeded);
    let found = check(HostKind::Tdx, &domain, &policy, SUMMER).unwrap();
    policy.tdx.measurements = BTreeSet::from([found.shown["mr_td"].parse().unwrap()]);
    assert!(check(HostKind::Tdx, &domain, &policy, SUMMER).unwrap().measured);
    policy.tdx.measurements = BTreeSet::from([Hex::new(vec![1; 48])]);
    assert_eq!(check(HostKind::Tdx, &domain, &policy, SUMMER).unwrap_err().code(), "CS-EVI-018");
    let found = check(HostKind::Sgx, &enclave, &policy, SUMMER).unwrap();
    policy.sgx.enclaves = BTreeSet::from([found.shown["mr_enclave"].parse().unwrap()]);
    policy.sgx.signers = BTreeSet::from([found.shown["mr_signer"].parse().unwrap()]);
    assert!(check(HostKind::Sgx, &enclave, &policy, SUMMER).unwrap().measured);
    policy.sgx.signers = BTreeSet::from([Digest::of(b"another")]);
    assert_eq!(check(HostKind::Sgx, &enclave, &policy, SUMMER).unwrap_err().code(), "CS-EVI-018");
}

#[test]
fn rubbish_is_refused() {
    let Some(evidence) = quote("tdx_quote") else { return };
    let policy = Policy::none_required();
    let full = evidence.quote.as_slice();
    let mut cases: Vec<Vec<u8>> = (0..1000).step_by(37).map(|length| full[..length].to_vec()).collect();
    cases.push(vec![0xff; 5000]);
    for case in cases {
        let twin = Intel { quote: Bytes::new(case), ..evidence.clone() };
        assert_eq!(check(HostKind::Tdx, &twin, &policy, SUMMER).unwrap_err().code(), "CS-EVI-021");
    }
    let large = Intel { quote: Bytes::new(vec![0; 70_000]), ..evidence };
    assert_eq!(check(HostKind::Tdx, &large, &policy, SUMMER).unwrap_err().code(), "CS-EVI-010");
}
