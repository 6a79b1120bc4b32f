//! Two tensors of one shape, walked through side by side.
#![expect(clippy::cast_precision_loss, reason = "counts of elements, far below 2^53 in any file that exists")]

use super::leading::leading;
use super::{Effort, Operand, Rank, Spectrum};
use crate::Error;
use crate::error::shown;
use crate::measure::round::{self, DOT_CHAIN, Upper, dot, inflate, largest, ppm, ratio};
use crate::spectrum::{self, DENSE_ELEMENTS_MAX};

/// Elements compared at a time; [`DOT_CHAIN`] is the allowance for this many.
const PART: usize = 4096;

/// How one tensor stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The same bytes of the same type.
    Identical,
    /// Other bytes, or another type, and the same values.
    SameValues,
    /// Other values.
    Changed,
}

/// How far one tensor is from another.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorChange {
    /// Whether anything differs.
    pub relation: Relation,
    /// How many elements there are.
    pub elements: u64,
    /// How many of them differ in value.
    pub changed: u64,
    /// `‖ΔW‖_F / ‖W‖_F` in parts per million; never understated.
    pub relative_frobenius_ppm: u64,
    /// `max|ΔW| / max|W|` in parts per million; never understated.
    pub relative_element_ppm: u64,
    /// `‖ΔW‖_F`.
    pub frobenius_f64: f64,
    /// `‖W‖_F` of the old tensor.
    pub base_frobenius_f64: f64,
    /// `max|ΔW|`.
    pub element_f64: f64,
    /// `max|W|` of the old tensor.
    pub base_element_f64: f64,
    /// How the magnitudes of the differences are spread: `(e, n)` says that `n` of them lie from `2^e` up to, not
    /// including, `2^(e+2)`; `e` is odd and rises.
    pub magnitudes: Vec<(i32, u64)>,
    /// The spectrum, for changed matrices where it was asked for.
    pub spectrum: Option<Spectrum>,
}

impl TensorChange {
    /// `‖ΔW‖_F / ‖W‖_F`; infinite for any change of nothing.
    pub fn relative_f64(&self) -> f64 {
        if self.frobenius_f64 == 0.0 { 0.0 } else { self.frobenius_f64 / self.base_frobenius_f64 }
    }
}

/// Compares two tensors of one shape.
///
/// # Errors
/// [`Error::Shape`] where the shapes differ, [`Error::Element`] where either holds an element that is not finite or out
/// of range (named with the side), [`Error::SpectrumUnsettled`].
pub fn tensor(old: &dyn Operand, new: &dyn Operand, effort: Effort) -> Result<TensorChange, Error> {
    if old.shape() != new.shape() {
        return Err(Error::Shape {
            place: shown(new.name()),
            change: format!("{:?}", new.shape()),
            base: format!("{:?}", old.shape()),
        });
    }
    let elements = new.elements_len();
    let mut sums = Sums::default();
    let same_bytes = old.dtype() == new.dtype() && old.bytes() == new.bytes();
    if same_bytes {
        // Not decoded at all: no norms, and a value that is not finite is no change where it stood before.
        return Ok(sums.change(Relation::Identical, elements));
    }
    let mut part = Part::default();
    let mut first = 0;
    while first < elements {
        part.read(old, new, first, PART.min(elements - first))?;
        sums.add(&part);
        first += PART;
    }
    let relation = if sums.changed == 0 { Relation::SameValues } else { Relation::Changed };
    let mut change = sums.change(relation, elements);
    if relation == Relation::Changed {
        let grains = magnitudes(old, new, &mut change)?;
        if let Effort::Spectrum { seed } = effort {
            change.spectrum = spectrum_of(old, new, sums.squares, grains, seed)?;
        }
    }
    Ok(change)
}

/// A few elements of both sides and their difference.
#[derive(Debug, Default)]
pub(super) struct Part {
    old: Vec<f64>,
    new: Vec<f64>,
    pub(super) difference: Vec<f64>,
}

impl Part {
    pub(super) fn read(
        &mut self,
        old: &dyn Operand,
        new: &dyn Operand,
        first: usize,
        count: usize,
    ) -> Result<(), Error> {
        old.decode_part(first, count, &mut self.old);
        new.decode_part(first, count, &mut self.new);
        for (side, operand, values) in [("old", old, &self.old), ("new", new, &self.new)] {
            // One pass without a branch; what is wrong is looked for only where something is.
            if values.len() != count || !values.iter().fold(true, |all, value| all & measurable(*value)) {
                let at = values.iter().position(|value| !measurable(*value)).unwrap_or(values.len());
                let tensor = format!("{} ({side})", shown(operand.name()));
                return Err(Error::Element { tensor, index: (first + at) as u64 });
            }
        }
        self.difference.clear();
        self.difference.extend(self.new.iter().zip(&self.old).map(|(new, old)| new - old));
        Ok(())
    }
}

/// 2^-149, the smallest positive `f32`, and 2^128, one step beyond the largest. Between them no square of a difference
/// overflows or vanishes.
const SMALLEST: f64 = f64::from_bits((1023 - 149) << 52);
const BEYOND: f64 = f64::from_bits((1023 + 128) << 52);

