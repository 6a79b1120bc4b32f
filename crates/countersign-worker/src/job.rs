//! What the worker is asked and answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use statement::Digest;

/// What is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// A PEFT folder: `adapter_config.json` and `adapter_model.safetensors`.
    Adapter,
    /// A safetensors file.
    Weights,
    /// A system prompt: text.
    Prompt,
    /// Settings: a flat JSON object.
    Settings,
}

/// One job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    /// What it is.
    pub(crate) subject: Subject,
    /// The file or folder that was proposed.
    pub(crate) candidate: PathBuf,
    /// What it is to replace or to be applied to, where that is at hand.
    #[serde(default)]
    pub(crate) base: Option<PathBuf>,
    /// The scope file.
    pub(crate) scope: PathBuf,
}

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Within the scope.
    Pass,
    /// Outside, or not readable as what it says it is.
    Fail,
    /// Something could not be measured.
    Inconclusive,
}

/// One thing against the change.
#[derive(Debug, Serialize)]
pub(crate) struct Violation {
    pub(crate) code: String,
    pub(crate) limit: u64,
    pub(crate) measured: u64,
    pub(crate) place: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// SHA-256 of every file that was read.
    pub(crate) inputs: BTreeSet<Digest>,
    /// What was measured, units in the names.
    pub(crate) measures: BTreeMap<String, u64>,
    /// What follows.
    pub(crate) outcome: Outcome,
    /// What is against it, at most 32.
    pub(crate) violations: Vec<Violation>,
    /// How many more there are.
    pub(crate) violations_left_out: u64,
}
