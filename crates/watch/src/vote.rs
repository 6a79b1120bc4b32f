//! What several monitors say together, some of which may lie or be dead.
//!
//! With `2 f + 1` monitors of which `f` fail, the level that counts is the `(f + 1)`-th highest vote, a dead monitor's
//! being the lowest. Then those that lie cannot raise it above what an honest one says, and those that lie or are dead
//! cannot keep it below what all honest ones say. Where more than `f` are silent, nobody knows, and that is a level of
//! its own.

use std::collections::BTreeMap;

use statement::id::Name;

use crate::Error;
use crate::drift::Level;

/// The monitors, and for how long a vote counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    votes: BTreeMap<Name, Option<Vote>>,
    faults: usize,
    fresh_ms: u64,
}

/// A monitor's last vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// What it sees.
    pub level: Level,
    /// When it looked.
    pub at_ms: u64,
}

/// What the panel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This level, whatever the faulty ones say.
    Agreed(Level),
    /// More monitors are silent than may fail.
    Blind {
        /// How many speak.
        speaking: usize,
    },
}

impl Panel {
    /// A panel of monitors that bears `faults`. A vote counts for `fresh_ms`.
    pub fn new(
        monitors: impl IntoIterator<Item = Name>,
        faults: usize,
        fresh_ms: u64,
    ) -> Result<Self, Error> {
        let votes: BTreeMap<Name, Option<Vote>> = monitors.into_iter().map(|name| (name, None)).collect();
        let needed = faults.saturating_mul(2).saturating_add(1);
        if votes.len() < needed {
            return Err(Error::TooFewMonitors { given: votes.len(), faults, needed });
        }
        Ok(Self { votes, faults, fresh_ms })
    }

    /// Takes a monitor's vote. An older one than it has given does not count.
    pub fn cast(&mut self, monitor: &Name, vote: Vote) -> Result<(), Error> {
        let Some(last) = self.votes.get_mut(monitor) else {
            return Err(Error::NoMonitor { monitor: monitor.clone() });
        };
        if last.is_none_or(|last| last.at_ms <= vote.at_ms) {
            *last = Some(vote);
        }
        Ok(())
    }

    /// What they say at `now_ms`. Votes from later than that do not count either.
    pub fn outcome(&self, now_ms: u64) -> Outcome {
        let fresh = |vote: &Vote| now_ms.checked_sub(vote.at_ms).is_some_and(|age| age <= self.fresh_ms);
        let mut levels: Vec<Level> =
            self.votes.values().flatten().filter(|vote| fresh(vote)).map(|vote| vote.level).collect();
        let speaking = levels.len();
        if self.votes.len() - speaking > self.faults {
            return Outcome::Blind { speaking };
        }
        levels.sort_unstable_by(|left, right| right.cmp(left));
        Outcome::Agreed(levels.get(self.faults).copied().unwrap_or(Level::Quiet))
    }
}

#[cfg(test)]
mod tests;
