//! What work is given: files by their names, opened here, read where the work is done.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sandbox::{Content, Input};
use scan::boxed::{Held, Named};
use serde::{Deserialize, Serialize};

use super::super::tree::{self, What};
use super::super::which;
use crate::failure::{Done, Failure};
use crate::home::{open_at_once, open_file};

/// What a folder with a checkpoint of PyTorch holds.
pub(crate) const TORCH: &str = "pytorch_model.bin";

/// Files of one model, or of one change: what was named, and the files at and beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Side {
    /// As the user named it.
    pub(crate) path: String,
    /// The file that is meant; none where the folder is.
    pub(crate) only: Option<String>,
    /// What there is, by its name within the folder.
    pub(crate) entries: Vec<Named>,
}

/// Files that were opened for a worker.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    inputs: Vec<Input>,
    bytes: u64,
}

/// The bytes of the files, in their order.
#[derive(Debug)]
pub(crate) struct Contents(Vec<Bytes>);

impl Contents {
    pub(crate) const fn of(files: Vec<Bytes>) -> Self {
        Self(files)
    }

    /// The bytes of a file by its number.
    pub(crate) fn number(&self, number: u32) -> Done<&Bytes> {
        let at = usize::try_from(number).ok().and_then(|number| self.0.get(number));
        at.ok_or_else(|| Failure::outside(format!("there is no input {number}"), "report this as a fault"))
    }
}

impl Side {
    /// Where a file of it is, to be told.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        match &self.only {
            Some(only) if only == name => PathBuf::from(&self.path),
            Some(_) => Path::new(&self.path).parent().unwrap_or(Path::new("")).join(name),
            None => Path::new(&self.path).join(name),
        }
    }

    /// Whether there is a file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == name)
    }

    /// The number of a file that was opened.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.entries.iter().find(|entry| entry.path == name).and_then(|entry| match entry.held {
            Held::Input(number) => Some(number),
            Held::Link(_) | Held::Special(_) | Held::Unreadable(_) => None,
        })
    }

    /// The bytes of a file by its name.
    pub(crate) fn bytes<'c>(&self, contents: &'c Contents, name: &str) -> Done<&'c Bytes> {
        let entry = self.entries.iter().find(|entry| entry.path == name);
        let refused = |why: &str| Failure::file(&self.place(name), &std::io::Error::other(why.to_owned()));
        match entry.map(|entry| &entry.held) {
            Some(Held::Input(number)) => contents.number(*number),
            Some(Held::Unreadable(why) | Held::Special(why)) => Err(refused(why)),
            Some(Held::Link(target)) => Err(refused(&format!("it is a link to `{target}`"))),
            None => Err(refused("it is not there")),
        }
    }

    /// The names of the files, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.path.as_str())
    }
}

impl Handed {
    /// The bytes of everything that was opened.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The bytes, to be worked on in this process.
    pub(in super::super) fn contents(&self) -> Done<Contents> {
        let read = |input: &Input| {
            let content = Content::of(&input.file);
            content.map(Bytes::from_owner).map_err(|error| Failure::file(input.name.as_ref(), &error))
        };
        self.inputs.iter().map(read).collect::<Done<_>>().map(Contents)
    }

    /// Hands over an open file; answers its number.
    fn push(&mut self, file: File, name: &Path) -> std::io::Result<u32> {
        self.bytes = self.bytes.saturating_add(file.metadata()?.len());
        self.inputs.push(Input { name: name.to_string_lossy().into_owned(), file });
        u32::try_from(self.inputs.len() - 1).map_err(std::io::Error::other)
    }

    /// Hands over bytes that are in no file: a copy that nobody can change any more.
    pub(crate) fn copy(&mut self, name: &str, bytes: &[u8]) -> Done<u32> {
        let sealed = Input::sealed(name, bytes).and_then(|input| self.push(input.file, Path::new(name)));
        sealed.map_err(|error| Failure::file(Path::new(name), &error))
    }

    /// Opens one file.
    pub(crate) fn file(&mut self, path: &Path) -> Done<u32> {
        let opened = open_file(path).and_then(|file| self.push(file, path));
        opened.map_err(|error| Failure::file(path, &error))
    }

