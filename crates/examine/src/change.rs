//! What is examined: the files of a change, what it is said to be, and what it starts from.

use bytes::Bytes;
use quant::mixture::Mixture;
use serde::{Deserialize, Serialize};

use crate::error::{Error, shown};
use crate::merge::Recipe;
use crate::passages::is_passages;

/// The files of one side, by name within its folder.
#[derive(Debug, Clone, Default)]
pub struct Files {
    entries: Vec<(String, Bytes)>,
    /// What was in the folder and could not be opened, for the scan.
    pub unreadable: Vec<(String, String)>,
}

/// What a side's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A PEFT adapter.
    Adapter,
    /// `config.json` with safetensors.
    Safetensors,
    /// A GGUF file.
    Gguf,
    /// A system prompt.
    Prompt,
    /// A chat template.
    Template,
    /// Passages of a retrieval index.
    Passages,
    /// None of these.
    Unknown,
}

/// Most bytes of a system prompt.
const PROMPT_BYTES_MAX: usize = 1 << 20;

impl Files {
    /// Files by name; of equal names the last counts.
    pub fn new(entries: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Self { entries, unreadable: Vec::new() }
    }

    /// The bytes of a file.
    pub fn bytes(&self, name: &str) -> Option<&Bytes> {
        self.entries.iter().rev().find(|(known, _)| known == name).map(|(_, bytes)| bytes)
    }

    /// All files in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// What the files are, told by names and first bytes.
    pub fn form(&self) -> Form {
        if self.bytes("adapter_model.safetensors").is_some() || self.bytes("adapter_config.json").is_some() {
            Form::Adapter
        } else if self.gguf().is_some() {
            Form::Gguf
        } else if self.safetensors().next().is_some() {
            Form::Safetensors
        } else if self.bytes("chat_template.jinja").is_some() {
            Form::Template
        } else if self.entries.iter().any(|(name, _)| is_passages(name)) {
            Form::Passages
        } else {
            match self.entries.as_slice() {
                [(name, bytes)]
                    if matches!(name.rsplit_once('.'), Some((_, "md" | "txt")))
                        && bytes.len() <= PROMPT_BYTES_MAX
                        && std::str::from_utf8(bytes).is_ok() =>
                {
                    Form::Prompt
                }
                _ => Form::Unknown,
            }
        }
    }

    pub(crate) fn gguf(&self) -> Option<&Bytes> {
        self.entries.iter().find(|(_, bytes)| bytes.starts_with(b"GGUF")).map(|(_, bytes)| bytes)
    }

    pub(crate) fn safetensors(&self) -> impl Iterator<Item = &Bytes> {
        let weights =
            |(name, _): &&(String, Bytes)| name.ends_with(".safetensors") && !name.starts_with("adapter_");
        self.entries.iter().filter(weights).map(|(_, bytes)| bytes)
    }

    pub(crate) fn prompt(&self) -> Option<&str> {
        let (_, bytes) = self.entries.first().filter(|_| self.form() == Form::Prompt)?;
        std::str::from_utf8(bytes).ok()
    }
}

