//! Norms of changes that have to be walked through element by element.

use super::factors::Factors;
use super::round::{self, DOT_CHAIN, Upper, dot, gamma, inflate, largest};
use super::{Extent, Norms, Work, unmeasurable};
use crate::Error;
use crate::peft::LoraModule;
use crate::safetensors::View;

/// Elements compared at a time.
const PART: usize = 4096;

/// `new - old` of two tensors of one shape and dtype.
pub(super) fn difference(old: &View<'_>, new: &View<'_>) -> Norms {
    let (mut squares, mut element, mut parts) = (0.0, 0.0_f64, 0_usize);
    let mut replaced = Vec::with_capacity(PART);
    old.walk(|values| {
        new.decode_part(parts * PART, PART, &mut replaced);
        for (new, old) in replaced.iter_mut().zip(values) {
            *new -= old;
        }
        squares += dot(&replaced, &replaced);
        element = element.max(largest(&replaced));
        parts += 1;
    });
    Norms {
        frobenius: Upper(inflate(squares.sqrt(), DOT_CHAIN + parts + 4)),
        frobenius_extent: Extent::Exact,
        element: Upper(inflate(element, 1)),
        element_extent: Extent::Exact,
    }
}

/// What a weight-decomposed module does to its base weight: row `i` becomes `m_i · v / ‖v‖` with
/// `v = w_i + s·(BA)_i` (Liu et al., DoRA, arXiv 2402.09353, equation 5; rows are output features).
pub(super) fn decomposed(
    module: &LoraModule<'_>,
    factors: &Factors,
    magnitude: &View<'_>,
    base: &View<'_>,
    work: &mut Work,
) -> Result<Norms, Error> {
    let (rows, columns, rank) = (module.rows, module.columns, module.rank);
    if magnitude.elements_len() != rows {
        return unmeasurable(module, "its magnitude vector has another length than the weight has rows");
    }
    magnitude.check_elements()?;
    let cost = (rows as u64).saturating_mul(columns as u64).saturating_mul(rank as u64 + 4);
    if work.spend(cost).is_none() {
        return unmeasurable(module, "the work limit has run out");
    }
    let s = module.scaling;
    let a_norms: Vec<f64> = factors.a.chunks_exact(columns).map(|row| dot(row, row).sqrt()).collect();
    let rounding = gamma(columns + rank + 64);
    let mut weight = Vec::with_capacity(columns);
    let (mut squares, mut element) = (0.0, 0.0_f64);
    for (i, (b, m)) in factors.b.chunks_exact(rank).zip(magnitude.decoded()).enumerate() {
        base.decode_part(i * columns, columns, &mut weight);
        let mut changed = vec![0.0; columns];
        for (b, a) in b.iter().zip(factors.a.chunks_exact(columns)) {
            for (sum, a) in changed.iter_mut().zip(a) {
                *sum += b * a;
            }
        }
        for (sum, w) in changed.iter_mut().zip(&weight) {
            *sum = w + s * *sum;
        }
        // How far rounding can have moved the row, and with it the length it is divided by.
        let base_norm = dot(&weight, &weight).sqrt();
        let reach: f64 = b.iter().zip(&a_norms).map(|(b, a)| b.abs() * a).sum();
        let moved = rounding * (base_norm + s.abs() * reach);
        let length = dot(&changed, &changed).sqrt();
        if length <= 1000.0 * moved {
            return unmeasurable(module, "a row of its direction nearly vanishes");
        }
        let scale = m / length;
        for (new, w) in changed.iter_mut().zip(&weight) {
            *new = scale * *new - w;
        }
        let allowance = 4.0 * scale.abs() * moved + rounding * (m.abs() + base_norm);
        let row = dot(&changed, &changed).sqrt() + allowance;
        squares += row * row;
        element = element.max(round::largest(&changed) + allowance);
    }
    Ok(Norms {
        frobenius: Upper(inflate(squares.sqrt(), rows + columns + 8)),
        frobenius_extent: Extent::Exact,
        element: Upper(inflate(element, 4)),
        element_extent: Extent::Exact,
    })
}
