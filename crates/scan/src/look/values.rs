//! The values of a tensor in one pass: what is not finite, what is too small to be ordinary, how many low bits are in
//! use. Runs at memory speed; the counting loops are written for the compiler to vectorise.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::inline_always,
    reason = "loops are compiled for the instructions of their caller; chunks have a constant length, and masks bound what is narrowed"
)]

use tensor::safetensors::{Dtype, View};

/// Elements counted with narrow counters before those are added up.
const CHUNK: usize = 4096;

/// What one pass over a floating-point tensor tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts {
    pub(super) elements: u64,
    pub(super) zeros: u64,
    pub(super) nans: u64,
    /// NaNs that no arithmetic makes: bits beside the quiet bit are set.
    pub(super) nan_payloads: u64,
    pub(super) infinities: u64,
    pub(super) subnormals: u64,
    /// Elements that are not zero and in whose lower half bits are set (of F32: what bfloat16 cannot hold).
    pub(super) low_half: u64,
    /// Elements in whose low 13 bits bits are set (of F32: what float16 cannot hold).
    pub(super) low_13: u64,
    /// Bits of the largest finite magnitude.
    pub(super) magnitude_max: u64,
    /// Whether every element has the bits of the first.
    pub(super) constant: bool,
}

impl Facts {
    /// Looks at a tensor; nothing for types that are not floating-point, or of eight bits.
    pub(super) fn of(view: &View<'_>) -> Option<Self> {
        pulp::Arch::new().dispatch(Count(view))
    }

    /// As [`Facts::of`], compiled for whatever instructions it is called with.
    #[inline(always)]
    fn count(view: &View<'_>) -> Option<Self> {
        match view.dtype {
            Dtype::F32 => Some(of_f32(view.data)),
            Dtype::F16 => Some(of_u16(view.data, 0x7c00, 0x0200)),
            Dtype::BF16 => Some(of_u16(view.data, 0x7f80, 0x0040)),
            Dtype::F64 => Some(of_f64(view.data)),
            _ => None,
        }
    }

    /// Elements that are not zero.
    pub(super) const fn nonzero(&self) -> u64 {
        self.elements - self.zeros
    }
}

/// The pass over one tensor, with the vector instructions that the processor has.
struct Count<'v, 'd>(&'v View<'d>);

impl pulp::NullaryFnOnce for Count<'_, '_> {
    type Output = Option<Facts>;

    #[inline(always)]
    fn call(self) -> Option<Facts> {
        Facts::count(self.0)
    }
}

macro_rules! counter {
    ($name:ident, $word:ty, $bytes:literal, $low_half:expr, $low_13:expr) => {
        #[inline(always)]
        fn $name(data: &[u8], infinity: $word, quiet: $word) -> Facts {
            let (words, _) = data.as_chunks::<$bytes>();
            let Some(first) = words.first().map(|word| <$word>::from_le_bytes(*word)) else {
                return Facts { constant: true, ..Facts::default() };
            };
            let sign: $word = 1 << (<$word>::BITS - 1);
            // The smallest normal number: the lowest bit of the exponent.
            let normal = infinity & infinity.wrapping_neg();
            let mut facts = Facts { elements: words.len() as u64, ..Facts::default() };
            let (mut differs, mut largest): ($word, $word) = (0, 0);
            for chunk in words.chunks(CHUNK) {
                let (mut zeros, mut beyond, mut tiny, mut half, mut thirteen): (u32, u32, u32, u32, u32) =
                    (0, 0, 0, 0, 0);
                let mut most: $word = 0;
                for word in chunk {
                    let word = <$word>::from_le_bytes(*word);
                    let magnitude = word & !sign;
                    zeros += u32::from(magnitude == 0);
                    tiny += u32::from(magnitude < normal);
                    beyond += u32::from(magnitude >= infinity);
                    half += u32::from(word & $low_half != 0);
                    thirteen += u32::from(word & $low_13 != 0);
                    differs |= word ^ first;
                    most = most.max(magnitude);
                }
                facts.zeros += u64::from(zeros);
                facts.subnormals += u64::from(tiny - zeros);
                facts.low_half += u64::from(half);
                facts.low_13 += u64::from(thirteen);
                if beyond == 0 {
                    largest = largest.max(most);
                    continue;
                }
                // Rare, so looked at again and slowly.
                for word in chunk {
                    let magnitude = <$word>::from_le_bytes(*word) & !sign;
                    facts.infinities += u64::from(magnitude == infinity);
                    facts.nans += u64::from(magnitude > infinity);
                    facts.nan_payloads += u64::from(magnitude > infinity && magnitude != infinity | quiet);
                    if magnitude < infinity {
                        largest = largest.max(magnitude);
                    }
                }
            }
            facts.constant = differs == 0;
            facts.magnitude_max = u64::from(largest);
            facts
        }
    };
}

