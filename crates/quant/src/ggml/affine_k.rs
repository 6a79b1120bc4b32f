//! Super-blocks of 256 weights with a scale and a minimum for each group: Q2_K, Q4_K, Q5_K.

use super::float16::{from_half, to_half};
use super::rounding::nearest;
use super::search::{Affine, Candidates, Clamp, Deviation, Lanes, affine, lane, lanes, positive};

/// Weights in a super-block.
pub(super) const SUPER: usize = 256;
const IMPORTANT: Candidates = Candidates { first: -0.9, apart: 0.05, steps: 36 };

/// The sum of squares from the first to the last weight.
pub(super) fn squares(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, value| sum + value * value)
}

/// The weights of the error under an importance matrix, and their sum in each group.
pub(super) fn important<const L: usize, const N: usize>(
    x: &Lanes<L, N>,
    importance: &[f32; SUPER],
    spread: f32,
) -> (Lanes<L, N>, [f32; L]) {
    let mut weights = lanes::<L, N>(importance);
    let mut sums = [0.0_f32; L];
    for (weight, value) in weights.iter_mut().zip(x) {
        for k in 0..L {
            weight[k] *= (spread + value[k] * value[k]).sqrt();
            sums[k] += weight[k];
        }
    }
    (weights, sums)
}

/// Levels again, now that the scales have been rounded. Where a group's scale is zero the search's levels stay.
fn requantise<const L: usize, const N: usize>(
    x: &[f32; SUPER],
    found: &Affine<L, N>,
    scales: [f32; L],
    offsets: [f32; L],
    top: i32,
) -> [u8; SUPER] {
    let mut levels = [0_u8; SUPER];
    let groups = levels.as_chunks_mut::<N>().0.iter_mut().zip(x.as_chunks::<N>().0);
    for (k, (levels, x)) in groups.enumerate() {
        let (scale, offset) = (scales[k], offsets[k]);
        if scale == 0.0 {
            *levels = lane(&found.levels, k);
            continue;
        }
        for (level, value) in levels.iter_mut().zip(x) {
            *level = nearest((value + offset) / scale).min(top).max(0) as u8;
        }
    }
    levels
}

/// Four levels of 2 bits a byte, 32 weights apart.
pub(super) fn pack_pairs(levels: &[u8; SUPER], out: &mut [u8]) {
    for (levels, out) in levels.as_chunks::<128>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = levels[at] | (levels[at + 32] << 2) | (levels[at + 64] << 4) | (levels[at + 96] << 6);
        }
    }
}

fn put_half(out: &mut [u8], value: f32) -> f32 {
    let half = to_half(value);
    out.copy_from_slice(&half.to_le_bytes());
    from_half(half)
}

fn half_at(block: &[u8], at: usize) -> f32 {
    from_half(u16::from_le_bytes([block[at], block[at + 1]]))
}

fn most(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| if *value > most { *value } else { most })
}

/// `quantize_row_q2_K_ref`; with an importance matrix `quantize_row_q2_K_impl`.
pub(super) fn q2(x: &[f32; SUPER], importance: Option<&[f32; SUPER]>, out: &mut [u8; 84]) {
    let turned = lanes::<16, 16>(x);
    let found;
    let (scale, offset);
    if let Some(importance) = importance {
        let (weights, sums) = important(&turned, importance, squares(x) / 256.0);
        found = affine(3, &turned, &weights, IMPORTANT, Deviation::Squared, Clamp::BeforeRounding);
        let (wide, scales) = positive(15, &found.scale, &sums);
        let (low, offsets) = positive(15, &found.offset, &sums);
        for ((byte, scale), offset) in out[..16].iter_mut().zip(scales).zip(offsets) {
            *byte = scale | (offset << 4);
        }
        scale = put_half(&mut out[80..82], wide);
        offset = put_half(&mut out[82..84], low);
    } else {
        let weights = turned.map(|values| values.map(f32::abs));
        let candidates = Candidates { first: -0.5, apart: 0.1, steps: 15 };
        found = affine(3, &turned, &weights, candidates, Deviation::Absolute, Clamp::AfterRounding);
        let (wide, low) = (most(&found.scale), most(&found.offset));
        let to_scales = if wide > 0.0 { 15.0 / wide } else { 0.0 };
        let to_offsets = if low > 0.0 { 15.0 / low } else { 0.0 };
        for ((byte, scale), offset) in out[..16].iter_mut().zip(found.scale).zip(found.offset) {
            let scale = if wide > 0.0 { nearest(to_scales * scale) as u8 } else { 0 };
            let offset = if low > 0.0 { nearest(to_offsets * offset) as u8 } else { 0 };
            *byte = scale | (offset << 4);
        }
        scale = put_half(&mut out[80..82], if wide > 0.0 { wide / 15.0 } else { 0.0 });
        offset = put_half(&mut out[82..84], if low > 0.0 { low / 15.0 } else { 0.0 });
    }
    let scales = std::array::from_fn(|k| scale * f32::from(out[k] & 0x0f));
    let offsets = std::array::from_fn(|k| offset * f32::from(out[k] >> 4));
    pack_pairs(&requantise(x, &found, scales, offsets, 3), &mut out[16..80]);
}

