//! What traffic usually looks like at this hour of the day.
//!
//! There is a baseline for each hour (UTC), because nights differ from days without being anomalies. Each adapts: when
//! its hour comes round again, what it knew counts half. It does not learn from windows that are held to be anomalous,
//! or an attacker would teach it.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::fingerprint::Fingerprint;

const HOURS: usize = 24;
const HOUR_MS: u64 = 3_600_000;

/// Whether a window may be learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learn {
    /// Nothing is wrong, as far as is known.
    Yes,
    /// It is anomalous, or happened while something was.
    No,
}

/// A baseline for every hour of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Hour>", into = "Vec<Hour>")]
pub struct Baseline {
    hours: Vec<Hour>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hour {
    /// The day that was learnt last.
    day: u64,
    usual: Fingerprint,
}

impl TryFrom<Vec<Hour>> for Baseline {
    type Error = Error;

    fn try_from(hours: Vec<Hour>) -> Result<Self, Error> {
        if hours.len() == HOURS {
            return Ok(Self { hours });
        }
        Err(Error::TooMany { what: "hours of a day", given: hours.len(), limit: HOURS })
    }
}

impl From<Baseline> for Vec<Hour> {
    fn from(baseline: Baseline) -> Self {
        baseline.hours
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self { hours: vec![Hour::default(); HOURS] }
    }
}

fn place(at_ms: u64) -> (usize, u64) {
    let hour = at_ms / HOUR_MS;
    ((hour % HOURS as u64) as usize, hour / HOURS as u64)
}

impl Baseline {
    /// What is usual at a time; empty where nothing has been learnt.
    pub fn usual(&self, at_ms: u64) -> Fingerprint {
        self.hours.get(place(at_ms).0).map(|hour| hour.usual.clone()).unwrap_or_default()
    }

    /// What is usual at any hour, all of them together: where this one has not been learnt yet.
    pub fn usual_at_all(&self) -> Result<Fingerprint, Error> {
        let mut all = Fingerprint::default();
        self.hours.iter().try_for_each(|hour| all.merge(&hour.usual))?;
        Ok(all)
    }

    /// Learns a window that ended at `at_ms`.
    pub fn learn(&mut self, window: &Fingerprint, at_ms: u64, learn: Learn) -> Result<(), Error> {
        if learn == Learn::No {
            return Ok(());
        }
        let (at, day) = place(at_ms);
        let Some(hour) = self.hours.get_mut(at) else { return Ok(()) };
        let mut next = hour.usual.clone();
        // After 64 days away nothing is left of any count.
        for _ in 0..day.saturating_sub(hour.day).min(64) {
            next = next.halved();
        }
        next.merge(window)?;
        *hour = Hour { usual: next, day: hour.day.max(day) };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
