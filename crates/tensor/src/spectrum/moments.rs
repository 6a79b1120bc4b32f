//! The kurtosis of a low-rank matrix's elements, exactly, without the elements.
#![expect(clippy::cast_precision_loss, reason = "counts of elements, far below 2^53 in any file that exists")]

use faer::linalg::matmul::triangular::{BlockStructure, matmul as triangular};
use faer::{Accum, Mat, MatRef, Par};

use super::factors::Orthogonal;
use crate::measure::Work;

/// Rows handled at a time: a block of them times the pairs of columns stays within a few megabytes for common ranks.
const BLOCK: usize = 512;

/// Most pairs of columns for which the Gram matrices of the pairs are formed; beyond it elements are streamed.
const PAIRS_MAX: usize = 2048;

/// Share of the sum of squares that must lie beside the mean; below it the elements are equal but for rounding.
const CONSTANT: f64 = 1e-10;

/// Pearson's kurtosis (3 for a normal distribution) of all elements of `left·rightᵀ`. Nothing for a constant matrix, or
/// where `work` does not reach.
///
/// With `x_ij = Σ_k l_ik·r_jk` the sum of fourth powers is `Σ_{k,l,m,n} (Σ_i l_ik l_il l_im l_in)(Σ_j r_jk r_jl r_jm r_jn)`:
/// the inner product of two Gram matrices, those of the products of pairs of columns. The mean is taken away by one more
/// column, `-mean` in `left` and 1 in `right`. That costs `pairs²/2 · (rows + columns)`; where streaming the elements,
/// `rows · columns · rank`, costs less, they are streamed.
pub(super) fn kurtosis(factors: &Orthogonal, work: &mut Work) -> Option<f64> {
    let (left, right) = centred(factors)?;
    let (rows, columns, width) = (left.nrows() as u64, right.nrows() as u64, left.ncols() as u64);
    let pairs = width * (width + 1) / 2;
    let paired = (rows + columns).saturating_mul(pairs).saturating_mul(pairs) / 2;
    let streamed = rows.saturating_mul(columns).saturating_mul(width + 4);
    let (second, fourth) = if paired < streamed && pairs <= PAIRS_MAX as u64 {
        work.spend(paired)?;
        (second_moment(&left, &right), paired_fourth(left.as_ref(), right.as_ref()))
    } else {
        work.spend(streamed)?;
        streamed_moments(left.as_ref(), right.as_ref())
    };
    let count = rows as f64 * columns as f64;
    let variance = second / count;
    let answer = fourth / count / (variance * variance);
    let most = factors.values.first()?;
    let whole: f64 = factors.values.iter().map(|value| (value / most) * (value / most)).sum();
    (second > whole * CONSTANT && answer.is_finite()).then_some(answer)
}

/// The factors, scaled so that the leading singular value is one, with the column that takes the mean away.
fn centred(factors: &Orthogonal) -> Option<(Mat<f64>, Mat<f64>)> {
    let most = factors.values.first().copied().filter(|most| *most > 0.0)?;
    let kept = factors.left.ncols();
    let sum = |matrix: &Mat<f64>, column: usize| -> f64 { matrix.col(column).iter().sum() };
    let total: f64 = (0..kept).map(|k| sum(&factors.left, k) / most * sum(&factors.right, k)).sum();
    let mean = total / (factors.left.nrows() as f64 * factors.right.nrows() as f64);
    let left = Mat::from_fn(factors.left.nrows(), kept + 1, |i, k| {
        if k < kept { factors.left.get(i, k) / most } else { -mean }
    });
    let right =
        Mat::from_fn(
            factors.right.nrows(),
            kept + 1,
            |j, k| if k < kept { *factors.right.get(j, k) } else { 1.0 },
        );
    Some((left, right))
}

/// The sum of squares: the inner product of the Gram matrices of the columns.
fn second_moment(left: &Mat<f64>, right: &Mat<f64>) -> f64 {
    let (left, right) = (left.transpose() * left, right.transpose() * right);
    inner(&left, &right, |_| 1.0)
}

/// The sum of fourth powers, by the Gram matrices of pairs of columns.
fn paired_fourth(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> f64 {
    let width = left.ncols();
    let pairs: Vec<(usize, usize)> = (0..width).flat_map(|k| (k..width).map(move |l| (k, l))).collect();
    let (left, right) = (pair_gram(left, &pairs), pair_gram(right, &pairs));
    // A pair of two different columns stands for both of its orders.
    inner(&left, &right, |p| pairs.get(p).map_or(0.0, |(k, l)| if k == l { 1.0 } else { 2.0 }))
}

/// `Σ w_p·w_q·x_pq·y_pq` of two symmetric matrices of which the lower half is given.
fn inner(x: &Mat<f64>, y: &Mat<f64>, weight: impl Fn(usize) -> f64) -> f64 {
    let size = x.nrows();
    let mut sum = 0.0;
    for q in 0..size {
        let mut column = 0.5 * weight(q) * x.get(q, q) * y.get(q, q);
        for p in q + 1..size {
            column += weight(p) * x.get(p, q) * y.get(p, q);
        }
        sum += 2.0 * weight(q) * column;
    }
    sum
}

/// The lower half of the Gram matrix of the products of pairs of columns.
fn pair_gram(factor: MatRef<'_, f64>, pairs: &[(usize, usize)]) -> Mat<f64> {
    let mut gram = Mat::zeros(pairs.len(), pairs.len());
    let mut start = 0;
    while start < factor.nrows() {
        let height = BLOCK.min(factor.nrows() - start);
        let block = factor.subrows(start, height);
        let mut products = Mat::zeros(height, pairs.len());
        for (p, &(k, l)) in pairs.iter().enumerate() {
            let columns = block.col(k).iter().zip(block.col(l).iter());
            for (cell, (x, y)) in products.col_mut(p).iter_mut().zip(columns) {
                *cell = x * y;
            }
        }
        triangular(
            gram.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            products.transpose(),
            BlockStructure::Rectangular,
            products.as_ref(),
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
        start += height;
    }
    gram
}

/// The sums of squares and of fourth powers, from the elements, a few columns at a time.
fn streamed_moments(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> (f64, f64) {
    let (mut second, mut fourth) = (0.0, 0.0);
    let step = (BLOCK * BLOCK / left.nrows().max(1)).max(1);
    let mut start = 0;
    while start < right.nrows() {
        let width = step.min(right.nrows() - start);
        let elements = left * right.subrows(start, width).transpose();
        for column in elements.col_iter() {
            let (mut squares, mut fourths) = ([0.0_f64; 8], [0.0_f64; 8]);
            let column = column.try_as_col_major().map_or(&[] as &[f64], faer::ColRef::as_slice);
            for chunk in column.chunks(8) {
                for ((square, power), value) in squares.iter_mut().zip(&mut fourths).zip(chunk) {
                    let squared = value * value;
                    *square += squared;
                    *power += squared * squared;
                }
            }
            second += squares.iter().sum::<f64>();
            fourth += fourths.iter().sum::<f64>();
        }
        start += width;
    }
    (second, fourth)
}
