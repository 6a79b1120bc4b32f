//! Values at equally spaced levels from 0 to 1, given as counts, and bets on their mean.

use crate::{Error, bounded};

/// The fractions of the largest bet that are mixed: halved each time. Small bets find small effects in many values.
pub(crate) const BETS: usize = 14;
/// The largest bet, of what could be lost entirely.
pub(crate) const BET_MOST: f64 = 0.95;
/// Values come in at most so many levels.
pub(crate) const LEVELS_MAX: usize = 64;

/// A bet's fraction of the largest.
pub(crate) fn fraction(bet: usize) -> f64 {
    let mut fraction = 1.0;
    for _ in 0..bet {
        fraction *= 0.5;
    }
    fraction
}

/// Counts by level, checked; answers how many values there are.
pub(crate) fn checked(what: &'static str, counts: &[u64], levels: usize) -> Result<u64, Error> {
    if counts.len() != levels {
        return Err(Error::Length { what, given: counts.len(), expected: levels });
    }
    let mut all = 0_u64;
    for count in counts {
        all = bounded(what, all.saturating_add(*count))?;
    }
    Ok(all)
}

/// The number of levels, checked.
pub(crate) fn checked_levels(levels: usize) -> Result<usize, Error> {
    if (2..=LEVELS_MAX).contains(&levels) {
        Ok(levels)
    } else {
        Err(Error::Setting { name: "levels", value: levels as f64, range: "2 to 64" })
    }
}

/// The value of a level: 0 for the first, 1 for the last.
pub(crate) fn value(level: usize, levels: usize) -> f64 {
    level as f64 / (levels - 1) as f64
}

/// `sum_x count_x ln(1 + bet (x - m))`.
pub(crate) fn ln_product(counts: &[u64], bet: f64, m: f64) -> f64 {
    let levels = counts.len();
    let terms = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    terms.map(|(level, count)| *count as f64 * libm::log1p(bet * (value(level, levels) - m))).sum()
}
