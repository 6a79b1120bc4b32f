//! What llama.cpp's converter does to elements on the way from Hugging Face to GGUF, and back.

use super::{Tensor, WeightsError};
use crate::error::shown;

/// What happened to a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// Nothing.
    Same,
    /// The rows of each head were reordered for another convention of rotary positions; see [`RotaryRows`].
    Rotary(Heads),
    /// One was added to every element: Gemma keeps its norms' weights less one.
    PlusOne,
    /// Rows and columns were exchanged: GPT-2 keeps its matrices as `in × out`.
    Transposed,
}

/// Which number of heads counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// That of the queries (`num_attention_heads`, `attention.head_count`).
    Query,
    /// That of the keys and values (`num_key_value_heads`, `attention.head_count_kv`).
    KeyValue,
}

/// The order of rows in query and key projections.
///
/// Hugging Face's Llama rotates element `i` of a head with element `i + d/2`, `d` being the head's rows; ggml's
/// `llama` graph rotates neighbours. So the converter (`LlamaModel.permute`, `convert_hf_to_gguf.py`) interleaves
/// the two halves of each head: row `h·d/2 + i` (`h` 0 or 1) becomes row `2·i + h`. Weights and biases alike; the
/// `llama` family alone, since ggml rotates the others as Hugging Face does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotaryRows {
    head_rows: usize,
}

impl RotaryRows {
    /// The order in a projection of `rows` rows for `heads` heads; nothing where they do not divide so.
    pub fn new(rows: usize, heads: usize) -> Option<Self> {
        let head_rows = rows.checked_div(heads)?;
        let divides = head_rows > 0 && head_rows.is_multiple_of(2) && rows.is_multiple_of(heads);
        divides.then_some(Self { head_rows })
    }

    /// Where a row of Hugging Face's stands in GGUF.
    pub const fn to_gguf(self, row: usize) -> usize {
        let (head, within, half) = (row / self.head_rows, row % self.head_rows, self.head_rows / 2);
        head * self.head_rows + 2 * (within % half) + within / half
    }

    /// Where a row of GGUF's stands at Hugging Face.
    pub const fn to_hugging_face(self, row: usize) -> usize {
        let (head, within, half) = (row / self.head_rows, row % self.head_rows, self.head_rows / 2);
        head * self.head_rows + (within % 2) * half + within / 2
    }
}

impl Tensor<'_> {
    /// Every element of a tensor out of a GGUF file in the order and with the values that it has at Hugging Face,
    /// and its shape there. `heads` is the number that [`Transform::Rotary`] asks for; the others do not look at
    /// it. Subtracting Gemma's one rounds once.
    ///
    /// # Errors
    /// As [`Tensor::decode`]; [`WeightsError::Heads`].
    pub fn decode_as_hugging_face(
        &self,
        transform: Transform,
        heads: usize,
    ) -> Result<(Vec<usize>, Vec<f32>), WeightsError> {
        let mut shape = self.shape().to_vec();
        let values = self.decode()?;
        let values = match transform {
            Transform::Same => values,
            Transform::PlusOne => values.into_iter().map(|value| value - 1.0).collect(),
            Transform::Rotary(_) => {
                // A bias is one number to a row.
                let (rows, row_len) =
                    if shape.len() == 1 { (self.elements_len(), 1) } else { (self.rows(), self.row_len()) };
                let wrong = || WeightsError::Heads { tensor: shown(self.name()), rows, heads };
                let order = RotaryRows::new(rows, heads).ok_or_else(wrong)?;
                let row = |row: usize| {
                    let begin = order.to_gguf(row) * row_len;
                    values.get(begin..begin + row_len).unwrap_or_default()
                };
                (0..rows).flat_map(row).copied().collect()
            }
            Transform::Transposed => {
                shape.reverse();
                let (rows, row_len) = (self.rows(), self.row_len());
                let column = |at: usize| values.iter().skip(at).step_by(row_len.max(1)).take(rows);
                (0..row_len).flat_map(column).copied().collect()
            }
        };
        Ok((shape, values))
    }
}
