//! Why a policy, its tables or an input to a decision is refused.

use std::fmt;

use statement::Name;
use statement::json::{JsonError, ShapeError};
use statement::kind::Tier;

/// A place in a policy text: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in a text; an offset beyond the end is the end.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < offset);
        before.fold(Self { line: 1, column: 1 }, |place, (_, character)| match character {
            '\n' => Self { line: place.line + 1, column: 1 },
            _ => Self { column: place.column + 1, ..place },
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a policy, its tables or an input to a decision is refused. Nothing is decided with what is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The Cedar text has more bytes than the limit.
    #[error("the duties have {bytes} bytes, more than {}", crate::duties::TEXT_MAX_BYTES)]
    TextSize {
        /// How many it has.
        bytes: usize,
    },
    /// More policies than the limit.
    #[error("the duties are {count} policies, more than {}", crate::duties::POLICIES_MAX)]
    PolicyCount {
        /// How many there are.
        count: usize,
    },
    /// A policy that nests too deep or joins too much.
    #[error("a policy of the duties is too intricate ({0})")]
    TooIntricate(Place),
    /// Not Cedar.
    #[error("the duties are no Cedar text: {detail} ({place})")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        detail: String,
    },
    /// A template: it would mean nothing before somebody fills it in.
    #[error("the duties hold the template `{0}`")]
    Template(String),
    /// A policy without `@id`.
    #[error("the policy at {0} has no `@id`")]
    MissingId(Place),
    /// An `@id` that is no name, or one of the reserved ones.
    #[error("`{id}` cannot be the `@id` of the policy at {place}")]
    BadId {
        /// The id.
        id: String,
        /// Where the policy begins.
        place: Place,
    },
    /// Two policies with one `@id`.
    #[error("two policies have the `@id` `{0}`")]
    RepeatedId(Name),
    /// A `@control` that is not of the documented shape.
    #[error(
        "policy `{policy}` has the `@control` `{control}`, which is not of the shape `SCHEME:ID,ID;SCHEME:ID`"
    )]
    BadControl {
        /// The policy.
        policy: Name,
        /// Its annotation.
        control: String,
    },
    /// A policy that the schema's validator refuses or warns of.
    #[error("policy `{policy}` does not fit the schema: {detail} ({place})")]
    Invalid {
        /// The policy.
        policy: Name,
        /// Where.
        place: Place,
        /// What the validator says.
        detail: String,
    },
    /// The policy was validated against another schema than this version's.
    #[error("the duties are for schema `{wanted}`, this version has `{own}`")]
    SchemaDigest {
        /// What the policy names.
        wanted: statement::Digest,
        /// What this version has.
        own: statement::Digest,
    },
    /// The schema that is built in cannot be read.
    #[error("the built-in Cedar schema cannot be read: {0}")]
    Schema(String),
    /// More failures than trials.
    #[error("{failures} failures in {trials} trials")]
    MoreFailuresThanTrials {
        /// Failures.
        failures: u64,
        /// Trials.
        trials: u64,
    },
    /// An input to the score that is out of its range.
    #[error("`{factor}` is {value}, outside {min} to {max}")]
    InputRange {
        /// Which input.
        factor: &'static str,
        /// What it is.
        value: i64,
        /// The least it may be.
        min: i64,
        /// The most it may be.
        max: i64,
    },
    /// A sum or product that does not fit 64 bits.
    #[error("the impact score does not fit 64 bits at `{0}`")]
    Arithmetic(&'static str),
    /// A table of the rules that does not hold together.
    #[error("`{member}`: {fault}")]
    Rule {
        /// Which member of the rules.
        member: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A tier that asks for less than the least any policy must ask for.
    #[error("tier `{}` asks for less than {floor}", tier_name(*tier))]
    Laxer {
        /// The tier.
        tier: Tier,
        /// What it must ask for.
        floor: String,
    },
    /// The built-in rules are no strict JSON.
    #[error("the built-in rules cannot be read: {0}")]
    RulesText(JsonError),
    /// The built-in rules are JSON of another shape.
    #[error("the built-in rules are not of the documented shape: {0}")]
    RulesShape(ShapeError),
}

impl PolicyError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TextSize { .. } => "CS-POL-001",
            Self::PolicyCount { .. } => "CS-POL-002",
            Self::Syntax { .. } => "CS-POL-003",
            Self::Template(_) => "CS-POL-004",
            Self::MissingId(_) => "CS-POL-005",
            Self::BadId { .. } => "CS-POL-006",
            Self::RepeatedId(_) => "CS-POL-007",
            Self::BadControl { .. } => "CS-POL-008",
            Self::Invalid { .. } => "CS-POL-009",
            Self::SchemaDigest { .. } => "CS-POL-010",
            Self::Schema(_) => "CS-POL-011",
            Self::MoreFailuresThanTrials { .. } => "CS-POL-012",
            Self::InputRange { .. } => "CS-POL-013",
            Self::Arithmetic(_) => "CS-POL-014",
            Self::Rule { .. } => "CS-POL-015",
            Self::Laxer { .. } => "CS-POL-016",
            Self::RulesText(_) => "CS-POL-017",
            Self::RulesShape(_) => "CS-POL-018",
            Self::TooIntricate(_) => "CS-POL-019",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TextSize { .. } | Self::PolicyCount { .. } => {
                "shorten the duties; long reasons belong in documents that a control id names"
            }
            Self::TooIntricate(_) => "split the policy: at most 32 brackets deep and 32 operators each",
            Self::Syntax { .. } => "correct the Cedar text at the place named",
            Self::Template(_) => "write the policy out, without `?principal` and `?resource`",
            Self::MissingId(_) | Self::BadId { .. } | Self::RepeatedId(_) => {
                "give each policy its own `@id` of letters, digits, `-`, `.`, `_`, `/` and `:`"
            }
            Self::BadControl { .. } => {
                "write controls as in `@control(\"NIST-800-53:AC-5,CM-3;SOC2:CC6.3\")`"
            }
            Self::Invalid { .. } => "compare the policy with policies/schema.cedarschema",
            Self::SchemaDigest { .. } => "use the version of Countersign that the policy was made with",
            Self::Schema(_) | Self::RulesText(_) | Self::RulesShape(_) => {
                "this build of Countersign is damaged; install it again"
            }
            Self::MoreFailuresThanTrials { .. } => "count every failure as a trial too",
            Self::InputRange { .. } => {
                "measure the input again; it is in the unit that the documentation names"
            }
            Self::Arithmetic(_) => "make weights and offset of the impact rules smaller",
            Self::Rule { .. } => "correct the member named; policies/README.md says what each must satisfy",
            Self::Laxer { .. } => "a policy may ask for more than the four tiers do, never for less",
        }
    }
}

/// A tier as policies and people write it.
pub(crate) const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Minimal => "minimal",
        Tier::Low => "low",
        Tier::Medium => "medium",
        Tier::High => "high",
    }
}
