//! How far adapters go, from their factors.

use crate::Error;
use crate::error::shown;
use crate::measure::{self, BaseLayout, Change, Work};
use crate::peft::{Layer, LoraModule};
use crate::safetensors::View;
use crate::spectrum::{self, LowRank, Statistics};

/// How far one module of an adapter goes.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterChange {
    /// Norms as integers that never understate, relative to the base where it was given.
    pub measured: Change,
    /// The spectrum of `s·B·A` and its form.
    pub statistics: Statistics,
}

/// Measures one module of an adapter, against its base weight where that is given.
///
/// # Errors
/// As [`measure::module`] and [`spectrum::module`].
pub fn adapter_change(
    module: &LoraModule<'_>,
    base: Option<&View<'_>>,
    layout: BaseLayout,
    work: &mut Work,
) -> Result<AdapterChange, Error> {
    let measured = measure::module(module, base, layout, work)?;
    let statistics = spectrum::module(module, work)?;
    Ok(AdapterChange { measured, statistics })
}

/// The statistics of `new - old` of one module in two adapters, and the Frobenius norm of the old one's change.
///
/// The difference `s'·B'A' - s·BA` is the product of the factors side by side, `[s'·B', -s·B]` and `[A'; A]`, and goes
/// through a core of the sum of both ranks.
///
/// # Errors
/// [`Error::Shape`] where the modules change weights of different shape, [`Error::Unmeasurable`] for weight-decomposed
/// modules, [`Error::Element`], [`Error::SpectrumWork`], [`Error::SpectrumUnsettled`].
pub fn between_adapters(
    old: &LoraModule<'_>,
    new: &LoraModule<'_>,
    work: &mut Work,
) -> Result<(Statistics, f64), Error> {
    let fits = (old.rows, old.columns) == (new.rows, new.columns) && old.layer == new.layer;
    if !fits {
        return Err(Error::Shape {
            place: shown(new.path),
            change: format!("[{}, {}]", new.rows, new.columns),
            base: format!("[{}, {}]", old.rows, old.columns),
        });
    }
    let refused = |reason| Err(Error::Unmeasurable { place: shown(new.path), reason });
    if old.magnitude.is_some() || new.magnitude.is_some() {
        return refused("a magnitude vector makes it depend on the base weight");
    }
    if !(old.scaling.is_finite() && new.scaling.is_finite()) {
        return refused("its scaling is not known");
    }
    let before = spectrum::module(old, work)?;
    let mut a = new.a.decoded();
    a.extend(old.a.decoded());
    let (b_new, b_old) = (new.b.decoded(), old.b.decoded());
    let mut b = Vec::with_capacity(b_new.len() + b_old.len());
    for (new_row, old_row) in b_new.chunks_exact(new.rank).zip(b_old.chunks_exact(old.rank)) {
        b.extend(new_row.iter().map(|value| value * new.scaling));
        b.extend(old_row.iter().map(|value| value * -old.scaling));
    }
    for module in [old, new] {
        module.a.check_elements()?;
        module.b.check_elements()?;
    }
    let joined = LowRank::new(&a, &b, new.rank + old.rank, 1.0)?;
    let mut statistics = spectrum::statistics(&joined, work)?;
    if new.layer == Layer::Embedding {
        std::mem::swap(&mut statistics.rows, &mut statistics.columns);
    }
    Ok((statistics, before.frobenius))
}
