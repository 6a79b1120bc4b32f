//! What a spectrum and the norms of rows and columns say in a few numbers.
#![expect(clippy::cast_precision_loss, reason = "dimensions of matrices, far below 2^53")]

use faer::Mat;

use super::factors::{LowRank, Orthogonal};
use super::moments;
use crate::Error;
use crate::measure::Work;

/// Singular values below this share of the largest are taken for the rounding of weights kept in BF16, and left out of
/// the entropy.
pub const NOISE_FLOOR: f64 = 1e-3;

/// How many of the strongest rows `row_top8_share` counts.
const TOP_ROWS: usize = 8;

/// Which way round the product of the factors stands in the weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As `B·A`.
    AsIs,
    /// As `(B·A)ᵀ`.
    Transposed,
}

/// The spectrum of one change, and what follows from it.
///
/// The statistics from `top1_energy` on do not depend on the size of the change, only on its form. Where the change is
/// zero there are none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Rows of the weight.
    pub rows: usize,
    /// Columns of the weight.
    pub columns: usize,
    /// Width of the factors: an upper bound on the rank.
    pub rank: usize,
    /// The singular values, falling: the smallest of rows, columns and rank.
    pub singular_values: Vec<f64>,
    /// The Frobenius norm: the root of the sum of squared singular values.
    pub frobenius: f64,
    /// The spectral norm: the largest singular value.
    pub spectral: f64,
    /// What depends on the form alone; nothing for a change of zero.
    pub form: Option<Form>,
}

/// The form of a change that is not zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// `ln(‖ΔW‖_F / √(rows·columns))`: the strength of the update per element, on a logarithmic scale.
    pub log_rms: f64,
    /// `σ₁² / Σσ²`: the share of the leading direction, from 1/rank to 1.
    pub top1_energy: f64,
    /// `Σσ² / σ₁²`, from 1 to the rank.
    pub stable_rank: f64,
    /// `-Σ e·ln e / ln(rank)` over the shares `e` of the squared singular values above [`NOISE_FLOOR`], from 0 to 1; 0
    /// for rank one.
    pub spectral_entropy: f64,
    /// `ln(expected / stable_rank)`, where `expected = rank / (1 + √(rank/min(rows, columns)))²` is what factors of
    /// independent elements would have by the edge of the Marchenko-Pastur law. Above zero: more concentrated.
    pub excess_concentration: f64,
    /// Pearson's kurtosis of the elements, 3 for a normal distribution. Nothing where the work limit did not reach, or
    /// all elements are equal.
    pub kurtosis: Option<f64>,
    /// Hoyer's sparsity of the norms of the rows, `(√n - ‖x‖₁/‖x‖₂) / (√n - 1)`: 0 for equal norms, 1 for a single row
    /// (Hoyer, Journal of Machine Learning Research 5, 2004). Nothing for one row.
    pub row_hoyer: Option<f64>,
    /// The same of the columns.
    pub column_hoyer: Option<f64>,
    /// Share of the squared norm that lies in the eight strongest rows.
    pub row_top8_share: f64,
}

impl Statistics {
    pub(super) fn of_factors(
        factors: &LowRank,
        shape: Shape,
        place: &str,
        work: &mut Work,
    ) -> Result<Self, Error> {
        work.spend(factors.cost()).ok_or_else(|| Error::SpectrumWork { place: place.to_owned() })?;
        let orthogonal = factors.orthogonal(place)?;
        let kurtosis = moments::kurtosis(&orthogonal, work);
        Ok(Self::of(factors, shape, &orthogonal, kurtosis))
    }

