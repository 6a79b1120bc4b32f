//! That a transparency log holds a bundle, and since when: a C2SP tlog-proof over a short entry that names it.

use merkle::{LogProof, VerifierKey, WitnessPolicy, leaf_hash};
use statement::Digest;

use crate::Error;

/// When a bundle was in the log at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The entry's index.
    pub index: u64,
    /// The earliest time at which a witness saw a log with it, Unix seconds.
    pub seen: i64,
    /// The witnesses that saw it.
    pub witnesses: Vec<String>,
}

/// The entry of a bundle in a log: one line that names the SHA-256 of the bundle's bytes.
pub fn entry(bundle: &Digest) -> Vec<u8> {
    format!("oms-bundle sha256:{bundle}\n").into_bytes()
}

/// Checks a tlog-proof for a bundle. Every witness given must have cosigned.
///
/// # Errors
/// [`Error::Inclusion`].
pub fn check(
    proof: &[u8],
    bundle: &Digest,
    log: &VerifierKey,
    witnesses: Vec<VerifierKey>,
) -> Result<Logged, Error> {
    let refused = |error: merkle::MerkleError| Error::Inclusion { reason: error.to_string() };
    let threshold = witnesses.len();
    if threshold == 0 {
        return Err(Error::Inclusion { reason: "without a witness, nothing shows when".to_owned() });
    }
    let policy = WitnessPolicy::new(witnesses, threshold).map_err(refused)?;
    let leaf = leaf_hash(&entry(bundle));
    let origin = log.name().to_owned();
    let proof = LogProof::parse(proof).map_err(refused)?;
    let included = proof.verify(&leaf, &origin, std::slice::from_ref(log), &policy).map_err(refused)?;
    let seen = included.cosigned();
    // What several saw, the last of them saw; one alone may have a wrong clock.
    let latest = seen.witnesses().iter().map(merkle::WitnessSeen::earliest).max().unwrap_or(u64::MAX);
    Ok(Logged {
        index: included.index(),
        seen: i64::try_from(latest).unwrap_or(i64::MAX),
        witnesses: seen.witnesses().iter().map(|witness| witness.name().to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests;