counter!(count_u16, u16, 2, 0xff, 0x1fff);
counter!(count_u32, u32, 4, 0xffff, 0x1fff);
counter!(count_u64, u64, 8, 0xffff_ffff, 0x1fff);

#[inline(always)]
fn of_u16(data: &[u8], infinity: u16, quiet: u16) -> Facts {
    count_u16(data, infinity, quiet)
}

#[inline(always)]
fn of_f32(data: &[u8]) -> Facts {
    count_u32(data, 0x7f80_0000, 0x0040_0000)
}

#[inline(always)]
fn of_f64(data: &[u8]) -> Facts {
    count_u64(data, 0x7ff0 << 48, 1 << 51)
}

/// How far the low bytes of some elements are from evenly spread: Pearson's chi-square against the uniform
/// distribution over 256 values, less what chance gives (255), divided by the number of elements (Cohen's w squared).
/// Chance alone gives about 0; a text gives above 3.
pub(super) fn unevenness(low: &[u8]) -> f64 {
    if low.is_empty() {
        return 0.0;
    }
    // Four tables, so that equal neighbours do not wait for each other.
    let mut tables = [[0_u32; 256]; 4];
    let (fours, rest) = low.as_chunks::<4>();
    for four in fours {
        for lane in 0..4 {
            tables[lane][usize::from(four[lane])] += 1;
        }
    }
    for &byte in rest {
        tables[0][usize::from(byte)] += 1;
    }
    let expected = low.len() as f64 / 256.0;
    let mut chi = 0.0;
    for value in 0..256 {
        let seen: u32 = tables.iter().map(|table| table[value]).sum();
        let off = f64::from(seen) - expected;
        chi += off * off / expected;
    }
    (chi - 255.0) / low.len() as f64
}

/// The lowest byte of each 32-bit element that half precision cannot hold.
pub(super) fn unrounded_low_bytes(data: &[u8], low: &mut Vec<u8>) {
    low.clear();
    let (words, _) = data.as_chunks::<4>();
    low.extend(words.iter().filter(|word| u32::from_le_bytes(**word) & 0x1fff != 0).map(|word| word[0]));
}

/// The lowest byte of each 32-bit element.
pub(super) fn low_bytes(data: &[u8], low: &mut Vec<u8>) {
    low.clear();
    let (words, _) = data.as_chunks::<4>();
    low.extend(words.iter().map(|word| word[0]));
}

/// How many different elements there are among 32-bit elements.
pub(super) fn distinct(data: &[u8]) -> usize {
    let (words, _) = data.as_chunks::<4>();
    let mut words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    words.sort_unstable();
    words.dedup();
    words.len()
}

/// The value of the bits of a magnitude.
pub(super) fn magnitude(dtype: Dtype, bits: u64) -> f64 {
    match dtype {
        Dtype::F16 => {
            let (exponent, mantissa) = ((bits >> 10) as i32, (bits & 0x3ff) as f64);
            if exponent == 0 {
                mantissa * 2_f64.powi(-24)
            } else {
                (1024.0 + mantissa) * 2_f64.powi(exponent - 25)
            }
        }
        Dtype::BF16 => f64::from(f32::from_bits((bits as u32) << 16)),
        Dtype::F32 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

/// Whether every element is zero or the type's largest finite number: masks of attention are made so, where infinities would
/// give NaN.
pub(super) fn is_mask(view: &View<'_>) -> bool {
    let zero_or = |largest: u64, bits: u32, word: u64| {
        let magnitude = word & !(1 << (bits - 1));
        magnitude == 0 || magnitude == largest
    };
    let halves = |largest: u64| {
        let (words, _) = view.data.as_chunks::<2>();
        words.iter().all(|word| zero_or(largest, 16, u16::from_le_bytes(*word).into()))
    };
    match view.dtype {
        Dtype::F16 => halves(0x7bff),
        Dtype::BF16 => halves(0x7f7f),
        Dtype::F32 => {
            let (words, _) = view.data.as_chunks::<4>();
            words.iter().all(|word| zero_or(f32::MAX.to_bits().into(), 32, u32::from_le_bytes(*word).into()))
        }
        Dtype::F64 => {
            let (words, _) = view.data.as_chunks::<8>();
            words.iter().all(|word| zero_or(f64::MAX.to_bits(), 64, u64::from_le_bytes(*word)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
