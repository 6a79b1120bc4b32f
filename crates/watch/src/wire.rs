//! Fingerprints as they are sent and kept: integers in lists, each with a stated shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statement::id::Name;
use stats::sketch::Histogram;

use crate::fingerprint;

/// A fingerprint, by dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fingerprint(BTreeMap<Name, Dimension>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Dimension {
    Categories(Vec<u64>),
    Events { of: u64, yes: u64 },
    Sizes { bits: u32, counts: Vec<(u32, u64)> },
}

impl From<fingerprint::Fingerprint> for Fingerprint {
    fn from(counted: fingerprint::Fingerprint) -> Self {
        let written = |dimension: &fingerprint::Dimension| match dimension {
            fingerprint::Dimension::Categories(counts) => Dimension::Categories(counts.clone()),
            fingerprint::Dimension::Events { yes, of } => Dimension::Events { of: *of, yes: *yes },
            fingerprint::Dimension::Sizes(histogram) => {
                let counts = histogram.counts().iter().map(|(bucket, count)| (*bucket, *count)).collect();
                Dimension::Sizes { bits: histogram.bits(), counts }
            }
        };
        Self(counted.dimensions().map(|(name, dimension)| (name.clone(), written(dimension))).collect())
    }
}

impl TryFrom<Fingerprint> for fingerprint::Fingerprint {
    type Error = crate::Error;

    fn try_from(wire: Fingerprint) -> Result<Self, crate::Error> {
        let mut counted = Self::default();
        for (name, dimension) in wire.0 {
            let dimension = match dimension {
                Dimension::Categories(counts) => fingerprint::Dimension::Categories(counts),
                Dimension::Events { of, yes } if yes <= of => fingerprint::Dimension::Events { yes, of },
                Dimension::Events { .. } => return Err(crate::Error::Shape { dimension: name }),
                Dimension::Sizes { bits, counts } => {
                    let read = Histogram::from_counts(bits, counts);
                    let failed = |source| crate::Error::Statistics { dimension: name.clone(), source };
                    fingerprint::Dimension::Sizes(read.map_err(failed)?)
                }
            };
            counted.add(&name, &dimension)?;
        }
        Ok(counted)
    }
}
