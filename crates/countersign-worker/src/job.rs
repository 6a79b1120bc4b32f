//! What the worker is asked and answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use statement::Digest;
use trace::Step;

/// What is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// A PEFT folder: `candidate/adapter_config.json` and `candidate/adapter_model.safetensors`.
    Adapter,
    /// A safetensors file.
    Weights,
    /// A system prompt: text.
    Prompt,
    /// Settings: a flat JSON object.
    Settings,
}

/// One job. The inputs come by name beside it: `scope`, `base`, and `candidate` or `candidate/FILE`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Job {
    /// Nothing.
    Nothing,
    /// Measure the candidate against the scope.
    Measure(Subject),
    /// Say what stands against some files.
    Scan(scan::boxed::Job),
    /// Examine a change against its base.
    Examine(examine::boxed::Asked),
    /// Open a model and answer what is asked.
    Model(modelbox::wire::Load),
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
    /// What was done, in order.
    pub(crate) steps: Vec<Step>,
}
