//! How far a change goes, as integers that never understate it.
//!
//! # What is measured
//! - For a low-rank module, `ΔW = s·B·A`: its Frobenius norm, through the `rank × rank` Gram matrices
//!   (`‖BA‖²_F = tr((BᵀB)(AAᵀ))`), and its largest element, from the elements themselves.
//! - For a weight-decomposed module (DoRA), the change of the weight that results, row by row, which takes the
//!   base weight.
//! - For a tensor replaced whole, the difference, element by element.
//! - Each relative to the base weight: `‖ΔW‖_F / ‖W‖_F` and `max|ΔW| / max|W|`.
//!
//! # Units
//! Relative values in parts per million, absolute ones in units of 10^-9 (`nano`), both rounded up and saturating
//! at [`SATURATED`], the largest integer that every JSON reader keeps exactly.
//!
//! # Soundness
//! Elements are decoded exactly and must be zero or lie within the range of `f32`
//! ([`View::check_elements`]), so that nothing overflows or vanishes on the way. Sums are taken in `f64`; an
//! a-priori bound on all their rounding errors is added to what is reported (Higham, *Accuracy and Stability of
//! Numerical Algorithms*, 2nd ed., section 3.1) and, for the base weight, subtracted. So the integer is never
//! below the true value, and factors made so that large terms cancel cannot hide a change behind rounding. For
//! adapters that were trained rather than contrived the allowance is below one part in 10^9.
//!
//! The measure is of the mathematical `ΔW`. An engine that merges it into a coarser dtype rounds each sum once
//! more; that is the engine's doing and is seen when its own weights are compared with [`tensor()`].
//!
//! # Determinism
//! Only `+ - * /` and square root of `f64`, all correctly rounded by IEEE 754, in an order that the code fixes:
//! no fused multiply-add, no transcendental function, no thread. The same bytes give the same integers on every
//! machine, whatever vector width the compiler chooses.
//!
//! # Bounded work
//! The largest element takes up to `rows · columns · rank` multiply-adds. [`Work`] is the caller's limit, counted
//! exactly and so deterministically; where it runs out the answer is the Cauchy-Schwarz bound
//! `s·max‖b_i‖·max‖a_j‖`, marked [`Extent::Bound`].

mod dense;
mod factors;
pub(crate) mod round;

use crate::Error;
use crate::peft::{Layer, LoraModule};
use crate::safetensors::View;

use factors::Factors;
pub use round::SATURATED;
use round::{Upper, nano, ppm, ratio, share_ppm};

/// The largest rank that is measured. It keeps the memory needed in proportion to the file.
pub const RANK_MAX: usize = 65_536;

/// Multiply-adds that may still be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    left: u64,
}

impl Work {
    /// A limit of so many multiply-adds in all.
    pub const fn limit(multiply_adds: u64) -> Self {
        Self { left: multiply_adds }
    }

    /// What is left of it.
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Takes `cost` if that much is left.
    pub(crate) fn spend(&mut self, cost: u64) -> Option<()> {
        self.left = self.left.checked_sub(cost)?;
        Some(())
    }
}

/// Whether a number is the value itself (up to the rounding allowance) or only known not to be below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every element was computed, or shown not to matter.
    Exact,
    /// An upper bound, because the work limit ran out.
    Bound,
}

/// A change relative to the weight it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relative {
    /// `‖ΔW‖_F / ‖W‖_F` in parts per million.
    pub frobenius_ppm: u64,
    /// `max|ΔW| / max|W|` in parts per million.
    pub element_ppm: u64,
}

/// How far one module or tensor is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// `‖ΔW‖_F` in units of 10^-9.
    pub frobenius_nano: u64,
    /// Whether `frobenius_nano`, and the relative value with it, is exact.
    pub frobenius_extent: Extent,
    /// `max|ΔW|` in units of 10^-9.
    pub element_nano: u64,
    /// Whether `element_nano`, and the relative value with it, is exact.
    pub element_extent: Extent,
    /// Relative to the base weight, where it was given.
    pub relative: Option<Relative>,
    /// Share of elements whose bytes differ, in parts per million; for tensors replaced whole.
    pub changed_ppm: Option<u64>,
}

/// Upper bounds on the two norms of a change, before they become integers.
#[derive(Debug, Clone, Copy)]
struct Norms {
    frobenius: Upper,
    frobenius_extent: Extent,
    element: Upper,
    element_extent: Extent,
}

impl Norms {
    fn against(self, base: Option<WeightNorms>) -> Change {
        Change {
            frobenius_nano: nano(self.frobenius),
            frobenius_extent: self.frobenius_extent,
            element_nano: nano(self.element),
            element_extent: self.element_extent,
            relative: base.map(|base| Relative {
                frobenius_ppm: ppm(ratio(self.frobenius, base.frobenius)),
                element_ppm: ppm(ratio(self.element, base.element)),
            }),
            changed_ppm: None,
        }
    }
}

/// Lower bounds on the norms of a base weight.
#[derive(Debug, Clone, Copy)]
struct WeightNorms {
    frobenius: f64,
    element: f64,
}

