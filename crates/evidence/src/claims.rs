//! What an attestation is about: one run of a worker.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use statement::{Digest, json};

use crate::error::Error;
use crate::hex::Hex;

/// Shortest nonce, in bytes.
pub const NONCE_BYTES_MIN: usize = 8;
/// Longest nonce, in bytes.
pub const NONCE_BYTES_MAX: usize = 64;

/// Ahead of the claims in what is hashed, so that the digest is of nothing else.
const DOMAIN: &[u8] = b"countersign attestation v1\n";

/// What ran, on what, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The inputs, as [`inputs_digest`] names them.
    pub inputs: Digest,
    /// Chosen by whoever wants to know, so that an old attestation does not pass for a new one; for a finding the 32
    /// bytes of its proposal's id.
    pub nonce: Hex,
    /// The root of the execution trace's Merkle tree.
    pub trace_root: Digest,
    /// SHA-256 of the worker's code.
    pub worker: Digest,
}

impl Claims {
    /// What host evidence must carry: SHA-256 of a fixed line and the canonical JSON of the claims.
    ///
    /// # Errors
    /// [`Error::Member`] where the nonce is too short or too long.
    pub fn binding(&self) -> Result<Digest, Error> {
        let nonce = self.nonce.as_slice().len();
        if !(NONCE_BYTES_MIN..=NONCE_BYTES_MAX).contains(&nonce) {
            return Err(Error::Member { member: "claims.nonce", reason: "it must have 8 to 64 bytes" });
        }
        let canonical = json::to_canonical(self)
            .map_err(|_| Error::Member { member: "claims", reason: "they cannot be written as JSON" })?;
        Ok(Digest::of_parts(&[DOMAIN, &canonical]))
    }
}

/// One digest for a set of inputs: SHA-256 of their digests in ascending order, each as 32 bytes, after their number as
/// eight bytes, big-endian.
pub fn inputs_digest(inputs: &BTreeSet<Digest>) -> Digest {
    let number = (inputs.len() as u64).to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![&number];
    parts.extend(inputs.iter().map(|input| input.as_bytes().as_slice()));
    Digest::of_parts(&parts)
}
