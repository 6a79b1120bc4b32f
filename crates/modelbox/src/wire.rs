//! The messages between a supervisor and the worker that runs a model. Unknown members are refused on both sides.

use serde::{Deserialize, Serialize};

use crate::error::NotOpened;
use crate::files::{Adapter, Files};
use crate::task::{Broken, Caller, Event, Prompt, Purpose, Score, Sequence, Task, Vector};

/// What a worker is to open. Files are numbers of its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The model.
    pub files: Files<u32>,
    /// Its adapters, by name.
    pub adapters: Vec<(String, Adapter<u32>)>,
    /// Most tokens of a prompt and its answer.
    pub context: usize,
    /// Answers at the same time.
    pub generations: usize,
    /// Threads that compute for one answer.
    pub threads: usize,
}

/// What a worker is asked. `job` is the supervisor's number of what it asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Generate.
    Generate {
        /// Its number.
        job: u64,
        /// What.
        task: Task,
        /// For whom.
        caller: Caller,
        /// Seconds since 1970.
        now_s: i64,
    },
    /// Score sequences.
    Score {
        /// Its number.
        job: u64,
        /// What.
        sequences: Vec<Sequence>,
    },
    /// Read a prompt as tokens.
    Tokens {
        /// Its number.
        job: u64,
        /// What.
        prompt: Prompt,
        /// Seconds since 1970.
        now_s: i64,
    },
    /// Turn texts into vectors.
    Embed {
        /// Its number.
        job: u64,
        /// What; no conversations.
        texts: Vec<Prompt>,
    },
    /// Do not go on with it.
    Stop {
        /// Its number.
        job: u64,
    },
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Said {
    /// The model is open. The first message, or `NotOpened` is.
    Opened {
        /// Most tokens of a prompt and its answer.
        context: usize,
        /// Tokens of the vocabulary.
        vocabulary: usize,
        /// What the model is made for.
        purpose: Purpose,
    },
    /// The model cannot be opened. Nothing follows.
    NotOpened(NotOpened),
    /// A generation goes on.
    Event {
        /// Its number.
        job: u64,
        /// What it says.
        event: Event,
    },
    /// The scores that were asked for. Nothing follows for this number.
    Scores {
        /// Its number.
        job: u64,
        /// For each sequence, for each token from the first that was to be scored.
        scores: Vec<Vec<Score>>,
    },
    /// The tokens that were asked for. Nothing follows for this number.
    Tokens {
        /// Its number.
        job: u64,
        /// The tokens.
        tokens: Vec<u32>,
    },
    /// The vectors that were asked for, one for each text. Nothing follows for this number.
    Vectors {
        /// Its number.
        job: u64,
        /// The vectors.
        vectors: Vec<Vector>,
    },
    /// It does not go on. Nothing follows for this number.
    Broken {
        /// Its number.
        job: u64,
        /// Why.
        broken: Broken,
    },
}

impl Said {
    /// The number of what it is about, and whether nothing follows for it.
    pub(crate) const fn about(&self) -> Option<(u64, Last)> {
        match self {
            Self::Opened { .. } | Self::NotOpened(_) => None,
            Self::Event { job, event: Event::Ended { .. } }
            | Self::Scores { job, .. }
            | Self::Tokens { job, .. }
            | Self::Vectors { job, .. }
            | Self::Broken { job, .. } => Some((*job, Last::Yes)),
            Self::Event { job, .. } => Some((*job, Last::No)),
        }
    }
}

/// Whether something is the last of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}
