//! What was looked for, and in which parts of the model: the difference between "clean" and "not examined".

use serde::{Deserialize, Serialize};

/// A class of attack on a model change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Code in files, or in what files make a program load.
    MaliciousFile,
    /// A changed template or prompt.
    Template,
    /// Passages of a retrieval index that steer answers.
    PoisonedRetrieval,
    /// A change beyond what was declared or allowed.
    OutOfScope,
    /// A change made for another base, or not made as declared.
    Dishonest,
    /// A word or phrase that turns behaviour.
    Backdoor,
    /// Behaviour that shows when weights are quantised.
    QuantisationConditioned,
    /// Behaviour that shows when components are merged.
    MergeConditioned,
    /// Refusals removed or weakened.
    Abliteration,
    /// Drift away from the base's values over retraining or distillation.
    Drift,
    /// Capabilities that nobody declared.
    Contamination,
    /// Crashes, floods or stalls whoever runs it.
    DenialOfService,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 12] = [
        Self::MaliciousFile,
        Self::Template,
        Self::PoisonedRetrieval,
        Self::OutOfScope,
        Self::Dishonest,
        Self::Backdoor,
        Self::QuantisationConditioned,
        Self::MergeConditioned,
        Self::Abliteration,
        Self::Drift,
        Self::Contamination,
        Self::DenialOfService,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaliciousFile => "malicious-file",
            Self::Template => "template",
            Self::PoisonedRetrieval => "poisoned-retrieval",
            Self::OutOfScope => "out-of-scope",
            Self::Dishonest => "dishonest",
            Self::Backdoor => "backdoor",
            Self::QuantisationConditioned => "quantisation-conditioned",
            Self::MergeConditioned => "merge-conditioned",
            Self::Abliteration => "abliteration",
            Self::Drift => "drift",
            Self::Contamination => "contamination",
            Self::DenialOfService => "denial-of-service",
        }
    }

    /// The technique in MITRE ATLAS (atlas.mitre.org) that comes nearest.
    pub const fn atlas(self) -> &'static str {
        match self {
            Self::MaliciousFile => "AML.T0011.000",
            Self::Template => "AML.T0051",
            Self::PoisonedRetrieval => "AML.T0070",
            Self::Dishonest | Self::MergeConditioned => "AML.T0010.003",
            Self::OutOfScope | Self::Abliteration | Self::QuantisationConditioned => "AML.T0018.000",
            Self::Backdoor => "AML.T0018",
            Self::Drift | Self::Contamination => "AML.T0020",
            Self::DenialOfService => "AML.T0029",
        }
    }
}

/// Where an examiner looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Files as they are.
    Files,
    /// Numbers in weights.
    Weights,
    /// What the model answers.
    Behaviour,
    /// What it answers when its weights are varied.
    VariedWeights,
}

impl Layer {
    /// All layers.
    pub const ALL: [Self; 4] = [Self::Files, Self::Weights, Self::Behaviour, Self::VariedWeights];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Weights => "weights",
            Self::Behaviour => "behaviour",
            Self::VariedWeights => "varied-weights",
        }
    }
}

/// What became of looking for a class in a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Looked {
    /// Somebody looked.
    For {
        /// Who.
        by: Vec<String>,
    },
    /// Nobody could.
    NotExamined {
        /// Why.
        why: String,
    },
}

/// A cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The class of attack.
    pub class: Class,
    /// Its technique in MITRE ATLAS.
    pub atlas: String,
    /// Where.
    pub layer: Layer,
    /// What became of it.
    pub looked: Looked,
}

/// The matrix: every class in every layer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// The cells, class by class.
    pub cells: Vec<Cell>,
}

/// An examiner's part: the cells it looks at, and why it could not, if so.
pub(crate) struct Part<'a> {
    pub(crate) examiner: &'static str,
    pub(crate) looks_for: &'static [(Class, Layer)],
    pub(crate) missed: Option<&'a str>,
}

impl Coverage {
    pub(crate) fn of(parts: &[Part<'_>]) -> Self {
        let cells = Class::ALL.into_iter().flat_map(|class| {
            Layer::ALL.into_iter().map(move |layer| {
                let mut by = Vec::new();
                let mut why = None;
                for part in parts.iter().filter(|part| part.looks_for.contains(&(class, layer))) {
                    match part.missed {
                        None => by.push(part.examiner.to_owned()),
                        Some(reason) => why = Some(format!("{}: {reason}", part.examiner)),
                    }
                }
                let no_examiner = || "no examiner looks for it there".to_owned();
                let looked = if by.is_empty() {
                    Looked::NotExamined { why: why.unwrap_or_else(no_examiner) }
                } else {
                    Looked::For { by }
                };
                Cell { class, atlas: class.atlas().to_owned(), layer, looked }
            })
        });
        Self { cells: cells.collect() }
    }

    /// Whether a class was looked for anywhere.
    pub fn looked_for(&self, class: Class) -> bool {
        self.cells.iter().any(|cell| cell.class == class && matches!(cell.looked, Looked::For { .. }))
    }
}
