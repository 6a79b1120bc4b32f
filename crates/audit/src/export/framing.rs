//! Length-prefixed sequences.

use merkle::Hash;

use crate::error::AuditError;

/// The entries of the `entries` section, in order: leaf 0 first.
pub fn entries(mut bytes: &[u8]) -> Result<Vec<&[u8]>, AuditError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let broken = || AuditError::EntriesForm { index: count(entries.len()) };
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(broken)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// The proofs' texts, in order.
pub(crate) fn proofs(mut bytes: &[u8]) -> Result<Vec<&[u8]>, AuditError> {
    let mut proofs = Vec::new();
    while !bytes.is_empty() {
        let (proof, rest) =
            split_long(bytes).ok_or_else(|| AuditError::ProofsForm { number: count(proofs.len()) })?;
        proofs.push(proof);
        bytes = rest;
    }
    Ok(proofs)
}

/// The leaf hashes, in order; none where the length is no multiple of 32.
pub(crate) fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect())
}

/// A part with a big-endian 32-bit length before it, and what follows.
pub(super) fn split_long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Appends a part with a big-endian 32-bit length before it.
pub(super) fn push_long(out: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    out.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
    out.extend_from_slice(part);
    Some(())
}

pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
