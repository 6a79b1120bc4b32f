//! A model's files, as bytes that somebody else has read or mapped, and their digests.

use bytes::Bytes;
use model::{Config, Model, Source, Tokenizer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tensor::gguf::Gguf;

use crate::Error;

/// A file with the name it is told by.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its path.
    pub name: String,
    /// What it holds.
    pub bytes: Bytes,
}

/// The files of a model.
#[derive(Debug, Clone)]
pub enum ModelFiles {
    /// One GGUF file, with tokenizer and chat template.
    Gguf(Named),
    /// A folder as the transformers library keeps it.
    Folder {
        /// `config.json`.
        config: Named,
        /// `tokenizer.json`.
        tokenizer: Named,
        /// `tokenizer_config.json`.
        tokenizer_config: Option<Named>,
        /// `chat_template.jinja`, which newer folders have beside the tokenizer's configuration.
        template: Option<Named>,
        /// The `.safetensors` files.
        weights: Vec<Named>,
    },
}

/// The files of a LoRA adapter.
#[derive(Debug, Clone)]
pub struct AdapterFiles {
    /// `adapter_config.json`.
    pub config: Named,
    /// `adapter_model.safetensors`.
    pub weights: Named,
}

/// A file that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

impl ModelFiles {
    /// All of them.
    pub fn all(&self) -> Vec<&Named> {
        match self {
            Self::Gguf(file) => vec![file],
            Self::Folder { config, tokenizer, tokenizer_config, template, weights } => {
                let always = [config, tokenizer].into_iter();
                always.chain(tokenizer_config).chain(template).chain(weights).collect()
            }
        }
    }

    pub(crate) fn open(&self) -> Result<(Model, Tokenizer), Opening> {
        match self {
            Self::Gguf(file) => {
                let model = Model::from_gguf(&file.bytes)?;
                let gguf = Gguf::read(&file.bytes).map_err(model::Error::from)?;
                Ok((model, Tokenizer::from_gguf(&gguf)?))
            }
            Self::Folder { config, tokenizer, tokenizer_config, template, weights } => {
                let weights: Vec<Bytes> = weights.iter().map(|file| file.bytes.clone()).collect();
                let config = Config::from_json(&config.bytes)?;
                let model = Model::load(config, &Source::from_safetensors(&weights)?)?;
                let settings = settings(tokenizer_config.as_ref(), template.as_ref())?;
                Ok((model, Tokenizer::from_json(&tokenizer.bytes, settings.as_deref())?))
            }
        }
    }
}

/// Why files cannot be opened.
pub(crate) enum Opening {
    Model(Box<model::Error>),
    Engine(Error),
}

impl From<model::Error> for Opening {
    fn from(error: model::Error) -> Self {
        Self::Model(Box::new(error))
    }
}

/// The tokenizer's configuration, with the template in it where that is a file of its own.
fn settings(config: Option<&Named>, template: Option<&Named>) -> Result<Option<Vec<u8>>, Opening> {
    let Some(template) = template else { return Ok(config.map(|file| file.bytes.to_vec())) };
    let refused = |file| Opening::Engine(Error::Configuration { file });
    let value: Value = match config {
        Some(file) => serde_json::from_slice(&file.bytes).map_err(|_| refused("tokenizer_config.json"))?,
        None => Value::Object(serde_json::Map::new()),
    };
    let Value::Object(mut members) = value else { return Err(refused("tokenizer_config.json")) };
    let text = std::str::from_utf8(&template.bytes).map_err(|_| {
        Opening::from(model::Error::Template { reason: "`chat_template.jinja` is not text".to_owned() })
    })?;
    members.insert("chat_template".to_owned(), Value::from(text));
    Ok(Some(Value::Object(members).to_string().into_bytes()))
}

/// Bytes that are hashed between two reports of progress.
const STRIDE: usize = 16 << 20;

/// The digest of a file; `progress` hears how many more bytes have been hashed.
pub(crate) fn digest(file: &Named, progress: &dyn Fn(u64)) -> Loaded {
    let mut hash = Sha256::new();
    for part in file.bytes.chunks(STRIDE) {
        hash.update(part);
        progress(part.len() as u64);
    }
    Loaded { name: file.name.clone(), sha256: hex(&hash.finalize()), bytes: file.bytes.len() as u64 }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
