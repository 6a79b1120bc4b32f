//! Measurement reports of NVIDIA's GPUs: a request and a signed response of SPDM 1.1 (DSP0274, section 10.11), with
//! NVIDIA's own fields in its opaque data.
//!
//! The GPU's attestation key signs request and response together; its certificate names the firmware that the report
//! names, and leads to NVIDIA's device root. What the measurements should be stands in NVIDIA's reference manifests,
//! which are not read here: the policy lists values, or the status is `not-compared`. Revocation is not looked up.

mod message;

use std::collections::{BTreeMap, BTreeSet};

use statement::Digest;
use x509::der::{Reader, tag};
use x509::{Key, SignatureKind};

pub use message::{Message, REPORT_BYTES_MAX, opaque};

use crate::error::Error;
use crate::hex::Hex;
use crate::host::{Gpu, HostKind};
use crate::policy::Policy;
use crate::status::Status;
use crate::verify::{Facts, certificates, rooted};

const KIND: HostKind = HostKind::NvidiaGpu;

/// SHA-256 of the certificate `NVIDIA Device Identity CA`, as NVIDIA's verifier carries it.
const ROOT: [u8; 32] = [
    0x10, 0x2b, 0xf6, 0x59, 0xd5, 0x41, 0x96, 0x14, 0xc9, 0xd8, 0xe6, 0xae, 0xce, 0xbc, 0x80, 0x45, 0x4e,
    0xb2, 0x6b, 0x1d, 0xf6, 0xa7, 0x69, 0xac, 0x72, 0x0b, 0x9a, 0x69, 0x0b, 0x16, 0x7b, 0x48,
];

/// 2.23.133.5.4.1: the firmware that a key was made for (TCG DICE attestation architecture).
const FIRMWARE_OID: &[u8] = &[0x67, 0x81, 0x05, 0x05, 0x04, 0x01];

/// Verifies a report at the time `at` (Unix seconds).
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(evidence: &Gpu, policy: &Policy, at: i64) -> Result<Facts, Error> {
    let message = Message::parse(evidence.report.as_slice())?;
    let certificates = certificates(KIND, &evidence.certificates)?;
    let Some((own, others)) = certificates.split_first() else {
        return Err(Error::Key { kind: KIND, reason: "there is no certificate of the attestation key" });
    };
    let roots: BTreeSet<Digest> =
        std::iter::once(Digest::from_bytes(ROOT)).chain(policy.nvidia_gpu.roots.iter().copied()).collect();
    rooted(KIND, own, others, &roots, at)?;
    if !own.may_sign() {
        return Err(Error::Key { kind: KIND, reason: "its certificate is not for signing" });
    }
    let signed = own.key().is_some_and(|key| {
        matches!(key, Key::P384(_))
            && key.verify(SignatureKind::EcdsaFixed, &message.signed, &message.signature)
    });
    if !signed {
        return Err(Error::Signature { kind: KIND });
    }
    let firmware = message.opaque.get(&opaque::FIRMWARE);
    if firmware.is_none() || firmware.map(Vec::as_slice) != own.extension(FIRMWARE_OID).and_then(firmware_of)
    {
        let what = "the firmware in the report is not the one that the key was made for";
        return Err(Error::Contradiction { kind: KIND, what });
    }
    let status = compare(&message, policy)?;
    if !policy.allows(status) {
        return Err(Error::NotAllowed { kind: KIND, status, advisories: Vec::new() });
    }
    let driver = message.text(opaque::DRIVER);
    if !policy.nvidia_gpu.drivers.is_empty() && !policy.nvidia_gpu.drivers.contains(&driver) {
        return Err(Error::Measurement { kind: KIND, what: "driver".to_owned(), found: driver });
    }
    let bytes =
        |id| message.opaque.get(&id).map_or_else(String::new, |bytes| Hex::new(bytes.clone()).to_string());
    let shown = BTreeMap::from([
        ("board".to_owned(), bytes(opaque::BOARD)),
        ("driver".to_owned(), driver),
        ("firmware".to_owned(), bytes(opaque::FIRMWARE)),
        ("measurements".to_owned(), message.measurements.len().to_string()),
        ("vbios".to_owned(), bytes(opaque::VBIOS)),
    ]);
    Ok(Facts {
        kind: KIND,
        data: message.nonce.to_vec(),
        status,
        advisories: Vec::new(),
        simulated: false,
        measured: status == Status::UpToDate,
        shown,
    })
}

/// Every measurement that the policy names has one of its values.
fn compare(message: &Message, policy: &Policy) -> Result<Status, Error> {
    for rule in &policy.nvidia_gpu.measurements {
        let found = message.measurements.get(&rule.index).map(|value| Hex::new(value.clone()));
        if !found.as_ref().is_some_and(|found| rule.values.contains(found)) {
            let what = format!("measurement {}", rule.index);
            let found = found.map_or_else(|| "not there".to_owned(), |found| found.to_string());
            return Err(Error::Measurement { kind: KIND, what, found });
        }
    }
    let none = policy.nvidia_gpu.measurements.is_empty();
    Ok(if none { Status::NotCompared } else { Status::UpToDate })
}

/// The firmware's digest: a sequence of a version, a key, and a sequence of the hash's name and the digest.
fn firmware_of(content: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(content);
    let mut parts = reader.nested(tag::SEQUENCE).filter(|_| reader.is_empty())?;
    parts.value(tag::INTEGER)?;
    parts.whole(tag::SEQUENCE)?;
    let mut firmware = parts.nested(tag::SEQUENCE).filter(|_| parts.is_empty())?;
    firmware.value(tag::OID)?;
    firmware.value(tag::OCTETS).filter(|_| firmware.is_empty())
}
