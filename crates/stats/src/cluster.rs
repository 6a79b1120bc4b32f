//! Means whose requests come from units that send several: the unit is what varies independently, so the variance is
//! that between units.
//!
//! The estimate is the ratio of sums over units; its variance is by the delta method, the same as the cluster-robust
//! one (CR1) of an intercept (Cameron and Miller, "A practitioner's guide to cluster-robust inference", Journal of
//! Human Resources 50, 2015; Deng, Lu, Litz, "Trustworthy analysis of online A/B tests", WSDM 2017). Six integers per
//! arm suffice to compute it again.

use crate::decision::Interval;
use crate::special::t_quantile;
use crate::{Error, inside};

/// Sums over the units of one arm. Values are integers in the metric's unit, as errors, tokens or microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Units.
    pub units: u64,
    /// Requests.
    pub requests: u64,
    /// Sum of values over requests.
    pub total: i128,
    /// Sum over units of the square of its requests.
    pub requests_squared: i128,
    /// Sum over units of its requests times its sum of values.
    pub cross: i128,
    /// Sum over units of the square of its sum of values.
    pub total_squared: i128,
}

/// Values up to this size per unit are summed exactly: 10^10 squares of it fit.
pub const UNIT_TOTAL_MAX: i64 = 1_000_000_000_000;

impl Sums {
    /// Adds one unit: how many requests it sent and the sum of their values.
    pub fn add(&mut self, requests: u32, total: i64) -> Result<(), Error> {
        if requests == 0 {
            return Err(Error::TooFew { what: "requests", given: 0, needed: 1 });
        }
        if total.unsigned_abs() > UNIT_TOTAL_MAX.unsigned_abs() {
            return Err(Error::Count { name: "total", given: total.unsigned_abs() });
        }
        let (n, y) = (i128::from(requests), i128::from(total));
        crate::bounded("units", self.units.saturating_add(1))?;
        self.units += 1;
        self.requests = self.requests.saturating_add(u64::from(requests));
        self.total = self.total.saturating_add(y);
        self.requests_squared = self.requests_squared.saturating_add(n * n);
        self.cross = self.cross.saturating_add(n * y);
        self.total_squared = self.total_squared.saturating_add(y * y);
        Ok(())
    }

    /// The sums of both together, of units that are in one of them only.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_add(other.units),
            requests: self.requests.saturating_add(other.requests),
            total: self.total.saturating_add(other.total),
            requests_squared: self.requests_squared.saturating_add(other.requests_squared),
            cross: self.cross.saturating_add(other.cross),
            total_squared: self.total_squared.saturating_add(other.total_squared),
        }
    }

    /// The mean per request and its squared standard error.
    pub fn estimate(&self) -> Result<Estimate, Error> {
        crate::bounded("units", self.units)?;
        if self.units < 2 {
            return Err(Error::TooFew { what: "units", given: self.units as usize, needed: 2 });
        }
        if self.requests < self.units {
            return Err(Error::Part { part: "units", given: self.units, whole: self.requests });
        }
        let (g, n) = (self.units as f64, self.requests as f64);
        let total = self.total as f64;
        let mean = total / n;
        // Sum over units of (y_u - mean n_u)^2, by its three sums; exact integers before the first rounding.
        let n_exact = i128::from(self.requests);
        let spread = exact_spread(self, n_exact).unwrap_or(
            self.total_squared as f64 - 2.0 * mean * self.cross as f64
                + mean * mean * self.requests_squared as f64,
        );
        Ok(Estimate { mean, variance: (g / (g - 1.0) * spread / (n * n)).max(0.0), units: self.units })
    }
}

/// `(N^2 Syy - 2 N T Sny + T^2 Snn) / N^2` in integers; none where they would overflow.
fn exact_spread(sums: &Sums, n: i128) -> Option<f64> {
    let first = n.checked_mul(n)?.checked_mul(sums.total_squared)?;
    let second = n.checked_mul(sums.total)?.checked_mul(sums.cross)?.checked_mul(2)?;
    let third = sums.total.checked_mul(sums.total)?.checked_mul(sums.requests_squared)?;
    let sum = first.checked_sub(second)?.checked_add(third)?;
    let n = n as f64;
    Some(sum as f64 / n / n)
}

/// A mean with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean per request.
    pub mean: f64,
    /// The squared standard error.
    pub variance: f64,
    /// Units it rests on.
    pub units: u64,
}

/// The interval of candidate minus control with confidence `1 - alpha`: Welch's t interval over units.
///
/// It is approximate: use it with at least some dozens of units in each arm. Where neither arm varies at all it is a
/// point, which is no evidence about what has not been seen; combine it with an exact bound.
pub fn difference(control: &Sums, candidate: &Sums, alpha: f64) -> Result<Interval, Error> {
    inside("alpha", alpha)?;
    let (a, b) = (control.estimate()?, candidate.estimate()?);
    let variance = a.variance + b.variance;
    let centre = b.mean - a.mean;
    if variance <= 0.0 {
        return Interval::new(centre, centre);
    }
    let part = |estimate: Estimate| estimate.variance * estimate.variance / (estimate.units as f64 - 1.0);
    let degrees = variance * variance / (part(a) + part(b));
    let radius = t_quantile(alpha / 2.0, degrees) * variance.sqrt();
    Interval::new(centre - radius, centre + radius)
}

/// The interval of candidate minus control that holds at all looks together: the asymptotic confidence sequence of
/// [`crate::sequence::asymptotic`] with units for values, narrowest around `units_best` units in the smaller arm.
pub fn watched_difference(
    control: &Sums,
    candidate: &Sums,
    alpha: f64,
    units_best: u64,
) -> Result<Interval, Error> {
    let (a, b) = (control.estimate()?, candidate.estimate()?);
    let units = a.units.min(b.units);
    let deviation = ((a.variance + b.variance) * units as f64).sqrt();
    crate::sequence::asymptotic(units, b.mean - a.mean, deviation, alpha, units_best)
}

#[cfg(test)]
mod tests;
