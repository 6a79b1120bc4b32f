//! Distinct counts and frequent items, from `datasketches`.

use datasketches::common::NumStdDev;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hll::{HllSketch, HllType, HllUnion};

use crate::Error;

/// Registers as a power of two: a relative standard error of 1.6 %, 4 KiB.
const REGISTERS_LOG: u8 = 12;
/// Bytes of a serialised sketch that are looked at, at most.
const BYTES_MAX: usize = 1 << 20;

fn damaged(error: &datasketches::error::Error) -> Error {
    Error::Sketch { reason: error.to_string() }
}

fn small(bytes: &[u8]) -> Result<&[u8], Error> {
    if bytes.len() > BYTES_MAX {
        return Err(Error::TooMany { what: "bytes", given: bytes.len(), limit: BYTES_MAX });
    }
    Ok(bytes)
}

/// How many different things were seen: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007, as in Apache
/// DataSketches).
///
/// The estimate uses the platform's logarithm: it informs, and decides nothing.
#[derive(Debug, Clone)]
pub struct Distinct {
    sketch: HllSketch,
}

impl Distinct {
    /// Nothing seen yet.
    pub fn new() -> Result<Self, Error> {
        let sketch = HllSketch::new(REGISTERS_LOG, HllType::Hll8).map_err(|error| damaged(&error))?;
        Ok(Self { sketch })
    }

    /// Adds a thing.
    pub fn add(&mut self, thing: &[u8]) {
        self.sketch.update(thing);
    }

    /// The sketch of everything that either has seen.
    pub fn merged(&self, other: &Self) -> Result<Self, Error> {
        let mut union = HllUnion::new(REGISTERS_LOG).map_err(|error| damaged(&error))?;
        union.update(&self.sketch);
        union.update(&other.sketch);
        Ok(Self { sketch: union.to_sketch(HllType::Hll8) })
    }

    /// About how many different things, and within which bounds they are with about 95 % confidence.
    pub fn estimate(&self) -> (f64, f64, f64) {
        let bound = NumStdDev::Two;
        (self.sketch.lower_bound(bound), self.sketch.estimate(), self.sketch.upper_bound(bound))
    }

    /// The sketch in the format of Apache DataSketches.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.sketch.serialize()
    }

    /// Reads a sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let sketch = HllSketch::deserialize(small(bytes)?).map_err(|error| damaged(&error))?;
        if sketch.lg_config_k() != REGISTERS_LOG {
            return Err(Error::Sketch { reason: format!("it has 2^{} registers", sketch.lg_config_k()) });
        }
        Ok(Self { sketch })
    }
}

/// The things that were seen most often, as token or n-gram ids (Anderson, Bevin, Lang, Liberty, Rhodes, Thaler, "A
/// high-performance algorithm for identifying frequent items in data streams", IMC 2017).
#[derive(Debug, Clone)]
pub struct Frequent {
    sketch: FrequentItemsSketch<u64>,
}

/// A frequent thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The thing's id.
    pub id: u64,
    /// It was seen at least so often.
    pub at_least: u64,
    /// And at most so often.
    pub at_most: u64,
}

impl Frequent {
    /// Keeps about three quarters of `slots`, a power of two from 8 to 65,536.
    pub fn new(slots: u32) -> Result<Self, Error> {
        if !slots.is_power_of_two() || !(8..=65_536).contains(&slots) {
            let value = f64::from(slots);
            return Err(Error::Setting { name: "slots", value, range: "powers of two from 8 to 65,536" });
        }
        let sketch = FrequentItemsSketch::new(slots as usize).map_err(|error| damaged(&error))?;
        Ok(Self { sketch })
    }

    /// Adds a thing some times.
    pub fn add(&mut self, id: u64, times: u64) -> Result<(), Error> {
        crate::bounded("count", self.sketch.total_weight().saturating_add(times))?;
        self.sketch.update_with_count(id, times);
        Ok(())
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let (own, others) = (self.sketch.total_weight(), other.sketch.total_weight());
        crate::bounded("count", own.saturating_add(others))?;
        self.sketch.merge(&other.sketch);
        Ok(())
    }

    /// Everything that may have been seen more often than the sketch's error, the most frequent first.
    pub fn items(&self) -> Vec<Item> {
        let rows = self.sketch.frequent_items(ErrorType::NoFalseNegatives);
        let mut items: Vec<Item> = rows
            .iter()
            .map(|row| Item { id: *row.item(), at_least: row.lower_bound(), at_most: row.upper_bound() })
            .collect();
        items.sort_by(|left, right| right.at_most.cmp(&left.at_most).then(left.id.cmp(&right.id)));
        items
    }
}

#[cfg(test)]
mod tests;