#[expect(
    clippy::needless_bitwise_bool,
    clippy::manual_range_contains,
    reason = "without branches, so that the compiler takes several at a time"
)]
fn measurable(value: f64) -> bool {
    let magnitude = value.abs();
    (magnitude <= 0.0) | ((magnitude >= SMALLEST) & (magnitude < BEYOND))
}

/// What is summed over the parts.
#[derive(Debug, Default)]
struct Sums {
    parts: usize,
    changed: u64,
    squares: f64,
    base_squares: f64,
    element: f64,
    base_element: f64,
}

impl Sums {
    fn add(&mut self, part: &Part) {
        self.parts += 1;
        self.base_squares += dot(&part.old, &part.old);
        self.base_element = self.base_element.max(largest(&part.old));
        // No difference of two numbers vanishes unless they are equal.
        let changed = part.difference.iter().map(|value| u64::from(value.abs() > 0.0)).sum::<u64>();
        if changed > 0 {
            self.changed += changed;
            self.squares += dot(&part.difference, &part.difference);
            self.element = self.element.max(largest(&part.difference));
        }
    }

    fn change(&self, relation: Relation, elements: usize) -> TensorChange {
        let chain = DOT_CHAIN + self.parts + 4;
        // A difference so small that its square vanishes is still a difference.
        let least = if self.changed > 0 { self.element } else { 0.0 };
        let frobenius = Upper(inflate(self.squares.sqrt().max(least), chain));
        let base = round::lower_root(self.base_squares, chain);
        TensorChange {
            relation,
            elements: elements as u64,
            changed: self.changed,
            relative_frobenius_ppm: ppm(ratio(frobenius, base)),
            relative_element_ppm: ppm(ratio(Upper(inflate(self.element, 1)), self.base_element)),
            frobenius_f64: self.squares.sqrt().max(least),
            base_frobenius_f64: self.base_squares.sqrt(),
            element_f64: self.element,
            base_element_f64: self.base_element,
            magnitudes: Vec::new(),
            spectrum: None,
        }
    }
}

/// Counts the differences by magnitude. Answers the sum of squares of the new type's grain over all elements.
fn magnitudes(old: &dyn Operand, new: &dyn Operand, change: &mut TensorChange) -> Result<f64, Error> {
    let mut counts = [0_u64; 1024];
    let mut grains = 0.0;
    let elements = new.elements_len();
    let mut part = Part::default();
    let mut first = 0;
    while first < elements {
        part.read(old, new, first, PART.min(elements - first))?;
        grains += part.new.iter().map(|value| new.grain(*value)).map(|grain| grain * grain).sum::<f64>();
        for difference in part.difference.iter().filter(|value| value.abs() > 0.0) {
            // The biased exponent, halved: a class for each factor of four.
            let class = usize::try_from((difference.to_bits() >> 53) & 0x3FF).unwrap_or_default();
            if let Some(count) = counts.get_mut(class) {
                *count += 1;
            }
        }
        first += PART;
    }
    // The smallest exponent of a class is 2·class less the bias, which is odd.
    let classes = (-1023_i32..).step_by(2).zip(counts).filter(|(_, count)| *count > 0);
    change.magnitudes = classes.collect();
    Ok(grains)
}

/// The spectrum of the difference of two matrices; nothing for what is none. Trailing dimensions are taken as one.
fn spectrum_of(
    old: &dyn Operand,
    new: &dyn Operand,
    squares: f64,
    grains: f64,
    seed: u64,
) -> Result<Option<Spectrum>, Error> {
    let [rows, inner @ ..] = new.shape() else { return Ok(None) };
    let columns = inner.iter().fold(1_usize, |product, &next| product.saturating_mul(next));
    let (rows, side) = (*rows, (*rows).min(columns));
    if side < 2 {
        return Ok(None);
    }
    let place = shown(new.name());
    let (values, beyond) = if rows * columns <= DENSE_ELEMENTS_MAX {
        let mut part = Part::default();
        part.read(old, new, 0, rows * columns)?;
        (spectrum::matrix(&part.difference, rows, columns, &place)?, 0.0)
    } else {
        leading(old, new, rows, columns, squares, seed)?
    };
    // The edge of the spectrum of independent errors of that variance (Bai and Yin, Annals of Probability 21, 1993).
    let variance = grains / 12.0 / (rows as f64 * columns as f64);
    let rounding = variance.sqrt() * ((rows as f64).sqrt() + (columns as f64).sqrt());
    let most = values.first().copied().unwrap_or_default();
    let floor = (ROUNDING_MARGIN * rounding).max(most * NUMERICAL_FLOOR);
    let clear = values.iter().take_while(|value| **value > floor).count();
    let rank = if clear == values.len() && clear < side { Rank::AtLeast(clear) } else { Rank::Of(clear) };
    Ok(Some(Spectrum { values, beyond, side, rounding, rank }))
}

/// How far above the edge of rounding a direction must stand to be told from it. Rounding errors of a small change are
/// not quite independent of it: merges into BF16 and F16 were seen up to 1.15 times the edge.
const ROUNDING_MARGIN: f64 = 1.3;
/// Where types leave no rounding to speak of, directions below this share of the leading one are that of the arithmetic.
const NUMERICAL_FLOOR: f64 = 1e-12;
