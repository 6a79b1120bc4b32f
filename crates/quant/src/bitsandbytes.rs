//! bitsandbytes: 4-bit floats (NF4, FP4) in blocks, 8-bit integers by row (LLM.int8), and the scales of double
//! quantisation turned back. Making those is left out: they are taken less their mean, which depends on the order in
//! which PyTorch adds.
//!
//! The library has several back ends which do not agree on every weight, and its default one has changed; [`Backend`]
//! names them. What `Midpoints` and `Argmin` give is compared with the library's own output, versions 0.50.2 and
//! 0.48.2, run on a processor (`tests/it/bitsandbytes_golden.py`). `Cuda` follows the thresholds of `csrc/kernels.cu` and was
//! **not** compared with a GPU's output. The library compiles that file with `--use_fast_math`, where the inverse of a
//! block's magnitude is approximate: a weight within a few units in the last place of a threshold may fall on its
//! other side there.

mod int8;
mod table;

pub use int8::{Int8Rows, dequantize_int8, quantize_int8};
pub use table::{FourBit, dynamic_map};

use crate::Error;

/// Whose rule decides which level a weight gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The default back end of 0.50: middles between levels, in single precision; a weight on a middle goes down.
    Midpoints,
    /// The default back end of 0.48: the nearest level, the first of equals, with FP4's levels rounded to four digits.
    Argmin,
    /// The decision trees of the CUDA kernels (`dQuantizeNF4`, `dQuantizeFP4`), in single precision.
    Cuda,
}

/// Weights as 4-bit codes, and the largest magnitude of each block.
#[derive(Debug, Clone, PartialEq)]
pub struct FourBitBlocks {
    /// Two codes a byte, the first in the high nibble.
    pub packed: Vec<u8>,
    /// The largest magnitude in each block.
    pub absmax: Vec<f32>,
}

const BLOCK_SIZES: [usize; 8] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

fn block_size_known(given: usize) -> Result<(), Error> {
    if BLOCK_SIZES.contains(&given) { Ok(()) } else { Err(Error::BlockSize { given }) }
}

/// Quantises weights in blocks of `block_size`, as `bitsandbytes.functional.quantize_4bit` does with the row-major
/// weights of a tensor. The last block may be shorter; an odd number of weights is filled up with a zero.
///
/// # Errors
/// A block size that the library does not offer, and weights that are not finite.
pub fn quantize_4bit(
    table: FourBit,
    backend: Backend,
    weights: &[f32],
    block_size: usize,
) -> Result<FourBitBlocks, Error> {
    block_size_known(block_size)?;
    if let Some(index) = weights.iter().position(|weight| !weight.is_finite()) {
        return Err(Error::NotFinite { index });
    }
    let mut absmax = Vec::with_capacity(weights.len().div_ceil(block_size));
    let mut codes = Vec::with_capacity(weights.len() + 1);
    for block in weights.chunks(block_size) {
        let whole = block.len() == block_size;
        let magnitude = largest(block);
        // The smallest magnitude that 0.50 divides by; a shorter last block keeps it as its scale.
        let limited = if magnitude > 1e-38 { magnitude } else { 1e-38 };
        let inverse = match backend {
            Backend::Midpoints => 1.0 / limited,
            Backend::Argmin | Backend::Cuda => 1.0 / magnitude,
        };
        for weight in block {
            let scaled = match backend {
                Backend::Midpoints if !whole => weight / limited,
                _ => weight * inverse,
            };
            codes.push(match backend {
                Backend::Midpoints => table.by_middle(unit(scaled)),
                Backend::Argmin => table.by_distance(unit(scaled)),
                Backend::Cuda => table.by_tree(scaled),
            });
        }
        absmax.push(if backend == Backend::Midpoints && !whole { limited } else { magnitude });
    }
    if codes.len() % 2 == 1 {
        codes.push(match backend {
            Backend::Midpoints => table.by_middle(0.0),
            Backend::Argmin => table.by_distance(0.0),
            Backend::Cuda => table.by_tree(0.0),
        });
    }
    let packed = codes.as_chunks::<2>().0.iter().map(|[first, second]| (first << 4) | second).collect();
    Ok(FourBitBlocks { packed, absmax })
}

/// Turns 4-bit codes back into weights (`dequantize_4bit`). Version 0.48 multiplies with FP4's levels rounded to four
/// digits on a processor. Which sign a zero of FP4 gets differs within the library; here both are positive.
///
/// # Errors
/// A block size that the library does not offer, and buffers whose lengths do not fit the weights.
pub fn dequantize_4bit(
    table: FourBit,
    backend: Backend,
    packed: &[u8],
    absmax: &[f32],
    block_size: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    block_size_known(block_size)?;
    length("packed codes", packed.len(), out.len().div_ceil(2))?;
    length("block magnitudes", absmax.len(), out.len().div_ceil(block_size))?;
    let levels = match backend {
        Backend::Argmin => table.levels_of_048(),
        Backend::Midpoints | Backend::Cuda => table.levels(),
    };
    for ((block, packed), absmax) in out.chunks_mut(block_size).zip(packed.chunks(block_size / 2)).zip(absmax)
    {
        for (pair, byte) in block.chunks_mut(2).zip(packed) {
            for (weight, code) in pair.iter_mut().zip([byte >> 4, byte & 0x0f]) {
                *weight = level(&levels, code) * absmax;
            }
        }
    }
    Ok(())
}

/// Turns 8-bit codes back (`dequantize_blockwise`), and adds `offset` to each value (zero where there is none): the
/// magnitudes of a tensor under double quantisation, from its `absmax`, `nested_quant_map`, `nested_absmax` and
/// `nested_offset`.
///
/// # Errors
/// A block size that the library does not offer, and buffers whose lengths do not fit the values.
pub fn dequantize_8bit(
    levels: &[f32; 256],
    codes: &[u8],
    absmax: &[f32],
    block_size: usize,
    offset: f32,
    out: &mut [f32],
) -> Result<(), Error> {
    block_size_known(block_size)?;
    length("codes", codes.len(), out.len())?;
    length("block magnitudes", absmax.len(), out.len().div_ceil(block_size))?;
    for ((out, codes), absmax) in out.chunks_mut(block_size).zip(codes.chunks(block_size)).zip(absmax) {
        for (value, code) in out.iter_mut().zip(codes) {
            *value = level(levels, *code) * absmax + offset;
        }
    }
    Ok(())
}

fn level(levels: &[f32], code: u8) -> f32 {
    levels.get(usize::from(code)).copied().unwrap_or(0.0)
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| if value.abs() > most { value.abs() } else { most })
}

/// Between -1 and 1; what is not a number stays so.
fn unit(value: f32) -> f32 {
    value.clamp(-1.0, 1.0)
}

fn length(buffer: &'static str, given: usize, needed: usize) -> Result<(), Error> {
    if given == needed { Ok(()) } else { Err(Error::BufferLength { buffer, given, needed }) }
}
