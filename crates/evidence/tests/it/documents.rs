//! The two documents: what is read, and what is not.

use evidence::{Attestation, Error, Gpu, Host, HostKind, Intel, Policy, Snp, Status, inputs_digest};
use statement::kind::Tier;
use statement::{Bytes, Digest};

use crate::samples::claims;

const POLICY: &str = r#"{
  "format": "countersign-attestation-policy-1",
  "allow_statuses": ["not-compared", "sw-hardening-needed"],
  "tiers": [{ "tier": "high", "hosts": ["tdx", "sev-snp"] }],
  "tpm2": { "pcrs": [{ "index": 7, "values": ["0000000000000000000000000000000000000000000000000000000000000007"] }] },
  "sev_snp": { "least_tcb": { "boot_loader": 3, "microcode": 115, "snp": 8, "tee": 0 } },
  "nvidia_gpu": { "drivers": ["550.90.07"], "measurements": [{ "index": 3, "values": ["ab01"] }] }
}"#;

#[test]
fn a_policy_says_what_it_says() {
    let policy = Policy::parse(POLICY.as_bytes()).unwrap();
    assert!(!policy.allow_simulated);
    assert!(policy.allows(Status::UpToDate) && policy.allows(Status::NotCompared));
    assert!(!policy.allows(Status::OutOfDate) && !policy.allows(Status::KeyUnknown));
    let required: Vec<HostKind> = policy.required(Tier::High).into_iter().collect();
    assert_eq!(required, [HostKind::Tdx, HostKind::SevSnp]);
    assert!(policy.required(Tier::Low).is_empty());
    let mut default = Policy::parse(include_bytes!("../../../../policies/attestation.json")).unwrap();
    assert!(Tier::ALL.into_iter().all(|tier| default.required(tier).is_empty()));
    default.tiers.clear();
    assert_eq!(default, Policy::none_required());
    assert_eq!(
        Policy::parse(br#"{"format":"countersign-attestation-policy-1"}"#).unwrap(),
        Policy::none_required()
    );
}

#[test]
fn a_policy_that_cannot_be_meant_is_refused() {
    let cases = [
        ("{", "CS-EVI-001"),
        ("{}", "CS-EVI-001"),
        (r#"{"format":"2"}"#, "CS-EVI-002"),
        (r#"{"format":"countersign-attestation-policy-1","new":1}"#, "CS-EVI-001"),
        (r#"{"format":"countersign-attestation-policy-1","allow_statuses":["fine"]}"#, "CS-EVI-001"),
        (r#"{"format":"countersign-attestation-policy-1","allow_statuses":["revoked"]}"#, "CS-EVI-003"),
        (
            r#"{"format":"countersign-attestation-policy-1","tiers":[{"tier":"low","hosts":[]},{"tier":"low","hosts":[]}]}"#,
            "CS-EVI-003",
        ),
        (
            r#"{"format":"countersign-attestation-policy-1","tpm2":{"pcrs":[{"index":24,"values":[]}]}}"#,
            "CS-EVI-003",
        ),
        (r#"{"format":"countersign-attestation-policy-1","tdx":{"measurements":["00"]}}"#, "CS-EVI-003"),
        (r#"{"format":"countersign-attestation-policy-1","tdx":{"measurements":["0G"]}}"#, "CS-EVI-001"),
        (
            r#"{"format":"countersign-attestation-policy-1","nvidia_gpu":{"measurements":[{"index":0,"values":["00"]}]}}"#,
            "CS-EVI-003",
        ),
    ];
    for (text, code) in cases {
        assert_eq!(Policy::parse(text.as_bytes()).unwrap_err().code(), code, "{text}");
    }
}

#[test]
fn an_attestation_is_strict() {
    let intel = Intel { collateral: None, quote: Bytes::new(vec![1]) };
    let hosts = vec![Host::Tdx(intel.clone()), Host::Sgx(intel.clone())];
    let bytes = Attestation::new(claims(), hosts).unwrap().to_bytes().unwrap();
    Attestation::parse(&bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for (from, to, code) in [
        ("attestation-1", "attestation-2", "CS-EVI-002"),
        ("\"tdx\"", "\"tdy\"", "CS-EVI-001"),
        ("\"claims\"", "\"claim\"", "CS-EVI-001"),
        ("AQ==", "AQ=", "CS-EVI-001"),
        ("{\"claims\"", " {\"more\":0,\"claims\"", "CS-EVI-001"),
    ] {
        let twin = text.replace(from, to);
        assert_ne!(twin, text);
        assert_eq!(Attestation::parse(twin.as_bytes()).unwrap_err().code(), code, "{from}");
    }
    assert!(!Attestation::is_meant(b"{}") && !Attestation::is_meant(b"\xff"));
    let twice = vec![Host::Tdx(intel.clone()), Host::Tdx(intel.clone())];
    assert_eq!(Attestation::new(claims(), twice).unwrap_err(), Error::Hosts);
    let many = vec![
        Host::Tdx(intel.clone()),
        Host::Sgx(intel),
        Host::SevSnp(Snp { certificates: Vec::new(), report: Bytes::new(Vec::new()) }),
        Host::NvidiaGpu(Gpu { certificates: Vec::new(), report: Bytes::new(Vec::new()) }),
    ];
    Attestation::new(claims(), many).unwrap();
    let oversize = vec![b' '; evidence::ATTESTATION_BYTES_MAX + 1];
    assert_eq!(Attestation::parse(&oversize).unwrap_err().code(), "CS-EVI-001");
}

#[test]
fn the_binding_is_of_all_claims_and_stays_what_it_is() {
    // Whoever writes another collector compares with this.
    let binding = claims().binding().unwrap();
    assert_eq!(binding.to_string(), "d3940a02fba9c9dbce1bd7f9d77c446138ae0ade62025cf81cf87d9d6f9ad996");
    let inputs = [Digest::of(b"a"), Digest::of(b"b")];
    assert_eq!(inputs_digest(&inputs.into()), inputs_digest(&[inputs[1], inputs[0]].into()));
    assert_ne!(inputs_digest(&inputs.into()), inputs_digest(&[inputs[0]].into()));
}

#[cfg(not(feature = "dcap"))]
#[test]
fn what_this_build_cannot_verify_is_refused_by_name() {
    let host = Host::Tdx(Intel { collateral: None, quote: Bytes::new(Vec::new()) });
    assert_eq!(evidence::host(&host, &Policy::none_required(), 0).unwrap_err().code(), "CS-EVI-022");
}
