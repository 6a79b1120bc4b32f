//! ggml's block formats (`ggml-quants.c`, `ggml-common.h`, `ggml-impl.h` of llama.cpp, MIT): dispatch by
//! [`Kind`], and the checks of what comes in.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::needless_range_loop,
    clippy::inline_always,
    clippy::float_cmp,
    reason = "numeric kernels over arrays of fixed length, which repeat C's conversions on purpose"
)]

mod affine_k;
mod float16;
mod linear_k;
mod rounding;
mod search;
mod small;
mod uneven;

use crate::{Error, Kind};

/// Quantises a tensor of rows of `row_len` weights, with ggml's bytes (`ggml_quantize_chunk`).
///
/// `importance` has one entry for each column, as llama.cpp's importance matrices do; kinds that do not use
/// it ([`Kind::uses_importance`]) leave it aside.
///
/// # Errors
/// Rows that are not whole blocks, a weight or an importance that is not finite, and lengths that do not fit
/// together. A *scale* may still overflow half precision, where ggml writes infinity: [`check`] finds it.
pub fn quantize(
    kind: Kind,
    weights: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
) -> Result<Vec<u8>, Error> {
    let needed = needed(kind, weights.len(), row_len)?;
    let mut out = vec![0; needed];
    quantize_into(kind, weights, row_len, importance, &mut out)?;
    Ok(out)
}

/// As [`quantize`], into `out`, which must have the exact length ([`Kind::bytes_of`]).
///
/// # Errors
/// As [`quantize`], and for a buffer of another length.
pub fn quantize_into(
    kind: Kind,
    weights: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), Error> {
    let needed = needed(kind, weights.len(), row_len)?;
    if out.len() != needed {
        return Err(Error::BufferLength { buffer: "output", given: out.len(), needed });
    }
    if let Some(importance) = importance {
        if importance.len() != row_len {
            return Err(Error::ImportanceLength { given: importance.len(), row_len });
        }
        if let Some(index) = importance.iter().position(|entry| !entry.is_finite() || *entry < 0.0) {
            return Err(Error::ImportanceValue { index });
        }
    }
    let Some(row_bytes) = kind.bytes_of(row_len).filter(|bytes| *bytes > 0) else { return Ok(()) };
    for (at, (row, out)) in weights.chunks_exact(row_len).zip(out.chunks_exact_mut(row_bytes)).enumerate() {
        // Row by row, so that the weights come from memory once.
        if let Some(index) = first_not_finite(row) {
            return Err(Error::NotFinite { index: at * row_len + index });
        }
        quantize_row(kind, row, importance, out);
    }
    Ok(())
}

/// Turns blocks back into weights, with ggml's floats. The bytes may come from anywhere.
///
/// # Errors
/// Bytes that are not whole blocks, and a buffer that is not exactly as long as the weights.
pub fn dequantize(kind: Kind, blocks: &[u8], out: &mut [f32]) -> Result<(), Error> {
    if !blocks.len().is_multiple_of(kind.block_bytes()) {
        return Err(Error::Blocks { kind, bytes: blocks.len(), block: kind.block_bytes() });
    }
    let needed = (blocks.len() / kind.block_bytes()).saturating_mul(kind.block_elements());
    if out.len() != needed {
        return Err(Error::BufferLength { buffer: "output", given: out.len(), needed });
    }
    match kind {
        Kind::Q4_0 => each_back(blocks, out, small::from_q4_0),
        Kind::Q4_1 => each_back(blocks, out, small::from_q4_1),
        Kind::Q5_0 => each_back(blocks, out, small::from_q5_0),
        Kind::Q5_1 => each_back(blocks, out, small::from_q5_1),
        Kind::Q8_0 => each_back(blocks, out, |block: &[u8; 34], out| small::from_q8(block, 2, out)),
        Kind::Q8_1 => each_back(blocks, out, |block: &[u8; 36], out| small::from_q8(block, 4, out)),
        Kind::Q2K => each_back(blocks, out, affine_k::from_q2),
        Kind::Q3K => each_back(blocks, out, linear_k::from_q3),
        Kind::Q4K => each_back(blocks, out, affine_k::from_q4),
        Kind::Q5K => each_back(blocks, out, affine_k::from_q5),
        Kind::Q6K => each_back(blocks, out, linear_k::from_q6),
        Kind::Q8K => each_back(blocks, out, linear_k::from_q8),
        Kind::Iq4Nl => each_back(blocks, out, uneven::from_nl),
        Kind::Iq4Xs => each_back(blocks, out, uneven::from_xs),
        Kind::Mxfp4 => each_back(blocks, out, small::from_mxfp4),
    }
    Ok(())
}

