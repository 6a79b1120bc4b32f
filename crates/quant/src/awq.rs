//! AWQ files unpacked to floats (the `gemm` layout of AutoAWQ and `transformers`).
//!
//! Eight outputs of 4 bits share a 32-bit word, in the order 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits up. Zero points
//! are written as they are. How AWQ finds its scales needs calibration data and is not repeated here.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "lengths are checked against the dimensions before the loops, and all integers are below 16"
)]

use crate::Error;
use crate::gptq::{Grouping, group_of_inputs, groups, length, product};

/// The nibble of each of eight neighbouring outputs.
const NIBBLE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// The tensors of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Columns of the layer's weight.
    pub inputs: usize,
    /// Rows of the layer's weight, a multiple of eight.
    pub outputs: usize,
    /// `qweight`: `inputs` rows of `outputs / 8` words.
    pub qweight: &'a [i32],
    /// `qzeros`: a row of `outputs / 8` words for each group.
    pub qzeros: &'a [i32],
    /// `scales`, widened from half precision: a row of `outputs` for each group.
    pub scales: &'a [f32],
    /// Inputs that share a scale and a zero point.
    pub group_size: usize,
}

/// Writes the layer's weight, `outputs` rows of `inputs` floats: scale times the difference of integer and zero point,
/// rounded once. (Kernels round to half precision as well.)
///
/// # Errors
/// Tensors whose lengths do not fit the dimensions.
pub fn unpack(layer: &Layer<'_>, out: &mut [f32]) -> Result<(), Error> {
    let &Layer { inputs, outputs, .. } = layer;
    if !outputs.is_multiple_of(8) {
        let expected = "a multiple of eight";
        return Err(Error::Packing { dimension: "number of outputs", given: outputs, expected });
    }
    let groups = groups(layer.scales.len(), outputs)?;
    length("qweight", layer.qweight.len(), product(inputs, outputs / 8)?)?;
    length("qzeros", layer.qzeros.len(), product(groups, outputs / 8)?)?;
    length("output", out.len(), product(inputs, outputs)?)?;
    let group_of = group_of_inputs(Grouping::Even(layer.group_size), inputs, groups)?;
    let field = |words: &[i32], row: usize, output: usize| {
        ((words[row * (outputs / 8) + output / 8] as u32) >> (4 * NIBBLE[output % 8])) & 0x0f
    };
    for (output, weights) in out.chunks_exact_mut(inputs.max(1)).enumerate() {
        for (input, weight) in weights.iter_mut().enumerate() {
            let group = group_of[input];
            let integer = field(layer.qweight, input, output).cast_signed();
            let zero = field(layer.qzeros, group, output).cast_signed();
            *weight = layer.scales[group * outputs + output] * (integer - zero) as f32;
        }
    }
    Ok(())
}
