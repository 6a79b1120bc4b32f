//! Two reports of Milan: one from `sev`, one that Azure's machines gave `az-cvm-vtpm`.

use std::collections::BTreeSet;

use evidence::snp::{REPORT_BYTES, Report, table};
use evidence::{Attestation, Error, Expected, Facts, Hex, Host, Policy, Snp, SnpTcb, Status};
use statement::Bytes;

use crate::samples::{claims, hex, pem, refused_when_flipped, sample, text};

/// 1 July 2025.
const AT: i64 = 1_751_328_000;

fn of_sev() -> Option<Snp> {
    let report = hex(&text(&sample("sev", "report_milan.hex")?));
    let mut certificates = vec![Bytes::new(sample("sev", "vcek_milan.der")?)];
    certificates.extend(pem(&sample("sev", "cert_chain_milan")?));
    Some(Snp { certificates, report: Bytes::new(report) })
}

fn of_azure() -> Option<Snp> {
    let report = sample("az-cvm-vtpm", "hcl-report-snp.bin")?[32..32 + REPORT_BYTES].to_vec();
    let certificates = pem(&sample("az-cvm-vtpm", "certs.pem")?);
    Some(Snp { certificates, report: Bytes::new(report) })
}

fn lenient() -> Policy {
    let mut policy = Policy::none_required();
    policy.allow_statuses = BTreeSet::from([Status::NotCompared]);
    policy
}

fn check(evidence: &Snp, policy: &Policy) -> Result<Facts, Error> {
    evidence::host(&Host::SevSnp(evidence.clone()), policy, AT)
}

#[test]
fn a_real_report_is_accepted_and_every_flipped_byte_of_it_refused() {
    let Some(evidence) = of_sev() else { return };
    let facts = check(&evidence, &lenient()).unwrap();
    assert_eq!(facts.status, Status::NotCompared);
    assert_eq!(facts.data.len(), 64);
    let codes = refused_when_flipped(evidence.report.as_slice(), 0..REPORT_BYTES, |report| {
        check(&Snp { report: Bytes::new(report), ..evidence.clone() }, &lenient()).map(drop)
    });
    assert_eq!(codes, BTreeSet::from(["CS-EVI-010", "CS-EVI-012"]));
}

/// The package's report and certificates are of two chips: a chain that holds under AMD's root, and a signature by another
/// key.
#[test]
fn what_azure_published_is_read_and_not_believed_with_another_chips_key() {
    let Some(evidence) = of_azure() else { return };
    let Some(data) = sample("az-cvm-vtpm", "var-data.bin") else { return };
    let report = Report::parse(evidence.report.as_slice()).unwrap();
    // The report data is the digest of the runtime data, then zeros.
    assert_eq!(report.data[32..], [0; 32]);
    let json: serde_json::Value = serde_json::from_slice(&data).unwrap();
    assert!(json["keys"].is_array());
    println!("runtime data of {} bytes, {}", data.len(), Hex::new(report.data.to_vec()));
    assert_eq!(check(&evidence, &lenient()).unwrap_err().code(), "CS-EVI-012");
}

#[test]
fn a_flipped_byte_in_any_certificate_is_refused() {
    let Some(evidence) = of_sev() else { return };
    for index in 0..evidence.certificates.len() {
        let der = evidence.certificates[index].as_slice().to_vec();
        let codes = refused_when_flipped(&der, (0..der.len()).step_by(23), |der| {
            let mut twin = evidence.clone();
            twin.certificates[index] = Bytes::new(der);
            check(&twin, &lenient()).map(drop)
        });
        assert_eq!(codes, BTreeSet::from(["CS-EVI-014"]), "certificate {index}");
    }
}

