//! 8-bit integers with one scale a row (LLM.int8, arXiv 2208.07339).

use super::length;
use crate::Error;

/// Weights as integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Rows {
    /// Row-major, from -127 to 127.
    pub values: Vec<i8>,
    /// The largest magnitude of each row, outliers left aside.
    pub row_absmax: Vec<f32>,
    /// The columns with a magnitude of at least the threshold; their integers are zero.
    pub outlier_columns: Vec<usize>,
}

/// Quantises each row to its largest magnitude over 127 (`int8_vectorwise_quant`, default back end). With a threshold,
/// columns that hold a magnitude of at least that are zeroed, and named; a single row keeps the rest of its columns.
///
/// The library quantises a layer's weights with no threshold, after rounding them to half precision
/// (`Int8Params`): [`half_bits`](crate::half_bits) and [`half`](crate::half) do that. Thresholds are for activations.
///
/// # Errors
/// Columns that do not divide the weights, and weights that are not finite.
pub fn quantize_int8(weights: &[f32], columns: usize, threshold: Option<f32>) -> Result<Int8Rows, Error> {
    if columns == 0 || !weights.len().is_multiple_of(columns) {
        return Err(Error::Rows { elements: weights.len(), row_len: columns });
    }
    if let Some(index) = weights.iter().position(|weight| !weight.is_finite()) {
        return Err(Error::NotFinite { index });
    }
    let outlier = |weight: f32| threshold.is_some_and(|threshold| weight.abs() >= threshold);
    let mut outliers = vec![false; columns];
    for row in weights.chunks_exact(columns) {
        for (column, weight) in outliers.iter_mut().zip(row) {
            *column |= outlier(*weight);
        }
    }
    let rows = weights.len() / columns;
    let mut values = Vec::with_capacity(weights.len());
    let mut row_absmax = Vec::with_capacity(rows);
    for row in weights.chunks_exact(columns) {
        let kept = row.iter().map(|weight| if outlier(*weight) { 0.0 } else { *weight });
        let magnitude =
            kept.clone().fold(0.0_f32, |most, weight| if weight.abs() > most { weight.abs() } else { most });
        row_absmax.push(magnitude);
        // PyTorch divides a number by a tensor in two roundings.
        let factor = (1.0 / magnitude) * 127.0;
        values.extend(kept.zip(&outliers).map(|(weight, outlier)| {
            if rows > 1 && *outlier { 0 } else { to_int8((weight * factor).round_ties_even()) }
        }));
    }
    let outlier_columns =
        outliers.iter().enumerate().filter(|(_, outlier)| **outlier).map(|(at, _)| at).collect();
    Ok(Int8Rows { values, row_absmax, outlier_columns })
}

/// At most 127 in magnitude, unless the row's inverse is infinite: what comes of that becomes zero, as in PyTorch.
#[allow(clippy::cast_possible_truncation, reason = "at most 127 in magnitude")]
fn to_int8(value: f32) -> i8 {
    if value.abs() < 128.0 { value as i8 } else { 0 }
}

/// Turns rows back into weights (`int8_vectorwise_dequant`).
///
/// # Errors
/// Buffers whose lengths do not fit the weights.
pub fn dequantize_int8(
    values: &[i8],
    row_absmax: &[f32],
    columns: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    if columns == 0 || !out.len().is_multiple_of(columns) {
        return Err(Error::Rows { elements: out.len(), row_len: columns });
    }
    length("values", values.len(), out.len())?;
    length("row magnitudes", row_absmax.len(), out.len() / columns)?;
    for ((out, values), absmax) in
        out.chunks_exact_mut(columns).zip(values.chunks_exact(columns)).zip(row_absmax)
    {
        for (weight, value) in out.iter_mut().zip(values) {
            *weight = f32::from(*value) * absmax * 7.874_016e-3;
        }
    }
    Ok(())
}
