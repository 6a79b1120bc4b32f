//! Codes of eight, four or two bits for groups of 32 elements.
//!
//! With `2^E` the largest power of two that does not exceed the largest magnitude of a group, the step of the group is
//! `2^(E + 2 - bits)` and the code of an element is `floor(element / step)`. All codes then fit two's complement of
//! that many bits exactly, and a group is written as `E` (16 bits, little-endian) and its codes, the first in the
//! lowest bits. A group of zeros has `E = -32768`; a group with an infinity or a NaN has `E = 32767` and the bits of
//! all its elements as F64 instead of codes. The last group of a tensor may be short; its missing codes are zero.
//!
//! Why a change of a step is always seen: if `E` differs, the payload does. If not, both have the same step, and two
//! numbers that are a step or more apart are never in the same interval `[k · step, (k + 1) · step)`.
//!
//! The division is by a power of two, so the codes are integers that follow from the values alone. [`fast`] gets
//! them with a product, a sum, a difference and comparisons of IEEE 754 single precision, none of which rounds in a
//! way that matters (see there), and which compilers turn into vector instructions; [`slow`] gets them by shifting
//! integers. Both are compared in the tests.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::needless_bitwise_bool,
    clippy::inline_always,
    reason = "a kernel over fixed arrays without branches: codes are the low bits of words, every index is below a \
              constant, and each set of instructions compiles its own copy"
)]

use tensor::safetensors::Dtype;

use super::{f32_of_f16, f64_of_f32};
use crate::rule::GROUP;

/// `E` of a group of zeros.
const ZEROS: i16 = i16::MIN;
/// `E` of a group with an element that is not finite.
const NOT_FINITE: i16 = i16::MAX;

/// Appends the payload of a block of floating-point elements, which are whole.
///
/// Compiled for several sets of vector instructions, of which the processor's best is taken. None of them rounds
/// otherwise than another, and nothing here lets a compiler fuse a product and a sum.
pub(super) fn write(bits: u32, dtype: Dtype, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() / dtype.bytes() * bits as usize / 8 + bytes.len() / dtype.bytes() / GROUP * 2);
    pulp::Arch::new().dispatch(Write { bits, dtype, bytes, out });
}

/// One call of [`write`], for a set of instructions to compile.
struct Write<'a> {
    bits: u32,
    dtype: Dtype,
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl pulp::NullaryFnOnce for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { bits, dtype, bytes, out } = self;
        match bits {
            8 => of_type::<8>(dtype, bytes, out),
            4 => of_type::<4>(dtype, bytes, out),
            _ => of_type::<2>(dtype, bytes, out),
        }
    }
}

#[inline(always)]
fn of_type<const BITS: u32>(dtype: Dtype, bytes: &[u8], out: &mut Vec<u8>) {
    match dtype {
        Dtype::F64 => {
            for group in bytes.chunks(GROUP * 8) {
                let mut values = [0_u64; GROUP];
                for (value, word) in values.iter_mut().zip(group.as_chunks::<8>().0) {
                    *value = u64::from_le_bytes(*word);
                }
                slow::<BITS>(&values, group.len() / 8, out);
            }
        }
        Dtype::F32 => singles::<BITS, 4, { GROUP * 4 }>(bytes, u32::from_le_bytes, out),
        Dtype::BF16 => {
            singles::<BITS, 2, { GROUP * 2 }>(bytes, |half| u32::from(u16::from_le_bytes(half)) << 16, out);
        }
        Dtype::F16 => {
            singles::<BITS, 2, { GROUP * 2 }>(bytes, |half| f32_of_f16(u16::from_le_bytes(half)), out);
        }
        Dtype::F8E4M3 => {
            singles::<BITS, 1, GROUP>(bytes, |[byte]| u32::from(super::E4M3[usize::from(byte)]) << 16, out);
        }
        // The other floating-point type; integers do not come here.
        _ => singles::<BITS, 1, GROUP>(bytes, |[byte]| u32::from(super::E5M2[usize::from(byte)]) << 16, out),
    }
}

/// Groups of elements that are F32 exactly: `SIZE` bytes each, `WHOLE` bytes a group.
#[inline(always)]
fn singles<const BITS: u32, const SIZE: usize, const WHOLE: usize>(
    bytes: &[u8],
    widen: impl Fn([u8; SIZE]) -> u32,
    out: &mut Vec<u8>,
) {
    let (groups, rest) = bytes.as_chunks::<WHOLE>();
    let read = |group: &[u8]| {
        let mut values = [0_u32; GROUP];
        for (value, word) in values.iter_mut().zip(group.as_chunks::<SIZE>().0) {
            *value = widen(*word);
        }
        values
    };
    for group in groups {
        single::<BITS>(&read(group), GROUP, out);
    }
    if !rest.is_empty() {
        single::<BITS>(&read(rest), rest.len() / SIZE, out);
    }
}

