//! How much a worker may use, and which system calls it needs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which system calls a worker needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Reading files: one thread, memory, its descriptors.
    Parse,
    /// Running a model: threads too. It is called `model` where it is told.
    #[serde(rename = "model")]
    Execute,
}

impl Profile {
    /// The name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Execute => "model",
        }
    }
}

/// How much a worker may use. There is no default: each use says what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, beside the inputs, which it may map.
    pub memory_bytes: u64,
    /// Seconds of processor time, of all threads together.
    pub processor_s: u64,
    /// How long it may take.
    pub wall: Duration,
    /// Threads, the first one counted.
    pub threads: u64,
    /// Bytes that it may answer, all frames together.
    pub answer_bytes: u64,
}
