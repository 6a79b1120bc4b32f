//! Confidence sequences: intervals that hold at all times together, so that they may be watched.
//!
//! * [`rate`]: beta-binomial mixture (Robbins 1970; Howard et al. 2021, proposition 7), exact.
//! * [`mean`]: values in [0, 1] by betting with a mixture of fixed bets (Waudby-Smith and Ramdas 2024), exact.
//! * [`asymptotic`]: any mean with finite variance (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform
//!   central limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024, theorem 2.2). It holds
//!   in the limit of long sequences.
//! * [`quantile_ranks`]: ranks of order statistics around a quantile (Howard and Ramdas, "Sequential estimation of
//!   quantiles", Bernoulli 28, 2022), exact whatever the distribution.

use crate::decision::Interval;
use crate::eprocess::Prior;
use crate::special::{last_where, ln_sum, normal_tail};
use crate::{Error, bounded, inside};

mod levels;

pub use levels::mean;

/// The rate of successes, uniform mixture.
pub fn rate(successes: u64, n: u64, alpha: f64) -> Result<Interval, Error> {
    inside("alpha", alpha)?;
    bounded("n", n)?;
    if successes > n {
        return Err(Error::Part { part: "successes", given: successes, whole: n });
    }
    let (s, f) = (successes as f64, (n - successes) as f64);
    let level = -libm::log(alpha);
    let rejects = |p: f64| crate::eprocess::ln_mixture(Prior::UNIFORM, s, f, p) >= level;
    let estimate = if n == 0 { 0.5 } else { s / n as f64 };
    // Each end is the outermost rate that is not rejected, or the neighbour beyond it.
    let lower = if successes == 0 { 0.0 } else { last_where(0.0, estimate, rejects).next_down() };
    let upper = if successes == n { 1.0 } else { last_where(estimate, 1.0, |p| !rejects(p)) };
    Interval::new(lower.max(0.0), upper)
}

/// A mean from `n` values with this sample mean and standard deviation, narrowest around `n_best` values.
pub fn asymptotic(n: u64, mean: f64, deviation: f64, alpha: f64, n_best: u64) -> Result<Interval, Error> {
    inside("alpha", alpha)?;
    crate::finite("mean", &[mean])?;
    crate::finite("deviation", &[deviation])?;
    if deviation < 0.0 {
        return Err(Error::Setting { name: "deviation", value: deviation, range: "0 and above" });
    }
    if bounded("n", n)? < 2 {
        return Interval::new(f64::NEG_INFINITY, f64::INFINITY);
    }
    let precision = best_precision(bounded("n_best", n_best)?.max(1) as f64, alpha, Sides::Two);
    let radius = deviation * boundary(n as f64, alpha, precision, Sides::Two) / n as f64;
    Interval::new(mean - radius, mean + radius)
}

/// Ranks, from 1, of the order statistics that enclose a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    /// The lower order statistic; none: no bound yet.
    pub lower: Option<u64>,
    /// The upper order statistic; none: no bound yet.
    pub upper: Option<u64>,
}

/// The ranks that enclose the `q`-quantile of `n` values, narrowest around `n_best` values.
pub fn quantile_ranks(n: u64, q: f64, alpha: f64, n_best: u64) -> Result<Ranks, Error> {
    inside("alpha", alpha)?;
    inside("q", q)?;
    bounded("n", n)?;
    let precision = best_precision(0.25 * bounded("n_best", n_best)?.max(1) as f64, alpha / 2.0, Sides::One);
    let u = boundary(0.25 * n as f64, alpha / 2.0, precision, Sides::One);
    let lower = libm::ceil(n as f64 * q - u);
    let upper = libm::floor(n as f64 * q + u) + 1.0;
    Ok(Ranks {
        lower: (n > 0 && lower >= 1.0).then_some(lower as u64),
        upper: (upper <= n as f64).then_some(upper as u64),
    })
}

/// Whether a boundary is crossed on one side or on either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Upwards.
    One,
    /// Upwards or downwards.
    Two,
}

/// The normal mixture boundary at intrinsic time `v`: a sum whose increments have variance proxy 1 per unit of `v`
/// crosses it at any time with a chance of at most `alpha` (Howard et al. 2021, propositions 5 and 6).
pub fn boundary(v: f64, alpha: f64, precision: f64, sides: Sides) -> f64 {
    let w = v + precision;
    match sides {
        Sides::Two => (w * libm::log(w / (precision * alpha * alpha))).max(0.0).sqrt(),
        Sides::One => {
            let target = -libm::log(alpha);
            let ln_value = |s: f64| {
                std::f64::consts::LN_2
                    + 0.5 * libm::log(precision / w)
                    + s * s / (2.0 * w)
                    + libm::log(normal_tail(-s / w.sqrt()))
            };
            let high = (2.0 * w * (target + 0.5 * libm::log(w / precision))).max(0.0).sqrt();
            last_where(0.0, high, |s| ln_value(s) < target)
        }
    }
}

/// The precision of the mixture with the lowest boundary at intrinsic time `v`, by golden-section search.
pub fn best_precision(v: f64, alpha: f64, sides: Sides) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let centre = libm::log(v);
    let (mut low, mut high) = (centre - 15.0, centre + 15.0);
    let height = |ln_precision: f64| boundary(v, alpha, libm::exp(ln_precision), sides);
    for _ in 0..80 {
        let span = GOLDEN * (high - low);
        let (left, right) = (high - span, low + span);
        if height(left) <= height(right) {
            high = right;
        } else {
            low = left;
        }
    }
    libm::exp(f64::midpoint(low, high))
}

/// `ln` of an average of exponentials.
fn ln_average(logs: impl Iterator<Item = f64> + Clone, count: usize) -> f64 {
    ln_sum(logs) - libm::log(count as f64)
}

#[cfg(test)]
mod tests;