/// A group of F32; the elements from `length` on are zero.
#[inline(always)]
fn single<const BITS: u32>(values: &[u32; GROUP], length: usize, out: &mut Vec<u8>) {
    let mut largest = 0_i32;
    for &bits in values {
        largest = largest.max((bits & 0x7fff_ffff) as i32);
    }
    let exponent = (largest >> 23) - 127;
    // Far from both ends, so that the scale below is a normal number.
    if (-100..=120).contains(&exponent) {
        out.extend_from_slice(&(exponent as i16).to_le_bytes());
        pack::<BITS>(&fast::<BITS>(values, exponent), out);
    } else {
        slow::<BITS>(&values.map(f64_of_f32), length, out);
    }
}

/// The codes of a group whose largest magnitude is normal.
///
/// `y = value · 2^-s` is exact unless it underflows, and then it is below 1/2 in magnitude whatever the rounding.
/// Adding and taking away 3 · 2^22 rounds `y` to the nearest integer, to even where two are as near. That integer
/// exceeds `y` or is the floor; a negative `value` whose `y` underflows to zero has the floor -1.
#[inline(always)]
fn fast<const BITS: u32>(values: &[u32; GROUP], exponent: i32) -> [i8; GROUP] {
    const ROUND: f32 = 12_582_912.0;
    let scale = f32::from_bits(((127 - (exponent + 2 - BITS as i32)) << 23) as u32);
    let mut codes = [0_i8; GROUP];
    for (code, &bits) in codes.iter_mut().zip(values) {
        let value = f32::from_bits(bits);
        let y = value * scale;
        let rounded = y + ROUND;
        let nearest = rounded - ROUND;
        let integer = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        let above = (nearest > y) | ((y == 0.0) & (value < 0.0));
        // Wraps nowhere; a check for it would keep the loop from becoming vectors, at a third of the speed.
        *code = integer.wrapping_sub(i32::from(above)) as i8;
    }
    codes
}

/// The codes by integers alone, for any finite group, and the other two forms.
#[cold]
fn slow<const BITS: u32>(values: &[u64; GROUP], length: usize, out: &mut Vec<u8>) {
    const MAGNITUDE: u64 = 0x7fff_ffff_ffff_ffff;
    let largest = values.iter().map(|bits| bits & MAGNITUDE).max().unwrap_or(0);
    if largest >= 0x7ff0_0000_0000_0000 {
        out.extend_from_slice(&NOT_FINITE.to_le_bytes());
        out.extend(values.iter().take(length).flat_map(|bits| bits.to_le_bytes()));
        return;
    }
    if largest == 0 {
        out.extend_from_slice(&ZEROS.to_le_bytes());
        pack::<BITS>(&[0; GROUP], out);
        return;
    }
    let (mantissa, power) = parts(largest);
    let exponent = 63 - mantissa.leading_zeros() as i32 + power;
    let step = exponent + 2 - BITS as i32;
    let mut codes = [0_i8; GROUP];
    for (code, &bits) in codes.iter_mut().zip(values) {
        let (mantissa, power) = parts(bits & MAGNITUDE);
        let signed = if bits > MAGNITUDE { -(mantissa as i64) } else { mantissa as i64 };
        let shift = step - power;
        // An arithmetic shift to the right is the floor. One to the left happens among subnormals only.
        let floor = if shift >= 0 { signed >> shift.min(63) } else { signed << -shift };
        *code = floor as i8;
    }
    out.extend_from_slice(&(exponent as i16).to_le_bytes());
    pack::<BITS>(&codes, out);
}

/// A finite magnitude as `mantissa · 2^power`.
const fn parts(magnitude: u64) -> (u64, i32) {
    let exponent = (magnitude >> 52) as i32;
    let fraction = magnitude & 0xf_ffff_ffff_ffff;
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// The low bits of the codes side by side, eight codes at a time.
#[inline(always)]
fn pack<const BITS: u32>(codes: &[i8; GROUP], out: &mut Vec<u8>) {
    let bytes = codes.map(|code| code as u8);
    if BITS == 8 {
        out.extend_from_slice(&bytes);
        return;
    }
    let mut packed = [0_u8; GROUP / 2];
    let length = if BITS == 4 { 4 } else { 2 };
    for (packed, eight) in packed.chunks_exact_mut(length).zip(bytes.as_chunks::<8>().0) {
        let word = u64::from_le_bytes(*eight);
        let word = if BITS == 4 {
            let word = word & 0x0f0f_0f0f_0f0f_0f0f;
            let word = (word | word >> 4) & 0x00ff_00ff_00ff_00ff;
            let word = (word | word >> 8) & 0x0000_ffff_0000_ffff;
            word | word >> 16
        } else {
            let word = word & 0x0303_0303_0303_0303;
            let word = (word | word >> 6) & 0x000f_000f_000f_000f;
            let word = (word | word >> 12) & 0x0000_00ff_0000_00ff;
            word | word >> 24
        };
        packed.copy_from_slice(&word.to_le_bytes()[..length]);
    }
    out.extend_from_slice(&packed[..GROUP * BITS as usize / 8]);
}

#[cfg(test)]
mod tests;
