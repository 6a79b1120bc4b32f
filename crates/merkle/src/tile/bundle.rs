//! Entry bundles: entries with 16-bit big-endian length prefixes.

use super::{TILE_WIDTH, TilePath};
use crate::error::MerkleError;

/// The longest entry, in bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// The bytes of a bundle of 1 to 256 entries.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, MerkleError> {
    if entries.is_empty() || entries.len() as u64 > TILE_WIDTH {
        let (path, reason) = (format!("{} entries", entries.len()), "a bundle has 1 to 256 entries");
        return Err(MerkleError::Bundle { path, reason });
    }
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| entry.as_ref().len() + 2).sum());
    for entry in entries {
        let entry = entry.as_ref();
        let length =
            u16::try_from(entry.len()).map_err(|_| MerkleError::EntryTooLong { length: entry.len() })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of the bundle at `path`: exactly its width of them, and nothing after.
pub fn decode_bundle<'b>(path: &TilePath, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, MerkleError> {
    let error = |reason| MerkleError::Bundle { path: path.to_string(), reason };
    let mut entries = Vec::with_capacity(usize::from(path.width()));
    let mut rest = bytes;
    for _ in 0..path.width() {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(error("it ends before its last entry"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(error("an entry is cut short"))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(error("bytes are left over after the last entry")) }
}