/// Looks for blocks whose scales are infinite or not numbers, as `ggml_validate_row_data` does.
///
/// # Errors
/// Bytes that are not whole blocks, and the first block with such a scale.
pub fn check(kind: Kind, blocks: &[u8]) -> Result<(), Error> {
    if !blocks.len().is_multiple_of(kind.block_bytes()) {
        return Err(Error::Blocks { kind, bytes: blocks.len(), block: kind.block_bytes() });
    }
    // Where the half-precision scales of a block stand.
    let halves: &[usize] = match kind {
        Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 | Kind::Iq4Nl | Kind::Iq4Xs => &[0],
        Kind::Q4_1 | Kind::Q5_1 | Kind::Q8_1 | Kind::Q4K | Kind::Q5K => &[0, 2],
        Kind::Q2K => &[80, 82],
        Kind::Q3K => &[108],
        Kind::Q6K => &[208],
        Kind::Q8K | Kind::Mxfp4 => &[],
    };
    let sound = |block: &[u8]| match kind {
        Kind::Q8K => f32::from_le_bytes([block[0], block[1], block[2], block[3]]).is_finite(),
        Kind::Mxfp4 => block[0] != u8::MAX,
        _ => halves.iter().all(|at| block[at + 1] & 0x7c != 0x7c),
    };
    match blocks.chunks_exact(kind.block_bytes()).position(|block| !sound(block)) {
        Some(block) => Err(Error::ScaleNotFinite { block }),
        None => Ok(()),
    }
}

/// The bits of a number rounded to half precision, ties to even; what is too large becomes infinite.
pub fn half_bits(value: f32) -> u16 {
    float16::to_half(value)
}

/// A number in half precision, widened exactly.
pub fn half(bits: u16) -> f32 {
    float16::from_half(bits)
}

fn needed(kind: Kind, elements: usize, row_len: usize) -> Result<usize, Error> {
    if row_len == 0 || !row_len.is_multiple_of(kind.block_elements()) {
        return Err(Error::RowLength { kind, row_len, block: kind.block_elements() });
    }
    if !elements.is_multiple_of(row_len) {
        return Err(Error::Rows { elements, row_len });
    }
    kind.bytes_of(elements).ok_or(Error::Rows { elements, row_len })
}

/// The first weight that is infinite or not a number.
fn first_not_finite(weights: &[f32]) -> Option<usize> {
    const PART: usize = 1024;
    let part = weights.chunks(PART).position(|part| {
        part.iter()
            .fold(0_u32, |seen, weight| seen | u32::from(weight.to_bits() & 0x7f80_0000 == 0x7f80_0000))
            != 0
    })?;
    let first = part * PART;
    weights[first..].iter().position(|weight| !weight.is_finite()).map(|at| first + at)
}

fn quantize_row(kind: Kind, row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    match (kind, importance) {
        (Kind::Q4_0, None) => each(row, out, small::q4_0),
        (Kind::Q4_1, None) => each(row, out, small::q4_1),
        (Kind::Q5_0, None) => each(row, out, small::q5_0),
        (Kind::Q5_1, None) => each(row, out, small::q5_1),
        (Kind::Q4_0, Some(importance)) => small::q4_0_important(row, importance, out.as_chunks_mut().0),
        (Kind::Q4_1, Some(importance)) => small::q4_1_important(row, importance, out.as_chunks_mut().0),
        (Kind::Q5_0, Some(importance)) => small::q5_0_important(row, importance, out.as_chunks_mut().0),
        (Kind::Q5_1, Some(importance)) => small::q5_1_important(row, importance, out.as_chunks_mut().0),
        (Kind::Q8_0, _) => each(row, out, small::q8_0),
        (Kind::Q8_1, _) => each(row, out, small::q8_1),
        (Kind::Mxfp4, _) => each(row, out, small::mxfp4),
        (Kind::Q8K, _) => each(row, out, linear_k::q8),
        (Kind::Iq4Nl, _) => uneven::nl_row(row, importance, out.as_chunks_mut().0),
        (Kind::Q2K, _) => each_important(row, importance, out, affine_k::q2),
        (Kind::Q3K, _) => each_important(row, importance, out, linear_k::q3),
        (Kind::Q4K, _) => each_important(row, importance, out, affine_k::q4),
        (Kind::Q5K, _) => each_important(row, importance, out, affine_k::q5),
        (Kind::Q6K, _) => each_important(row, importance, out, linear_k::q6),
        (Kind::Iq4Xs, _) => each_important(row, importance, out, uneven::xs),
    }
}

fn each<const N: usize, const B: usize>(
    row: &[f32],
    out: &mut [u8],
    block: impl Fn(&[f32; N], &mut [u8; B]),
) {
    for (x, out) in row.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<B>().0) {
        block(x, out);
    }
}

fn each_important<const N: usize, const B: usize>(
    row: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
    block: impl Fn(&[f32; N], Option<&[f32; N]>, &mut [u8; B]),
) {
    let blocks = row.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<B>().0);
    match importance {
        Some(importance) => {
            for ((x, out), importance) in blocks.zip(importance.as_chunks::<N>().0) {
                block(x, Some(importance), out);
            }
        }
        None => {
            for (x, out) in blocks {
                block(x, None, out);
            }
        }
    }
}

fn each_back<const N: usize, const B: usize>(
    blocks: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; B], &mut [f32; N]),
) {
    for (bytes, out) in blocks.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<N>().0) {
        block(bytes, out);
    }
}
