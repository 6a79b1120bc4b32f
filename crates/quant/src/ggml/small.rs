//! Blocks of 32 weights, each with its own scale: Q4_0 to Q8_1, and MXFP4.

use super::float16::{from_e8m0_half, from_half, to_half};
use super::rounding::{half_away, towards_zero};
use super::search::{Candidates, Clamp, Deviation, Lanes, affine, lane, lanes, linear};

/// Weights in a block of any kind here.
pub(super) const BLOCK: usize = 32;
/// Blocks searched at once with an importance matrix.
const LANES: usize = 16;
/// E2M1's levels, doubled (`kvalues_fp4`).
pub(super) const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// One value out of eight, pairwise, so that the processor need not wait for one comparison before the next.
fn reduce(lanes: [f32; 8], pick: impl Fn(f32, f32) -> f32) -> f32 {
    let four: [f32; 4] = std::array::from_fn(|k| pick(lanes[k], lanes[k + 4]));
    pick(pick(four[0], four[2]), pick(four[1], four[3]))
}

/// The smallest and the largest weight; which zero, where zeros of both signs are there, is left open.
fn ends(x: &[f32; BLOCK]) -> (f32, f32) {
    let mut low = [f32::MAX; 8];
    let mut high = [f32::MIN; 8];
    for eight in x.as_chunks::<8>().0 {
        for k in 0..8 {
            low[k] = if eight[k] < low[k] { eight[k] } else { low[k] };
            high[k] = if eight[k] > high[k] { eight[k] } else { high[k] };
        }
    }
    (
        reduce(low, |one, other| if other < one { other } else { one }),
        reduce(high, |one, other| if other > one { other } else { one }),
    )
}

/// The weight of largest magnitude, the first of equals; positive zero where there are only zeros.
fn peak(x: &[f32; BLOCK]) -> f32 {
    let (low, high) = ends(x);
    if high > -low {
        high
    } else if -low > high {
        low
    } else {
        x.iter().copied().find(|value| value.abs() == high && high > 0.0).unwrap_or(0.0)
    }
}

/// The largest magnitude of whole eights.
pub(super) fn largest(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for eight in x.as_chunks::<8>().0 {
        for (most, value) in lanes.iter_mut().zip(eight) {
            *most = if value.abs() > *most { value.abs() } else { *most };
        }
    }
    reduce(lanes, |one, other| if other > one { other } else { one })
}

