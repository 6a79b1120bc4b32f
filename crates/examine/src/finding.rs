//! What examiners say.

use serde::{Deserialize, Serialize};

use crate::coverage::Class;

/// What follows from a finding by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// A person looks at it.
    Suspicion,
    /// The change is refused, whatever else was found.
    Refusal,
}

/// One thing that an examiner found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Who found it.
    pub examiner: String,
    /// A stable name for what it is.
    pub what: String,
    /// What follows from it.
    pub weight: Weight,
    /// The class of attack that it speaks for, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// In words, strangers' text in them escaped and shortened.
    pub text: String,
}

/// A number for a calibration: the higher, the more suspicious.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The detector, `probe.trigger` for one.
    pub detector: String,
    /// Its value.
    pub value: f64,
    /// The smallest difference that means anything: for rates, one prompt of those asked.
    pub grain: f64,
}

/// Something that was not examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Who would have.
    pub examiner: String,
    /// Why not.
    pub why: String,
}

/// Where examiners put what they find.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) examiner: &'static str,
    pub(crate) findings: Vec<Finding>,
    pub(crate) scores: Vec<Score>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) measures: Vec<(String, f64)>,
}

impl Notes {
    pub(crate) fn find(&mut self, weight: Weight, what: &str, class: Option<Class>, text: impl Into<String>) {
        let (examiner, what) = (self.examiner.to_owned(), what.to_owned());
        self.findings.push(Finding { examiner, what, weight, class, text: text.into() });
    }

    pub(crate) fn score(&mut self, detector: &str, value: f64, grain: f64) {
        self.scores.push(Score { detector: detector.to_owned(), value, grain });
    }

    pub(crate) fn gap(&mut self, why: impl Into<String>) {
        self.gaps.push(Gap { examiner: self.examiner.to_owned(), why: why.into() });
    }

    pub(crate) fn measure(&mut self, name: impl Into<String>, value: f64) {
        self.measures.push((name.into(), value));
    }

    pub(crate) fn refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.weight == Weight::Refusal)
    }
}
