//! The few spellings that the C2SP text formats share; each value has exactly one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::tree::Hash;

/// A decimal number without sign or leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// Standard base64 (RFC 4648, section 4).
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Standard base64, with padding and without stray bits, so that one value has one spelling.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A base64-encoded 32-byte hash.
pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    // 32 bytes are 44 characters; anything else is not worth decoding.
    if text.len() != 44 {
        return None;
    }
    let bytes: [u8; 32] = from_base64(text)?.try_into().ok()?;
    Some(Hash::from_bytes(bytes))
}
