//! Refusals of fingerprints, votes and tables, each with a stable code.

use statement::id::Name;

/// A refusal: nothing was concluded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Two fingerprints whose dimension is not of the same shape.
    #[error("dimension `{dimension}` has another shape than before")]
    Shape {
        /// The dimension.
        dimension: Name,
    },
    /// More dimensions or bins than are kept.
    #[error("{what}: {given} are more than the {limit} that are kept")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// A statistic that cannot be computed.
    #[error("dimension `{dimension}` cannot be compared")]
    Statistics {
        /// The dimension.
        dimension: Name,
        /// Why.
        #[source]
        source: stats::Error,
    },
    /// A vote by somebody who is no monitor here.
    #[error("`{monitor}` is not one of the monitors")]
    NoMonitor {
        /// Who voted.
        monitor: Name,
    },
    /// Too few monitors for the faults that are to be borne.
    #[error("{given} monitors cannot bear {faults} that lie or are dead; {needed} can")]
    TooFewMonitors {
        /// How many there are.
        given: usize,
        /// How many may fail.
        faults: usize,
        /// How many are needed.
        needed: usize,
    },
    /// A table of responses that is no table.
    #[error("the table of responses: {reason}")]
    Table {
        /// What is wrong with it.
        reason: String,
    },
    /// A file of what was learnt that is none.
    #[error("what was learnt cannot be read: {reason}")]
    Reference {
        /// What is wrong with it.
        reason: String,
    },
    /// A setting outside its range.
    #[error("`{name}` is {value}, outside {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: u64,
        /// What it may be.
        range: &'static str,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "CS-WCH-001",
            Self::TooMany { .. } => "CS-WCH-002",
            Self::Statistics { .. } => "CS-WCH-003",
            Self::NoMonitor { .. } => "CS-WCH-004",
            Self::TooFewMonitors { .. } => "CS-WCH-005",
            Self::Table { .. } => "CS-WCH-006",
            Self::Setting { .. } => "CS-WCH-007",
            Self::Reference { .. } => "CS-WCH-008",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "start a new baseline when the way of measuring changes",
            Self::TooMany { .. } => "measure fewer dimensions, or in fewer bins",
            Self::Statistics { .. } => {
                "look at the counts of this dimension; they are not those of one window"
            }
            Self::NoMonitor { .. } => "count votes of the monitors that the trust root names",
            Self::TooFewMonitors { .. } => "run two monitors more for each that may fail, and one",
            Self::Table { .. } => "correct the table; `policies/response.json` is one that works",
            Self::Reference { .. } => "remove the file, and let the monitor learn anew while all is well",
            Self::Setting { .. } => "choose a value inside the range",
        }
    }
}
