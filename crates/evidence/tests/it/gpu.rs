//! The report of an H100 that NVIDIA's own verifier carries.

use std::collections::BTreeSet;

use evidence::{Error, Facts, Gpu, Host, MeasurementRule, Policy, Status};
use statement::Bytes;

use crate::samples::{hex, pem, refused_when_flipped, sample, text};

const PACKAGE: &str = "nv-local-gpu-verifier";
/// 1 July 2025.
const AT: i64 = 1_751_328_000;

fn hopper() -> Option<Gpu> {
    let report = hex(&text(&sample(PACKAGE, "hopperAttestationReport.txt")?));
    let certificates = pem(&sample(PACKAGE, "hopperCertChain.txt")?);
    Some(Gpu { certificates, report: Bytes::new(report) })
}

fn lenient() -> Policy {
    let mut policy = Policy::none_required();
    policy.allow_statuses = BTreeSet::from([Status::NotCompared]);
    policy
}

fn check(evidence: &Gpu, policy: &Policy) -> Result<Facts, Error> {
    evidence::host(&Host::NvidiaGpu(evidence.clone()), policy, AT)
}

#[test]
fn a_real_report_is_accepted_and_its_flipped_twins_refused() {
    let Some(evidence) = hopper() else { return };
    let facts = check(&evidence, &lenient()).unwrap();
    assert_eq!(facts.data, hex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"));
    assert_eq!(facts.shown["driver"], "550.90.07");
    assert_eq!(facts.shown["measurements"], "64");
    let length = evidence.report.as_slice().len();
    // Every byte of the heads and of the signature, and every eleventh of the measurements.
    let places = (0..60).chain((60..length - 96).step_by(11)).chain(length - 96..length);
    let codes = refused_when_flipped(evidence.report.as_slice(), places, |report| {
        check(&Gpu { report: Bytes::new(report), ..evidence.clone() }, &lenient()).map(drop)
    });
    assert_eq!(codes, BTreeSet::from(["CS-EVI-010", "CS-EVI-012"]));
}

#[test]
fn a_flipped_byte_in_any_certificate_is_refused() {
    let Some(evidence) = hopper() else { return };
    for index in 0..evidence.certificates.len() {
        let der = evidence.certificates[index].as_slice().to_vec();
        let codes = refused_when_flipped(&der, (0..der.len()).step_by(17), |der| {
            let mut twin = evidence.clone();
            twin.certificates[index] = Bytes::new(der);
            check(&twin, &lenient()).map(drop)
        });
        assert_eq!(codes, BTreeSet::from(["CS-EVI-014"]), "certificate {index}");
    }
}

#[test]
fn the_root_is_pinned_and_the_chain_whole() {
    let Some(evidence) = hopper() else { return };
    for missing in 1..evidence.certificates.len() {
        let mut twin = evidence.clone();
        twin.certificates.remove(missing);
        assert_eq!(check(&twin, &lenient()).unwrap_err().code(), "CS-EVI-014");
    }
    // The issuer's key is trusted, and did not sign this.
    let mut twin = evidence.clone();
    twin.certificates.remove(0);
    assert_eq!(check(&twin, &lenient()).unwrap_err().code(), "CS-EVI-013");
    twin.certificates.clear();
    assert_eq!(check(&twin, &lenient()).unwrap_err().code(), "CS-EVI-013");
}

#[test]
fn the_order_of_the_issuers_does_not_matter() {
    let Some(mut evidence) = hopper() else { return };
    evidence.certificates[1..].reverse();
    check(&evidence, &lenient()).unwrap();
}

#[test]
fn measurements_and_drivers_are_those_listed() {
    let Some(evidence) = hopper() else { return };
    assert_eq!(check(&evidence, &Policy::none_required()).unwrap_err().code(), "CS-EVI-017");
    let message = evidence::gpu::Message::parse(evidence.report.as_slice()).unwrap();
    let value = evidence::Hex::new(message.measurements[&3].clone());
    let rule =
        |index, value: &evidence::Hex| MeasurementRule { index, values: BTreeSet::from([value.clone()]) };
    let mut policy = Policy::none_required();
    policy.nvidia_gpu.measurements = vec![rule(3, &value)];
    assert_eq!(check(&evidence, &policy).unwrap().status, Status::UpToDate);
    policy.nvidia_gpu.drivers = BTreeSet::from(["550.90.07".to_owned()]);
    check(&evidence, &policy).unwrap();
    policy.nvidia_gpu.drivers = BTreeSet::from(["550.90.08".to_owned()]);
    assert_eq!(check(&evidence, &policy).unwrap_err().code(), "CS-EVI-018");
    policy.nvidia_gpu.drivers.clear();
    for bad in [rule(4, &value), rule(200, &value)] {
        policy.nvidia_gpu.measurements = vec![bad];
        assert_eq!(check(&evidence, &policy).unwrap_err().code(), "CS-EVI-018");
    }
}

#[test]
fn truncated_reports_are_refused() {
    let Some(evidence) = hopper() else { return };
    let report = evidence.report.as_slice();
    for length in (0..report.len()).step_by(13) {
        let twin = Gpu { report: Bytes::new(report[..length].to_vec()), ..evidence.clone() };
        assert_eq!(check(&twin, &lenient()).unwrap_err().code(), "CS-EVI-010", "{length} bytes");
    }
}
