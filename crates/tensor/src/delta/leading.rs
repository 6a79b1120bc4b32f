//! The leading singular values of a large change, which is never held.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::Operand;
use super::walk::Part;
use crate::Error;

/// Directions that are followed. The last few of them only speed up the others.
pub(super) const DIRECTIONS: usize = 48;
/// Singular values that are answered.
const ANSWERED: usize = 40;
/// Elements of a block of rows.
const BLOCK: usize = 1 << 20;

/// Subspace iteration from a random start (Halko, Martinsson and Tropp, SIAM Review 53, 2011, algorithm 4.4), with one
/// round beyond it, so four passes over both tensors; memory for a block of rows and [`DIRECTIONS`] columns.
///
/// Answers singular values of `QᵀΔ` with orthonormal `Q`, none of which exceeds the true one, and `beyond`, the root of
/// `‖Δ‖²_F - ‖QᵀΔ‖²_F`: since `ΔᵀΔ = (QᵀΔ)ᵀ(QᵀΔ) + RᵀR` with `‖R‖_F = beyond`, a true value's square exceeds the
/// answered one's by at most `beyond²` (Weyl), whatever the random start was.
pub(super) fn leading(
    old: &dyn Operand,
    new: &dyn Operand,
    rows: usize,
    columns: usize,
    squares: f64,
    seed: u64,
) -> Result<(Vec<f64>, f64), Error> {
    let width = DIRECTIONS.min(rows).min(columns);
    let delta = Delta { old, new, rows, columns };
    let mut signs = Signs(seed);
    let start = Mat::from_fn(columns, width, |_, _| signs.draw());
    let range = delta.times(&start)?;
    let back = delta.transposed_times(&orthonormal(&range))?;
    let range = delta.times(&orthonormal(&back))?;
    let projected = delta.transposed_times(&orthonormal(&range))?;
    let unsettled = |_| Error::SpectrumUnsettled { place: crate::error::shown(new.name()) };
    let mut values = projected.singular_values().map_err(unsettled)?;
    values.truncate(ANSWERED);
    let answered: f64 = values.iter().map(|value| value * value).sum();
    // The sums carry rounding of their own, which the difference of two nearly equal ones would show.
    let rounding = squares * 1e-12;
    Ok((values, (squares - answered).max(rounding).sqrt()))
}

fn orthonormal(columns: &Mat<f64>) -> Mat<f64> {
    columns.qr().compute_thin_Q()
}

/// `new - old`, a block of rows at a time.
struct Delta<'a> {
    old: &'a dyn Operand,
    new: &'a dyn Operand,
    rows: usize,
    columns: usize,
}

impl Delta<'_> {
    fn blocks(&self, mut each: impl FnMut(usize, MatRef<'_, f64>)) -> Result<(), Error> {
        let height = (BLOCK / self.columns.max(1)).clamp(1, self.rows.max(1));
        let mut part = Part::default();
        let mut row = 0;
        while row < self.rows {
            let count = height.min(self.rows - row);
            part.read(self.old, self.new, row * self.columns, count * self.columns)?;
            each(row, MatRef::from_row_major_slice(&part.difference, count, self.columns));
            row += count;
        }
        Ok(())
    }

    fn times(&self, right: &Mat<f64>) -> Result<Mat<f64>, Error> {
        let mut product = Mat::zeros(self.rows, right.ncols());
        self.blocks(|row, block| {
            let part = product.as_mut().subrows_mut(row, block.nrows());
            matmul(part, Accum::Replace, block, right.as_ref(), 1.0, Par::Seq);
        })?;
        Ok(product)
    }

    fn transposed_times(&self, left: &Mat<f64>) -> Result<Mat<f64>, Error> {
        let mut product = Mat::zeros(self.columns, left.ncols());
        self.blocks(|row, block| {
            let part = left.as_ref().subrows(row, block.nrows());
            matmul(product.as_mut(), Accum::Add, block.transpose(), part, 1.0, Par::Seq);
        })?;
        Ok(product)
    }
}

/// Signs from SplitMix64 (Steele, Lea, Flood, 2014): the random start, the same for the same seed.
struct Signs(u64);

impl Signs {
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        if (mixed ^ (mixed >> 31)) >> 63 == 0 { 1.0 } else { -1.0 }
    }
}
