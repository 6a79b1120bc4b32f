//! What is hashed for a block: the payload of its elements under a coding.
//!
//! Exact payloads hold every value in the narrowest of BF16, F16, F32 and F64 (tried in that order) that holds all
//! values of the block bit for bit, so the type in which a file stores them does not matter. Where the file's type is
//! that one already, as for nearly every block of a real model, the file's bytes are hashed where they lie.
//!
//! Payloads of few bits are made by [`low`]. Elements that are not floating-point are always exact, in their own
//! type.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::verbose_bit_mask,
    reason = "lookups in tables of 256 by a byte, and the low bits of words, by masks, on purpose"
)]

mod bits;
mod low;

use std::sync::LazyLock;

use tensor::safetensors::Dtype;

use crate::Error;
use crate::hash::{Keys, Mark};
use crate::rule::Coding;
use crate::source::Elements;

pub(crate) use bits::{f16_of_f32, f32_of_f16, f32_of_f64, f64_of_f32};

const TAG_BF16: u8 = 1;
const TAG_F16: u8 = 2;
const TAG_F32: u8 = 3;
const TAG_F64: u8 = 4;

/// Room that is used again from block to block.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    words: Vec<u32>,
    bytes: Vec<u8>,
    payload: Vec<u8>,
}

/// Hashes the block whose elements begin at `first`.
pub(crate) fn leaf(
    keys: &Keys,
    coding: Coding,
    elements: Elements<'_>,
    block: u64,
    first: u64,
    count: usize,
    scratch: &mut Scratch,
) -> Result<Mark, Error> {
    let Scratch { words, bytes: room, payload } = scratch;
    let (dtype, bytes) = match elements {
        Elements::Plain { dtype, bytes } => {
            let size = dtype.bytes();
            // INVARIANT: the block lies in the tensor, whose bytes are in memory, so neither product overflows.
            let begin = first as usize * size;
            (dtype, bytes.get(begin..begin + count * size).unwrap_or_default())
        }
        Elements::Coded(decode) => {
            words.clear();
            decode.decode(first, count, words)?;
            room.clear();
            room.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            (Dtype::F32, room.as_slice())
        }
    };
    let (tag, payload) = match (coding.bits(), dtype.is_float()) {
        (Some(bits), true) => {
            payload.clear();
            low::write(bits, dtype, bytes, payload);
            (0x40 + bits as u8, payload.as_slice())
        }
        (None, _) | (_, false) => exact(dtype, bytes, payload),
    };
    Ok(keys.leaf(tag, block, count as u64, &keys.payload(payload)))
}

/// The exact payload: the file's bytes, or what is written into `room`.
fn exact<'b>(dtype: Dtype, bytes: &'b [u8], room: &'b mut Vec<u8>) -> (u8, &'b [u8]) {
    room.clear();
    match dtype {
        Dtype::BF16 => (TAG_BF16, bytes),
        Dtype::F8E4M3 => {
            room.extend(bytes.iter().flat_map(|&byte| E4M3[usize::from(byte)].to_le_bytes()));
            (TAG_BF16, room)
        }
        Dtype::F8E5M2 => {
            room.extend(bytes.iter().flat_map(|&byte| E5M2[usize::from(byte)].to_le_bytes()));
            (TAG_BF16, room)
        }
        Dtype::F16 => {
            let words = bytes.as_chunks::<2>().0;
            let narrow = |half: &[u8; 2]| bf16_of_f32(f32_of_f16(u16::from_le_bytes(*half)));
            if fill(words, room, narrow) { (TAG_BF16, room) } else { (TAG_F16, bytes) }
        }
        Dtype::F32 => {
            let words = bytes.as_chunks::<4>().0;
            if fill(words, room, |word| bf16_of_f32(u32::from_le_bytes(*word))) {
                (TAG_BF16, room)
            } else if fill(words, room, |word| f16_of_f32(u32::from_le_bytes(*word))) {
                (TAG_F16, room)
            } else {
                (TAG_F32, bytes)
            }
        }
        Dtype::F64 => exact_of_f64(bytes, room),
        Dtype::Bool => (0x20, bytes),
        Dtype::U8 => (0x21, bytes),
        Dtype::I8 => (0x22, bytes),
        Dtype::U16 => (0x23, bytes),
        Dtype::I16 => (0x24, bytes),
        Dtype::U32 => (0x25, bytes),
        Dtype::I32 => (0x26, bytes),
        Dtype::U64 => (0x27, bytes),
        Dtype::I64 => (0x28, bytes),
    }
}

fn exact_of_f64<'b>(bytes: &'b [u8], room: &'b mut Vec<u8>) -> (u8, &'b [u8]) {
    let words = bytes.as_chunks::<8>().0;
    let single = |word: &[u8; 8]| f32_of_f64(u64::from_le_bytes(*word));
    if fill(words, room, |word| single(word).and_then(bf16_of_f32)) {
        return (TAG_BF16, room);
    }
    if fill(words, room, |word| single(word).and_then(f16_of_f32)) {
        return (TAG_F16, room);
    }
    room.clear();
    for word in words {
        let Some(bits) = single(word) else { return (TAG_F64, bytes) };
        room.extend_from_slice(&bits.to_le_bytes());
    }
    (TAG_F32, room)
}

/// Writes what each word becomes, unless one of them has no exact counterpart.
fn fill<const N: usize>(
    words: &[[u8; N]],
    room: &mut Vec<u8>,
    narrow: impl Fn(&[u8; N]) -> Option<u16>,
) -> bool {
    room.clear();
    for word in words {
        let Some(half) = narrow(word) else { return false };
        room.extend_from_slice(&half.to_le_bytes());
    }
    true
}

const fn bf16_of_f32(bits: u32) -> Option<u16> {
    if bits & 0xffff == 0 { Some((bits >> 16) as u16) } else { None }
}

/// Every value of the 8-bit types is a BF16 exactly. E4M3: bias 7, subnormals in units of 2^-9, one NaN a sign.
static E4M3: LazyLock<[u16; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let (sign, exponent, mantissa) =
            ((byte as u16 & 0x80) << 8, (byte as u16 >> 3) & 15, byte as u16 & 7);
        sign | match (exponent, mantissa) {
            (15, 7) => 0x7fc0,
            (0, 0) => 0,
            (0, _) => {
                // mantissa · 2^-9, normalised.
                let top = 15 - mantissa.leading_zeros() as u16;
                ((127 - 9 + top) << 7) | ((mantissa << (7 - top)) & 0x7f)
            }
            _ => ((exponent + 127 - 7) << 7) | (mantissa << 4),
        }
    })
});

/// E5M2 is the upper byte of F16.
static E5M2: LazyLock<[u16; 256]> =
    LazyLock::new(|| std::array::from_fn(|byte| (f32_of_f16((byte as u16) << 8) >> 16) as u16));

#[cfg(test)]
mod tests;
