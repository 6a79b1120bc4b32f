//! Why a model or a sample could not be made, each with a stable code.

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model cannot be trained, run or written.
    #[error("the model `{name}` cannot be trained, run or written")]
    Model {
        /// Which model.
        name: String,
        /// Why.
        #[source]
        cause: model::Error,
    },
    /// A step of training cannot be computed.
    #[error("a step of training cannot be computed")]
    Graph {
        /// Why.
        #[source]
        cause: candle_core::Error,
    },
    /// A file of tensors cannot be read or written.
    #[error("the tensors of `{file}` cannot be read or written")]
    Tensors {
        /// Which file.
        file: String,
        /// Why.
        #[source]
        cause: tensor::Error,
    },
    /// Weights cannot be quantised.
    #[error("weights cannot be quantised")]
    Quantiser {
        /// Why.
        #[source]
        cause: quant::Error,
    },
    /// There is no such family.
    #[error("there is no family `{name}`")]
    Family {
        /// What was asked for.
        name: String,
    },
    /// There is no such base.
    #[error("there is no base `{name}`")]
    BaseName {
        /// What was asked for.
        name: String,
    },
    /// A file or folder cannot be read or written.
    #[error("`{path}` cannot be read or written")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A record cannot be written as JSON.
    #[error("a record cannot be written")]
    Record {
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// A process of a run ended before its work was done.
    #[error("a process of the run ended with {status}")]
    Process {
        /// How it ended.
        status: String,
    },
    /// Samples could not be made.
    #[error("{count} samples could not be made, `{first}` first")]
    Unmade {
        /// How many.
        count: usize,
        /// The first, and why.
        first: String,
    },
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Model { .. } => "CS-RNG-001",
            Self::Graph { .. } => "CS-RNG-002",
            Self::Tensors { .. } => "CS-RNG-003",
            Self::Quantiser { .. } => "CS-RNG-004",
            Self::Family { .. } => "CS-RNG-005",
            Self::BaseName { .. } => "CS-RNG-006",
            Self::File { .. } => "CS-RNG-007",
            Self::Record { .. } => "CS-RNG-008",
            Self::Process { .. } => "CS-RNG-009",
            Self::Unmade { .. } => "CS-RNG-010",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Model { .. } | Self::Graph { .. } => {
                "the settings of the recipe do not fit the model, or the training diverged: try another seed"
            }
            Self::Tensors { .. } => "the file is not one that the range wrote, or it is damaged",
            Self::Quantiser { .. } => "the weights are not finite: the training diverged, try another seed",
            Self::Family { .. } => "`countersign range families` lists them",
            Self::BaseName { .. } => {
                "give `tiny`, or a shape and a seed: `llama-64:3`, `qwen-64:1`, `gemma-64:2`, `llama-256:5`"
            }
            Self::File { .. } => "check the path, its permissions and the room on the disk",
            Self::Record { .. } => "a measured figure is not finite: the training diverged, try another seed",
            Self::Process { .. } => "run the same command again: what was made is kept",
            Self::Unmade { .. } => {
                "run the same command again: what was made is kept; what diverges each time needs another seed"
            }
        }
    }
}

impl Error {
    pub(crate) fn file(path: &std::path::Path, cause: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), cause }
    }
}

impl From<candle_core::Error> for Error {
    fn from(cause: candle_core::Error) -> Self {
        Self::Graph { cause }
    }
}

/// Names the model that an error is about.
pub(crate) trait About<T> {
    /// Names it.
    fn about(self, name: &str) -> Result<T, Error>;
}

impl<T> About<T> for Result<T, model::Error> {
    fn about(self, name: &str) -> Result<T, Error> {
        self.map_err(|cause| Error::Model { name: name.to_owned(), cause })
    }
}
