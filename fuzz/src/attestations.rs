//! `evidence` and `x509`: what hosts say about themselves.

use evidence::snp::{Report, table};
use evidence::tpm::{Attest, Public, Signature};
use evidence::{Attestation, Expected, Gpu, Host, Policy, Snp, Tpm, gpu};
use statement::Bytes;
use x509::Certificate;

/// 1 July 2025.
const AT: i64 = 1_751_328_000;

pub(crate) fn attestation(data: &[u8]) {
    if let Ok(attestation) = Attestation::parse(data) {
        let bytes = attestation.to_bytes().expect("what is read is written");
        assert_eq!(Attestation::parse(&bytes).expect("what is written is read"), attestation);
        assert!(Attestation::is_meant(data));
        drop(evidence::verify(&attestation, &Expected::default(), &Policy::none_required(), AT));
    }
}

pub(crate) fn policy(data: &[u8]) {
    if let Ok(policy) = Policy::parse(data) {
        assert!(!policy.allows(evidence::Status::Revoked));
    }
}

pub(crate) fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data);
        // Nothing is pinned, so nothing leads anywhere.
        let others = [certificate.clone()];
        assert!(x509::chain(&certificate, &others, &std::collections::BTreeSet::new(), AT).is_err());
    }
    drop(Certificate::all_from_pem(data));
}

/// One structure, or all three after one another, each behind its length as two bytes.
pub(crate) fn tpm_quote(data: &[u8]) {
    drop(Attest::parse(data));
    drop(Public::parse(data));
    drop(Signature::parse(data));
    let mut rest = data;
    let mut next = || {
        let (length, after) = rest.split_at_checked(2)?;
        let (part, after) =
            after.split_at_checked(usize::from(u16::from_be_bytes(length.try_into().ok()?)))?;
        rest = after;
        Some(Bytes::new(part.to_vec()))
    };
    if let (Some(attest), Some(signature), Some(public)) = (next(), next(), next()) {
        let (certificates, pcrs) = (Vec::new(), Vec::new());
        let quote = Tpm { attest, certificates, pcrs, public, signature, simulated: false };
        // No key is enrolled.
        assert!(evidence::host(&Host::Tpm2(quote), &Policy::none_required(), AT).is_err());
    }
}

pub(crate) fn snp_report(data: &[u8]) {
    if let Ok(report) = Report::parse(data) {
        assert!(data.starts_with(report.signed()));
    }
    let evidence = Snp { certificates: Vec::new(), report: Bytes::new(data.to_vec()) };
    assert!(evidence::host(&Host::SevSnp(evidence), &Policy::none_required(), AT).is_err());
}

pub(crate) fn snp_table(data: &[u8]) {
    if let Ok(certificates) = table::certificates(data) {
        assert!(certificates.iter().all(|certificate| certificate.len() <= data.len()));
    }
}

pub(crate) fn gpu_report(data: &[u8]) {
    if let Ok(message) = gpu::Message::parse(data) {
        assert_eq!([message.signed.as_slice(), &message.signature].concat(), data);
    }
    let evidence = Gpu { certificates: Vec::new(), report: Bytes::new(data.to_vec()) };
    assert!(evidence::host(&Host::NvidiaGpu(evidence), &Policy::none_required(), AT).is_err());
}
