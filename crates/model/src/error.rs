//! Why a model could not be opened, run or trained, each with a stable code.

/// A refusal of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An architecture that is not among those this crate builds.
    #[error("the architecture `{name}` is not one that can be run")]
    Architecture {
        /// What the file says, escaped and shortened.
        name: String,
    },
    /// A setting of the model's configuration that is missing, out of range or of the wrong type.
    #[error("the model's configuration: `{member}` must be {expected}")]
    Setting {
        /// The member.
        member: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A tensor that the architecture needs.
    #[error("the file lacks the tensor `{tensor}`")]
    TensorMissing {
        /// Its name.
        tensor: String,
    },
    /// A tensor whose shape is not what the configuration says.
    #[error("tensor `{tensor}` has the shape {found:?} where the configuration needs {expected:?}")]
    TensorShape {
        /// Its name.
        tensor: String,
        /// Its dimensions.
        found: Vec<usize>,
        /// What they must be.
        expected: Vec<usize>,
    },
    /// A tensor in a type without kernels.
    #[error("tensor `{tensor}` is stored as `{kind}`, which cannot be computed with")]
    TensorKind {
        /// Its name.
        tensor: String,
        /// The type's name.
        kind: String,
    },
    /// A safetensors or PEFT file that cannot be read.
    #[error("the weights cannot be read")]
    Container {
        /// Why.
        #[source]
        source: Box<tensor::Error>,
    },
    /// A GGUF file that cannot be read.
    #[error("the GGUF file cannot be read")]
    Gguf {
        /// Why.
        #[source]
        source: Box<tensor::gguf::GgufError>,
    },
    /// Layers that GPTQ or AWQ packed and that cannot be unpacked.
    #[error("the packed layers cannot be read")]
    Packed {
        /// Why.
        #[source]
        source: Box<tensor::weights::WeightsError>,
    },
    /// A tokenizer that cannot be built or applied.
    #[error("the tokenizer cannot be used: {reason}")]
    Tokenizer {
        /// Why.
        reason: String,
    },
    /// A chat template that cannot be parsed or rendered.
    #[error("the chat template cannot be rendered: {reason}")]
    Template {
        /// Why.
        reason: String,
    },
    /// A chat template that asks for more work or output than is allowed.
    #[error("the chat template goes beyond its limit of {limit} {unit}")]
    TemplateBounds {
        /// The limit in force.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// More tokens than the model's context, or than the limit of the caller.
    #[error("{tokens} tokens are more than the limit of {limit}")]
    Context {
        /// How many there would be.
        tokens: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A token id beyond the vocabulary.
    #[error("the token {token} is not in the vocabulary of {vocabulary}")]
    Token {
        /// The id.
        token: u32,
        /// The vocabulary's size.
        vocabulary: usize,
    },
    /// Activations or logits that are not finite.
    #[error("the {place} hold a value that is not finite")]
    NotFinite {
        /// Where.
        place: &'static str,
    },
    /// An adapter that was not loaded.
    #[error("no adapter is loaded under the name `{name}`")]
    AdapterUnknown {
        /// The name.
        name: String,
    },
    /// An adapter that does not fit the model.
    #[error("the adapter cannot be applied to `{module}`: {reason}")]
    AdapterMisfit {
        /// The module's path.
        module: String,
        /// Why.
        reason: &'static str,
    },
    /// Something asked of an executor that it cannot do.
    #[error("this executor cannot give {asked}")]
    Capability {
        /// What was asked.
        asked: &'static str,
    },
    /// Something asked of a model of the other kind.
    #[error("this model is not made for {asked}")]
    Purpose {
        /// What was asked.
        asked: &'static str,
    },
    /// A model that a GGUF file cannot hold.
    #[error("a GGUF file has no place for {what}")]
    Unwritable {
        /// What there is no place for.
        what: &'static str,
    },
    /// A setting of a request that is out of range.
    #[error("the request: `{member}` must be {expected}")]
    Request {
        /// The setting.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A remote engine that could not be reached in time.
    #[error("the engine at `{url}` could not be asked")]
    RemoteTransport {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A remote engine that refused.
    #[error("the engine at `{url}` answered with status {status}: {answer}")]
    RemoteStatus {
        /// Its address.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of its answer, escaped.
        answer: String,
    },
    /// A remote engine's answer that is not in the protocol's form.
    #[error("the engine at `{url}` gave an answer that cannot be used: {reason}")]
    RemoteAnswer {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// A failure in the differentiable graph.
    #[error("the differentiable graph failed")]
    Graph {
        /// Why.
        #[source]
        source: Box<candle_core::Error>,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Architecture { .. } => "CS-MDL-001",
            Self::Setting { .. } => "CS-MDL-002",
            Self::TensorMissing { .. } => "CS-MDL-003",
            Self::TensorShape { .. } => "CS-MDL-004",
            Self::TensorKind { .. } => "CS-MDL-005",
            Self::Container { .. } => "CS-MDL-006",
            Self::Gguf { .. } => "CS-MDL-007",
            Self::Tokenizer { .. } => "CS-MDL-008",
            Self::Template { .. } => "CS-MDL-009",
            Self::TemplateBounds { .. } => "CS-MDL-010",
            Self::Context { .. } => "CS-MDL-011",
            Self::Token { .. } => "CS-MDL-012",
            Self::NotFinite { .. } => "CS-MDL-013",
            Self::AdapterUnknown { .. } => "CS-MDL-014",
            Self::AdapterMisfit { .. } => "CS-MDL-015",
            Self::Capability { .. } => "CS-MDL-016",
            Self::Request { .. } => "CS-MDL-017",
            Self::RemoteTransport { .. } => "CS-MDL-018",
            Self::RemoteStatus { .. } => "CS-MDL-019",
            Self::RemoteAnswer { .. } => "CS-MDL-020",
            Self::Graph { .. } => "CS-MDL-021",
            Self::Unwritable { .. } => "CS-MDL-023",
            Self::Purpose { .. } => "CS-MDL-024",
            Self::Packed { .. } => "CS-MDL-025",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Architecture { .. } => {
                "give a Llama, Qwen2, Qwen3, Gemma 2, Gemma 3, GPT-2 or BERT model, or ask a remote engine"
            }
            Self::Setting { .. } => "compare the configuration with the one the model was published with",
            Self::TensorMissing { .. } | Self::TensorShape { .. } => {
                "weights and configuration do not belong together; fetch both again from one source"
            }
            Self::TensorKind { .. } => "convert the tensor to F16, Q8_0 or a K-quant, or ask a remote engine",
            Self::Container { .. } => "look at the cause; `countersign scan` names the byte",
            Self::Gguf { .. } => "look at the cause; `countersign scan` shows the file's header",
            Self::Tokenizer { .. } => "give the `tokenizer.json` that belongs to the model",
            Self::Template { .. } => "correct the template, or send text that is already formatted",
            Self::TemplateBounds { .. } => {
                "shorten the conversation; if that does not help, do not use the template"
            }
            Self::Context { .. } => "shorten the text, or use a model with a longer context",
            Self::Token { .. } => "encode the text with the tokenizer that belongs to the model",
            Self::NotFinite { .. } => {
                "the weights are damaged or overflow; `countersign scan` names tensors with such values"
            }
            Self::AdapterUnknown { .. } => "load the adapter first, or correct its name",
            Self::AdapterMisfit { .. } => "check that the adapter was made for this base model",
            Self::Capability { .. } => "run the model with the local executor",
            Self::Purpose { .. } => {
                "a decoder continues texts, and an encoder turns them into vectors; give a model of the other kind"
            }
            Self::Unwritable { .. } => {
                "keep this model in .safetensors files; its tensors can be quantised file by file"
            }
            Self::Packed { source } => source.hint(),
            Self::Request { .. } => "correct the request's setting",
            Self::RemoteTransport { .. } => "check the address and that the engine runs",
            Self::RemoteStatus { .. } => "the engine's answer says why; correct the request or the engine",
            Self::RemoteAnswer { .. } => {
                "check that the engine speaks the OpenAI completions protocol with logprobs"
            }
            Self::Graph { .. } => "check the shapes of what was given; the cause names the operation",
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        Self::Graph { source: Box::new(source) }
    }
}

impl From<tensor::Error> for Error {
    fn from(source: tensor::Error) -> Self {
        Self::Container { source: Box::new(source) }
    }
}

impl From<tensor::weights::WeightsError> for Error {
    fn from(source: tensor::weights::WeightsError) -> Self {
        Self::Packed { source: Box::new(source) }
    }
}

impl From<tensor::gguf::GgufError> for Error {
    fn from(source: tensor::gguf::GgufError) -> Self {
        Self::Gguf { source: Box::new(source) }
    }
}

/// A stranger's text, escaped and shortened, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 160;
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('\u{2026}');
    }
    shown
}
