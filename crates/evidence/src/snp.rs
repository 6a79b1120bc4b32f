//! Attestation reports of AMD SEV-SNP (SEV Secure Nested Paging Firmware ABI, document 56860, table 23).
//!
//! A chip's key (VCEK), or one that a cloud was lent (VLEK), signs the report; its certificate names the versions of what
//! the guest has to trust and the chip, and leads to AMD's root of its generation. Report and certificate must agree.
//!
//! AMD says nothing about which versions are current: the policy names the least, or the status is `not-compared`.
//! Revocation lists of AMD's are not looked up.

mod report;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use statement::Digest;
use x509::der::{Reader, tag};
use x509::{Certificate, Key, SignatureKind};

pub use report::{REPORT_BYTES, Report, Tcb};

use crate::error::Error;
use crate::hex::Hex;
use crate::host::{HostKind, Snp};
use crate::policy::Policy;
use crate::status::Status;
use crate::verify::{Facts, certificates, rooted};

const KIND: HostKind = HostKind::SevSnp;

/// SHA-256 of AMD's root certificates (ARK), as its key distribution service publishes them.
const ROOTS: [[u8; 32]; 3] = [
    // Milan.
    [
        0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1, 0xf4, 0x21, 0x0d, 0xe4, 0x9e, 0xf5,
        0x55, 0x30, 0x82, 0x87, 0xd4, 0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63, 0x9a, 0x54, 0x0b, 0xcd,
    ],
    // Genoa.
    [
        0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a, 0x7d, 0x33, 0x5f, 0x67, 0x4e, 0x5b,
        0xfe, 0x1d, 0x8f, 0x80, 0x0c, 0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d, 0x10, 0x3d, 0xb2, 0xf1,
    ],
    // Turin.
    [
        0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9, 0x04, 0x87, 0x7d, 0x48, 0x19, 0xca,
        0xfa, 0x5d, 0x05, 0xef, 0x41, 0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c, 0x73, 0xdd, 0x3f, 0x6a,
    ],
];

/// 1.3.6.1.4.1.3704.1.3.N: a version.
const fn version_oid(number: u8) -> [u8; 10] {
    [0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01, 0x03, number]
}
/// 1.3.6.1.4.1.3704.1.4: the chip.
const CHIP_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01, 0x04];

/// Verifies a report at the time `at` (Unix seconds).
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(evidence: &Snp, policy: &Policy, at: i64) -> Result<Facts, Error> {
    let report = Report::parse(evidence.report.as_slice())?;
    let certificates = certificates(KIND, &evidence.certificates)?;
    let Some((own, others)) = certificates.split_first() else {
        return Err(Error::Key { kind: KIND, reason: "there is no certificate of the chip's key" });
    };
    let roots: BTreeSet<Digest> = ROOTS
        .iter()
        .map(|root| Digest::from_bytes(*root))
        .chain(policy.sev_snp.roots.iter().copied())
        .collect();
    rooted(KIND, own, others, &roots, at)?;
    let signed = own.key().is_some_and(|key| {
        matches!(key, Key::P384(_))
            && key.verify(SignatureKind::EcdsaFixed, report.signed(), &report.signature)
    });
    if !signed {
        return Err(Error::Signature { kind: KIND });
    }
    agree(&report, own)?;
    if report.policy_bits >> 19 & 1 == 1 {
        return Err(Error::Debug { kind: KIND });
    }
    let status = match policy.sev_snp.least_tcb {
        None => Status::NotCompared,
        Some(least) if report.reported.is_at_least(&least) => Status::UpToDate,
        Some(_) => Status::OutOfDate,
    };
    if !policy.allows(status) {
        return Err(Error::NotAllowed { kind: KIND, status, advisories: Vec::new() });
    }
    let measurement = Hex::new(report.measurement.to_vec());
    let measurements = &policy.sev_snp.measurements;
    if !measurements.is_empty() && !measurements.contains(&measurement) {
        let what = "launch measurement".to_owned();
        return Err(Error::Measurement { kind: KIND, what, found: measurement.to_string() });
    }
    let shown = BTreeMap::from([
        ("chip".to_owned(), Hex::new(report.chip.to_vec()).to_string()),
        ("guest_svn".to_owned(), report.guest_svn.to_string()),
        ("measurement".to_owned(), measurement.to_string()),
        ("policy".to_owned(), format!("{:016x}", report.policy_bits)),
        ("reported_tcb".to_owned(), report.reported.to_string()),
        ("vmpl".to_owned(), report.vmpl.to_string()),
    ]);
    Ok(Facts {
        kind: KIND,
        data: report.data.to_vec(),
        status,
        advisories: Vec::new(),
        simulated: false,
        measured: !measurements.is_empty(),
        shown,
    })
}

/// The certificate is for the versions and the chip that the report names.
fn agree(report: &Report, own: &Certificate) -> Result<(), Error> {
    let refuse = |what| Err(Error::Contradiction { kind: KIND, what });
    for (number, wanted) in report.reported.numbered() {
        let found = own.extension(&version_oid(number)).and_then(version);
        if found != Some(wanted) {
            return refuse("the versions in the report are not those that the key was made for");
        }
    }
    match own.extension(CHIP_OID) {
        // A chip that hides its number reports zeros.
        Some(_) if report.is_chip_hidden() => Ok(()),
        Some(chip) if !chip.is_empty() && report.chip.starts_with(chip) => Ok(()),
        None if report.is_lent_key() => Ok(()),
        _ => refuse("the report is from another chip than the key"),
    }
}

/// A small number in DER.
fn version(content: &[u8]) -> Option<u8> {
    let mut reader = Reader::new(content);
    let number = reader.value(tag::INTEGER).filter(|_| reader.is_empty())?;
    match number {
        [number @ 0..=0x7f] | [0, number @ 0x80..=0xff] => Some(*number),
        _ => None,
    }
}