/// `dequantize_row_q2_K`.
pub(super) fn from_q2(block: &[u8; 84], out: &mut [f32; SUPER]) {
    let (scale, offset) = (half_at(block, 80), half_at(block, 82));
    for (k, group) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let wide = scale * f32::from(block[k] & 0x0f);
        let low = offset * f32::from(block[k] >> 4);
        let first = 16 + 32 * (k / 8) + 16 * (k % 2);
        let shift = 2 * (k % 8 / 2);
        for (value, byte) in group.iter_mut().zip(&block[first..first + 16]) {
            *value = wide * f32::from((byte >> shift) & 3) - low;
        }
    }
}

/// What Q4_K and Q5_K share: scales and minima of 6 bits in 12 bytes (`get_scale_min_k4`).
fn pack_scales(scales: [u8; 8], offsets: [u8; 8], out: &mut [u8; 12]) {
    for j in 0..4 {
        out[j] = scales[j] | (scales[j + 4] >> 4 << 6);
        out[j + 4] = offsets[j] | (offsets[j + 4] >> 4 << 6);
        out[j + 8] = (scales[j + 4] & 0x0f) | ((offsets[j + 4] & 0x0f) << 4);
    }
}

fn unpack_scales(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let mut scales = [0; 8];
    let mut offsets = [0; 8];
    for j in 0..4 {
        scales[j] = packed[j] & 63;
        offsets[j] = packed[j + 4] & 63;
        scales[j + 4] = (packed[j + 8] & 0x0f) | (packed[j] >> 6 << 4);
        offsets[j + 4] = (packed[j + 8] >> 4) | (packed[j + 4] >> 6 << 4);
    }
    (scales, offsets)
}

/// The part of `quantize_row_q4_K_*` and `quantize_row_q5_K_*` that differs in the number of levels only.
/// Writes the 16 bytes of scales and answers the levels.
#[inline(always)]
fn q4_or_q5(
    x: &[f32; SUPER],
    importance: Option<&[f32; SUPER]>,
    top: i32,
    plain: Candidates,
    head: &mut [u8],
) -> [u8; SUPER] {
    let turned = lanes::<8, 32>(x);
    let found;
    let (wide, low);
    let (scales, offsets);
    if let Some(importance) = importance {
        let (weights, sums) = important(&turned, importance, 2.0 * squares(x) / 256.0);
        found = affine(top, &turned, &weights, IMPORTANT, Deviation::Squared, Clamp::BeforeRounding);
        (wide, scales) = positive(63, &found.scale, &sums);
        (low, offsets) = positive(63, &found.offset, &sums);
    } else {
        let mut sums = [0.0_f32; 8];
        for value in &turned {
            for k in 0..8 {
                sums[k] += value[k] * value[k];
            }
        }
        let mean = sums.map(|sum| (sum / 32.0).sqrt());
        let weights = turned.map(|value| std::array::from_fn(|k| mean[k] + value[k].abs()));
        found = affine(top, &turned, &weights, plain, Deviation::Squared, Clamp::AfterRounding);
        let (most_scale, most_offset) = (most(&found.scale), most(&found.offset));
        let to_scales = if most_scale > 0.0 { 63.0 / most_scale } else { 0.0 };
        let to_offsets = if most_offset > 0.0 { 63.0 / most_offset } else { 0.0 };
        scales = found.scale.map(|scale| (nearest(to_scales * scale) as u8).min(63));
        offsets = found.offset.map(|offset| (nearest(to_offsets * offset) as u8).min(63));
        (wide, low) = (most_scale / 63.0, most_offset / 63.0);
    }
    // C limits the levels of Q5_K once more than those of Q4_K.
    let limit = if top == 31 { 63 } else { u8::MAX };
    let (scales, offsets) =
        (scales.map(|level: u8| level.min(limit)), offsets.map(|level: u8| level.min(limit)));
    let scale = put_half(&mut head[..2], wide);
    let offset = put_half(&mut head[2..4], low);
    let mut packed = [0; 12];
    pack_scales(scales, offsets, &mut packed);
    head[4..16].copy_from_slice(&packed);
    let (scales, offsets) = unpack_scales(&packed);
    requantise(x, &found, scales.map(|s| scale * f32::from(s)), offsets.map(|o| offset * f32::from(o)), top)
}

