//! The singular spectrum of a change, and how unevenly the change is spread.
//!
//! # What is computed
//! For a low-rank change `ΔW = s·B·A` ([`module`], [`singular_values`]) everything goes through the factors; `ΔW` is
//! never held. With thin decompositions `B = Q_B·R_B` and `Aᵀ = Q_A·R_A`, the singular values of `ΔW` are those of
//! `s·R_B·R_Aᵀ`, a matrix no larger than `rank × rank` (Golub and Van Loan, *Matrix Computations*, 4th ed.,
//! 5.4.9); the norm of row `i` is that of `b_i·R_Aᵀ`, the norm of column `j` that of `R_B·a_j`. For a matrix at hand
//! ([`matrix`]) the decomposition is of the matrix itself.
//!
//! [`family`] compares modules of one kind over the layers of a model.
//!
//! # Accuracy and determinism
//! A singular value is off by at most a modest multiple of `2^-52` times the largest product `‖R_B‖·‖R_A‖`; entries
//! are decoded exactly. One thread, and a fixed order of operations for a given machine: the same bytes give the same
//! numbers there. The decompositions use whatever vector unit is present, so that on another machine the last bits may
//! differ; what decides on these numbers must not hang on them. The integers of [`measure`](crate::measure), which are
//! the same everywhere and never understate, are the ones to sign.
//!
//! # What it does not do
//! It does not say that a change is bad. Published adapters differ so much among themselves that nearly each has a
//! module that stands out in one statistic.

mod factors;
pub mod family;
mod moments;
mod statistics;

use faer::MatRef;

use crate::Error;
use crate::measure::Work;
use crate::peft::{Layer, LoraModule};

pub use factors::LowRank;
use statistics::Shape;
pub use statistics::{Form, NOISE_FLOOR, Statistics};

/// The largest number of elements of a matrix that [`matrix`] decomposes: 1024 × 1024. Beyond it a decomposition takes
/// seconds, and [`crate::delta`] looks at the leading part of the spectrum instead.
pub const DENSE_ELEMENTS_MAX: usize = 1 << 20;

/// The spectrum and the statistics of a low-rank module's `s·B·A`, singular values falling.
///
/// Rows of the result are outputs of the layer; for an embedding, whose weight is `(B·A)ᵀ`, they are tokens. A magnitude
/// vector (DoRA) is left out of account: it scales rows of the sum of base and change.
///
/// # Errors
/// [`Error::Element`] where a factor holds an element that is not finite or out of range, [`Error::Unmeasurable`] where
/// the scaling is not known, [`Error::SpectrumWork`] where `work` does not reach for the spectrum,
/// [`Error::SpectrumUnsettled`].
pub fn module(module: &LoraModule<'_>, work: &mut Work) -> Result<Statistics, Error> {
    if !module.scaling.is_finite() {
        let reason = "its scaling is not known";
        return Err(Error::Unmeasurable { place: module.path.to_owned(), reason });
    }
    let factors = LowRank::of(module)?;
    let shape = match module.layer {
        Layer::Linear => Shape::AsIs,
        Layer::Embedding => Shape::Transposed,
    };
    Statistics::of_factors(&factors, shape, module.path, work)
}

/// The same of factors at hand. Rows of the result are outputs of the layer.
///
/// # Errors
/// [`Error::SpectrumWork`], [`Error::SpectrumUnsettled`].
pub fn statistics(factors: &LowRank, work: &mut Work) -> Result<Statistics, Error> {
    Statistics::of_factors(factors, Shape::AsIs, "", work)
}

/// The singular values of `s·B·A`, falling; as many as the smallest of rows, columns and rank.
///
/// # Errors
/// [`Error::SpectrumUnsettled`] where the iteration does not settle.
pub fn singular_values(factors: &LowRank) -> Result<Vec<f64>, Error> {
    factors.singular_values("")
}

/// The singular values of a row-major matrix, falling. `place` names it in an error.
///
/// # Errors
/// [`Error::SpectrumWork`] where it has more than [`DENSE_ELEMENTS_MAX`] elements or `values` does not fill it,
/// [`Error::Element`] where a value is not finite, [`Error::SpectrumUnsettled`].
pub fn matrix(values: &[f64], rows: usize, columns: usize, place: &str) -> Result<Vec<f64>, Error> {
    if values.len() > DENSE_ELEMENTS_MAX || rows.checked_mul(columns) != Some(values.len()) {
        return Err(Error::SpectrumWork { place: place.to_owned() });
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::Element { tensor: place.to_owned(), index: index as u64 });
    }
    if values.is_empty() {
        return Ok(Vec::new());
    }
    decomposed(MatRef::from_row_major_slice(values, rows, columns), place)
}

/// Singular values of a small matrix without elements that are not finite.
fn decomposed(matrix: MatRef<'_, f64>, place: &str) -> Result<Vec<f64>, Error> {
    matrix.singular_values().map_err(|_| Error::SpectrumUnsettled { place: place.to_owned() })
}

#[cfg(test)]
mod tests;
