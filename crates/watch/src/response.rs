//! What follows from what the monitors say: a table, `policies/response.json`.
//!
//! The table says, for a level that has lasted for a time, what is done. Responses rise and never fall while something
//! is wrong: a higher level, or the same for longer, is never answered with less. Going back up is for people.

use serde::{Deserialize, Serialize};
use statement::json;
use statement::kind::Response;

use crate::Error;
use crate::drift::Level;
use crate::vote::Outcome;

/// Bytes of a table at most.
const BYTES_MAX: usize = 64 * 1024;

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What is done when the monitors are blind.
    pub blind: Response,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Version of the format: 1.
    pub version: u32,
}

/// A rule: a level that has lasted so long is answered so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// From this level on.
    pub level: Word,
    /// When it has lasted so long.
    pub lasted_ms: u64,
    /// This is done.
    pub response: Response,
}

/// A level as tables write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// To be looked at more closely.
    Notable,
    /// To be acted on.
    Serious,
    /// To be ended at once.
    Critical,
}

impl Word {
    /// The level.
    pub const fn level(self) -> Level {
        match self {
            Self::Notable => Level::Notable,
            Self::Serious => Level::Serious,
            Self::Critical => Level::Critical,
        }
    }
}

/// Since when each level has been reached without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    since_ms: [Option<u64>; 3],
    blind: bool,
}

impl Course {
    /// What the panel said at a time.
    pub fn see(&mut self, outcome: Outcome, at_ms: u64) {
        match outcome {
            // Not knowing ends nothing: what was wrong still counts as wrong.
            Outcome::Blind { .. } => self.blind = true,
            Outcome::Agreed(level) => {
                self.blind = false;
                let words = [Word::Notable, Word::Serious, Word::Critical];
                for (since, word) in self.since_ms.iter_mut().zip(words) {
                    *since = if level >= word.level() { since.or(Some(at_ms)) } else { None };
                }
            }
        }
    }
}

impl Table {
    /// The table of `policies/response.json`.
    pub fn standard() -> Result<Self, Error> {
        Self::parse(include_bytes!("../../../policies/response.json"))
    }

    /// Reads and checks a table.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Table { reason };
        let value = json::parse(bytes, json::Limits::signed(BYTES_MAX)).map_err(|e| refuse(e.to_string()))?;
        let table: Self = json::from_value(&value).map_err(|error| refuse(error.to_string()))?;
        if table.version != 1 {
            return Err(refuse(format!("version {} is not known", table.version)));
        }
        let highest = table.rules.iter().any(|rule| rule.level == Word::Critical && rule.lasted_ms == 0);
        if !highest {
            return Err(refuse("what is critical has no response at once".to_owned()));
        }
        Ok(table)
    }

    /// What is to be done now: the strongest of all that apply; none where nothing does.
    pub fn respond(&self, course: &Course, now_ms: u64) -> Option<Response> {
        let words = [Word::Notable, Word::Serious, Word::Critical];
        let lasted = |word: Word| {
            let since = words.iter().zip(course.since_ms).find(|(other, _)| **other == word)?.1?;
            Some(now_ms.saturating_sub(since))
        };
        let applies = |rule: &&Rule| lasted(rule.level).is_some_and(|lasted| lasted >= rule.lasted_ms);
        let by_rule = self.rules.iter().filter(applies).map(|rule| rule.response).max();
        by_rule.max(course.blind.then_some(self.blind))
    }
}

#[cfg(test)]
mod tests;
