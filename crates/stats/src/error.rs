//! Why a statistic cannot be computed, each with a stable code.

use crate::COUNT_MAX;

/// A refusal. No statistic follows from what was given, and nothing has been decided.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number that has to lie strictly between 0 and 1.
    #[error("`{name}` is {value} and has to lie between 0 and 1, both excluded")]
    Probability {
        /// The argument.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// A count above what is computed with.
    #[error("`{name}` is {given}; counts above {COUNT_MAX} are not computed with")]
    Count {
        /// The argument.
        name: &'static str,
        /// What was given.
        given: u64,
    },
    /// A part larger than its whole.
    #[error("`{part}` is {given}, more than its whole of {whole}")]
    Part {
        /// The argument.
        part: &'static str,
        /// What was given.
        given: u64,
        /// What it is a part of.
        whole: u64,
    },
    /// An infinite value, or one that is not a number.
    #[error("entry {index} of `{what}` is not finite")]
    NotFinite {
        /// Of which argument.
        what: &'static str,
        /// The first such entry.
        index: usize,
    },
    /// Fewer entries than the statistic needs.
    #[error("`{what}` has {given} entries; at least {needed} are needed")]
    TooFew {
        /// Of which argument.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many are needed.
        needed: usize,
    },
    /// More entries than are computed with.
    #[error("`{what}` has {given} entries; at most {limit} are computed with")]
    TooMany {
        /// Of which argument.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// Two arguments that should have the same length.
    #[error("`{what}` has {given} entries where {expected} are expected")]
    Length {
        /// Of which argument.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A setting outside its range.
    #[error("`{name}` is {value}, outside {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What it may be, in words.
        range: &'static str,
    },
    /// A stratum that nothing was calibrated for.
    #[error("nothing was calibrated for the stratum `{stratum}`")]
    Stratum {
        /// Its name.
        stratum: String,
    },
    /// Bytes that are not a sketch.
    #[error("the bytes are not a sketch: {reason}")]
    Sketch {
        /// What is wrong with them.
        reason: String,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Probability { .. } => "CS-STA-001",
            Self::Count { .. } => "CS-STA-002",
            Self::Part { .. } => "CS-STA-003",
            Self::NotFinite { .. } => "CS-STA-004",
            Self::TooFew { .. } => "CS-STA-005",
            Self::TooMany { .. } => "CS-STA-006",
            Self::Length { .. } => "CS-STA-007",
            Self::Setting { .. } => "CS-STA-008",
            Self::Stratum { .. } => "CS-STA-009",
            Self::Sketch { .. } => "CS-STA-010",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Probability { .. } => "give a level or rate as a fraction, as 0.01 for one per cent",
            Self::Count { .. } => {
                "judge a shorter window; counts of this size decide nothing that fewer do not"
            }
            Self::Part { .. } => "check that both counts are of the same window and the same units",
            Self::NotFinite { .. } => "find out why the measurement failed; it is not evidence of anything",
            Self::TooFew { .. } => "collect more before deciding; until then the answer is inconclusive",
            Self::TooMany { .. } => "draw a sample of the size that is allowed, with a recorded seed",
            Self::Length { .. } => "give both samples the same categories, levels or dimensions",
            Self::Setting { .. } => "choose a value inside the range",
            Self::Stratum { .. } => {
                "calibrate on benign changes of this stratum, or leave the decision to a person"
            }
            Self::Sketch { .. } => "read the sketch from the record again; it was damaged on its way",
        }
    }
}
