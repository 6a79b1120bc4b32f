//! An isolation forest: vectors that random cuts separate early are unusual.
//!
//! Liu, Ting, Zhou, "Isolation forest", ICDM 2008: algorithms 1 to 3 and equation 2. Trees are grown on subsamples from
//! a seed, so that the same seed grows the same forest. Scores are between 0 and 1; about 0.5 is usual. What score is
//! too high is a matter of calibration, see [`crate::conformal`].

use crate::Error;
use crate::random::Random;

/// At most so many values in the training set.
const VALUES_MAX: usize = 50_000_000;

/// How a forest is grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Trees; the paper has 100.
    pub trees: u16,
    /// Vectors in each tree's subsample; the paper has 256.
    pub subsample: u16,
    /// The seed.
    pub seed: u64,
}

/// A grown forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    trees: Vec<Vec<Node>>,
    dimension: usize,
    usual: f64,
}

/// A node of a tree; nodes are in one list, the root first.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// A cut of one dimension: below it to `below`, else to `above`.
    Cut { dimension: usize, at: f64, below: usize, above: usize },
    /// The end, with the path length that its remaining vectors would add.
    Leaf { more: f64 },
}

/// The average path length of an unsuccessful search among `n` values (equation 1).
pub fn usual_path(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let m = (n - 1) as f64;
            2.0 * (libm::log(m) + EULER) - 2.0 * m / n as f64
        }
    }
}

impl Forest {
    /// Grows a forest on vectors of the same dimension.
    pub fn grow(vectors: &[Vec<f64>], growth: Growth) -> Result<Self, Error> {
        let dimension = vectors.first().map_or(0, Vec::len);
        if vectors.len() < 2 || dimension == 0 {
            return Err(Error::TooFew { what: "vectors", given: vectors.len().min(dimension), needed: 2 });
        }
        if vectors.len().saturating_mul(dimension) > VALUES_MAX {
            let given = vectors.len().saturating_mul(dimension);
            return Err(Error::TooMany { what: "values", given, limit: VALUES_MAX });
        }
        if growth.trees == 0 || growth.subsample < 2 {
            let value = f64::from(growth.trees.min(growth.subsample));
            return Err(Error::Setting { name: "growth", value, range: "at least 1 tree of 2 vectors" });
        }
        for vector in vectors {
            check(vector, dimension)?;
        }
        let size = usize::from(growth.subsample).min(vectors.len());
        let height = usize::BITS - (size - 1).leading_zeros();
        let mut random = Random::new(growth.seed);
        let mut order: Vec<usize> = (0..vectors.len()).collect();
        let mut trees = Vec::with_capacity(usize::from(growth.trees));
        for _ in 0..growth.trees {
            random.shuffle(&mut order);
            let sample: Vec<&[f64]> =
                order.iter().take(size).filter_map(|at| vectors.get(*at)).map(Vec::as_slice).collect();
            let mut nodes = Vec::new();
            grow(&mut nodes, sample, dimension, height, &mut random);
            trees.push(nodes);
        }
        Ok(Self { trees, dimension, usual: usual_path(size) })
    }

    /// How unusual a vector is, from 0 to 1.
    pub fn score(&self, vector: &[f64]) -> Result<f64, Error> {
        check(vector, self.dimension)?;
        let total: f64 = self.trees.iter().map(|tree| path(tree, vector)).sum();
        Ok(libm::exp2(-total / self.trees.len() as f64 / self.usual))
    }
}

fn check(vector: &[f64], dimension: usize) -> Result<(), Error> {
    if vector.len() != dimension {
        return Err(Error::Length { what: "vector", given: vector.len(), expected: dimension });
    }
    crate::finite("vector", vector)
}

/// Adds a subtree to the list; answers where it begins. Its height is bounded, and so is the recursion.
fn grow(
    nodes: &mut Vec<Node>,
    sample: Vec<&[f64]>,
    dimension: usize,
    height: u32,
    random: &mut Random,
) -> usize {
    let here = nodes.len();
    nodes.push(Node::Leaf { more: usual_path(sample.len()) });
    if height == 0 || sample.len() < 2 {
        return here;
    }
    let span = |dimension: usize| {
        let values = sample.iter().filter_map(|vector| vector.get(dimension).copied());
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    };
    // Only dimensions that vary can be cut.
    let varying: Vec<usize> = (0..dimension).filter(|at| span(*at).0 < span(*at).1).collect();
    let Some(cut) = varying.get(random.below(varying.len() as u64) as usize).copied() else {
        return here;
    };
    let (low, high) = span(cut);
    // Halves, so that the span of the largest doubles does not overflow.
    let at = 2.0 * (low / 2.0 + (high / 2.0 - low / 2.0) * random.unit());
    let at = if at > low && at <= high { at } else { high };
    let (left, right) = sample.into_iter().partition(|vector| vector.get(cut).is_some_and(|x| *x < at));
    let below = grow(nodes, left, dimension, height - 1, random);
    let above = grow(nodes, right, dimension, height - 1, random);
    if let Some(node) = nodes.get_mut(here) {
        *node = Node::Cut { dimension: cut, at, below, above };
    }
    here
}

fn path(tree: &[Node], vector: &[f64]) -> f64 {
    let (mut at, mut depth) = (0, 0.0);
    while let Some(Node::Cut { dimension, at: cut, below, above }) = tree.get(at) {
        at = if vector.get(*dimension).is_some_and(|value| value < cut) { *below } else { *above };
        depth += 1.0;
    }
    match tree.get(at) {
        Some(Node::Leaf { more }) => depth + more,
        _ => depth,
    }
}

#[cfg(test)]
mod tests;
