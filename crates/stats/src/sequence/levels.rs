//! The mean of values at levels, by betting.

use super::ln_average;
use crate::decision::Interval;
use crate::levels::{BET_MOST, BETS, checked, checked_levels, fraction, ln_product, value};
use crate::special::last_where;
use crate::{Error, inside};

/// The mean of values in [0, 1], from how many values there are at each of some equally spaced levels.
///
/// Bets below 1, safe whatever the mean is, on both sides are mixed, each side at `alpha / 2`. They do not depend on the mean that is tested,
/// so the rejected means form a half-line on each side and bisection finds its end.
pub fn mean(counts: &[u64], alpha: f64) -> Result<Interval, Error> {
    inside("alpha", alpha)?;
    let levels = checked_levels(counts.len())?;
    let n = checked("counts", counts, levels)?;
    if n == 0 {
        return Interval::new(0.0, 1.0);
    }
    let sum: f64 = counts.iter().enumerate().map(|(level, count)| value(level, levels) * *count as f64).sum();
    let estimate = (sum / n as f64).clamp(0.0, 1.0);
    let level = -libm::log(alpha / 2.0);
    let wealth = |m: f64, sign: f64| {
        let one = move |bet: usize| ln_product(counts, sign * BET_MOST * fraction(bet), m);
        ln_average((0..BETS).map(one), BETS)
    };
    let lower = last_where(0.0, estimate, |m| wealth(m, 1.0) >= level).next_down().max(0.0);
    let upper = last_where(estimate, 1.0, |m| wealth(m, -1.0) < level);
    Interval::new(lower, upper)
}
