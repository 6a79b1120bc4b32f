//! GPTQ files unpacked to floats (the layout of AutoGPTQ, GPTQModel and `transformers`).
//!
//! What GPTQ does to find the integers needs calibration data and is not repeated here; a file is judged by what it
//! holds. `qweight` runs along the inputs, `qzeros` along the outputs, as one stream of bits in 32-bit words, the
//! lowest first; at 3 bits a value may span two words.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "lengths are checked against the dimensions before the loops, and all integers are below 2^9"
)]

use crate::Error;

/// How zero points are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroPoints {
    /// `checkpoint_format` `gptq` (version 1): one less than they are.
    LessOne,
    /// `checkpoint_format` `gptq_v2`: as they are.
    AsTheyAre,
}

/// Which group, and with it which scale and zero point, an input belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping<'a> {
    /// So many inputs to a group, one after the other.
    Even(usize),
    /// A group for each input (`g_idx`), as activation order leaves them.
    Index(&'a [i32]),
}

/// The tensors of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Bits a weight: 2, 3, 4 or 8.
    pub bits: u32,
    /// Columns of the layer's weight.
    pub inputs: usize,
    /// Rows of the layer's weight.
    pub outputs: usize,
    /// `qweight`: `inputs * bits / 32` rows of `outputs` words.
    pub qweight: &'a [i32],
    /// `qzeros`: a row of `outputs * bits / 32` words for each group.
    pub qzeros: &'a [i32],
    /// `scales`, widened from half precision: a row of `outputs` for each group.
    pub scales: &'a [f32],
    /// The groups of the inputs.
    pub grouping: Grouping<'a>,
    /// How zero points are written.
    pub zero_points: ZeroPoints,
}

/// Writes the layer's weight, `outputs` rows of `inputs` floats: scale times the difference of integer and zero point,
/// rounded once. (Kernels round to half precision as well.) A zero point of version 1 that is one above the largest
/// integer is taken as that; it does not wrap around.
///
/// # Errors
/// Bits that are not offered, tensors whose lengths do not fit the dimensions, and groups that are not there.
pub fn unpack(layer: &Layer<'_>, out: &mut [f32]) -> Result<(), Error> {
    let &Layer { bits, inputs, outputs, .. } = layer;
    if ![2, 3, 4, 8].contains(&bits) {
        return Err(Error::Bits { given: bits, known: "2, 3, 4 and 8" });
    }
    let words = |values: usize, dimension| whole_words(values, bits, dimension);
    let groups = groups(layer.scales.len(), outputs)?;
    length("qweight", layer.qweight.len(), product(words(inputs, "inputs")?, outputs)?)?;
    let zero_words = words(outputs, "outputs")?;
    length("qzeros", layer.qzeros.len(), product(groups, zero_words)?)?;
    length("output", out.len(), product(inputs, outputs)?)?;
    let group_of = group_of_inputs(layer.grouping, inputs, groups)?;
    let more = match layer.zero_points {
        ZeroPoints::LessOne => 1,
        ZeroPoints::AsTheyAre => 0,
    };
    let zeros: Vec<i32> = (0..groups)
        .flat_map(|group| {
            let row = &layer.qzeros[group * zero_words..][..zero_words];
            (0..outputs).map(move |at| field(|word| row[word], at, bits) + more)
        })
        .collect();
    for (output, weights) in out.chunks_exact_mut(inputs.max(1)).enumerate() {
        for (input, weight) in weights.iter_mut().enumerate() {
            let integer = field(|word| layer.qweight[word * outputs + output], input, bits);
            let place = group_of[input] * outputs + output;
            *weight = layer.scales[place] * (integer - zeros[place]) as f32;
        }
    }
    Ok(())
}

/// The field of `bits` at a place in a stream of words.
fn field(word: impl Fn(usize) -> i32, at: usize, bits: u32) -> i32 {
    let first = at * bits as usize;
    let (at, shift) = (first / 32, first % 32);
    let mut value = (word(at) as u32) >> shift;
    if shift + bits as usize > 32 {
        value |= (word(at + 1) as u32) << (32 - shift);
    }
    (value & ((1 << bits) - 1)).cast_signed()
}

fn whole_words(values: usize, bits: u32, dimension: &'static str) -> Result<usize, Error> {
    if !values.is_multiple_of(32) && !product(values, bits as usize)?.is_multiple_of(32) {
        return Err(Error::Packing {
            dimension,
            given: values,
            expected: "a number that fills whole 32-bit words",
        });
    }
    Ok(product(values, bits as usize)? / 32)
}

/// How many groups the scales are for.
pub(crate) fn groups(scales: usize, outputs: usize) -> Result<usize, Error> {
    if outputs == 0 || scales == 0 || !scales.is_multiple_of(outputs) {
        let expected = "not zero, and a divisor of the number of scales";
        return Err(Error::Packing { dimension: "number of outputs", given: outputs, expected });
    }
    Ok(scales / outputs)
}

/// The group of each input, each below `groups`.
pub(crate) fn group_of_inputs(
    grouping: Grouping<'_>,
    inputs: usize,
    groups: usize,
) -> Result<Vec<usize>, Error> {
    let out_of_range = |input, group| Error::GroupIndex { input, group, groups };
    match grouping {
        Grouping::Even(0) => Err(Error::Packing {
            dimension: "group size",
            given: 0,
            expected: "the inputs that share a scale",
        }),
        Grouping::Even(size) => (0..inputs)
            .map(|input| {
                let group = input / size;
                if group < groups {
                    Ok(group)
                } else {
                    Err(out_of_range(input, i64::try_from(group).unwrap_or(i64::MAX)))
                }
            })
            .collect(),
        Grouping::Index(index) => {
            length("g_idx", index.len(), inputs)?;
            let group = |(input, group): (usize, &i32)| {
                usize::try_from(*group)
                    .ok()
                    .filter(|group| *group < groups)
                    .ok_or_else(|| out_of_range(input, i64::from(*group)))
            };
            index.iter().enumerate().map(group).collect()
        }
    }
}

pub(crate) fn product(one: usize, other: usize) -> Result<usize, Error> {
    let expected = "small enough for the product of the dimensions to be counted";
    one.checked_mul(other).ok_or(Error::Packing { dimension: "dimension", given: one, expected })
}

pub(crate) fn length(buffer: &'static str, given: usize, needed: usize) -> Result<(), Error> {
    if given == needed { Ok(()) } else { Err(Error::BufferLength { buffer, given, needed }) }
}
