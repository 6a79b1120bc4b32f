//! A model's folder written as one GGUF file first: mixtures go by the names and settings that such a file has, and
//! what is made of it can be run.

use std::path::Path;

use model::{Model, Tokenizer, Vocabulary};

use super::super::engine::{mapped, opened, weights};
use super::super::tree::{Held, content};
use super::output::Output;
use crate::failure::{Done, Failure};
use crate::home::read_file_bounded;

/// Most bytes of a configuration, a template, a tokenizer.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// The file, beside the place of the output until it is dropped.
pub(super) struct Whole {
    held: Held,
    /// Keeps the file.
    _folder: tempfile::TempDir,
}

impl Whole {
    /// Writes the model in `folder` as it is: its weights keep their type.
    pub(super) fn write(folder: &Path, out: &Path) -> Done<Self> {
        let weights = weights(folder)?;
        let files = weights.iter().map(|path| Ok(mapped(&opened(path)?)?.bytes)).collect::<Done<Vec<_>>>()?;
        let config = read_file_bounded(&folder.join("config.json"), TEXT_BYTES_MAX)?;
        let model = Model::from_safetensors(&config, &files)?;
        let texts = Texts::read(folder)?;
        let beside = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let place = tempfile::tempdir_in(beside).map_err(|error| Failure::file(beside, &error))?;
        let path = place.path().join("whole.gguf");
        let output = Output::begin(&path)?;
        model.write_gguf(texts.as_ref().map(Texts::vocabulary), |bytes| output.write(bytes))?;
        output.publish()?;
        Ok(Self { held: content(&path)?, _folder: place })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.held.bytes()
    }
}

/// What the folder says about texts.
struct Texts {
    json: String,
    tokenizer: Tokenizer,
    template: Option<String>,
}

impl Texts {
    fn read(folder: &Path) -> Done<Option<Self>> {
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        let bytes = |name: &str| there(name).map(|path| read_file_bounded(&path, TEXT_BYTES_MAX)).transpose();
        let text = |name: &str| -> Done<Option<String>> {
            let unfit = |_| Failure::not_a("text", &folder.join(name), "it is not UTF-8");
            bytes(name)?.map(|bytes| String::from_utf8(bytes).map_err(unfit)).transpose()
        };
        let Some(json) = text("tokenizer.json")? else { return Ok(None) };
        let tokenizer = Tokenizer::from_json(json.as_bytes(), bytes("tokenizer_config.json")?.as_deref())?;
        // A template in a file of its own is the one that counts.
        let template = text("chat_template.jinja")?.or_else(|| tokenizer.template().map(str::to_owned));
        Ok(Some(Self { json, tokenizer, template }))
    }

    fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary { json: &self.json, tokenizer: &self.tokenizer, template: self.template.as_deref() }
    }
}
