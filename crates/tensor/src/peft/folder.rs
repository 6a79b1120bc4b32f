//! The files of an adapter's folder.

use super::{Adapter, Config};
use crate::Error;
use crate::error::shown;
use crate::safetensors::SafeTensors;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PICKLED: &str = "adapter_model.bin";

/// A refusal of an adapter's folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeftError {
    /// A file without which there is no adapter.
    #[error("the folder has no `{file}`")]
    Missing {
        /// The file.
        file: &'static str,
    },
    /// A name that is no plain file name, or stands twice (file systems differ in whether case counts; here it does
    /// not).
    #[error("the file name `{file}` is not a plain one, or stands twice")]
    FileName {
        /// The name, escaped and shortened.
        file: String,
    },
    /// The weights are there as a pickle, alone or beside the safetensors file: engines differ in which they load.
    #[error("the folder has `adapter_model.bin`, a pickle")]
    Pickled,
    /// One of the two files cannot be read.
    #[error("`{file}` cannot be read")]
    File {
        /// The file.
        file: &'static str,
        /// Why.
        #[source]
        cause: Error,
    },
}

impl PeftError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "CS-TSR-590",
            Self::FileName { .. } => "CS-TSR-591",
            Self::Pickled => "CS-TSR-592",
            Self::File { .. } => "CS-TSR-593",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "give the whole folder that `save_pretrained` wrote",
            Self::FileName { .. } => "give the files of one folder by their own names",
            Self::Pickled => {
                "save the adapter again with `safe_serialization=True`, and leave out the pickle"
            }
            Self::File { cause, .. } => cause.hint(),
        }
    }
}

/// An adapter's folder: its configuration and its tensors, over the caller's bytes.
#[derive(Debug, Clone)]
pub struct Folder<'a> {
    config: Config,
    tensors: SafeTensors<'a>,
    others: Vec<String>,
}

impl<'a> Folder<'a> {
    /// Reads a folder, given as pairs of file name and content.
    ///
    /// # Errors
    /// Every [`PeftError`].
    pub fn read<'n>(files: impl IntoIterator<Item = (&'n str, &'a [u8])>) -> Result<Self, PeftError> {
        let (mut config, mut tensors) = (None, None);
        let mut others = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for (name, bytes) in files {
            let plain = !name.is_empty()
                && name.len() <= 255
                && !matches!(name, "." | "..")
                && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':'));
            if !plain {
                return Err(PeftError::FileName { file: shown(name) });
            }
            names.push(name.to_lowercase());
            match name {
                CONFIG => config = Some(bytes),
                WEIGHTS => tensors = Some(bytes),
                PICKLED => return Err(PeftError::Pickled),
                other => others.push(other.to_owned()),
            }
        }
        if let Some(file) = crate::json::repeated(names.iter().map(String::as_str)) {
            return Err(PeftError::FileName { file: shown(file) });
        }
        let config = config.ok_or(PeftError::Missing { file: CONFIG })?;
        let config = Config::read(config).map_err(|cause| PeftError::File { file: CONFIG, cause })?;
        let tensors = tensors.ok_or(PeftError::Missing { file: WEIGHTS })?;
        let tensors = SafeTensors::read(tensors).map_err(|cause| PeftError::File { file: WEIGHTS, cause })?;
        others.sort_unstable();
        Ok(Self { config, tensors, others })
    }

    /// The adapter: what it changes, and what is wrong or doubtful with it.
    pub fn adapter(&self) -> Adapter<'_> {
        Adapter::join(self.config.clone(), &self.tensors)
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The tensors as they stand in the file.
    pub const fn tensors(&self) -> &SafeTensors<'a> {
        &self.tensors
    }

    /// Names of the files that are not part of the adapter, in order: a tokenizer, a licence, or what should not
    /// be there.
    pub fn others(&self) -> &[String] {
        &self.others
    }
}