/// The smallest and the largest weight, as a loop from the first to the last with strict comparisons
/// finds them: of zeros with both signs, the first.
fn range(x: &[f32; BLOCK]) -> (f32, f32) {
    let (low, high) = ends(x);
    if low == 0.0 || high == 0.0 {
        let zero = x.iter().copied().find(|value| *value == 0.0).unwrap_or(0.0);
        return (if low == 0.0 { zero } else { low }, if high == 0.0 { zero } else { high });
    }
    (low, high)
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The weights as levels: less `base`, times `factor`, plus `shift`, cut off, at most `top`.
fn level_bytes(x: &[f32; BLOCK], base: f32, factor: f32, shift: f32, top: u8) -> [u8; BLOCK] {
    let mut levels = [0_u8; BLOCK];
    if factor.is_finite() {
        // All levels are between 0 and 32: rounded by adding 2^23, and one less where that went up.
        for (level, value) in levels.iter_mut().zip(x) {
            let place = (value - base) * factor + shift;
            let sum = place + 8_388_608.0;
            let rounded_up = sum - 8_388_608.0 > place;
            *level = (sum.to_bits() as u8).wrapping_sub(u8::from(rounded_up)).min(top);
        }
    } else {
        // The scale is so small that its inverse is infinite. C converts what comes of that to a signed byte.
        for (level, value) in levels.iter_mut().zip(x) {
            *level = i32::from(towards_zero((value - base) * factor + shift) as i8).min(i32::from(top)) as u8;
        }
    }
    levels
}

fn put_half(out: &mut [u8], value: f32) {
    out.copy_from_slice(&to_half(value).to_le_bytes());
}

fn half_at(block: &[u8], at: usize) -> f32 {
    from_half(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Two levels a byte: the first half of the block in the low nibbles.
fn pack_nibbles(levels: &[u8; BLOCK], out: &mut [u8]) {
    let (low, high) = levels.split_at(BLOCK / 2);
    for ((byte, low), high) in out.iter_mut().zip(low).zip(high) {
        *byte = (low & 0x0f) | (high << 4);
    }
}

/// The fifth bits, one for each weight.
fn fifth_bits(levels: &[u8; BLOCK]) -> [u8; 4] {
    let mut bits = 0_u32;
    for (at, level) in levels.iter().enumerate() {
        bits |= u32::from((level & 0x10) >> 4) << at;
    }
    bits.to_le_bytes()
}

/// `quantize_row_q4_0_ref`.
pub(super) fn q4_0(x: &[f32; BLOCK], out: &mut [u8; 18]) {
    let scale = peak(x) / -8.0;
    put_half(&mut out[..2], scale);
    pack_nibbles(&level_bytes(x, 0.0, inverse(scale), 8.5, 15), &mut out[2..]);
}

/// `quantize_row_q4_1_ref`.
pub(super) fn q4_1(x: &[f32; BLOCK], out: &mut [u8; 20]) {
    let (min, max) = range(x);
    let scale = (max - min) / 15.0;
    put_half(&mut out[..2], scale);
    put_half(&mut out[2..4], min);
    pack_nibbles(&level_bytes(x, min, inverse(scale), 0.5, 15), &mut out[4..]);
}

/// `quantize_row_q5_0_ref`.
pub(super) fn q5_0(x: &[f32; BLOCK], out: &mut [u8; 22]) {
    let scale = peak(x) / -16.0;
    let levels = level_bytes(x, 0.0, inverse(scale), 16.5, 31);
    put_half(&mut out[..2], scale);
    out[2..6].copy_from_slice(&fifth_bits(&levels));
    pack_nibbles(&levels, &mut out[6..]);
}

/// `quantize_row_q5_1_ref`.
pub(super) fn q5_1(x: &[f32; BLOCK], out: &mut [u8; 24]) {
    let (min, max) = range(x);
    let scale = (max - min) / 31.0;
    let levels = level_bytes(x, min, inverse(scale), 0.5, u8::MAX);
    put_half(&mut out[..2], scale);
    put_half(&mut out[2..4], min);
    out[4..8].copy_from_slice(&fifth_bits(&levels));
    pack_nibbles(&levels, &mut out[8..]);
}

/// `quantize_row_q8_0_ref`.
pub(super) fn q8_0(x: &[f32; BLOCK], out: &mut [u8; 34]) {
    let scale = largest(x) / 127.0;
    let factor = inverse(scale);
    put_half(&mut out[..2], scale);
    for (byte, value) in out[2..].iter_mut().zip(x) {
        *byte = half_away(value * factor) as u8;
    }
}

/// `quantize_row_q8_1_ref`.
pub(super) fn q8_1(x: &[f32; BLOCK], out: &mut [u8; 36]) {
    let scale = largest(x) / 127.0;
    let factor = inverse(scale);
    put_half(&mut out[..2], scale);
    let mut sum = 0_i32;
    for (byte, value) in out[4..].iter_mut().zip(x) {
        let level = half_away(value * factor) as i8;
        *byte = level.cast_unsigned();
        sum += i32::from(level);
    }
    put_half(&mut out[2..4], sum as f32 * scale);
}

/// `quantize_row_mxfp4_ref`.
pub(super) fn mxfp4(x: &[f32; BLOCK], out: &mut [u8; 17]) {
    let magnitude = largest(x);
    // C takes the logarithm in single precision; the double, rounded once, gives the same whole number.
    let exponent = if magnitude > 0.0 {
        let logarithm = libm::floor(f64::from(libm::log2(f64::from(magnitude)) as f32));
        (logarithm as i32 - 2 + 127) as u8
    } else {
        0
    };
    let scale = from_e8m0_half(exponent);
    // C tries all sixteen levels and keeps the first of the nearest. Of those whose sign is not the weight's only zero,
    // the first, can be among the nearest: magnitudes do.
    let mut levels = [0.0_f32; BLOCK];
    let mut best = x.map(f32::abs);
    for (at, level) in E2M1_DOUBLED.iter().enumerate().take(8).skip(1) {
        let candidate = f32::from(*level) * scale;
        for ((level, best), value) in levels.iter_mut().zip(&mut best).zip(x) {
            let error = (candidate - value.abs()).abs();
            *level = if error < *best { at as f32 } else { *level };
            *best = if error < *best { error } else { *best };
        }
    }
    let mut bytes = [0_u8; BLOCK];
    for ((byte, level), value) in bytes.iter_mut().zip(levels).zip(x) {
        let signed = if *value < 0.0 && level > 0.0 { level + 8.0 } else { level };
        *byte = (signed + 8_388_608.0).to_bits() as u8;
    }
    out[0] = exponent;
    pack_nibbles(&bytes, &mut out[1..]);
}

/// One row of a kind with 32 weights a block under an importance matrix: `quantize_row_q4_0_impl` and its
/// siblings. `store` gets the block's number in the row, its scale, its offset and its levels.
fn search_row(
    row: &[f32],
    importance: &[f32],
    find: impl Fn(&Lanes<LANES, BLOCK>, &Lanes<LANES, BLOCK>) -> ([f32; LANES], [f32; LANES], Lanes<LANES, BLOCK>),
    mut store: impl FnMut(usize, f32, f32, &[u8; BLOCK]),
) {
    let sum: f32 = row.iter().fold(0.0, |sum, value| sum + value * value);
    let spread = sum / row.len() as f32;
    let blocks = row.len() / BLOCK;
    for (turn, (x, importance)) in row.chunks(LANES * BLOCK).zip(importance.chunks(LANES * BLOCK)).enumerate()
    {
        let x = lanes::<LANES, BLOCK>(x);
        let mut weights = lanes::<LANES, BLOCK>(importance);
        for (weight, value) in weights.iter_mut().zip(&x) {
            for k in 0..LANES {
                weight[k] *= (spread + value[k] * value[k]).sqrt();
            }
        }
        let (scale, offset, levels) = find(&x, &weights);
        for k in 0..LANES.min(blocks - turn * LANES) {
            store(turn * LANES + k, scale[k], offset[k], &lane(&levels, k));
        }
    }
}

const CANDIDATES: Candidates = Candidates { first: -0.9, apart: 0.05, steps: 36 };

/// `quantize_row_q4_0_impl`.
pub(super) fn q4_0_important(row: &[f32], importance: &[f32], out: &mut [[u8; 18]]) {
    let find = |x: &_, weights: &_| {
        let found = linear(8, x, weights);
        (found.scale, [0.0; LANES], found.levels)
    };
    search_row(row, importance, find, |at, scale, _, levels| {
        put_half(&mut out[at][..2], scale);
        pack_nibbles(levels, &mut out[at][2..]);
    });
}

/// `quantize_row_q4_1_impl`.
pub(super) fn q4_1_important(row: &[f32], importance: &[f32], out: &mut [[u8; 20]]) {
    let find = |x: &_, weights: &_| {
        let found = affine(15, x, weights, CANDIDATES, Deviation::Squared, Clamp::BeforeRounding);
        (found.scale, found.offset, found.levels)
    };
    search_row(row, importance, find, |at, scale, offset, levels| {
        put_half(&mut out[at][..2], scale);
        put_half(&mut out[at][2..4], -offset);
        pack_nibbles(levels, &mut out[at][4..]);
    });
}

/// `quantize_row_q5_0_impl`.
pub(super) fn q5_0_important(row: &[f32], importance: &[f32], out: &mut [[u8; 22]]) {
    let find = |x: &_, weights: &_| {
        let found = linear(16, x, weights);
        (found.scale, [0.0; LANES], found.levels)
    };
    search_row(row, importance, find, |at, scale, _, levels| {
        put_half(&mut out[at][..2], scale);
        out[at][2..6].copy_from_slice(&fifth_bits(levels));
        pack_nibbles(levels, &mut out[at][6..]);
    });
}

/// `quantize_row_q5_1_impl`.
pub(super) fn q5_1_important(row: &[f32], importance: &[f32], out: &mut [[u8; 24]]) {
    let find = |x: &_, weights: &_| {
        let found = affine(31, x, weights, CANDIDATES, Deviation::Squared, Clamp::BeforeRounding);
        (found.scale, found.offset, found.levels)
    };
    search_row(row, importance, find, |at, scale, offset, levels| {
        put_half(&mut out[at][..2], scale);
        put_half(&mut out[at][2..4], -offset);
        out[at][4..8].copy_from_slice(&fifth_bits(levels));
        pack_nibbles(levels, &mut out[at][8..]);
    });
}

/// `dequantize_row_q4_0`.
pub(super) fn from_q4_0(block: &[u8; 18], out: &mut [f32; BLOCK]) {
    let scale = half_at(block, 0);
    unpack(&block[2..], [0; 4], out, |level| (level - 8) as f32 * scale);
}

/// `dequantize_row_q4_1`.
pub(super) fn from_q4_1(block: &[u8; 20], out: &mut [f32; BLOCK]) {
    let (scale, min) = (half_at(block, 0), half_at(block, 2));
    unpack(&block[4..], [0; 4], out, |level| level as f32 * scale + min);
}

/// `dequantize_row_q5_0`.
pub(super) fn from_q5_0(block: &[u8; 22], out: &mut [f32; BLOCK]) {
    let scale = half_at(block, 0);
    let fifth = [block[2], block[3], block[4], block[5]];
    unpack(&block[6..], fifth, out, |level| (level - 16) as f32 * scale);
}

/// `dequantize_row_q5_1`.
pub(super) fn from_q5_1(block: &[u8; 24], out: &mut [f32; BLOCK]) {
    let (scale, min) = (half_at(block, 0), half_at(block, 2));
    let fifth = [block[4], block[5], block[6], block[7]];
    unpack(&block[8..], fifth, out, |level| level as f32 * scale + min);
}

/// `dequantize_row_q8_0`; Q8_1 differs in where the levels begin.
pub(super) fn from_q8(block: &[u8], first: usize, out: &mut [f32; BLOCK]) {
    let scale = half_at(block, 0);
    for (value, byte) in out.iter_mut().zip(&block[first..]) {
        *value = f32::from(byte.cast_signed()) * scale;
    }
}

/// `dequantize_row_mxfp4`.
pub(super) fn from_mxfp4(block: &[u8; 17], out: &mut [f32; BLOCK]) {
    let scale = from_e8m0_half(block[0]);
    unpack(&block[1..], [0; 4], out, |level| f32::from(E2M1_DOUBLED[level as usize & 15]) * scale);
}

/// Nibbles and fifth bits into weights.
fn unpack(nibbles: &[u8], fifth: [u8; 4], out: &mut [f32; BLOCK], weight: impl Fn(i32) -> f32) {
    let fifth = u32::from_le_bytes(fifth);
    let (first, second) = out.split_at_mut(BLOCK / 2);
    for (at, ((low, high), byte)) in first.iter_mut().zip(second).zip(nibbles).enumerate() {
        let bits = fifth >> at;
        *low = weight((u32::from(byte & 0x0f) | ((bits & 1) << 4)).cast_signed());
        *high = weight((u32::from(byte >> 4) | (((bits >> 16) & 1) << 4)).cast_signed());
    }
}
