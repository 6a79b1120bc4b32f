//! Shares of categories in two arms: finish reasons, refusals, languages.

use super::comparison::{Comparison, Direction, Settings};
use super::{Evidence, average};
use crate::{Error, bounded};

/// At most so many categories.
const CATEGORIES_MAX: usize = 64;

/// Tests the null hypothesis that no category's share differs between the arms by more than `delta`, either way.
///
/// Each category and direction is a [`Comparison`] of yes and no; their average is an e-process, as every one of them
/// is under this null hypothesis.
#[derive(Debug, Clone, PartialEq)]
pub struct Categories {
    /// By category: candidate above control, then control above candidate.
    comparisons: Vec<[Comparison; 2]>,
    evidence: Evidence,
}

impl Categories {
    /// A test of shares whose expected values are given, one for each category.
    pub fn new(delta: f64, expected: &[f64]) -> Result<Self, Error> {
        if expected.len() < 2 {
            return Err(Error::TooFew { what: "expected", given: expected.len(), needed: 2 });
        }
        if expected.len() > CATEGORIES_MAX {
            return Err(Error::TooMany { what: "expected", given: expected.len(), limit: CATEGORIES_MAX });
        }
        if !(0.0..1.0).contains(&delta) {
            return Err(Error::Setting { name: "delta", value: delta, range: "0 to 1, 1 excluded" });
        }
        let of = |expected: f64| {
            let up = Settings { delta, direction: Direction::ExceedsByAtMost, expected, levels: 2 };
            let down = Settings { delta: -delta, direction: Direction::ExceedsByAtLeast, ..up };
            Ok([Comparison::new(up)?, Comparison::new(down)?])
        };
        let comparisons = expected.iter().map(|share| of(*share)).collect::<Result<_, Error>>()?;
        Ok(Self { comparisons, evidence: Evidence::default() })
    }

    /// Adds a row: how many units of each arm fell into each category.
    pub fn update(&mut self, control: &[u64], candidate: &[u64]) -> Result<Evidence, Error> {
        let expected = self.comparisons.len();
        for (what, counts) in [("control", control), ("candidate", candidate)] {
            if counts.len() != expected {
                return Err(Error::Length { what, given: counts.len(), expected });
            }
        }
        let all = |what, counts: &[u64]| {
            counts.iter().try_fold(0_u64, |sum, count| bounded(what, sum.saturating_add(*count)))
        };
        let (all_a, all_b) = (all("control", control)?, all("candidate", candidate)?);
        let mut logs = Vec::with_capacity(2 * expected);
        for ((pair, a), b) in self.comparisons.iter_mut().zip(control).zip(candidate) {
            for comparison in pair {
                logs.push(comparison.update(&[all_a - a, *a], &[all_b - b, *b])?.ln());
            }
        }
        self.evidence.set(average(&logs)?);
        Ok(self.evidence)
    }

    /// What it has come to.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }
}
