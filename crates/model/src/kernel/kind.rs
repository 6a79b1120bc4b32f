//! The element types of weight matrices, and what a block of each means.
//!
//! Layouts and meaning are those of ggml (`ggml-common.h`, `ggml-quants.c`, functions `dequantize_row_*`). Every
//! quantised type is brought to one form: unsigned codes `u` in groups of 16 or 32 with a scale `d` and an offset
//! `m`, so that a weight is `d·u + m`. For all types here this is exact up to the one rounding that ggml's own
//! decoders make.

use half::{bf16, f16};

/// How the elements of a matrix are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point (IEEE).
    F16,
    /// 16-bit floating point (bfloat16).
    Bf16,
    /// ggml `Q4_0`.
    Q4_0,
    /// ggml `Q4_1`.
    Q4_1,
    /// ggml `Q5_0`.
    Q5_0,
    /// ggml `Q5_1`.
    Q5_1,
    /// ggml `Q8_0`.
    Q8_0,
    /// ggml `Q2_K`.
    Q2K,
    /// ggml `Q3_K`.
    Q3K,
    /// ggml `Q4_K`.
    Q4K,
    /// ggml `Q5_K`.
    Q5K,
    /// ggml `Q6_K`.
    Q6K,
    /// ggml `IQ4_NL`.
    Iq4Nl,
}

impl Kind {
    /// Every kind, for tests and tables.
    pub const ALL: [Self; 14] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
    ];

    /// Elements in a block.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 | Self::Iq4Nl => 32,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes in a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Elements that share a scale; nothing for the floating-point types.
    pub const fn group_len(self) -> Option<usize> {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => None,
            Self::Q2K | Self::Q3K | Self::Q6K => Some(16),
            _ => Some(32),
        }
    }

    /// Whether codes may exceed six bits.
    pub(crate) const fn wide(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Iq4Nl)
    }

    /// Bytes of a row of `columns` elements; nothing where they do not fill whole blocks.
    pub const fn row_bytes(self, columns: usize) -> Option<usize> {
        if !columns.is_multiple_of(self.block_len()) {
            return None;
        }
        (columns / self.block_len()).checked_mul(self.block_bytes())
    }
}

/// A block brought to the common form.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked {
    /// The codes, in the order of the elements.
    pub(crate) codes: [u8; 256],
    /// A scale for each group.
    pub(crate) scales: [f32; 16],
    /// An offset for each group.
    pub(crate) offsets: [f32; 16],
}

impl Unpacked {
    pub(crate) const EMPTY: Self = Self { codes: [0; 256], scales: [0.0; 16], offsets: [0.0; 16] };
}

/// Values of the codes of `IQ4_NL` (ggml, `kvalues_iq4nl`).
const IQ4_NL: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Brings one block of a quantised type to the common form.
///
/// INVARIANT: `block` has `kind.block_bytes()` bytes.
#[inline]
pub(crate) fn unpack(kind: Kind, block: &[u8], out: &mut Unpacked) {
    match kind {
        Kind::F32 | Kind::F16 | Kind::Bf16 => {}
        Kind::Q4_0 | Kind::Q4_1 => {
            let header = if kind == Kind::Q4_0 { 2 } else { 4 };
            nibbles(&block[header..header + 16], &mut out.codes[..32]);
            out.scales[0] = half_at(block, 0);
            out.offsets[0] = if kind == Kind::Q4_0 { -8.0 * out.scales[0] } else { half_at(block, 2) };
        }
        Kind::Iq4Nl => {
            nibbles(&block[2..18], &mut out.codes[..32]);
            for code in &mut out.codes[..32] {
                *code = (IQ4_NL[usize::from(*code)] as u8) ^ 0x80;
            }
            out.scales[0] = half_at(block, 0);
            out.offsets[0] = -128.0 * out.scales[0];
        }
        Kind::Q5_0 | Kind::Q5_1 => {
            let header = if kind == Kind::Q5_0 { 2 } else { 4 };
            let high =
                u32::from_le_bytes([block[header], block[header + 1], block[header + 2], block[header + 3]]);
            nibbles(&block[header + 4..header + 20], &mut out.codes[..32]);
            for (bit, code) in out.codes[..32].iter_mut().enumerate() {
                *code |= ((high >> bit & 1) as u8) << 4;
            }
            out.scales[0] = half_at(block, 0);
            out.offsets[0] = if kind == Kind::Q5_0 { -16.0 * out.scales[0] } else { half_at(block, 2) };
        }
        Kind::Q8_0 => {
            for (code, &byte) in out.codes[..32].iter_mut().zip(&block[2..34]) {
                *code = byte ^ 0x80;
            }
            out.scales[0] = half_at(block, 0);
            out.offsets[0] = -128.0 * out.scales[0];
        }
        Kind::Q2K => unpack_q2k(block, out),
        Kind::Q3K => unpack_q3k(block, out),
        Kind::Q4K | Kind::Q5K => unpack_q45k(kind, block, out),
        Kind::Q6K => unpack_q6k(block, out),
    }
}