/// What kind of change it is: decides how deep the examination goes, and which stratum of a calibration it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A low-rank adapter.
    Adapter,
    /// Weights that were trained further, or edited.
    Weights,
    /// The same weights in another type.
    Quantised,
    /// Weights that several parents were merged into.
    Merged,
    /// A student of the base.
    Distilled,
    /// A system prompt.
    Prompt,
    /// A chat template.
    Template,
    /// A retrieval index.
    Retrieval,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Adapter,
        Self::Weights,
        Self::Quantised,
        Self::Merged,
        Self::Distilled,
        Self::Prompt,
        Self::Template,
        Self::Retrieval,
    ];

    /// Its name, as in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Weights => "weights",
            Self::Quantised => "quantised",
            Self::Merged => "merged",
            Self::Distilled => "distilled",
            Self::Prompt => "prompt",
            Self::Template => "template",
            Self::Retrieval => "retrieval",
        }
    }

    /// Whether the weights are the base's own.
    pub const fn is_words(self) -> bool {
        matches!(self, Self::Prompt | Self::Template | Self::Retrieval)
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What whoever made the change says was done; it is done again, and compared byte for byte.
#[derive(Debug, Clone)]
pub enum Declared {
    /// The base was quantised, without an importance matrix.
    Quantised {
        /// llama.cpp's mixture.
        format: Mixture,
    },
    /// A weighted sum of parents, element by element in single precision in the order given, rounded once.
    Merged {
        /// Their files.
        parents: Vec<Files>,
        /// As many coefficients.
        coefficients: Vec<f32>,
    },
    /// Parents of one base were merged by a recipe.
    Combined {
        /// The base.
        base: Files,
        /// The parents.
        parents: Vec<Files>,
        /// How.
        recipe: Recipe,
    },
}

/// The written form of a declaration: parents are named by paths, which the caller opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "did")]
pub enum Declaration {
    /// See [`Declared::Quantised`].
    Quantised {
        /// The mixture's name, `Q4_K_M` for one.
        format: String,
    },
    /// See [`Declared::Merged`].
    Merged {
        /// Paths of parents.
        parents: Vec<String>,
        /// As many coefficients.
        coefficients: Vec<f32>,
    },
    /// See [`Declared::Combined`].
    Combined {
        /// The path of the base.
        base: String,
        /// Paths of parents.
        parents: Vec<String>,
        /// How.
        recipe: Recipe,
    },
}

impl Declared {
    /// Reads a declaration; `open` opens a parent.
    ///
    /// # Errors
    /// [`Error::Declaration`], and what `open` refuses with.
    pub fn read<E: From<Error>>(bytes: &[u8], open: impl Fn(&str) -> Result<Files, E>) -> Result<Self, E> {
        let refused = |reason: String| Error::Declaration { reason: shown(&reason) };
        let declaration: Declaration =
            serde_json::from_slice(bytes).map_err(|cause| refused(cause.to_string()))?;
        match declaration {
            Declaration::Quantised { format } => {
                let format = format.parse().map_err(|cause: quant::Error| refused(cause.to_string()))?;
                Ok(Self::Quantised { format })
            }
            Declaration::Merged { parents, coefficients } => {
                if parents.len() != coefficients.len() || parents.is_empty() || parents.len() > 64 {
                    return Err(refused("as many coefficients as parents, 1 to 64".to_owned()).into());
                }
                if coefficients.iter().any(|coefficient| !coefficient.is_finite()) {
                    return Err(refused("a coefficient is no number".to_owned()).into());
                }
                let parents = parents.iter().map(|path| open(path)).collect::<Result<_, E>>()?;
                Ok(Self::Merged { parents, coefficients })
            }
            Declaration::Combined { base, parents, recipe } => {
                recipe.check(parents.len()).map_err(|cause| refused(cause.to_string()))?;
                let parents = parents.iter().map(|path| open(path)).collect::<Result<_, E>>()?;
                Ok(Self::Combined { base: open(&base)?, parents, recipe })
            }
        }
    }
}

/// A change and what it is judged with.
#[derive(Debug, Clone)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its files.
    pub files: Files,
    /// What it may touch, where somebody has said so: a scope file.
    pub scope: Option<Bytes>,
    /// What is said to have been done.
    pub declared: Option<Declared>,
    /// Components that it may be merged with, for the simulation; whole models of the base's shape.
    pub partners: Vec<Files>,
    /// Earlier generations, the oldest first; drift is measured from the first of them too.
    pub lineage: Vec<Files>,
}

impl Change {
    /// A change of files, told by their form: an adapter, weights, a prompt, passages; GGUF beside other weights is quantised.
    pub fn new(files: Files) -> Self {
        let kind = match files.form() {
            Form::Adapter => Kind::Adapter,
            Form::Gguf => Kind::Quantised,
            Form::Prompt => Kind::Prompt,
            Form::Template => Kind::Template,
            Form::Passages => Kind::Retrieval,
            Form::Safetensors | Form::Unknown => Kind::Weights,
        };
        Self { kind, files, scope: None, declared: None, partners: Vec::new(), lineage: Vec::new() }
    }
}
