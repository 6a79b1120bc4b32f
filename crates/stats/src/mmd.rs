//! The maximum mean discrepancy of two samples of vectors, with an exact permutation p-value.
//!
//! Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012: the unbiased quadratic
//! statistic (lemma 6) with a Gaussian kernel whose width is the median distance. Under the null hypothesis the labels
//! are exchangeable, so the rank among permutations is an exact p-value.

#![allow(
    clippy::indexing_slicing,
    reason = "indices are below the sizes that the same function has just made"
)]

use crate::Error;
use crate::random::Random;

/// At most so many vectors in both samples together: their kernel matrix takes 32 MiB.
pub const VECTORS_MAX: usize = 2_048;
/// At most so many permutations.
const PERMUTATIONS_MAX: u32 = 100_000;

/// How far the samples are apart, and how often chance alone does that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discrepancy {
    /// The unbiased estimate of the squared discrepancy; it may be below 0.
    pub squared: f64,
    /// `(1 + permutations at least as far) / (1 + permutations)`.
    pub p_value: f64,
    /// The kernel's width.
    pub width: f64,
}

/// Compares two samples of vectors of the same dimension, at least two in each.
pub fn test(
    first: &[Vec<f64>],
    second: &[Vec<f64>],
    permutations: u32,
    seed: u64,
) -> Result<Discrepancy, Error> {
    for (what, sample) in [("first", first), ("second", second)] {
        if sample.len() < 2 {
            return Err(Error::TooFew { what, given: sample.len(), needed: 2 });
        }
    }
    let n = first.len() + second.len();
    if n > VECTORS_MAX {
        return Err(Error::TooMany { what: "vectors", given: n, limit: VECTORS_MAX });
    }
    if !(1..=PERMUTATIONS_MAX).contains(&permutations) {
        let value = f64::from(permutations);
        return Err(Error::Setting { name: "permutations", value, range: "1 to 100,000" });
    }
    let dimension = first.first().map_or(0, Vec::len);
    let all: Vec<&[f64]> = first.iter().chain(second).map(Vec::as_slice).collect();
    for vector in &all {
        if vector.len() != dimension {
            return Err(Error::Length { what: "vector", given: vector.len(), expected: dimension });
        }
        crate::finite("vector", vector)?;
    }
    let (kernel, width) = gaussian_kernel(&all);
    let mut labels: Vec<usize> = (0..n).collect();
    let squared = statistic(&kernel, &labels, first.len());
    let mut random = Random::new(seed);
    let mut as_far = 1_u32;
    // The observed labelling computed in another order of addition must count as equal to itself.
    let bar = squared - 1e-12;
    for _ in 0..permutations {
        random.shuffle(&mut labels);
        as_far += u32::from(statistic(&kernel, &labels, first.len()) >= bar);
    }
    let p_value = f64::from(as_far) / f64::from(permutations + 1);
    Ok(Discrepancy { squared, p_value, width })
}

/// All kernel values, row by row, and the width: the median of the distances between different vectors.
fn gaussian_kernel(all: &[&[f64]]) -> (Vec<f64>, f64) {
    let n = all.len();
    let mut kernel = vec![0.0; n * n];
    let mut distances = Vec::with_capacity(n * (n - 1) / 2);
    for row in 0..n {
        for column in 0..row {
            let squared: f64 =
                all[row].iter().zip(all[column]).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().min(f64::MAX);
            kernel[row * n + column] = squared;
            distances.push(squared);
        }
    }
    let middle = distances.len() / 2;
    let (_, median, _) = distances.select_nth_unstable_by(middle, f64::total_cmp);
    // Where more than half of the vectors are equal, any width tells them from the others.
    let squared_width = if *median > 0.0 { *median } else { 1.0 };
    for row in 0..n {
        kernel[row * n + row] = 1.0;
        for column in 0..row {
            let value = libm::exp(-kernel[row * n + column] / (2.0 * squared_width));
            kernel[row * n + column] = value;
            kernel[column * n + row] = value;
        }
    }
    (kernel, squared_width.sqrt())
}

/// The unbiased statistic where the first `cut` of `labels` are the first sample.
fn statistic(kernel: &[f64], labels: &[usize], cut: usize) -> f64 {
    let n = labels.len();
    let mut sums = [0.0; 3];
    for (at, row) in labels.iter().enumerate() {
        let values = &kernel[row * n..(row + 1) * n];
        for (other, column) in labels[..at].iter().enumerate() {
            let pair = usize::from(at >= cut) + usize::from(other >= cut);
            sums[pair] += values[*column];
        }
    }
    let (n, m) = (cut as f64, (labels.len() - cut) as f64);
    2.0 * sums[0] / (n * (n - 1.0)) + 2.0 * sums[2] / (m * (m - 1.0)) - 2.0 * sums[1] / (n * m)
}

#[cfg(test)]
mod tests;
