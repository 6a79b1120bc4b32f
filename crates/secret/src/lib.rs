//! Comparing and spelling secrets in constant time: neither a branch nor an address depends on them.
//!
//! Keys, tokens and digests that authenticate somebody are compared with [`equal`]; the 32 bytes of a secret key are
//! written and read as base64 with [`to_base64`] and [`from_base64`]. What depends on the secret alone is the answer.
//! The length of what is compared is no secret.
//!
//! Why not a crate for this: `subtle` asserts within its comparison in builds with debug assertions, a branch for each
//! byte, and decoders of base64 look up tables or leave at the first wrong character. What is here is a few lines, and the
//! same in every build. Shown in two ways, on these functions: `tests/it` runs them under Valgrind with their secrets
//! marked undefined, so that every branch on them is reported, and `cargo xtask bench constant-time` compares their
//! timing over two classes of secrets. Both have controls that must be caught.
//!
//! What this crate does not do: hide secrets from who reads the process's memory, or keep a processor from speculating.

#![allow(clippy::cast_possible_truncation, reason = "a checked conversion branches on what it converts")]

use std::hint::black_box;

use zeroize::Zeroizing;

/// The bytes of a secret key.
pub const KEY_BYTES: usize = 32;
/// How many characters the base64 (RFC 4648, section 4) of a secret key has.
pub const KEY_BASE64: usize = 44;

/// Whether two secrets are the same. How long it takes depends on their lengths alone.
#[inline(never)]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut different = 0_u8;
    for (left, right) in one.iter().zip(other) {
        // Kept from being turned into a comparison that ends early.
        different = black_box(different | (left ^ right));
    }
    different == 0
}

/// All bits set where `low <= value <= high`, else none. For values and bounds below 2^31, `low` above 0.
const fn within(value: u32, low: u32, high: u32) -> u32 {
    // A difference is negative, its highest bit set, where the bound is kept.
    let above = low.wrapping_sub(1).wrapping_sub(value);
    let below = value.wrapping_sub(high).wrapping_sub(1);
    0_u32.wrapping_sub((above & below) >> 31)
}

/// The base64 of a key, in memory that is wiped.
#[inline(never)]
pub fn to_base64(key: &[u8; KEY_BYTES]) -> Zeroizing<[u8; KEY_BASE64]> {
    let mut text = Zeroizing::new([b'='; KEY_BASE64]);
    for (group, places) in key.chunks(3).zip(text.chunks_mut(4)) {
        let mut bits = 0_u32;
        for place in 0..3 {
            bits = (bits << 8) | u32::from(group.get(place).copied().unwrap_or(0));
        }
        // Three bytes are four characters, two are three: how many there are is no secret.
        for (place, character) in places.iter_mut().take(group.len() + 1).enumerate() {
            *character = letter((bits >> (18 - 6 * place)) & 63);
        }
    }
    text
}

/// The character of six bits: from A, and on from there to a, to 0, to + and to /.
const fn letter(bits: u32) -> u8 {
    bits.wrapping_add(65)
        .wrapping_add(within(bits, 26, 63) & 0x06)
        .wrapping_sub(within(bits, 52, 63) & 0x4b)
        .wrapping_sub(within(bits, 62, 63) & 0x0f)
        .wrapping_add(within(bits, 63, 63) & 0x03) as u8
}

/// The six bits of a character, and all bits set where it is none of base64's.
fn bits(character: u8) -> (u32, u32) {
    let value = u32::from(character);
    let upper = within(value, 65, 90);
    let lower = within(value, 97, 122);
    let digit = within(value, 48, 57);
    let plus = within(value, 43, 43);
    let slash = within(value, 47, 47);
    let bits = (upper & value.wrapping_sub(65))
        | (lower & value.wrapping_sub(71))
        | (digit & value.wrapping_add(4))
        | (plus & 0x3e)
        | (slash & 0x3f);
    (bits, !(upper | lower | digit | plus | slash))
}

/// The key that a text spells, in memory that is wiped, and whether it spells one: the right characters, one `=`, and no bits
/// left over. The answer to the second is what may be branched on.
#[inline(never)]
pub fn from_base64(text: &[u8; KEY_BASE64]) -> (Zeroizing<[u8; KEY_BYTES]>, bool) {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut wrong = 0_u32;
    let (last, before) = (text.get(KEY_BASE64 - 1).copied(), text.get(..KEY_BASE64 - 1).unwrap_or_default());
    for (characters, bytes) in before.chunks(4).zip(key.chunks_mut(3)) {
        let mut group = 0_u32;
        for place in 0..4 {
            // In the place of the `=` at the end, and there alone, stands an A.
            let (value, invalid) = bits(characters.get(place).copied().unwrap_or(b'A'));
            wrong = black_box(wrong | invalid);
            group = (group << 6) | value;
        }
        let length = bytes.len();
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = (group >> (16 - 8 * place)) as u8;
        }
        if length < 3 {
            // The last group has bits that no byte takes.
            wrong = black_box(wrong | (group & 255));
        }
    }
    wrong |= u32::from(last.unwrap_or(0)) ^ u32::from(b'=');
    (key, wrong == 0)
}

#[cfg(test)]
mod tests;
