//! A model's files, as bytes that somebody else has read or mapped, and their digests.

use std::fs::File;

use bytes::Bytes;
use model::{Encoder, Model, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tensor::gguf::Gguf;

use crate::encoder::{Making, Sentences};

/// A file with the name it is told by.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its path.
    pub name: String,
    /// What it holds.
    pub bytes: Bytes,
}

/// The files of a model, each as `F`: mapped ([`Named`]), open ([`OpenFile`]), or the number of a worker's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Files<F> {
    /// One GGUF file, with tokenizer and chat template.
    Gguf(F),
    /// A folder as the transformers library keeps it.
    Folder {
        /// `config.json`.
        config: F,
        /// `tokenizer.json`.
        tokenizer: F,
        /// `tokenizer_config.json`.
        tokenizer_config: Option<F>,
        /// `chat_template.jinja`, which newer folders have beside the tokenizer's configuration.
        template: Option<F>,
        /// `modules.json`, which folders of sentence-transformers have.
        modules: Option<F>,
        /// `1_Pooling/config.json`, too.
        pooling: Option<F>,
        /// `sentence_bert_config.json`, too.
        sentence: Option<F>,
        /// The `.safetensors` files.
        weights: Vec<F>,
    },
}

/// The files of a LoRA adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter<F> {
    /// `adapter_config.json`.
    pub config: F,
    /// `adapter_model.safetensors`.
    pub weights: F,
}

/// A model's files, as bytes.
pub type ModelFiles = Files<Named>;
/// An adapter's files, as bytes.
pub type AdapterFiles = Adapter<Named>;

/// An open file with the name it is told by. Nothing of it is read here.
#[derive(Debug)]
pub struct OpenFile {
    /// Its path.
    pub name: String,
    /// The file.
    pub file: File,
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

impl<F> Files<F> {
    /// All of them.
    pub fn all(&self) -> Vec<&F> {
        match self {
            Self::Gguf(file) => vec![file],
            Self::Folder {
                config,
                tokenizer,
                tokenizer_config,
                template,
                modules,
                pooling,
                sentence,
                weights,
            } => {
                let always = [config, tokenizer].into_iter();
                let may_be = [tokenizer_config, template, modules, pooling, sentence];
                always.chain(may_be.into_iter().flatten()).chain(weights).collect()
            }
        }
    }

    /// The same files as something else, in the order of [`Files::all`].
    ///
    /// # Errors
    /// The first that `to` answers.
    pub fn try_map<G, E>(&self, mut to: impl FnMut(&F) -> Result<G, E>) -> Result<Files<G>, E> {
        Ok(match self {
            Self::Gguf(file) => Files::Gguf(to(file)?),
            Self::Folder {
                config,
                tokenizer,
                tokenizer_config,
                template,
                modules,
                pooling,
                sentence,
                weights,
            } => Files::Folder {
                config: to(config)?,
                tokenizer: to(tokenizer)?,
                tokenizer_config: tokenizer_config.as_ref().map(&mut to).transpose()?,
                template: template.as_ref().map(&mut to).transpose()?,
                modules: modules.as_ref().map(&mut to).transpose()?,
                pooling: pooling.as_ref().map(&mut to).transpose()?,
                sentence: sentence.as_ref().map(&mut to).transpose()?,
                weights: weights.iter().map(to).collect::<Result<_, _>>()?,
            },
        })
    }
}

impl<F> Adapter<F> {
    /// Both of them.
    pub fn all(&self) -> [&F; 2] {
        [&self.config, &self.weights]
    }

    /// The same files as something else.
    ///
    /// # Errors
    /// The first that `to` answers.
    pub fn try_map<G, E>(&self, mut to: impl FnMut(&F) -> Result<G, E>) -> Result<Adapter<G>, E> {
        Ok(Adapter { config: to(&self.config)?, weights: to(&self.weights)? })
    }
}

/// What files hold.
pub(crate) enum Held {
    /// A model that continues texts.
    Decoder(Box<(Model, Tokenizer)>),
    /// One that turns them into vectors.
    Encoder(Box<Sentences>),
}

impl ModelFiles {
    /// Reads the model and its tokenizer.
    pub(crate) fn open(&self) -> Result<Held, model::Error> {
        match self {
            Self::Gguf(file) => {
                let model = Model::from_gguf(&file.bytes)?;
                let gguf = Gguf::read(&file.bytes).map_err(model::Error::from)?;
                Ok(Held::Decoder(Box::new((model, Tokenizer::from_gguf(&gguf)?))))
            }
            Self::Folder {
                config,
                tokenizer,
                tokenizer_config,
                template,
                modules,
                pooling,
                sentence,
                weights,
            } => {
                let weights: Vec<Bytes> = weights.iter().map(|file| file.bytes.clone()).collect();
                if Encoder::is_one(&config.bytes) {
                    let encoder = Encoder::from_safetensors(&config.bytes, &weights)?;
                    let settings = tokenizer_config.as_ref().map(|file| file.bytes.clone());
                    let tokenizer = Tokenizer::from_json(&tokenizer.bytes, settings.as_deref())?;
                    let making = Making {
                        modules: modules.as_ref(),
                        pooling: pooling.as_ref(),
                        sentence: sentence.as_ref(),
                    };
                    return Ok(Held::Encoder(Box::new(Sentences::new(encoder, &tokenizer, making)?)));
                }
                if modules.is_some() {
                    // What follows the model would not be run.
                    return Err(model::Error::Purpose {
                        asked: "vectors, which its `modules.json` asks for",
                    });
                }
                let model = Model::from_safetensors(&config.bytes, &weights)?;
                let settings = settings(tokenizer_config.as_ref(), template.as_ref())?;
                let tokenizer = Tokenizer::from_json(&tokenizer.bytes, settings.as_deref())?;
                Ok(Held::Decoder(Box::new((model, tokenizer))))
            }
        }
    }
}

/// The tokenizer's configuration, with the template in it where that is a file of its own.
fn settings(config: Option<&Named>, template: Option<&Named>) -> Result<Option<Vec<u8>>, model::Error> {
    let Some(template) = template else { return Ok(config.map(|file| file.bytes.to_vec())) };
    let refused = |file: &str| model::Error::Tokenizer { reason: format!("`{file}` is not a JSON object") };
    let value: Value = match config {
        Some(file) => serde_json::from_slice(&file.bytes).map_err(|_| refused("tokenizer_config.json"))?,
        None => Value::Object(serde_json::Map::new()),
    };
    let Value::Object(mut members) = value else { return Err(refused("tokenizer_config.json")) };
    let text = std::str::from_utf8(&template.bytes)
        .map_err(|_| model::Error::Template { reason: "`chat_template.jinja` is not text".to_owned() })?;
    members.insert("chat_template".to_owned(), Value::from(text));
    Ok(Some(Value::Object(members).to_string().into_bytes()))
}

/// Bytes that are hashed between two reports of progress.
const STRIDE: usize = 16 << 20;

/// The digest of a file; `progress` hears how many more bytes have been hashed.
pub fn digest(name: &str, bytes: &[u8], progress: &dyn Fn(u64)) -> Loaded {
    let mut hash = Sha256::new();
    for part in bytes.chunks(STRIDE) {
        hash.update(part);
        progress(part.len() as u64);
    }
    Loaded { name: name.to_owned(), sha256: hex(&hash.finalize()), bytes: bytes.len() as u64 }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
