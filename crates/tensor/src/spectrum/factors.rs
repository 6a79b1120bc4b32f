//! The factors of a low-rank change, decomposed.

use faer::{Mat, MatRef};

use super::decomposed;
use crate::Error;
use crate::peft::LoraModule;

/// A low-rank change `s·B·A` with decoded factors.
#[derive(Debug, Clone)]
pub struct LowRank {
    scaling: f64,
    /// `rows × rank`.
    pub(super) b: Mat<f64>,
    /// `Aᵀ`: `columns × rank`.
    pub(super) a_transposed: Mat<f64>,
}

impl LowRank {
    /// From row-major factors: `a` is `rank × columns`, `b` is `rows × rank`.
    ///
    /// # Errors
    /// [`Error::Element`] where an element is not finite or as large as 2^128, [`Error::Unmeasurable`] where the
    /// lengths do not fit, a dimension is zero, or `scaling` is not finite.
    pub fn new(a: &[f64], b: &[f64], rank: usize, scaling: f64) -> Result<Self, Error> {
        let refused = |reason| Error::Unmeasurable { place: String::new(), reason };
        if rank == 0
            || a.is_empty()
            || b.is_empty()
            || !a.len().is_multiple_of(rank)
            || !b.len().is_multiple_of(rank)
        {
            return Err(refused("its factors do not fit together"));
        }
        if !scaling.is_finite() {
            return Err(refused("its scaling is not known"));
        }
        let beyond = 2.0_f64.powi(128);
        for (tensor, values) in [("A", a), ("B", b)] {
            // Written so that a NaN is found too.
            if let Some(index) =
                values.iter().position(|value| !matches!(value.abs(), magnitude if magnitude < beyond))
            {
                return Err(Error::Element { tensor: tensor.to_owned(), index: index as u64 });
            }
        }
        Ok(Self::from_parts(a, b, rank, scaling))
    }

    /// The factors of an adapter's module.
    ///
    /// # Errors
    /// [`Error::Element`] where a factor holds an element that is not finite or out of the range of `f32`.
    pub(super) fn of(module: &LoraModule<'_>) -> Result<Self, Error> {
        module.a.check_elements()?;
        module.b.check_elements()?;
        Ok(Self::from_parts(&module.a.decoded(), &module.b.decoded(), module.rank, module.scaling))
    }

    fn from_parts(a: &[f64], b: &[f64], rank: usize, scaling: f64) -> Self {
        let (columns, rows) = (a.len() / rank, b.len() / rank);
        let a_transposed = MatRef::from_column_major_slice(a, columns, rank).to_owned();
        let b = MatRef::from_row_major_slice(b, rows, rank).to_owned();
        Self { scaling, b, a_transposed }
    }

    /// Rows of the product.
    pub fn rows(&self) -> usize {
        self.b.nrows()
    }

    /// Columns of the product.
    pub fn columns(&self) -> usize {
        self.a_transposed.nrows()
    }

    /// Width of the factors.
    pub fn rank(&self) -> usize {
        self.b.ncols()
    }

    /// The magnitude of the scaling.
    pub(super) fn scale(&self) -> f64 {
        self.scaling.abs()
    }

    /// Multiply-adds of the decompositions and the norms, from above.
    pub(super) fn cost(&self) -> u64 {
        let (rows, columns, rank) = (self.rows() as u64, self.columns() as u64, self.rank() as u64);
        let core = rank.min(rows.max(columns));
        let both = rows.saturating_add(columns);
        let reduced = both.saturating_mul(rank).saturating_mul(core).saturating_mul(4);
        reduced.saturating_add(core.saturating_mul(core).saturating_mul(core).saturating_mul(32))
    }

    /// The singular values, falling.
    pub(super) fn singular_values(&self, place: &str) -> Result<Vec<f64>, Error> {
        let b = self.b.qr();
        let a = self.a_transposed.qr();
        let mut values = decomposed((b.thin_R() * a.thin_R().transpose()).as_ref(), place)?;
        for value in &mut values {
            *value *= self.scale();
        }
        Ok(values)
    }

    /// The change in orthogonal form, apart from the scaling.
    pub(super) fn orthogonal(&self, place: &str) -> Result<Orthogonal, Error> {
        let b = self.b.qr();
        let a = self.a_transposed.qr();
        let core = b.thin_R() * a.thin_R().transpose();
        let decomposition =
            core.thin_svd().map_err(|_| Error::SpectrumUnsettled { place: place.to_owned() })?;
        let values: Vec<f64> = decomposition.S().column_vector().iter().copied().collect();
        let most = values.first().copied().unwrap_or_default();
        // Directions below the rounding of the leading one are rounding themselves.
        let kept = values.iter().take_while(|value| **value > most * f64::EPSILON).count();
        let v = decomposition.V().subcols(0, kept);
        let right = a.compute_thin_Q() * v;
        let left = &self.b * (a.thin_R().transpose() * v);
        Ok(Orthogonal { values, left, right })
    }
}

/// `B·A = left·rightᵀ`: the columns of `left` (`rows × kept`) are orthogonal and as long as the singular values, those of
/// `right` (`columns × kept`) are orthogonal and of length one.
#[derive(Debug)]
pub(super) struct Orthogonal {
    /// All singular values, falling.
    pub(super) values: Vec<f64>,
    pub(super) left: Mat<f64>,
    pub(super) right: Mat<f64>,
}
