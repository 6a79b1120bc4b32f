//! How often a class of changes fails, said so that luck does not count: the exact one-sided 95 % upper bound
//! (C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934).
//!
//! The bound is the smallest rate, on a grid of thousandths or millionths, at which seeing so few failures has a
//! probability of at most 5 %. No history is a bound of 1: a class that was never tried is never automated.
//!
//! The same bits everywhere: IEEE 754 additions, multiplications and divisions in a fixed order, `libm` for the
//! transcendental functions, and a bisection of fixed length over integers. Where rounding could matter the
//! result is the higher one.
//!
//! What this module does not do: count failures, or say what a failure is.

#[cfg(test)]
mod tests;

use crate::error::PolicyError;

/// A rate in thousandths, 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerMille(u16);

impl PerMille {
    /// The rate in thousandths.
    pub const fn number(self) -> i64 {
        self.0 as i64
    }
}

/// A rate in parts per million, 0 to 1000000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartsPerMillion(u32);

impl PartsPerMillion {
    /// The rate in parts per million.
    pub const fn number(self) -> i64 {
        self.0 as i64
    }
}

/// Trials beyond these are not counted in favour of a class. The bound falls as trials rise, so leaving trials out
/// is on the safe side; and a million trials without failure already give 3 parts per million.
pub const TRIALS_COUNTED_MAX: u64 = 1_000_000;

/// The probability with which the true rate may lie above the bound.
const ALPHA: f64 = 0.05;

/// The largest relative error of the probability below, with room: `lgamma` of a million is 10^7, of which a unit
/// in the last place is 2 * 10^-9, three of them and a little more for the sum. Taken off `ALPHA`, so that an
/// error makes the bound higher, never lower.
const ERROR_MAX: f64 = 1e-7;

/// The one-sided 95 % upper bound of a failure rate in thousandths, rounded up. No trials: 1000.
///
/// # Errors
/// [`PolicyError::MoreFailuresThanTrials`].
pub fn failure_upper_bound(failures: u64, trials: u64) -> Result<PerMille, PolicyError> {
    let bound = upper_bound(failures, trials, 1000)?;
    Ok(PerMille(u16::try_from(bound).unwrap_or(1000)))
}

/// The one-sided 95 % upper bound of a failure rate in parts per million, rounded up. No trials: 1000000.
///
/// # Errors
/// [`PolicyError::MoreFailuresThanTrials`].
pub fn failure_upper_bound_ppm(failures: u64, trials: u64) -> Result<PartsPerMillion, PolicyError> {
    Ok(PartsPerMillion(upper_bound(failures, trials, 1_000_000)?))
}

/// The smallest `m` in 0..=`grid` such that `m/grid` is an upper bound; `grid` is one always.
fn upper_bound(failures: u64, trials: u64, grid: u32) -> Result<u32, PolicyError> {
    if failures > trials {
        return Err(PolicyError::MoreFailuresThanTrials { failures, trials });
    }
    let counted = trials.min(TRIALS_COUNTED_MAX);
    if failures >= counted {
        return Ok(grid);
    }
    // INVARIANT: `high` is an upper bound, `low` is none. 20 halvings close any gap of at most 2^20.
    let (mut low, mut high) = (0_u32, grid);
    for _ in 0..20 {
        let middle = low + (high - low) / 2;
        if middle == low {
            continue;
        }
        if bounds(failures, counted, f64::from(middle) / f64::from(grid)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// Whether at failure rate `rate` at most `failures` of `trials` fail with probability `ALPHA` or less.
/// `failures < trials <= TRIALS_COUNTED_MAX`, `0 < rate < 1`.
#[expect(clippy::cast_precision_loss, reason = "counts are at most a million, exact in a double")]
fn bounds(failures: u64, trials: u64, rate: f64) -> bool {
    let (k, n) = (failures as f64, trials as f64);
    // A binomial's median is at most its mean rounded up, so here the probability is a half or more.
    if n * rate <= k {
        return false;
    }
    // The largest term, that of k failures, from its logarithm; then the terms of k-1, k-2, ... each from the one
    // before. All are positive and falling, so the sum loses nothing.
    let choose = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let mut term = libm::exp(choose + k * libm::log(rate) + (n - k) * libm::log1p(-rate));
    let mut sum = term;
    let odds = (1.0 - rate) / rate;
    let mut failed = k;
    while failed > 0.0 && term > sum * 1e-18 {
        term *= odds * failed / (n - failed + 1.0);
        sum += term;
        failed -= 1.0;
    }
    sum <= ALPHA * (1.0 - ERROR_MAX)
}
