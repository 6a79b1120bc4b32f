//! The e-processes behind a metric's two comparisons.

use statement::id::Name;
use stats::eprocess::{Comparison, Direction, Evidence, Paired, Pairs, Settings};

use super::{Cell, Test};
use crate::Error;

/// Bets on worse exceeding better by less than a margin: the mirror image of [`Paired`].
///
/// With better and worse exchanged, "worse exceeds better by at least the margin" is "better exceeds worse by at most
/// minus the margin", a mean of at most `-margin`.
#[derive(Debug, Clone)]
pub(super) struct PairsWithin(Paired);

impl PairsWithin {
    pub(super) fn new(margin: f64) -> Result<Self, stats::Error> {
        Ok(Self(Paired::with_shift(-margin)?))
    }
}

impl From<PairsWithin> for Test {
    fn from(test: PairsWithin) -> Self {
        Self::PairsWithin(test)
    }
}

/// For each category that its share is higher, and lower, by at least the margin: all to be refuted.
pub(super) fn categories_within(margin: f64, expected: &[f64]) -> Result<Vec<[Comparison; 2]>, stats::Error> {
    let of = |expected: &f64| {
        let above = Settings {
            delta: margin,
            direction: Direction::ExceedsByAtLeast,
            expected: *expected,
            levels: 2,
        };
        let below = Settings { delta: -margin, direction: Direction::ExceedsByAtMost, ..above };
        Ok([Comparison::new(above)?, Comparison::new(below)?])
    };
    expected.iter().map(of).collect()
}

impl Test {
    pub(super) fn push(&mut self, cell: &Cell, row: usize, gate: &Name) -> Result<(), Error> {
        let result = match (self, cell) {
            (Self::Pairs(test), Cell::Pairs { better, equal, worse }) => {
                test.update(Pairs { better: *better, equal: *equal, worse: *worse }).map(drop)
            }
            (Self::PairsWithin(test), Cell::Pairs { better, equal, worse }) => {
                test.0.update(Pairs { better: *worse, equal: *equal, worse: *better }).map(drop)
            }
            (Self::Arms(test), Cell::Arms { candidate, control }) => {
                test.update(control, candidate).map(drop)
            }
            (Self::Categories(test), Cell::Arms { candidate, control }) => {
                test.update(control, candidate).map(drop)
            }
            (Self::CategoriesWithin(tests), Cell::Arms { candidate, control }) => {
                update_all(tests, control, candidate)
            }
            _ => {
                return Err(Error::Row {
                    row,
                    reason: "a cell has pairs where arms are compared, or arms for pairs",
                });
            }
        };
        result.map_err(|source| Error::Statistics { gate: gate.clone(), source })
    }

    /// The evidence; where several null hypotheses all have to be refuted, the weakest.
    pub(super) fn evidence(&self) -> Evidence {
        match self {
            Self::Pairs(test) => test.evidence(),
            Self::PairsWithin(test) => test.0.evidence(),
            Self::Arms(test) => test.evidence(),
            Self::Categories(test) => test.evidence(),
            Self::CategoriesWithin(tests) => {
                let all = tests.iter().flatten().map(Comparison::evidence);
                all.min_by(|left, right| left.ln_most().total_cmp(&right.ln_most())).unwrap_or_default()
            }
        }
    }
}

fn update_all(tests: &mut [[Comparison; 2]], control: &[u64], candidate: &[u64]) -> Result<(), stats::Error> {
    let all = |counts: &[u64]| counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let (n_a, n_b) = (all(control), all(candidate));
    for ((pair, a), b) in tests.iter_mut().zip(control).zip(candidate) {
        for test in pair {
            test.update(&[n_a.saturating_sub(*a), *a], &[n_b.saturating_sub(*b), *b])?;
        }
    }
    Ok(())
}
