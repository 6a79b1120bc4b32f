//! How far a window is from what is usual, by dimension, as effect sizes.
//!
//! An effect size says how much; whether it could be chance is for detectors with a stated run length
//! (`stats::detector`). Below a number of values a dimension says nothing, which is not the same as no drift.

use statement::id::Name;
use stats::drift;

use crate::Error;
use crate::fingerprint::{Dimension, Fingerprint};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing to be seen.
    Quiet,
    /// To be looked at more closely.
    Notable,
    /// To be acted on.
    Serious,
    /// To be ended at once.
    Critical,
}

/// From which effect sizes on drift has a level, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Values below which a dimension says nothing.
    pub count_min: u64,
    /// Notable.
    pub notable_ppm: u64,
    /// Serious.
    pub serious_ppm: u64,
    /// Critical.
    pub critical_ppm: u64,
}

/// A dimension's drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The dimension.
    pub dimension: Name,
    /// The effect size: for categories and sizes the Jensen-Shannon distance over its largest value; for events the
    /// difference of the shares. From 0 to 1,000,000. None where there are too few values to tell.
    pub effect_ppm: Option<u64>,
    /// For sizes, the 50th and 99th percentiles over the usual ones, in parts per million.
    pub percentiles_ppm: Option<[u64; 2]>,
    /// What that amounts to.
    pub level: Level,
}

impl Limits {
    /// Limits in order.
    pub fn check(self) -> Result<Self, Error> {
        let rising = self.notable_ppm <= self.serious_ppm && self.serious_ppm <= self.critical_ppm;
        if rising && self.notable_ppm > 0 {
            return Ok(self);
        }
        Err(Error::Setting { name: "notable_ppm", value: self.notable_ppm, range: "1 to the higher limits" })
    }

    /// The level of an effect.
    pub fn level(self, effect_ppm: u64) -> Level {
        match effect_ppm {
            effect if effect >= self.critical_ppm => Level::Critical,
            effect if effect >= self.serious_ppm => Level::Serious,
            effect if effect >= self.notable_ppm => Level::Notable,
            _ => Level::Quiet,
        }
    }
}

/// Compares a window with what is usual. Dimensions that are in one of them only say nothing.
pub fn compare(usual: &Fingerprint, window: &Fingerprint, limits: Limits) -> Result<Vec<Drift>, Error> {
    let limits = limits.check()?;
    let mut drifts = Vec::new();
    for (name, now) in window.dimensions() {
        let before = usual.dimension(name);
        drifts.push(match before {
            Some(before) if before.count().min(now.count()) >= limits.count_min.max(1) => {
                let effect = effect_ppm(name, before, now)?;
                Drift {
                    dimension: name.clone(),
                    effect_ppm: Some(effect),
                    percentiles_ppm: percentiles_ppm(before, now),
                    level: limits.level(effect),
                }
            }
            _ => Drift {
                dimension: name.clone(),
                effect_ppm: None,
                percentiles_ppm: None,
                level: Level::Quiet,
            },
        });
    }
    Ok(drifts)
}

fn effect_ppm(name: &Name, before: &Dimension, now: &Dimension) -> Result<u64, Error> {
    let failed = |source| Error::Statistics { dimension: name.clone(), source };
    // The distance is at most the square root of ln 2.
    let scaled = |distance: f64| (distance / std::f64::consts::LN_2.sqrt() * 1e6).clamp(0.0, 1e6) as u64;
    match (before, now) {
        (Dimension::Categories(before), Dimension::Categories(now)) => {
            drift::jensen_shannon(before, now).map(scaled).map_err(failed)
        }
        (Dimension::Sizes(before), Dimension::Sizes(now)) => {
            let buckets: std::collections::BTreeSet<u32> =
                before.counts().keys().chain(now.counts().keys()).copied().collect();
            let of = |histogram: &stats::sketch::Histogram| -> Vec<u64> {
                buckets.iter().map(|bucket| histogram.counts().get(bucket).copied().unwrap_or(0)).collect()
            };
            drift::jensen_shannon(&of(before), &of(now)).map(scaled).map_err(failed)
        }
        (Dimension::Events { yes: a, of: n }, Dimension::Events { yes: b, of: m }) => {
            let share = |yes: u64, of: u64| u128::from(yes.min(of)) * 1_000_000 / u128::from(of.max(1));
            Ok(u64::try_from(share(*a, *n).abs_diff(share(*b, *m))).unwrap_or(1_000_000))
        }
        _ => Err(Error::Shape { dimension: name.clone() }),
    }
}

fn percentiles_ppm(before: &Dimension, now: &Dimension) -> Option<[u64; 2]> {
    let (Dimension::Sizes(before), Dimension::Sizes(now)) = (before, now) else { return None };
    let ratio = |ppm: u32| {
        let (before, now) = (before.quantile_ppm(ppm)?, now.quantile_ppm(ppm)?);
        let ratio = u128::from(now) * 1_000_000 / u128::from(before.max(1));
        Some(u64::try_from(ratio).unwrap_or(u64::MAX))
    };
    Some([ratio(500_000)?, ratio(990_000)?])
}

#[cfg(test)]
mod tests;
