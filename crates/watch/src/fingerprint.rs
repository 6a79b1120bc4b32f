//! What traffic looked like in a window: counts, by dimension.
//!
//! Everything is an integer, so that windows and gateways add up exactly and the result can be signed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statement::id::Name;
use stats::sketch::Histogram;

use crate::{Error, wire};

/// Dimensions of a fingerprint at most.
const DIMENSIONS_MAX: usize = 256;
/// Categories of a dimension at most.
const CATEGORIES_MAX: usize = 4_096;

/// One dimension's counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// Sizes: latencies, lengths, in whole units.
    Sizes(Histogram),
    /// Categories: finish reasons, tokens, n-grams by hash.
    Categories(Vec<u64>),
    /// Yes or no: refusals, errors, probes answered wrongly.
    Events {
        /// How often yes.
        yes: u64,
        /// Of how many.
        of: u64,
    },
}

/// A window's counts, by dimension.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "wire::Fingerprint", into = "wire::Fingerprint")]
pub struct Fingerprint {
    dimensions: BTreeMap<Name, Dimension>,
}

impl Fingerprint {
    /// Adds what was counted in a dimension.
    pub fn add(&mut self, name: &Name, dimension: &Dimension) -> Result<(), Error> {
        if let Dimension::Categories(counts) = dimension
            && counts.len() > CATEGORIES_MAX
        {
            let (given, limit) = (counts.len(), CATEGORIES_MAX);
            return Err(Error::TooMany { what: "categories", given, limit });
        }
        let Some(own) = self.dimensions.get_mut(name) else {
            let given = self.dimensions.len() + 1;
            if given > DIMENSIONS_MAX {
                return Err(Error::TooMany { what: "dimensions", given, limit: DIMENSIONS_MAX });
            }
            self.dimensions.insert(name.clone(), dimension.clone());
            return Ok(());
        };
        own.add(dimension, name)
    }

    /// Adds what another window or gateway has counted.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        other.dimensions.iter().try_for_each(|(name, dimension)| self.add(name, dimension))
    }

    /// A dimension's counts.
    pub fn dimension(&self, name: &Name) -> Option<&Dimension> {
        self.dimensions.get(name)
    }

    /// All dimensions, by name.
    pub fn dimensions(&self) -> impl Iterator<Item = (&Name, &Dimension)> {
        self.dimensions.iter()
    }

    /// The same shape with half of every count: older windows fade.
    #[must_use]
    pub fn halved(&self) -> Self {
        let halved = self.dimensions.iter().map(|(name, dimension)| (name.clone(), dimension.halved()));
        Self { dimensions: halved.collect() }
    }
}

impl Dimension {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Sizes(histogram) => histogram.count(),
            Self::Categories(counts) => counts.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            Self::Events { of, .. } => *of,
        }
    }

    fn add(&mut self, other: &Self, name: &Name) -> Result<(), Error> {
        let shape = || Error::Shape { dimension: name.clone() };
        match (self, other) {
            (Self::Sizes(own), Self::Sizes(other)) => {
                own.merge(other).map_err(|source| Error::Statistics { dimension: name.clone(), source })
            }
            (Self::Categories(own), Self::Categories(other)) if own.len() == other.len() => {
                for (own, more) in own.iter_mut().zip(other) {
                    *own = own.saturating_add(*more);
                }
                Ok(())
            }
            (Self::Events { yes, of }, Self::Events { yes: more_yes, of: more }) => {
                *yes = yes.saturating_add(*more_yes);
                *of = of.saturating_add(*more);
                Ok(())
            }
            _ => Err(shape()),
        }
    }

    fn halved(&self) -> Self {
        match self {
            Self::Sizes(histogram) => Self::Sizes(histogram.halved()),
            Self::Categories(counts) => Self::Categories(counts.iter().map(|count| count / 2).collect()),
            Self::Events { yes, of } => Self::Events { yes: yes / 2, of: of / 2 },
        }
    }
}
