//! One tensor of a comparison.

use crate::safetensors::{Dtype, View};

/// A tensor that can be compared with another.
pub trait Operand: Sync {
    /// Its name, the same on both sides for what is the same tensor.
    fn name(&self) -> &str;

    /// Its dimensions, outermost first.
    fn shape(&self) -> &[usize];

    /// The name of the type its elements are kept in.
    fn dtype(&self) -> &str;

    /// Its bytes as stored.
    fn bytes(&self) -> &[u8];

    /// Decodes the elements from `first` on, at most `count`, into `out`, replacing what it holds. Every element is the
    /// exact value, or NaN where it has none as `f64`.
    fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>);

    /// The distance from a value of this size to the next that the type can hold; zero where the type has none of its
    /// own, as quantised blocks do not.
    fn grain(&self, value: f64) -> f64;

    /// How many elements the shape makes.
    fn elements_len(&self) -> usize {
        self.shape().iter().fold(1, |product: usize, &next| product.saturating_mul(next))
    }
}

impl Operand for View<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn dtype(&self) -> &str {
        self.dtype.name()
    }

    fn bytes(&self) -> &[u8] {
        self.data
    }

    fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>) {
        View::decode_part(self, first, count, out);
    }

    fn grain(&self, value: f64) -> f64 {
        match self.dtype {
            Dtype::F64 => spacing(value, 52, -1074),
            Dtype::F32 => spacing(value, 23, -149),
            Dtype::BF16 => spacing(value, 7, -133),
            Dtype::F16 => spacing(value, 10, -24),
            _ => 0.0,
        }
    }
}

/// The distance between neighbours around `value` in a binary format with that many bits of fraction, whose smallest
/// positive number is two to the power of `lowest`.
pub(crate) fn spacing(value: f64, fraction_bits: i32, lowest: i32) -> f64 {
    let bits = i32::try_from((value.to_bits() >> 52) & 0x7FF).unwrap_or_default();
    let exponent = (bits - 1023 - fraction_bits).max(lowest);
    // Below the smallest normal number of f64 itself the spacing squared is nothing to any sum.
    u64::try_from(exponent + 1023).map_or(0.0, |biased| f64::from_bits(biased << 52))
}
