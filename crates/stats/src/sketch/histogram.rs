//! Quantiles of whole numbers, as latencies in microseconds or tokens, with a bounded relative error.

use std::collections::BTreeMap;

use crate::{Error, bounded};

/// A histogram whose buckets widen with the value: within each power of two there are `2^bits` of them, so a value is
/// known to a relative error of `2^-bits` (the layout of HdrHistogram, G. Tene; the guarantee is that of DDSketch,
/// Masson, Rim, Lee, PVLDB 12, 2019).
///
/// Merging is addition of counts: exact, and in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    bits: u32,
    counts: BTreeMap<u32, u64>,
    all: u64,
}

impl Histogram {
    /// An empty histogram with a relative error of at most `2^-bits`, for 1 to 12 bits.
    pub fn new(bits: u32) -> Result<Self, Error> {
        if !(1..=12).contains(&bits) {
            return Err(Error::Setting { name: "bits", value: f64::from(bits), range: "1 to 12" });
        }
        Ok(Self { bits, counts: BTreeMap::new(), all: 0 })
    }

    /// A histogram from recorded counts by bucket.
    pub fn from_counts(bits: u32, counts: impl IntoIterator<Item = (u32, u64)>) -> Result<Self, Error> {
        let mut histogram = Self::new(bits)?;
        let last = bucket(u64::MAX, bits);
        for (bucket, count) in counts {
            if bucket > last {
                return Err(Error::Count { name: "bucket", given: u64::from(bucket) });
            }
            histogram.all = bounded("count", histogram.all.saturating_add(count))?;
            if count > 0 {
                *histogram.counts.entry(bucket).or_default() += count;
            }
        }
        Ok(histogram)
    }

    /// Adds a value some times.
    pub fn add(&mut self, value: u64, times: u64) -> Result<(), Error> {
        self.all = bounded("count", self.all.saturating_add(times))?;
        if times > 0 {
            *self.counts.entry(bucket(value, self.bits)).or_default() += times;
        }
        Ok(())
    }

    /// Adds all that another has counted.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.bits != other.bits {
            let value = f64::from(other.bits);
            return Err(Error::Setting { name: "bits", value, range: "the bits of the other histogram" });
        }
        self.all = bounded("count", self.all.saturating_add(other.all))?;
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        Ok(())
    }

    /// Half of every count, rounded down: what is older fades.
    #[must_use]
    pub fn halved(&self) -> Self {
        let halved = self.counts.iter().map(|(bucket, count)| (*bucket, count / 2));
        let counts: BTreeMap<u32, u64> = halved.filter(|(_, count)| *count > 0).collect();
        Self { bits: self.bits, all: counts.values().sum(), counts }
    }

    /// How finely values are told apart: to a relative error of `2^-bits`.
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.all
    }

    /// The counts by bucket, none of them 0.
    pub fn counts(&self) -> &BTreeMap<u32, u64> {
        &self.counts
    }

    /// The highest value that the bucket of the `rank`-th lowest value can hold, ranks from 1; none without values.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut below = 0;
        let rank = rank.clamp(1, self.all.max(1));
        self.counts.iter().find_map(|(bucket, count)| {
            below += count;
            (below >= rank).then(|| highest(*bucket, self.bits))
        })
    }

    /// The quantile in parts per million, from above: at least that share of values is at or below it.
    pub fn quantile_ppm(&self, ppm: u32) -> Option<u64> {
        let rank = (u128::from(self.all) * u128::from(ppm.min(1_000_000))).div_ceil(1_000_000);
        self.at_rank(u64::try_from(rank).unwrap_or(u64::MAX))
    }

    /// How many values are in buckets that lie wholly above `limit`.
    pub fn above(&self, limit: u64) -> u64 {
        let bucket = bucket(limit, self.bits);
        self.counts.range(bucket + 1..).map(|(_, count)| count).sum()
    }
}

/// The number of a value's bucket.
fn bucket(value: u64, bits: u32) -> u32 {
    let length = u64::BITS - value.leading_zeros();
    if length <= bits + 1 {
        return value as u32;
    }
    let shift = length - bits - 1;
    (shift << bits) + (value >> shift) as u32
}

/// The highest value of a bucket.
fn highest(bucket: u32, bits: u32) -> u64 {
    if bucket < 1 << (bits + 1) {
        return u64::from(bucket);
    }
    let shift = (bucket >> bits) - 1;
    let leading = u64::from(bucket - (shift << bits));
    let low = leading << shift;
    low + ((1_u64 << shift) - 1)
}

#[cfg(test)]
mod tests;