impl WeightNorms {
    fn of(view: &View<'_>) -> Result<Self, Error> {
        view.check_elements()?;
        let (mut squares, mut element, mut parts) = (0.0, 0.0_f64, 0_usize);
        view.walk(|values| {
            squares += round::dot(values, values);
            element = element.max(round::largest(values));
            parts += 1;
        });
        let frobenius = round::lower_root(squares, round::DOT_CHAIN + parts);
        Ok(Self { frobenius, element })
    }
}

/// Measures a low-rank module, relative to `base` where it is given.
///
/// # Errors
/// [`Error::Element`] where a factor or the base holds an element out of range; [`Error::Shape`] where the base
/// has another shape; [`Error::NeedsBase`] and [`Error::Unmeasurable`] for weight-decomposed modules without
/// a base, over the work limit, or of a kind that is not a plain linear layer.
pub fn module(
    module: &LoraModule<'_>,
    base: Option<&View<'_>>,
    layout: BaseLayout,
    work: &mut Work,
) -> Result<Change, Error> {
    let transposed = matches!(module.layer, Layer::Embedding) != matches!(layout, BaseLayout::InOut);
    if let Some(base) = base {
        check_shape(module, base, transposed)?;
        if !base.dtype.is_plain_float() {
            return unmeasurable(module, "its base weight is quantised, with scales that stand elsewhere");
        }
    }
    module.a.check_elements()?;
    module.b.check_elements()?;
    if !module.scaling.is_finite() {
        return unmeasurable(module, "its scaling is not known");
    }
    if module.rank > RANK_MAX {
        return unmeasurable(module, "its rank is beyond any in use");
    }
    let factors = Factors::of(module);
    if let Some(magnitude) = &module.magnitude {
        let Some(base) = base else {
            return Err(Error::NeedsBase { place: module.path.to_owned() });
        };
        if transposed || matches!(module.layer, Layer::Embedding) {
            return unmeasurable(module, "magnitude vectors are measured on plain linear layers only");
        }
        let weight = WeightNorms::of(base)?;
        return Ok(dense::decomposed(module, &factors, magnitude, base, work)?.against(Some(weight)));
    }
    let norms = factors.norms(work);
    let weight = base.map(WeightNorms::of).transpose()?;
    Ok(norms.against(weight))
}

/// How the base weight of a linear layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseLayout {
    /// `out × in`, as most libraries do.
    OutIn,
    /// `in × out`, which `fan_in_fan_out` declares.
    InOut,
}

/// Measures the difference between two tensors of one shape and dtype, relative to the old one.
///
/// # Errors
/// [`Error::Shape`] where shape or dtype differ; [`Error::Element`] where either holds an element out of range.
pub fn tensor(old: &View<'_>, new: &View<'_>) -> Result<Change, Error> {
    if old.shape != new.shape || old.dtype != new.dtype {
        return Err(Error::Shape {
            place: new.name.to_owned(),
            change: format!("{} {:?}", new.dtype.name(), new.shape),
            base: format!("{} {:?}", old.dtype.name(), old.shape),
        });
    }
    let weight = WeightNorms::of(old)?;
    new.check_elements()?;
    let mut change = dense::difference(old, new).against(Some(weight));
    let size = old.dtype.bytes();
    let pairs = old.data.chunks_exact(size).zip(new.data.chunks_exact(size));
    let changed = pairs.filter(|(old, new)| old != new).count();
    change.changed_ppm = Some(share_ppm(changed, old.elements_len()));
    Ok(change)
}

/// Measures a tensor that replaces one that is not at hand: nothing is known about the difference, so both
/// norms are saturated.
pub const fn unknown_difference() -> Change {
    Change {
        frobenius_nano: SATURATED,
        frobenius_extent: Extent::Bound,
        element_nano: SATURATED,
        element_extent: Extent::Bound,
        relative: None,
        changed_ppm: None,
    }
}

fn unmeasurable<T>(module: &LoraModule<'_>, reason: &'static str) -> Result<T, Error> {
    Err(Error::Unmeasurable { place: module.path.to_owned(), reason })
}

/// The base weight has the shape of `ΔW`. Trailing dimensions of a convolution are taken as one.
fn check_shape(module: &LoraModule<'_>, base: &View<'_>, transposed: bool) -> Result<(), Error> {
    let (rows, columns) =
        if transposed { (module.columns, module.rows) } else { (module.rows, module.columns) };
    let inner = |inner: &[usize]| inner.iter().try_fold(1_usize, |product, &next| product.checked_mul(next));
    let fits = match base.shape {
        [first, rest @ ..] if !rest.is_empty() => *first == rows && inner(rest) == Some(columns),
        _ => false,
    };
    // A transposed convolution's elements would not stand where a flattened product puts them, but both norms
    // are the same in any arrangement, so only the two numbers have to agree.
    if fits {
        Ok(())
    } else {
        Err(Error::Shape {
            place: module.path.to_owned(),
            change: format!("[{rows}, {columns}]"),
            base: format!("{:?}", base.shape),
        })
    }
}

#[cfg(test)]
mod tests;
