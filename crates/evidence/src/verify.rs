//! The whole: claims, what binds them, every host, and what the tier requires.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use statement::kind::Tier;
use statement::{Bytes, Digest};
use x509::{Certificate, ChainFault};

use crate::attestation::Attestation;
use crate::claims::Claims;
use crate::error::Error;
use crate::hex::Hex;
use crate::host::{Host, HostKind};
use crate::policy::Policy;
use crate::status::Status;
use crate::{gpu, snp, tpm};

/// What is known about a host whose evidence holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What kind of host it is.
    pub kind: HostKind,
    /// The data that the evidence is bound to.
    #[serde(serialize_with = "as_hex")]
    pub data: Vec<u8>,
    /// How current it is, or who vouches for its key.
    pub status: Status,
    /// The vendor's advisories about it.
    pub advisories: Vec<String>,
    /// Whether it is a simulation.
    pub simulated: bool,
    /// Whether the policy had measurements to compare with, and did.
    pub measured: bool,
    /// What else it says, for people.
    pub shown: BTreeMap<String, String>,
}

fn as_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Hex::new(bytes.to_vec()))
}

/// What whoever verifies knows from elsewhere. What is none is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The nonce that was asked for.
    pub nonce: Option<Hex>,
    /// The worker that was to run.
    pub worker: Option<Digest>,
    /// The inputs, as [`crate::inputs_digest`] names them.
    pub inputs: Option<Digest>,
    /// The root of the execution trace.
    pub trace_root: Option<Digest>,
    /// The tier whose requirements are to be met.
    pub tier: Option<Tier>,
}

/// An attestation that holds: only [`verify`] makes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    claims: Claims,
    hosts: Vec<Facts>,
}

impl Verified {
    /// What ran.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Where. Empty where no host said anything about itself: then nothing shows where it ran.
    pub fn hosts(&self) -> &[Facts] {
        &self.hosts
    }
}

/// Verifies an attestation at the time `at` (Unix seconds).
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(
    attestation: &Attestation,
    expected: &Expected,
    policy: &Policy,
    at: i64,
) -> Result<Verified, Error> {
    let claims = &attestation.claims;
    let binding = claims.binding()?;
    if expected.nonce.as_ref().is_some_and(|nonce| *nonce != claims.nonce) {
        return Err(Error::Nonce);
    }
    let compared = [
        ("worker", expected.worker, claims.worker),
        ("inputs", expected.inputs, claims.inputs),
        ("trace_root", expected.trace_root, claims.trace_root),
    ];
    for (claim, wanted, found) in compared {
        if let Some(wanted) = wanted
            && wanted != found
        {
            return Err(Error::Claim { claim, wanted: wanted.to_string(), found: found.to_string() });
        }
    }
    let mut hosts = Vec::new();
    for evidence in &attestation.hosts {
        let facts = host(evidence, policy, at)?;
        let wanted = data_for(facts.kind, &binding);
        if facts.data != wanted {
            return Err(Error::Binding {
                kind: facts.kind,
                wanted: Hex::new(wanted).to_string(),
                found: Hex::new(facts.data).to_string(),
            });
        }
        hosts.push(facts);
    }
    if let Some(tier) = expected.tier {
        let required = policy.required(tier);
        if !required.is_empty() && !hosts.iter().any(|facts| required.contains(&facts.kind)) {
            return Err(Error::HostRequired { tier, kinds: required.into_iter().collect() });
        }
    }
    Ok(Verified { claims: claims.clone(), hosts })
}

/// Verifies one host's evidence by itself, whatever it is bound to ([`Facts::data`]).
///
/// # Errors
/// The first thing that does not hold.
pub fn host(evidence: &Host, policy: &Policy, at: i64) -> Result<Facts, Error> {
    match evidence {
        Host::Tpm2(tpm) => tpm::verify(tpm, policy, at),
        Host::SevSnp(snp) => snp::verify(snp, policy, at),
        Host::NvidiaGpu(gpu) => gpu::verify(gpu, policy, at),
        #[cfg(feature = "dcap")]
        Host::Tdx(intel) => crate::dcap::verify(HostKind::Tdx, intel, policy, at),
        #[cfg(feature = "dcap")]
        Host::Sgx(intel) => crate::dcap::verify(HostKind::Sgx, intel, policy, at),
        #[cfg(not(feature = "dcap"))]
        Host::Tdx(_) | Host::Sgx(_) => Err(Error::NotBuilt { kind: evidence.kind() }),
    }
}

/// The data that a host of the kind must carry for a binding: the digest itself, or the digest and zeros up to the 64
/// bytes that confidential machines have.
pub fn data_for(kind: HostKind, binding: &Digest) -> Vec<u8> {
    let mut data = binding.as_bytes().to_vec();
    match kind {
        HostKind::Tpm2 | HostKind::NvidiaGpu => {}
        HostKind::Tdx | HostKind::SevSnp | HostKind::Sgx => data.resize(64, 0),
    }
    data
}

/// The certificates of a PEM file in DER, in its order; none where a block is damaged or there is none.
pub fn certificates_from_pem(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    x509::blocks(text, "CERTIFICATE").filter(|blocks| !blocks.is_empty())
}

/// Reads the certificates that come with evidence.
pub(crate) fn certificates(kind: HostKind, ders: &[Bytes]) -> Result<Vec<Certificate>, Error> {
    if ders.len() > x509::CERTIFICATES_MAX {
        let fault = ChainFault { step: 0, fault: x509::Fault::TooLong };
        return Err(Error::Chain { kind, fault });
    }
    let read = |(step, der): (usize, &Bytes)| {
        let read = Certificate::from_der(der.as_slice());
        read.map_err(|fault| Error::Chain { kind, fault: ChainFault { step, fault } })
    };
    ders.iter().enumerate().map(read).collect()
}

/// Whether a certificate leads to one of the roots.
pub(crate) fn rooted(
    kind: HostKind,
    own: &Certificate,
    others: &[Certificate],
    roots: &BTreeSet<Digest>,
    at: i64,
) -> Result<(), Error> {
    x509::chain(own, others, roots, at).map(drop).map_err(|fault| Error::Chain { kind, fault })
}
