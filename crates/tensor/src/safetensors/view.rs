//! One tensor of a file.

use super::dtype::{Dtype, decode};
use crate::Error;

/// Elements decoded at a time where a tensor is walked through.
const CHUNK: usize = 4096;

/// One tensor: its name, type, shape and bytes (row-major, little-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// The tensor's name.
    pub name: &'a str,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its dimensions; empty for a scalar.
    pub shape: &'a [usize],
    /// Its bytes: the product of the dimensions times the size of an element.
    pub data: &'a [u8],
}

impl<'a> View<'a> {
    /// How many elements the tensor has.
    pub const fn elements_len(&self) -> usize {
        self.data.len() / self.dtype.bytes()
    }

    /// The elements as `f64`, exactly; nothing for a type that is not floating-point. Where the type is no wider
    /// than 32 bits the values are exact as `f32` too.
    pub fn elements(&self) -> Option<Elements<'a>> {
        self.dtype.is_float().then(|| Elements { view: *self, at: 0, chunk: Vec::new(), next: 0 })
    }

    /// Every element as `f64`; 64-bit integers beyond 2^53 as NaN.
    pub(crate) fn decoded(&self) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.elements_len());
        decode(self.dtype, self.data, &mut out);
        out
    }

    /// The elements from `first` on, at most `count`, decoded into `out`.
    pub(crate) fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>) {
        let size = self.dtype.bytes();
        let begin = first.saturating_mul(size).min(self.data.len());
        let end = begin.saturating_add(count.saturating_mul(size)).min(self.data.len());
        decode(self.dtype, self.data.get(begin..end).unwrap_or_default(), out);
    }

    /// Hands the elements to `part`, a few thousand at a time, in order.
    pub(crate) fn walk(&self, mut part: impl FnMut(&[f64])) {
        let mut values = Vec::with_capacity(CHUNK);
        for bytes in self.data.chunks(CHUNK * self.dtype.bytes()) {
            decode(self.dtype, bytes, &mut values);
            part(&values);
        }
    }

    /// Every element is zero or has a magnitude from 2^-149 up to, not including, 2^128: the range of `f32`,
    /// within which no product or square of this crate overflows or underflows.
    ///
    /// # Errors
    /// [`Error::Element`] names the first one that is not (NaN and the infinities among them).
    pub fn check_elements(&self) -> Result<(), Error> {
        let mut start = 0;
        let mut found = None;
        self.walk(|values| {
            if found.is_none() {
                found = values.iter().position(|&value| !measurable(value)).map(|at| start + at);
            }
            start += values.len();
        });
        match found {
            None => Ok(()),
            Some(index) => Err(Error::Element { tensor: self.name.to_owned(), index: index as u64 }),
        }
    }
}

/// 2^-149, the smallest positive `f32`.
const SMALLEST: f64 = f64::from_bits((1023 - 149) << 52);
/// 2^128, one step beyond the largest `f32`.
const BEYOND: f64 = f64::from_bits((1023 + 128) << 52);

fn measurable(value: f64) -> bool {
    let magnitude = value.abs();
    magnitude == 0.0 || (SMALLEST..BEYOND).contains(&magnitude)
}

/// Iterates over the elements of a floating-point tensor.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    view: View<'a>,
    at: usize,
    chunk: Vec<f64>,
    next: usize,
}

impl Iterator for Elements<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        if self.next == self.chunk.len() {
            self.view.decode_part(self.at, CHUNK, &mut self.chunk);
            self.at += self.chunk.len();
            self.next = 0;
        }
        let value = self.chunk.get(self.next).copied();
        self.next += usize::from(value.is_some());
        value
    }
}
