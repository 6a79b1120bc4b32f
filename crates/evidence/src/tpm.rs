//! Quotes of a TPM 2.0.
//!
//! A quote is a TPMS_ATTEST that a restricted key signed: such a key signs only what the TPM itself made, which begins
//! with a magic number. It holds a digest over registers, the qualifying data that the caller chose, and the TPM's clock
//! and counters. Structures: TPM 2.0 Library, part 2, sections 10 to 12.
//!
//! What counts is whose key it is. It is believed under its name, where the policy enrols that, or under a certificate
//! that leads to a root of the policy's; any other is `key-unknown`, for anybody can make a key.

mod attest;
mod public;
mod signature;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256, Sha384};
use statement::Digest;
use x509::Certificate;

pub use attest::{Attest, PCR_INDEX_MAX, Selection};
pub use public::{Public, name_digest};
pub use signature::Signature;

use crate::error::Error;
use crate::host::{HostKind, Tpm};
use crate::policy::Policy;
use crate::status::Status;
use crate::verify::{Facts, certificates, rooted};

const KIND: HostKind = HostKind::Tpm2;

/// The hash algorithms that are known here (TPM_ALG_ID).
pub mod algorithm {
    /// SHA-256.
    pub const SHA256: u16 = 0x000b;
    /// SHA-384.
    pub const SHA384: u16 = 0x000c;
    /// RSA keys.
    pub const RSA: u16 = 0x0001;
    /// Keys on elliptic curves.
    pub const ECC: u16 = 0x0023;
    /// None.
    pub const NULL: u16 = 0x0010;
    /// RSASSA-PKCS1-v1_5.
    pub const RSASSA: u16 = 0x0014;
    /// RSASSA-PSS.
    pub const RSAPSS: u16 = 0x0016;
    /// ECDSA.
    pub const ECDSA: u16 = 0x0018;
}

/// Verifies a quote at the time `at` (Unix seconds): form, key, signature, registers. Whether the qualifying data is
/// the right one is the caller's to compare: [`Facts::data`].
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(evidence: &Tpm, policy: &Policy, at: i64) -> Result<Facts, Error> {
    let (attest, public, registers) = read(evidence)?;
    let name = name_digest(evidence.public.as_slice());
    let certificates = certificates(KIND, &evidence.certificates)?;
    let status = standing(&public, name, &certificates, policy, at)?;
    if !policy.allows(status) {
        return Err(Error::NotAllowed { kind: KIND, status, advisories: Vec::new() });
    }
    for rule in &policy.tpm2.pcrs {
        let found = registers.get(&rule.index);
        if !found.is_some_and(|value| rule.values.contains(value)) {
            let what = format!("register {}", rule.index);
            let found = found.map_or_else(|| "not quoted".to_owned(), Digest::to_string);
            return Err(Error::Measurement { kind: KIND, what, found });
        }
    }
    let simulated = evidence.simulated || policy.tpm2.simulated_keys.contains(&name);
    if simulated && !policy.allow_simulated {
        return Err(Error::Simulated { kind: KIND });
    }
    let mut shown = BTreeMap::from([
        ("clock_ms".to_owned(), attest.clock_ms.to_string()),
        ("firmware_version".to_owned(), format!("{:016x}", attest.firmware_version)),
        ("key_name".to_owned(), format!("000b{name}")),
        ("reset_count".to_owned(), attest.reset_count.to_string()),
        ("restart_count".to_owned(), attest.restart_count.to_string()),
    ]);
    shown.extend(registers.iter().map(|(index, value)| (format!("pcr_{index:02}"), value.to_string())));
    Ok(Facts {
        kind: KIND,
        data: attest.qualifying_data,
        status,
        advisories: Vec::new(),
        simulated,
        measured: !policy.tpm2.pcrs.is_empty(),
        shown,
    })
}

/// Whether a quote is whole: its form, that the key may only sign for its TPM, its signature, and that the registers'
/// values are those that were signed. Says nothing about whose key it is.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_form(evidence: &Tpm) -> Result<Attest, Error> {
    read(evidence).map(|(attest, ..)| attest)
}

fn read(evidence: &Tpm) -> Result<(Attest, Public, BTreeMap<u8, Digest>), Error> {
    let attest = Attest::parse(evidence.attest.as_slice())?;
    let public = Public::parse(evidence.public.as_slice())?;
    let signature = Signature::parse(evidence.signature.as_slice())?;
    public.check_attributes()?;
    if !signature.verify(&public, evidence.attest.as_slice()) {
        return Err(Error::Signature { kind: KIND });
    }
    let registers = registers(evidence, &attest, &signature)?;
    Ok((attest, public, registers))
}

/// Who vouches for the key. A certificate that does not lead to a root is refused where roots are given.
fn standing(
    public: &Public,
    name: Digest,
    certificates: &[Certificate],
    policy: &Policy,
    at: i64,
) -> Result<Status, Error> {
    if policy.tpm2.keys.contains(&name) || policy.tpm2.simulated_keys.contains(&name) {
        return Ok(Status::KeyPinned);
    }
    let Some((own, others)) = certificates.split_first() else { return Ok(Status::KeyUnknown) };
    if policy.tpm2.roots.is_empty() {
        return Ok(Status::KeyUnknown);
    }
    if own.key() != Some(&public.key) {
        return Err(Error::Contradiction { kind: KIND, what: "the certificate is of another key" });
    }
    if !own.may_sign() {
        return Err(Error::Key { kind: KIND, reason: "its certificate is not for signing" });
    }
    rooted(KIND, own, others, &policy.tpm2.roots, at)?;
    Ok(Status::KeyRooted)
}

/// The registers' values, whose digest is the one that was signed.
fn registers(evidence: &Tpm, attest: &Attest, signature: &Signature) -> Result<BTreeMap<u8, Digest>, Error> {
    let refuse = |what| Err(Error::Contradiction { kind: KIND, what });
    let [Selection { hash: algorithm::SHA256, indices }] = attest.selections.as_slice() else {
        return refuse("registers of other banks than SHA-256, or none, were quoted");
    };
    let given: Vec<u8> = evidence.pcrs.iter().map(|pcr| pcr.index).collect();
    if given != *indices {
        return refuse("the registers with values are not those that were quoted");
    }
    let mut values = Vec::with_capacity(evidence.pcrs.len() * 32);
    for pcr in &evidence.pcrs {
        values.extend_from_slice(pcr.value.as_bytes());
    }
    // The digest over the registers is made with the hash of the signature's scheme, whatever the bank's hash is.
    let digest = match signature.hash() {
        algorithm::SHA256 => Sha256::digest(&values).to_vec(),
        _ => Sha384::digest(&values).to_vec(),
    };
    if digest != attest.pcr_digest.as_slice() {
        return refuse("the registers' values are not those whose digest was quoted");
    }
    Ok(evidence.pcrs.iter().map(|pcr| (pcr.index, pcr.value)).collect())
}
