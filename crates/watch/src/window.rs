//! What a gateway counted in a second of one version's traffic: what its tap gives out, and all that monitors know of it.
//!
//! There is no text in it: counts, and vectors of hashed words.

use serde::{Deserialize, Serialize};
use statement::{Envelope, SlotId, StateId};

use crate::fingerprint::Fingerprint;

/// The dimensions of a gateway's windows.
pub mod dimension {
    /// Answers that failed, of all.
    pub const ERRORS: &str = "errors";
    /// Refusals, of all.
    pub const REFUSALS: &str = "refusals";
    /// Why answers ended: by themselves, at their length, otherwise.
    pub const FINISH: &str = "finish-reason";
    /// From head to last byte, in microseconds.
    pub const LATENCY: &str = "latency-us";
    /// Bytes of the answers' texts.
    pub const TEXT: &str = "text-bytes";
    /// Byte triples of the answers' texts.
    pub const NGRAMS: &str = "ngrams";
    /// Bytes of requests.
    pub const PROMPT: &str = "prompt-bytes";
    /// Requests with a mark of injection, of all.
    pub const INJECTION: &str = "injection";
    /// Requests that ask for probabilities or for single tokens, of all: what who copies a model asks for.
    pub const PROBING: &str = "probing";
    /// Requests by caller, callers by hash.
    pub const CALLERS: &str = "callers";
}

/// Vectors of a window at most.
pub const VECTORS_MAX: usize = 8;

/// A second of a version's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The arm of the release: `all`, `rest`, `control`, `candidate`.
    pub arm: String,
    /// What was counted.
    pub counts: Fingerprint,
    /// The second, of Unix time.
    pub second: u64,
    /// The slot.
    pub slot: SlotId,
    /// The version that was chosen to answer, whether it did or not.
    pub state: StateId,
    /// Vectors of the first texts of the second.
    pub vectors: Vec<Vec<i32>>,
}

/// What a tap answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tapped {
    /// What monitors have said last: votes, incidents, and statements that wait for more signatures.
    pub heard: Vec<Envelope>,
    /// Versions' seconds that were left out because there were too many.
    pub left_out: u64,
    /// The gateway's time.
    pub now_ms: u64,
    /// Seconds after the one that was asked for, as far as they are kept.
    pub windows: Vec<Window>,
}

/// What monitors say to a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Signed statements.
    pub say: Vec<Envelope>,
}
