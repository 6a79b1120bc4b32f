//! Entries of the log: an envelope and the sequencer's stamp, as canonical JSON.
//!
//! `{"envelope":{…},"stamp_ms":…}` — the stamp is inside the Merkle leaf, so it cannot be changed afterwards; it is not
//! inside the envelope, so no signer can choose it.

use crate::envelope::Envelope;
use crate::error::StatementError;
use crate::id::StatementId;
use crate::json::{self, INTEGER_MAX};
use crate::statement::Content;

/// The largest entry of the log (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

const PREFIX: &[u8] = b"{\"envelope\":";
const MIDDLE: &[u8] = b",\"stamp_ms\":";

/// One entry of the log, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its place in the log.
    pub index: u64,
    /// The sequencer's stamp, milliseconds since the Unix epoch.
    pub stamp_ms: u64,
    /// The statement's id.
    pub id: StatementId,
    /// The envelope.
    pub envelope: Envelope,
    /// What it says.
    pub content: Content,
}

/// The entry for an envelope's canonical bytes at a stamp. The bytes are the caller's: they are checked on admission.
pub fn stamp(envelope: &[u8], stamp_ms: u64) -> Vec<u8> {
    let digits = stamp_ms.to_string();
    let mut entry = Vec::with_capacity(PREFIX.len() + envelope.len() + MIDDLE.len() + digits.len() + 1);
    entry.extend_from_slice(PREFIX);
    entry.extend_from_slice(envelope);
    entry.extend_from_slice(MIDDLE);
    entry.extend_from_slice(digits.as_bytes());
    entry.push(b'}');
    entry
}

/// The envelope bytes and stamp of an entry.
pub fn split(entry: &[u8]) -> Result<(&[u8], u64), StatementError> {
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(StatementError::Oversize(entry.len()));
    }
    let inner =
        entry.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(b"}")).ok_or(StatementError::Entry)?;
    // The stamp is digits, so the last occurrence of the middle is the one outside the envelope.
    let digits_at = inner.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
    let (head, digits) = inner.split_at_checked(digits_at).ok_or(StatementError::Entry)?;
    let envelope = head.strip_suffix(MIDDLE).ok_or(StatementError::Entry)?;
    let canonical = matches!(digits, [b'0']) || matches!(digits, [b'1'..=b'9', ..]);
    let stamp_ms = std::str::from_utf8(digits)
        .ok()
        .filter(|_| canonical)
        .and_then(|text| text.parse::<i64>().ok())
        .filter(|stamp| *stamp <= INTEGER_MAX)
        .and_then(|stamp| u64::try_from(stamp).ok())
        .ok_or(StatementError::Entry)?;
    Ok((envelope, stamp_ms))
}

impl Leaf {
    /// Reads the entry at `index`.
    pub fn parse(index: u64, entry: &[u8]) -> Result<Self, StatementError> {
        let (envelope, stamp_ms) = split(entry)?;
        let envelope = Envelope::parse(envelope)?;
        let content = Content::parse(envelope.payload.as_slice())?;
        Ok(Self { index, stamp_ms, id: envelope.id(), envelope, content })
    }

    /// The entry's bytes.
    pub fn to_entry(&self) -> Result<Vec<u8>, StatementError> {
        Ok(stamp(&json::to_canonical(&self.envelope).map_err(StatementError::Encode)?, self.stamp_ms))
    }
}

#[cfg(test)]
mod tests;
