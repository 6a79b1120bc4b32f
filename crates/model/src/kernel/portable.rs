//! What every level computes, written so that any processor can.
//!
//! The definitions here fix the order of every rounding. The faster levels reproduce them bit for bit, so results
//! depend neither on the processor nor on how many rows are computed at once.

use super::kind::{Kind, Unpacked, expand, unpack};
use super::{LANES, Panel, QUADS, TileView};

/// Brings the rows `first..first + 16` of a quantised matrix to the form of a panel; rows beyond the last repeat
/// the last one, and what is computed from them is not used.
///
/// INVARIANT: `bytes` holds `rows` rows of `row_bytes` bytes, whole blocks each; `first < rows`.
pub(super) fn pack(kind: Kind, bytes: &[u8], row_bytes: usize, rows: usize, first: usize, panel: &mut Panel) {
    let group_len = kind.group_len().unwrap_or(32);
    let (quads, groups) = (kind.block_len() / 4, kind.block_len() / group_len);
    let mut unpacked = Unpacked::EMPTY;
    for lane in 0..LANES {
        let row = (first + lane).min(rows - 1);
        let row = &bytes[row * row_bytes..(row + 1) * row_bytes];
        for (at, block) in row.chunks_exact(kind.block_bytes()).enumerate() {
            unpack(kind, block, &mut unpacked);
            for (quad, codes) in unpacked.codes.as_chunks::<4>().0[..quads].iter().enumerate() {
                panel.quads[(at * quads + quad) * LANES + lane] = u32::from_le_bytes(*codes);
            }
            for group in 0..groups {
                panel.scales[(at * groups + group) * LANES + lane] = unpacked.scales[group];
                panel.offsets[(at * groups + group) * LANES + lane] = unpacked.offsets[group];
            }
        }
    }
}

/// The products of a panel of floating-point rows: element `k` of lane `l` lies at `k * 16 + l`.
pub(super) fn pack_floats(
    kind: Kind,
    bytes: &[u8],
    row_bytes: usize,
    rows: usize,
    first: usize,
    floats: &mut [f32],
) {
    let columns = row_bytes / kind.block_bytes();
    let mut row_values = [0.0_f32; 256];
    for lane in 0..LANES {
        let row = (first + lane).min(rows - 1);
        let row = &bytes[row * row_bytes..(row + 1) * row_bytes];
        for at in (0..columns).step_by(256) {
            let count = (columns - at).min(256);
            let part = &row[at * kind.block_bytes()..(at + count) * kind.block_bytes()];
            expand(kind, part, &mut row_values[..count]);
            for (offset, &value) in row_values[..count].iter().enumerate() {
                floats[(at + offset) * LANES + lane] = value;
            }
        }
    }
}

/// The dot products of a panel's sixteen rows with one quantised activation row.
///
/// Group by group, in order, for each lane: `sum = fma(d·dx, Σ u·x, sum)`, then `sum = fma(m, s, sum)`, where
/// `s = dx·Σ x`.
pub(super) fn dot(panel: &Panel, group_len: usize, x: TileView<'_>, row: usize, out: &mut [f32; LANES]) {
    let quads = group_len / 4;
    let per_scale = QUADS / quads;
    let mut sum = [0.0_f32; LANES];
    for (group, totals) in x.sums.chunks_exact(x.width).enumerate() {
        let mut integers = [0_i32; LANES];
        for quad in group * quads..(group + 1) * quads {
            let x = x.quads[quad * x.width + row].to_le_bytes();
            for (integer, code) in integers.iter_mut().zip(&panel.quads[quad * LANES..]) {
                for (u, x) in code.to_le_bytes().into_iter().zip(x) {
                    *integer += i32::from(u) * i32::from(x as i8);
                }
            }
        }
        let (dx, total) = (x.scales[group / per_scale * x.width + row], totals[row]);
        for lane in 0..LANES {
            let scale = panel.scales[group * LANES + lane] * dx;
            sum[lane] = scale.mul_add(integers[lane] as f32, sum[lane]);
            sum[lane] = panel.offsets[group * LANES + lane].mul_add(total, sum[lane]);
        }
    }
    *out = sum;
}

/// Sixteen dot products of floats: for each lane, in the order of `k`, `sum = fma(w[k·stride + lane], x[k], sum)`,
/// beginning from `out`.
pub(super) fn float_dot(w: &[f32], stride: usize, x: &[f32], out: &mut [f32; LANES]) {
    for (k, &x) in x.iter().enumerate() {
        for (out, &w) in out.iter_mut().zip(&w[k * stride..k * stride + LANES]) {
            *out = w.mul_add(x, *out);
        }
    }
}
