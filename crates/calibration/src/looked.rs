//! What an examination came to, as far as the judgement goes by it.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far an examination goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Files and weights.
    Screen,
    /// The screen, and the model in circumstances that attacks need.
    Probe,
    /// All of it: the suite too.
    Align,
}

impl Level {
    /// All levels, rising.
    pub const ALL: [Self; 3] = [Self::Screen, Self::Probe, Self::Align];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Probe => "probe",
            Self::Align => "align",
        }
    }

    /// The level of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The level at which a detector measures: its name begins with it. Of any other name nothing is excused.
    pub(crate) fn of(detector: &str) -> Self {
        detector.split_once('.').and_then(|(level, _)| Self::named(level)).unwrap_or(Self::Screen)
    }
}

/// A number that is the same to the bit wherever it is read: the shortest decimal that names it, as text.
#[derive(Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let number: f64 = text.parse().map_err(D::Error::custom)?;
        if format!("{number:?}") == text {
            Ok(Self(number))
        } else {
            Err(D::Error::custom("a number is written in its shortest form"))
        }
    }
}

/// A detector's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The detector: `probe.trigger` for one.
    pub detector: String,
    /// The higher, the more suspicious.
    pub value: Number,
}

/// Why an examiner did not look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// It is no part of this examination.
    NotPart,
    /// The change was refused before.
    RefusedAlready,
    /// What it compares with is no part of every change, and was not given: a declaration, an earlier generation.
    NotGiven,
    /// It could not.
    Unable,
}

/// An examiner's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// Its name.
    pub examiner: String,
    /// Why it did not look; none where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

/// Something with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// What it is: an examiner, or the name of a finding.
    pub what: String,
    /// Why, or what about it.
    pub why: String,
}

/// A class of attack in a layer of the model: who looked for it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The class.
    pub class: String,
    /// The layer.
    pub layer: String,
    /// The examiners that looked; nobody where it is empty.
    pub by: Vec<String>,
}

/// What an examination came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// The kind of change, which is the stratum that it is judged in.
    pub kind: String,
    /// Why there was no examination at all, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unable: Option<String>,
    /// Who looked, and who did not.
    pub examiners: Vec<Ran>,
    /// What refuses the change by itself.
    pub refusals: Vec<Why>,
    /// What was too little to decide.
    pub undecided: Vec<Why>,
    /// What was not looked at.
    pub gaps: Vec<Why>,
    /// The scores.
    pub scores: Vec<Figure>,
    /// Whether what the change answers was compared with what the base answers.
    pub compared: bool,
}
