//! A model's folder written as one GGUF file first: mixtures go by the names and settings that such a file has, and
//! what is made of it can be run.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Encoder, Model, Tokenizer, Vocabulary};
use serde::{Deserialize, Serialize};

use super::super::which;
use super::super::work::{self, Allowance, Answer, Contents, Handed, Mouth, Side};
use super::output::Output;
use crate::busy::while_busy;
use crate::cli::Isolation;
use crate::failure::{Done, Failure};

/// Most bytes of a configuration, a template, a tokenizer.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// The weights keep their type, but for packed layers, which become single precision: two bits are written in 32. A
/// tokenizer is larger in memory than in its file.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 20, time: Duration::from_hours(1), answer_for_each: 18 };

/// The file, on the disk of the output. It has no name, so that nothing of it is left, however this ends.
pub(super) struct Whole {
    path: PathBuf,
    /// Keeps the file.
    _file: File,
}

/// Which folder is written as a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WholeTask {
    side: Side,
}

impl Whole {
    /// Writes the model in `folder` as it is: its weights keep their type.
    pub(super) fn write(folder: &Path, out: &Path, isolation: Isolation) -> Done<Self> {
        let mut handed = Handed::default();
        let task = work::Task::Whole(WholeTask { side: handed.model(folder)? });
        let beside = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::tempfile_in(beside).map_err(|error| Failure::file(beside, &error))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let output = Output::begin(&path)?;
        let (answer, _) = while_busy("reading the folder", || {
            work::perform(isolation, &handed, task, ALLOWANCE, &mut |heard| output.hear(heard))
        })?;
        let Answer::Whole = answer else { return Err(work::another()) };
        output.publish()?;
        Ok(Self { path, _file: file })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a folder as a file, wherever that is done.
pub(crate) fn whole(task: &WholeTask, contents: &Contents, mouth: &Mouth<'_>) -> Done {
    let side = &task.side;
    let files = weights(side, contents)?.into_iter().map(|name| side.bytes(contents, &name).cloned());
    let files = files.collect::<Done<Vec<_>>>()?;
    let config = text(side, contents, "config.json")?;
    if Encoder::is_one(&config) {
        return Err(model::Error::Unwritable { what: "an encoder" }.into());
    }
    let model = Model::from_safetensors(&config, &files)?;
    let texts = Texts::read(side, contents)?;
    model.write_gguf(texts.as_ref().map(Texts::vocabulary), |bytes| mouth.data(bytes))?;
    Ok(())
}

/// The weights in a folder, at least one file: `model.safetensors` alone where it is there, the shards of its index, else every
/// file of weights.
fn weights(side: &Side, contents: &Contents) -> Done<Vec<String>> {
    if side.has(which::SINGLE) {
        return Ok(vec![which::SINGLE.to_owned()]);
    }
    if side.has(which::INDEX) {
        return which::shards(&side.place(which::INDEX), side.bytes(contents, which::INDEX)?);
    }
    let is_weights = |name: &&str| name.ends_with(".safetensors") && !name.starts_with("adapter");
    let found: Vec<String> = side.names().filter(is_weights).map(str::to_owned).collect();
    if !found.is_empty() {
        return which::few(Path::new(&side.path), found);
    }
    let why = if side.has("adapter_config.json") {
        "it holds an adapter, which needs the model it was made for"
    } else if side.names().any(|name| Path::new(name).extension().is_some_and(|ending| ending == "gguf")) {
        "its weights are in a .gguf file; name that file"
    } else {
        "it holds no .safetensors files"
    };
    Err(Failure::not_a("model", Path::new(&side.path), why))
}

/// A short file.
fn text(side: &Side, contents: &Contents, name: &str) -> Done<Vec<u8>> {
    let bytes = side.bytes(contents, name)?;
    if bytes.len() > TEXT_BYTES_MAX {
        let message = format!("`{}` has more than {TEXT_BYTES_MAX} bytes", side.place(name).display());
        return Err(Failure::new("CS-CLI-007", message, "this is not the file that was meant"));
    }
    Ok(bytes.to_vec())
}

/// What the folder says about texts.
struct Texts {
    json: String,
    tokenizer: Tokenizer,
    template: Option<String>,
}

impl Texts {
    fn read(side: &Side, contents: &Contents) -> Done<Option<Self>> {
        let bytes = |name: &str| side.has(name).then(|| text(side, contents, name)).transpose();
        let text = |name: &str| -> Done<Option<String>> {
            let unfit = |_| Failure::not_a("text", &side.place(name), "it is not UTF-8");
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