fn nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(16);
    for ((&byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = byte & 15;
        *high = byte >> 4;
    }
}

fn unpack_q2k(block: &[u8], out: &mut Unpacked) {
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for group in 0..16 {
        out.scales[group] = d * f32::from(block[group] & 15);
        out.offsets[group] = -(dmin * f32::from(block[group] >> 4));
    }
    for (half, bytes) in block[16..80].chunks_exact(32).enumerate() {
        for shift in 0..4 {
            for (at, &byte) in bytes.iter().enumerate() {
                out.codes[half * 128 + shift * 32 + at] = byte >> (2 * shift) & 3;
            }
        }
    }
}

/// The six-bit scales of `Q3_K` (ggml, `dequantize_row_q3_K`, there with `kmask1` and `kmask2`).
fn q3k_scale(packed: &[u8], group: usize) -> i8 {
    let low = if group < 8 { packed[group] & 15 } else { packed[group - 8] >> 4 };
    let high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
    (low | high << 4) as i8 - 32
}

fn unpack_q3k(block: &[u8], out: &mut Unpacked) {
    let d = half_at(block, 108);
    for group in 0..16 {
        out.scales[group] = d * f32::from(q3k_scale(&block[96..108], group));
        out.offsets[group] = -4.0 * out.scales[group];
    }
    for half in 0..2 {
        for shift in 0..4 {
            for at in 0..32 {
                let low = block[32 + half * 32 + at] >> (2 * shift) & 3;
                let high = block[at] >> (half * 4 + shift) & 1;
                out.codes[half * 128 + shift * 32 + at] = low | high << 2;
            }
        }
    }
}

/// The six-bit scale and minimum of a group (ggml, `get_scale_min_k4`).
#[inline]
pub(crate) fn scale_min(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        (
            packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        )
    }
}

fn unpack_q45k(kind: Kind, block: &[u8], out: &mut Unpacked) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for group in 0..8 {
        let (scale, minimum) = scale_min(&block[4..16], group);
        out.scales[group] = d * f32::from(scale);
        out.offsets[group] = -(dmin * f32::from(minimum));
    }
    let (high, low) = if kind == Kind::Q5K { block[16..].split_at(32) } else { block[16..].split_at(0) };
    for (pair, bytes) in low.chunks_exact(32).take(4).enumerate() {
        for (at, &byte) in bytes.iter().enumerate() {
            let bits = high.get(at).map_or(0, |bits| bits >> (2 * pair));
            out.codes[pair * 64 + at] = byte & 15 | (bits & 1) << 4;
            out.codes[pair * 64 + 32 + at] = byte >> 4 | (bits >> 1 & 1) << 4;
        }
    }
}

fn unpack_q6k(block: &[u8], out: &mut Unpacked) {
    let d = half_at(block, 208);
    for group in 0..16 {
        out.scales[group] = d * f32::from(block[192 + group] as i8);
        out.offsets[group] = -32.0 * out.scales[group];
    }
    for half in 0..2 {
        let (low, high) = (&block[half * 64..half * 64 + 64], &block[128 + half * 32..160 + half * 32]);
        for at in 0..32 {
            let codes = &mut out.codes[half * 128..half * 128 + 128];
            codes[at] = low[at] & 15 | (high[at] & 3) << 4;
            codes[at + 32] = low[at + 32] & 15 | (high[at] >> 2 & 3) << 4;
            codes[at + 64] = low[at] >> 4 | (high[at] >> 4 & 3) << 4;
            codes[at + 96] = low[at + 32] >> 4 | (high[at] >> 6) << 4;
        }
    }
}

/// The elements of a row as `f32`.
///
/// INVARIANT: `bytes` is a whole number of blocks and `out` has as many elements.
pub(crate) fn expand(kind: Kind, bytes: &[u8], out: &mut [f32]) {
    match kind {
        Kind::F32 => {
            for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Kind::F16 => {
            for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        Kind::Bf16 => {
            for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => {
            let group_len = kind.group_len().unwrap_or(32);
            let mut unpacked = Unpacked::EMPTY;
            let blocks = bytes.chunks_exact(kind.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(kind.block_len())) {
                unpack(kind, block, &mut unpacked);
                for (group, out) in out.chunks_exact_mut(group_len).enumerate() {
                    let (scale, offset) = (unpacked.scales[group], unpacked.offsets[group]);
                    for (value, &code) in out.iter_mut().zip(&unpacked.codes[group * group_len..]) {
                        *value = f32::from(code) * scale + offset;
                    }
                }
            }
        }
    }
}