#[test]
fn the_roots_are_pinned() {
    let Some(evidence) = of_sev() else { return };
    let without_root = Snp { certificates: evidence.certificates[..2].to_vec(), ..evidence.clone() };
    assert_eq!(check(&without_root, &lenient()).unwrap_err().code(), "CS-EVI-014");
    // A complete chain of another generation does not vouch for this key.
    let Some(turin) = sample("sev", "cert_chain_turin") else { return };
    let mut other = evidence.certificates[..1].to_vec();
    other.extend(pem(&turin));
    let other = Snp { certificates: other, ..evidence.clone() };
    assert_eq!(check(&other, &lenient()).unwrap_err().code(), "CS-EVI-014");
    // Another chip's key under the same root did not sign this.
    let Some(azure) = of_azure() else { return };
    let swapped = Snp { report: evidence.report, ..azure };
    assert_eq!(check(&swapped, &lenient()).unwrap_err().code(), "CS-EVI-012");
}

#[test]
fn a_chain_counts_only_in_its_time() {
    let Some(evidence) = of_sev() else { return };
    let host = Host::SevSnp(evidence);
    for at in [0, 1_600_000_000, 4_000_000_000] {
        assert_eq!(evidence::host(&host, &lenient(), at).unwrap_err().code(), "CS-EVI-014");
    }
}

#[test]
fn versions_below_the_least_are_out_of_date() {
    let Some(evidence) = of_sev() else { return };
    let strict = Policy::none_required();
    assert_eq!(check(&evidence, &strict).unwrap_err().code(), "CS-EVI-017");
    let mut policy = strict.clone();
    let least = SnpTcb { boot_loader: 2, microcode: 115, snp: 5, tee: 0 };
    policy.sev_snp.least_tcb = Some(least);
    assert_eq!(check(&evidence, &policy).unwrap().status, Status::UpToDate);
    for higher in [
        SnpTcb { boot_loader: 200, ..least },
        SnpTcb { microcode: 255, ..least },
        SnpTcb { snp: 200, ..least },
        SnpTcb { tee: 100, ..least },
    ] {
        policy.sev_snp.least_tcb = Some(higher);
        let refused = check(&evidence, &policy).unwrap_err();
        assert!(matches!(refused, Error::NotAllowed { status: Status::OutOfDate, .. }), "{refused}");
    }
    policy.allow_statuses = BTreeSet::from([Status::OutOfDate]);
    assert_eq!(check(&evidence, &policy).unwrap().status, Status::OutOfDate);
}

#[test]
fn only_listed_measurements_count_where_a_list_is_given() {
    let Some(evidence) = of_sev() else { return };
    let found = check(&evidence, &lenient()).unwrap();
    assert!(!found.measured);
    let mut policy = lenient();
    policy.sev_snp.measurements = BTreeSet::from([found.shown["measurement"].parse().unwrap()]);
    assert!(check(&evidence, &policy).unwrap().measured);
    policy.sev_snp.measurements = BTreeSet::from([Hex::new(vec![7; 48])]);
    assert_eq!(check(&evidence, &policy).unwrap_err().code(), "CS-EVI-018");
}

#[test]
fn a_sound_report_about_something_else_is_refused() {
    let Some(evidence) = of_sev() else { return };
    let attestation = Attestation::new(claims(), vec![Host::SevSnp(evidence)]).unwrap();
    let refused = evidence::verify(&attestation, &Expected::default(), &lenient(), AT).unwrap_err();
    assert_eq!(refused.code(), "CS-EVI-011");
}

#[test]
fn the_certificate_table_is_read_within_its_bounds() {
    const VCEK: [u8; 16] =
        [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd];
    let entry = |id: [u8; 16], offset: u32, length: u32| {
        [id.as_slice(), &offset.to_le_bytes(), &length.to_le_bytes()].concat()
    };
    let good = [entry(VCEK, 48, 3), entry([0; 16], 0, 0), b"abc".to_vec()].concat();
    assert_eq!(table::certificates(&good).unwrap(), [b"abc".to_vec()]);
    for bad in [
        Vec::new(),
        entry(VCEK, 48, 3),
        [entry(VCEK, 48, 4), entry([0; 16], 0, 0), b"abc".to_vec()].concat(),
        [entry(VCEK, u32::MAX, u32::MAX), entry([0; 16], 0, 0)].concat(),
        entry(VCEK, 0, 1).repeat(17),
        vec![0; 70_000],
    ] {
        if bad.len() == 70_000 || bad.first() != Some(&0) {
            assert_eq!(table::certificates(&bad).unwrap_err().code(), "CS-EVI-010");
        }
    }
}