/// `quantize_row_q4_K_ref`; with an importance matrix `quantize_row_q4_K_impl`.
pub(super) fn q4(x: &[f32; SUPER], importance: Option<&[f32; SUPER]>, out: &mut [u8; 144]) {
    let plain = Candidates { first: -1.0, apart: 0.1, steps: 20 };
    let (head, nibbles) = out.split_at_mut(16);
    let levels = q4_or_q5(x, importance, 15, plain, head);
    for (levels, out) in levels.as_chunks::<64>().0.iter().zip(nibbles.as_chunks_mut::<32>().0) {
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = levels[at] | (levels[at + 32] << 4);
        }
    }
}

/// `quantize_row_q5_K_ref`; with an importance matrix `quantize_row_q5_K_impl`.
pub(super) fn q5(x: &[f32; SUPER], importance: Option<&[f32; SUPER]>, out: &mut [u8; 176]) {
    let plain = Candidates { first: -0.5, apart: 0.1, steps: 15 };
    let (head, rest) = out.split_at_mut(16);
    let (fifth, nibbles) = rest.split_at_mut(32);
    let levels = q4_or_q5(x, importance, 31, plain, head);
    fifth.fill(0);
    for (turn, (levels, out)) in
        levels.as_chunks::<64>().0.iter().zip(nibbles.as_chunks_mut::<32>().0).enumerate()
    {
        for (at, (byte, fifth)) in out.iter_mut().zip(fifth.iter_mut()).enumerate() {
            let (low, high) = (levels[at], levels[at + 32]);
            *byte = (low & 0x0f) | ((high & 0x0f) << 4);
            *fifth |= ((low >> 4) << (2 * turn)) | ((high >> 4) << (2 * turn + 1));
        }
    }
}

/// `dequantize_row_q4_K`.
pub(super) fn from_q4(block: &[u8; 144], out: &mut [f32; SUPER]) {
    from_q4_or_q5(block, &[0; 32], &block[16..], out);
}

/// `dequantize_row_q5_K`.
pub(super) fn from_q5(block: &[u8; 176], out: &mut [f32; SUPER]) {
    let mut fifth = [0; 32];
    fifth.copy_from_slice(&block[16..48]);
    from_q4_or_q5(block, &fifth, &block[48..], out);
}

fn from_q4_or_q5(head: &[u8], fifth: &[u8; 32], nibbles: &[u8], out: &mut [f32; SUPER]) {
    let (scale, offset) = (half_at(head, 0), half_at(head, 2));
    let mut packed = [0; 12];
    packed.copy_from_slice(&head[4..16]);
    let (scales, offsets) = unpack_scales(&packed);
    for (turn, (out, bytes)) in
        out.as_chunks_mut::<64>().0.iter_mut().zip(nibbles.as_chunks::<32>().0).enumerate()
    {
        let (first, second) = out.split_at_mut(32);
        let wide = [scale * f32::from(scales[2 * turn]), scale * f32::from(scales[2 * turn + 1])];
        let low = [offset * f32::from(offsets[2 * turn]), offset * f32::from(offsets[2 * turn + 1])];
        for (((first, second), byte), fifth) in first.iter_mut().zip(second).zip(bytes).zip(fifth) {
            let (one, two) = ((fifth >> (2 * turn)) & 1, (fifth >> (2 * turn + 1)) & 1);
            *first = wide[0] * f32::from((byte & 0x0f) | (one << 4)) - low[0];
            *second = wide[1] * f32::from((byte >> 4) | (two << 4)) - low[1];
        }
    }
}