    /// The files of a model or an adapter: a file with what belongs to it, or those in a folder that can be weights or
    /// say something about them. What the user names, and a link in a folder, is followed.
    pub(crate) fn model(&mut self, path: &Path) -> Done<Side> {
        sandbox::host::descriptors();
        let failed = |error| Failure::file(path, &error);
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            let mut entries = Vec::new();
            let names = names(path)?;
            which::is_one_model(path, |wanted| names.iter().any(|name| name == wanted))?;
            for name in names {
                let place = path.join(&name);
                if is_models(&name) && place.is_file() {
                    entries.push(self.named(&name, &place));
                }
            }
            return Ok(Side { path: path.display().to_string(), only: None, entries });
        }
        let only = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = self.file(path)?;
        let mut entries = vec![Named { path: only.clone(), held: Held::Input(number) }];
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if only.ends_with(".safetensors.index.json") {
            for name in names(folder)? {
                let place = folder.join(&name);
                if name.ends_with(".safetensors") && place.is_file() {
                    entries.push(self.named(&name, &place));
                }
            }
        } else if only == "adapter_model.safetensors" {
            let place = folder.join("adapter_config.json");
            if place.is_file() {
                entries.push(self.named("adapter_config.json", &place));
            }
        }
        Ok(Side { path: path.display().to_string(), only: Some(only), entries })
    }

    /// Everything at and below a path, by the names within it. Links are not followed.
    pub(crate) fn everything(&mut self, path: &Path) -> Done<Side> {
        sandbox::host::descriptors();
        let root = path.to_string_lossy();
        let root = root.strip_prefix("./").unwrap_or(&root).trim_end_matches('/').to_owned();
        let mut entries = Vec::new();
        for listed in tree::list(&[path.to_owned()])? {
            let within = listed.path.strip_prefix(&root).map(|rest| rest.trim_start_matches('/').to_owned());
            let name = within
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| listed.path.rsplit('/').next().unwrap_or_default().to_owned());
            let held = match &listed.what {
                What::Link(target) => Held::Link(target.clone()),
                What::Special(what) => Held::Special((*what).to_owned()),
                What::Unreadable(why) => Held::Unreadable(why.clone()),
                What::File => self.opened(&listed.place),
            };
            entries.push(Named { path: name, held });
        }
        Ok(Side { path: path.display().to_string(), only: None, entries })
    }

    fn named(&mut self, name: &str, place: &Path) -> Named {
        Named { path: name.to_owned(), held: self.opened(place) }
    }

    fn opened(&mut self, place: &Path) -> Held {
        let opened = open_at_once(place).and_then(|file| {
            let kind = file.metadata()?.file_type();
            if kind.is_file() { self.push(file, place).map(Ok) } else { Ok(Err(tree::special(kind))) }
        });
        match opened {
            Ok(Ok(number)) => Held::Input(number),
            Ok(Err(what)) => Held::Special(what.to_owned()),
            Err(error) => Held::Unreadable(error.to_string()),
        }
    }
}

/// Whether a file is a checkpoint of PyTorch: the archive that it begins as, or by its ending, unless it begins as a safetensors
/// file.
pub(crate) fn is_torch(name: &str, bytes: &[u8]) -> bool {
    let ending = Path::new(name).extension();
    let is_named = ending.is_some_and(|ending| ending == "pt" || ending == "pth" || ending == "bin");
    bytes.starts_with(b"PK\x03\x04") || (is_named && bytes.get(8) != Some(&b'{'))
}

/// Whether a file in a model's folder can be weights, or say something about them.
fn is_models(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        matches!(ending, "safetensors" | "gguf" | "json" | "jinja" | "bin" | "pt" | "pth")
    })
}

/// The names in a folder, in order; what has no name in Unicode is none of a model's.
fn names(folder: &Path) -> Done<Vec<String>> {
    let listing = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listing = listing.map_err(|error| Failure::file(folder, &error))?;
    let mut names: Vec<String> =
        listing.iter().filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}
