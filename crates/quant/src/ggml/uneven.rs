//! Levels from a table whose steps are uneven: IQ4_NL and IQ4_XS.

use super::affine_k::SUPER;
use super::float16::{from_half, to_half};
use super::rounding::nearest;
use super::search::{GROUP_MAX_EPS, Lanes, lanes, peaks};

/// The table (`kvalues_iq4nl`).
pub(super) const LEVELS: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

const GROUP: usize = 32;
const LANES: usize = 8;
/// Candidates on either side of the scale that maps the peak to the end of the table.
const TRIES: i8 = 7;

type Groups = Lanes<LANES, GROUP>;

/// The middle between a level and the one below, from which on the level is the nearer one.
///
/// C compares the two distances instead (`best_index_int8`). The outcome is the same: next to a middle both
/// distances are exact, and further off rounding does not change which is larger. A test goes through the floats.
const fn middle(level: usize) -> f32 {
    f32::midpoint(LEVELS[level - 1] as f32, LEVELS[level] as f32)
}

/// The level next to each value.
#[inline(always)]
fn nearest_levels(values: [f32; LANES]) -> [f32; LANES] {
    let mut levels = [f32::from(LEVELS[0]); LANES];
    for at in 1..16 {
        for k in 0..LANES {
            // What is not a number ends at the last level, as in C.
            levels[k] = if values[k] < middle(at) { levels[k] } else { f32::from(LEVELS[at]) };
        }
    }
    levels
}

/// The table's index for each value times a factor.
fn indices(x: &[f32], factor: f32) -> [u8; GROUP] {
    let mut indices = [0_u8; GROUP];
    for (index, value) in indices.iter_mut().zip(x) {
        let scaled = factor * value;
        let mut passed = 0_i32;
        for at in 1..16 {
            let below = scaled < middle(at);
            passed += i32::from(!below);
        }
        *index = passed as u8;
    }
    indices
}

/// The scale of each group: the search of `quantize_row_iq4_nl_impl`. Zero where a group counts as all zero.
#[inline(always)]
fn search(x: &Groups, weights: &Groups) -> [f32; LANES] {
    let (max, magnitude) = peaks(x);
    let first = f32::from(LEVELS[0]);
    let start: [f32; LANES] = std::array::from_fn(|k| 1.0 / (-max[k] / first));
    let (sum_qx, sum_q2) = moments(x, weights, &start);
    let mut scale: [f32; LANES] =
        std::array::from_fn(|k| if sum_q2[k] > 0.0 { sum_qx[k] / sum_q2[k] } else { 0.0 });
    let mut best: [f32; LANES] = std::array::from_fn(|k| scale[k] * sum_qx[k]);
    for step in -TRIES..=TRIES {
        let inverse: [f32; LANES] = std::array::from_fn(|k| (f32::from(step) + first) / max[k]);
        let (sum_qx, sum_q2) = moments(x, weights, &inverse);
        for k in 0..LANES {
            let better = sum_q2[k] > 0.0 && sum_qx[k] * sum_qx[k] > best[k] * sum_q2[k];
            scale[k] = if better { sum_qx[k] / sum_q2[k] } else { scale[k] };
            best[k] = if better { scale[k] * sum_qx[k] } else { best[k] };
        }
    }
    std::array::from_fn(|k| if magnitude[k] < GROUP_MAX_EPS { 0.0 } else { scale[k] })
}

#[inline(always)]
fn moments(x: &Groups, weights: &Groups, inverse: &[f32; LANES]) -> ([f32; LANES], [f32; LANES]) {
    let mut sum_qx = [0.0_f32; LANES];
    let mut sum_q2 = [0.0_f32; LANES];
    for (value, weight) in x.iter().zip(weights) {
        let levels = nearest_levels(std::array::from_fn(|k| inverse[k] * value[k]));
        for k in 0..LANES {
            let weighted = weight[k] * levels[k];
            sum_qx[k] += weighted * value[k];
            sum_q2[k] += weighted * levels[k];
        }
    }
    (sum_qx, sum_q2)
}

