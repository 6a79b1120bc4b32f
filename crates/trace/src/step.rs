//! The steps of a trace.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use statement::kind::{Finding, Isolation, Outcome, Violation};
use statement::{Digest, Name, json};

use crate::TraceError;

/// Most steps of a trace.
pub const STEPS_MAX: usize = 65_536;
/// Longest leaf, in bytes.
pub const STEP_BYTES_MAX: usize = 4096;

/// How names of measures begin that tell of the box and not of the change. They are the supervisor's.
const OF_THE_BOX: &str = "box-without-";

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// The box was closed; the supervisor's word. The first step.
    Box {
        /// Its level.
        isolation: Isolation,
        /// Bytes of memory that the worker might use.
        memory_bytes: u64,
        /// Boundaries that the host does not enforce, by name.
        not_enforced: BTreeSet<Name>,
        /// Seconds of processor time that it might use.
        processor_s: u64,
        /// Which system calls it might make.
        profile: Name,
        /// Milliseconds that it might take.
        wall_ms: u64,
        /// SHA-256 of its code.
        worker: Digest,
    },
    /// An input was read to its end.
    Input {
        /// Its length.
        bytes: u64,
        /// SHA-256 of it.
        digest: Digest,
        /// The name that the supervisor gave it.
        name: String,
    },
    /// A stage was run.
    Stage {
        /// Its name.
        name: Name,
        /// What it came to.
        outcome: Outcome,
    },
    /// A model was loaded.
    Model {
        /// SHA-256 of its files, by name.
        files: BTreeMap<String, Digest>,
        /// The name it was loaded under.
        name: String,
    },
    /// Tokens were scored.
    Scored {
        /// SHA-256 of the scores as they were answered.
        digest: Digest,
        /// The model.
        model: String,
        /// Sequences.
        sequences: u64,
        /// Tokens of them that were scored.
        tokens: u64,
    },
    /// Text was generated.
    Generated {
        /// SHA-256 of the tokens as they were answered.
        digest: Digest,
        /// The model.
        model: String,
        /// Tokens.
        tokens: u64,
    },
    /// The answer was taken; the supervisor's word. The last step.
    Output {
        /// SHA-256 of what the finding says, as [`output`] writes it.
        digest: Digest,
    },
}

impl Step {
    /// The leaf: canonical JSON.
    ///
    /// # Errors
    /// [`TraceError::Encode`]; [`TraceError::Size`] where it is too long.
    pub fn leaf(&self) -> Result<Vec<u8>, TraceError> {
        let bytes = json::to_canonical(self).map_err(TraceError::Encode)?;
        if bytes.len() > STEP_BYTES_MAX {
            return Err(TraceError::Size { what: "the length of a step", limit: STEP_BYTES_MAX });
        }
        Ok(bytes)
    }

    /// Whether a worker may say it: what the supervisor says is not the worker's to say.
    pub const fn is_workers(&self) -> bool {
        !matches!(self, Self::Box { .. } | Self::Output { .. })
    }
}

/// What a worker answered, as the finding holds it.
#[derive(Serialize)]
struct Said<'a> {
    measures: BTreeMap<&'a Name, i64>,
    outcome: Outcome,
    violations: &'a BTreeSet<Violation>,
    violations_left_out: u64,
}

/// SHA-256 of the canonical JSON of what the worker answered: measures (but those of the box), outcome, violations.
///
/// # Errors
/// [`TraceError::Encode`].
pub fn output(finding: &Finding) -> Result<Digest, TraceError> {
    let measures = finding.measures.iter().filter(|(name, _)| !name.as_str().starts_with(OF_THE_BOX));
    let said = Said {
        measures: measures.map(|(name, value)| (name, *value)).collect(),
        outcome: finding.outcome,
        violations: &finding.violations,
        violations_left_out: finding.violations_left_out,
    };
    Ok(Digest::of(&json::to_canonical(&said).map_err(TraceError::Encode)?))
}