    fn of(factors: &LowRank, shape: Shape, orthogonal: &Orthogonal, kurtosis: Option<f64>) -> Self {
        let scale = factors.scale();
        let singular_values: Vec<f64> = orthogonal.values.iter().map(|value| value * scale).collect();
        let spectral = singular_values.first().copied().unwrap_or_default();
        let shares = squared_shares(&singular_values);
        // Norms relative to the leading singular value, so that nothing overflows or vanishes.
        let relative: f64 = shares.first().map_or(0.0, |first| (1.0 / first).sqrt());
        let frobenius = if spectral > 0.0 { spectral * relative } else { 0.0 };
        // `left·rightᵀ` with orthonormal columns on the right: rows are as long as those of `left`; and the columns of the
        // product as those of `right`, each direction weighted by its singular value.
        let leading = orthogonal.values.first().copied().unwrap_or_default();
        let lengths = |matrix: &Mat<f64>, weight: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let mut squares = vec![0.0; matrix.nrows()];
            for k in 0..matrix.ncols() {
                for (square, value) in squares.iter_mut().zip(matrix.col(k).iter()) {
                    let part = value * weight(k);
                    *square += part * part;
                }
            }
            squares.iter().map(|square| square.sqrt()).collect()
        };
        let by_row = lengths(&orthogonal.left, &|_| 1.0 / leading);
        let by_column =
            lengths(&orthogonal.right, &|k| orthogonal.values.get(k).map_or(0.0, |value| value / leading));
        let ((rows, columns), (by_row, by_column)) = match shape {
            Shape::AsIs => ((factors.rows(), factors.columns()), (by_row, by_column)),
            Shape::Transposed => ((factors.columns(), factors.rows()), (by_column, by_row)),
        };
        let rank = factors.rank();
        let form = (spectral > 0.0).then(|| {
            let side = rows.min(columns) as f64;
            let top1_energy = shares.first().copied().unwrap_or(1.0);
            let stable_rank = 1.0 / top1_energy;
            let expected = rank as f64 / (1.0 + (rank as f64 / side).sqrt()).powi(2);
            Form {
                log_rms: libm::log(frobenius / (rows as f64 * columns as f64).sqrt()),
                top1_energy,
                stable_rank,
                spectral_entropy: entropy(&singular_values, rank),
                excess_concentration: libm::log(expected / stable_rank),
                kurtosis,
                row_hoyer: hoyer(&by_row),
                column_hoyer: hoyer(&by_column),
                row_top8_share: top_share(by_row),
            }
        });
        Self { rows, columns, rank, singular_values, frobenius, spectral, form }
    }
}

/// Each squared value's share of their sum; relative to the first, the largest. Nothing for all zeros.
pub(crate) fn squared_shares(values: &[f64]) -> Vec<f64> {
    let Some(first) = values.first().copied().filter(|first| *first > 0.0) else {
        return Vec::new();
    };
    let squares: Vec<f64> = values.iter().map(|value| (value / first) * (value / first)).collect();
    let sum: f64 = squares.iter().sum();
    squares.iter().map(|square| square / sum).collect()
}

fn entropy(values: &[f64], rank: usize) -> f64 {
    let floor = values.first().copied().unwrap_or_default() * NOISE_FLOOR;
    let kept: Vec<f64> = values.iter().copied().filter(|value| *value >= floor).collect();
    if rank < 2 {
        return 0.0;
    }
    let sum: f64 =
        squared_shares(&kept).iter().filter(|share| **share > 0.0).map(|e| e * libm::log(*e)).sum();
    // A single share has an entropy of zero, not of minus zero.
    (-sum / libm::log(rank as f64)).max(0.0)
}

pub(crate) fn hoyer(norms: &[f64]) -> Option<f64> {
    let (sum, squares) = norms.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    let root = (norms.len() as f64).sqrt();
    (norms.len() > 1 && squares > 0.0).then(|| ((root - sum / squares.sqrt()) / (root - 1.0)).clamp(0.0, 1.0))
}

fn top_share(mut norms: Vec<f64>) -> f64 {
    norms.sort_unstable_by(|x, y| y.total_cmp(x));
    let squares = |norms: &[f64]| norms.iter().map(|x| x * x).sum::<f64>();
    let all = squares(&norms);
    let top = squares(norms.get(..TOP_ROWS.min(norms.len())).unwrap_or_default());
    if all > 0.0 { top / all } else { 0.0 }
}