/// The weights of the error: the squares, or by importance with each group's `spread`.
fn error_weights(x: &Groups, importance: Option<&[f32]>, spread: [f32; LANES]) -> Groups {
    let Some(importance) = importance else {
        return x.map(|value| value.map(|value| value * value));
    };
    let mut weights: Groups = lanes(importance);
    for (weight, value) in weights.iter_mut().zip(x) {
        for k in 0..LANES {
            weight[k] *= (spread[k] + value[k] * value[k]).sqrt();
        }
    }
    weights
}

fn pack(indices: &[u8; GROUP], out: &mut [u8]) {
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = indices[at] | (indices[at + 16] << 4);
    }
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// A row of IQ4_NL (`quantize_iq4_nl`): eight blocks at once.
pub(super) fn nl_row(row: &[f32], importance: Option<&[f32]>, out: &mut [[u8; 18]]) {
    const TURN: usize = LANES * GROUP;
    for (turn, (row, out)) in row.chunks(TURN).zip(out.chunks_mut(LANES)).enumerate() {
        let x: Groups = lanes(row);
        let mut squares = [0.0_f32; LANES];
        for value in &x {
            for k in 0..LANES {
                squares[k] += value[k] * value[k];
            }
        }
        let spread = squares.map(|sum| sum * (2.0 / 32.0));
        let importance =
            importance.and_then(|row| row.get(turn * TURN..)).map(|rest| &rest[..rest.len().min(TURN)]);
        let scales = search(&x, &error_weights(&x, importance, spread));
        for ((block, x), scale) in out.iter_mut().zip(row.as_chunks::<GROUP>().0).zip(scales) {
            block[..2].copy_from_slice(&to_half(scale).to_le_bytes());
            pack(&indices(x, inverse(scale)), &mut block[2..]);
        }
    }
}

/// `dequantize_row_iq4_nl`.
pub(super) fn from_nl(block: &[u8; 18], out: &mut [f32; GROUP]) {
    expand(&block[2..], from_half(u16::from_le_bytes([block[0], block[1]])), out);
}

fn expand(bytes: &[u8], scale: f32, out: &mut [f32; GROUP]) {
    let (first, second) = out.split_at_mut(GROUP / 2);
    for ((low, high), byte) in first.iter_mut().zip(second).zip(bytes) {
        *low = scale * f32::from(LEVELS[usize::from(byte & 0x0f)]);
        *high = scale * f32::from(LEVELS[usize::from(byte >> 4)]);
    }
}

/// A super-block of IQ4_XS (`quantize_iq4_xs`).
pub(super) fn xs(x: &[f32; SUPER], importance: Option<&[f32; SUPER]>, out: &mut [u8; 136]) {
    let turned: Groups = lanes(x);
    let spread = super::affine_k::squares(x) * (2.0 / 256.0);
    let weights = error_weights(&turned, importance.map(<[f32; SUPER]>::as_slice), [spread; LANES]);
    let scales = search(&turned, &weights);
    let (peak, _) =
        scales.iter().fold(
            (0.0, 0.0),
            |(peak, most): (f32, f32), scale| {
                if scale.abs() > most { (*scale, scale.abs()) } else { (peak, most) }
            },
        );
    let scale = -peak / 32.0;
    out[..2].copy_from_slice(&to_half(scale).to_le_bytes());
    let factor = inverse(scale);
    let mut high = 0_u16;
    out[4..8].fill(0);
    for (k, x) in x.as_chunks::<GROUP>().0.iter().enumerate() {
        let level = nearest(factor * scales[k]).clamp(-32, 31);
        pack(&indices(x, inverse(scale * level as f32)), &mut out[8 + 16 * k..24 + 16 * k]);
        let level = (level + 32) as u8;
        out[4 + k / 2] |= (level & 0x0f) << (4 * (k % 2));
        high |= u16::from(level >> 4) << (2 * k);
    }
    out[2..4].copy_from_slice(&high.to_le_bytes());
}

/// `dequantize_row_iq4_xs`.
pub(super) fn from_xs(block: &[u8; 136], out: &mut [f32; SUPER]) {
    let scale = from_half(u16::from_le_bytes([block[0], block[1]]));
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (k, group) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let low = (block[4 + k / 2] >> (4 * (k % 2))) & 0x0f;
        let level = i32::from(low) | (i32::from((high >> (2 * k)) & 3) << 4);
        expand(&block[8 + 16 * k..24 + 16 * k], scale * (level - 32) as f32, group);
    }
}

#[cfg(test)]
mod tests;
