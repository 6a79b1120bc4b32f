//! How far two samples or histograms are apart.
//!
//! * [`stability`]: the population stability index, the symmetrised Kullback-Leibler divergence of shares.
//! * [`jensen_shannon`]: the square root of the Jensen-Shannon divergence, natural logarithms (Endres and Schindelin,
//!   IEEE Transactions on Information Theory 49, 2003): a metric between 0 and `sqrt(ln 2)`.
//! * [`kolmogorov_smirnov`]: the largest difference of the distribution functions, with its asymptotic p-value.
//! * [`wasserstein`]: how far mass has to be moved, on average.
//!
//! They are effect sizes. Whether a difference is more than chance is for [`crate::eprocess`] or [`crate::detector`].

use crate::Error;

/// At most so many values in a sample.
const SAMPLE_MAX: usize = 10_000_000;

fn shares(first: &[u64], second: &[u64]) -> Result<Vec<(f64, f64)>, Error> {
    if first.len() != second.len() {
        return Err(Error::Length { what: "second", given: second.len(), expected: first.len() });
    }
    let all = |what, counts: &[u64]| {
        let sum =
            counts.iter().try_fold(0_u64, |sum, count| crate::bounded(what, sum.saturating_add(*count)))?;
        if sum == 0 { Err(Error::TooFew { what, given: 0, needed: 1 }) } else { Ok(sum as f64) }
    };
    let (n, m) = (all("first", first)?, all("second", second)?);
    Ok(first.iter().zip(second).map(|(a, b)| (*a as f64 / n, *b as f64 / m)).collect())
}

/// The population stability index of two histograms over the same bins. An empty bin counts as half a value, so that
/// the index is finite; below 0.1 is customarily called stable, above 0.25 shifted.
pub fn stability(first: &[u64], second: &[u64]) -> Result<f64, Error> {
    let filled = shares(first, second)?;
    let half = |counts: &[u64]| 0.5 / counts.iter().sum::<u64>() as f64;
    let (half_first, half_second) = (half(first), half(second));
    let term = |(p, q): (f64, f64)| {
        if p <= 0.0 && q <= 0.0 {
            return 0.0;
        }
        let (p, q) = (if p > 0.0 { p } else { half_first }, if q > 0.0 { q } else { half_second });
        (q - p) * libm::log(q / p)
    };
    Ok(filled.into_iter().map(term).sum())
}

/// The Jensen-Shannon distance of two histograms over the same bins.
pub fn jensen_shannon(first: &[u64], second: &[u64]) -> Result<f64, Error> {
    let part = |p: f64, middle: f64| if p > 0.0 { p * libm::log(p / middle) } else { 0.0 };
    let sum: f64 = shares(first, second)?
        .into_iter()
        .map(|(p, q)| {
            let middle = f64::midpoint(p, q);
            part(p, middle) + part(q, middle)
        })
        .sum();
    Ok((sum / 2.0).max(0.0).sqrt())
}

fn sorted(what: &'static str, sample: &[f64]) -> Result<Vec<f64>, Error> {
    if sample.is_empty() {
        return Err(Error::TooFew { what, given: 0, needed: 1 });
    }
    if sample.len() > SAMPLE_MAX {
        return Err(Error::TooMany { what, given: sample.len(), limit: SAMPLE_MAX });
    }
    crate::finite(what, sample)?;
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

/// A distance of distribution functions with its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// The largest absolute difference.
    pub statistic: f64,
    /// The two-sided p-value in the limit of large samples, with Stephens's correction; too high where there are ties.
    pub p_value: f64,
}

/// The two-sample Kolmogorov-Smirnov test.
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> Result<KolmogorovSmirnov, Error> {
    let (first, second) = (sorted("first", first)?, sorted("second", second)?);
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut statistic: f64 = 0.0;
    walk(&first, &second, |below_first, below_second, _| {
        statistic = statistic.max((below_first as f64 / n - below_second as f64 / m).abs());
    });
    let root = (n * m / (n + m)).sqrt();
    let p_value = kolmogorov_tail((root + 0.12 + 0.11 / root) * statistic);
    Ok(KolmogorovSmirnov { statistic, p_value })
}

/// The chance that Kolmogorov's limit exceeds `x`, by the series that converges fast on its side.
fn kolmogorov_tail(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 0.2 {
        return 1.0;
    }
    if x < 1.18 {
        let y = libm::exp(-PI * PI / (8.0 * x * x));
        let term = |k: i32| libm::exp(f64::from((2 * k - 1) * (2 * k - 1)) * libm::log(y));
        let sum: f64 = (1..=6).map(term).sum();
        return (1.0 - (2.0 * PI).sqrt() / x * sum).clamp(0.0, 1.0);
    }
    let term = |k: i32| {
        let size = libm::exp(-2.0 * f64::from(k * k) * x * x);
        if k % 2 == 1 { size } else { -size }
    };
    (2.0 * (1..=20).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// The Wasserstein distance of order 1: the area between the distribution functions, in the sample's own unit.
pub fn wasserstein(first: &[f64], second: &[f64]) -> Result<f64, Error> {
    let (first, second) = (sorted("first", first)?, sorted("second", second)?);
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut area = 0.0;
    walk(&first, &second, |below_first, below_second, width| {
        area += (below_first as f64 / n - below_second as f64 / m).abs() * width;
    });
    Ok(area)
}

/// Calls `visit` for each stretch between neighbouring distinct values: how many of each sample are at or below its
/// beginning, and its width; 0 for the last.
fn walk(first: &[f64], second: &[f64], mut visit: impl FnMut(usize, usize, f64)) {
    let (mut left, mut right) = (0, 0);
    loop {
        let here = match (first.get(left), second.get(right)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => return,
        };
        while first.get(left).is_some_and(|value| *value <= here) {
            left += 1;
        }
        while second.get(right).is_some_and(|value| *value <= here) {
            right += 1;
        }
        let next = match (first.get(left), second.get(right)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => here,
        };
        visit(left, right, next - here);
    }
}
