//! CRC-32 as in ISO 3309 and the zip format.
//!
//! What it does not do: protect against anybody. A checksum finds accidents.

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
