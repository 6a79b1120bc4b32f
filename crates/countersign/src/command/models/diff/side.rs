//! One side of a comparison: finds the files of a model or an adapter, reads them, and hands out their tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tensor::delta::Operand;
use tensor::gguf::Gguf;
use tensor::peft::Config;
use tensor::safetensors::{Index, SafeTensors, Sharded};
use tensor::scope::BaseWeights;
use tensor::weights::{Family, Heads, RotaryRows, Tensor, Transform, Weights};

use super::super::tree::Found;
use super::{bytes, file};
use crate::failure::{Done, Failure, in_file};

/// The largest configuration of an adapter that is read.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The files of one side, mapped.
pub(super) struct Files {
    path: PathBuf,
    kind: FilesKind,
}

enum FilesKind {
    Single(Found),
    Sharded { index: Found, shards: Vec<(String, Found)> },
    Gguf(Found),
    Adapter { config: Found, tensors: Found },
}

impl Files {
    /// What a path stands for: a file by its ending, a folder by what is in it.
    pub(super) fn find(path: &Path) -> Done<Self> {
        let kind = if path.is_dir() { Self::in_folder(path)? } else { Self::one(path)? };
        Ok(Self { path: path.to_owned(), kind })
    }

    fn one(path: &Path) -> Done<FilesKind> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".safetensors.index.json") {
            return Self::sharded(path);
        }
        let found = file(path)?;
        let head = bytes(&found).and_then(|bytes| bytes.first_chunk::<4>());
        if head == Some(b"GGUF") {
            return Ok(FilesKind::Gguf(found));
        }
        if name == "adapter_model.safetensors"
            && let Some(folder) = path.parent()
            && folder.join("adapter_config.json").is_file()
        {
            return Self::in_folder(folder);
        }
        Ok(FilesKind::Single(found))
    }

    fn in_folder(folder: &Path) -> Done<FilesKind> {
        let tensors = folder.join("adapter_model.safetensors");
        if tensors.is_file() {
            let config = file(&folder.join("adapter_config.json"))?;
            return Ok(FilesKind::Adapter { config, tensors: file(&tensors)? });
        }
        let index = folder.join("model.safetensors.index.json");
        if index.is_file() {
            return Self::sharded(&index);
        }
        let single = folder.join("model.safetensors");
        if single.is_file() {
            return Ok(FilesKind::Single(file(&single)?));
        }
        let entries = std::fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
        let models: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.extension().is_some_and(|ending| ending == "gguf" || ending == "safetensors")
                    && path.is_file()
            })
            .collect();
        match models.as_slice() {
            [one] => Self::one(one),
            [] => Err(Failure::not_a("model or adapter", folder, "no weights in it that this program reads")),
            _ => Err(Failure::not_a("model", folder, "several files of weights; name the one that is meant")),
        }
    }

    fn sharded(path: &Path) -> Done<FilesKind> {
        let index = file(path)?;
        let read = Index::read(bytes(&index).unwrap_or_default()).map_err(in_file(path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let shards: Done<Vec<(String, Found)>> =
            read.shards().into_iter().map(|name| Ok((name.to_owned(), file(&folder.join(name))?))).collect();
        Ok(FilesKind::Sharded { index, shards: shards? })
    }

    /// Reads the files.
    pub(super) fn open(&self) -> Done<Opened<'_>> {
        self.read().map_err(|failure| failure.of_file(&self.path))
    }

    fn read(&self) -> Done<Opened<'_>> {
        let content = |found| bytes(found).unwrap_or_default();
        let kind = match &self.kind {
            FilesKind::Single(found) => OpenedKind::Single(SafeTensors::read(content(found))?),
            FilesKind::Sharded { index, shards } => {
                let read: Done<Vec<(String, SafeTensors<'_>)>> = shards
                    .iter()
                    .map(|(name, found)| Ok((name.clone(), SafeTensors::read(content(found))?)))
                    .collect();
                OpenedKind::Sharded(Sharded::join(Index::read(content(index))?, read?)?)
            }
            FilesKind::Gguf(found) => OpenedKind::Gguf(Gguf::read(content(found))?),
            FilesKind::Adapter { config, tensors } => {
                let text = content(config);
                if text.len() > CONFIG_BYTES_MAX {
                    return Err(Failure::not_a(
                        "adapter",
                        &self.path,
                        "its configuration is larger than any",
                    ));
                }
                OpenedKind::Adapter {
                    config: Config::read(text)?,
                    file: SafeTensors::read(content(tensors))?,
                }
            }
        };
        Ok(Opened { path: self.path.display().to_string(), kind })
    }
}

/// One side, read.
pub(super) struct Opened<'a> {
    /// As it was named.
    pub(super) path: String,
    pub(super) kind: OpenedKind<'a>,
}

pub(super) enum OpenedKind<'a> {
    Single(SafeTensors<'a>),
    Sharded(Sharded<'a>),
    Gguf(Gguf<'a>),
    Adapter { config: Config, file: SafeTensors<'a> },
}

impl<'a> Opened<'a> {
    /// Every tensor, to be compared with those of the other side. Where one side is a GGUF file and the other is not, the
    /// tensors of the first are looked up by the names that the second has for them, and read in its order of rows.
    pub(super) fn operands(&'a self, other: &Opened<'_>) -> Vec<Box<dyn Operand + 'a>> {
        let weights = self.list();
        let OpenedKind::Gguf(file) = &self.kind else {
            return weights
                .tensors()
                .iter()
                .map(|tensor| Box::new(tensor.clone()) as Box<dyn Operand>)
                .collect();
        };
        let family = file.architecture().and_then(Family::of_architecture);
        let mut names = BTreeMap::new();
        if let (Some(family), false) = (family, matches!(other.kind, OpenedKind::Gguf(_))) {
            for tensor in other.list().tensors() {
                if let Some((name, transform)) = family.to_gguf(tensor.name()) {
                    names.insert(name, (tensor.name().to_owned(), transform));
                }
            }
        }
        let heads = |heads| {
            let setting = match heads {
                Heads::Query => "attention.head_count",
                Heads::KeyValue => "attention.head_count_kv",
            };
            file.setting(setting)
                .and_then(tensor::gguf::Value::as_unsigned)
                .and_then(|heads| usize::try_from(heads).ok())
        };
        let renamed = |tensor: &Tensor<'a>| -> Box<dyn Operand + 'a> {
            let named = names.get(tensor.name());
            match named.and_then(|(name, transform)| Renamed::of(tensor.clone(), name, *transform, heads)) {
                Some(renamed) => Box::new(renamed),
                None => Box::new(tensor.clone()),
            }
        };
        weights.tensors().iter().map(renamed).collect()
    }

    fn list(&'a self) -> Weights<'a> {
        match &self.kind {
            OpenedKind::Single(file) | OpenedKind::Adapter { file, .. } => file.into(),
            OpenedKind::Sharded(files) => files.into(),
            OpenedKind::Gguf(file) => file.into(),
        }
    }

    /// As weights that a scope can be checked on; nothing for GGUF files and adapters.
    pub(super) fn weights(&self) -> Option<&(dyn BaseWeights + Sync)> {
        match &self.kind {
            OpenedKind::Single(file) => Some(file),
            OpenedKind::Sharded(files) => Some(files),
            OpenedKind::Gguf(_) | OpenedKind::Adapter { .. } => None,
        }
    }
}

/// A tensor of a GGUF file under another name, its elements in the order and of the size that they have under it.
struct Renamed<'a> {
    tensor: Tensor<'a>,
    name: String,
    undo: Undo,
}

/// What is done to elements to undo llama.cpp's conversion.
#[derive(Clone, Copy)]
enum Undo {
    Nothing,
    /// Rows were reordered; so many elements make one.
    Rows(RotaryRows, usize),
    /// One was added.
    MinusOne,
}

impl<'a> Renamed<'a> {
    /// Nothing where the conversion cannot be undone a few elements at a time.
    fn of(
        tensor: Tensor<'a>,
        name: &str,
        transform: Transform,
        heads: impl Fn(Heads) -> Option<usize>,
    ) -> Option<Self> {
        let undo = match transform {
            Transform::Same => Undo::Nothing,
            Transform::PlusOne => Undo::MinusOne,
            Transform::Rotary(which) => {
                // A bias is one number to a row.
                let vector = tensor.shape().len() == 1;
                let (rows, row_len) =
                    if vector { (tensor.elements_len(), 1) } else { (tensor.rows(), tensor.row_len()) };
                Undo::Rows(RotaryRows::new(rows, heads(which)?)?, row_len.max(1))
            }
            Transform::Transposed => return None,
        };
        Some(Self { tensor, name: name.to_owned(), undo })
    }
}

impl Operand for Renamed<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn dtype(&self) -> &str {
        self.tensor.dtype()
    }

    fn bytes(&self) -> &[u8] {
        // Bytes in another order are not those of what is compared.
        match self.undo {
            Undo::Nothing => self.tensor.bytes(),
            Undo::Rows(..) | Undo::MinusOne => &[],
        }
    }

    fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>) {
        match self.undo {
            Undo::Nothing => self.tensor.decode_part(first, count, out),
            Undo::MinusOne => {
                self.tensor.decode_part(first, count, out);
                for value in out {
                    *value -= 1.0;
                }
            }
            Undo::Rows(order, row_len) => {
                out.clear();
                let mut part = Vec::new();
                let (mut at, last) = (first, first.saturating_add(count).min(self.tensor.elements_len()));
                while at < last {
                    let (row, column) = (at / row_len, at % row_len);
                    let wanted = (row_len - column).min(last - at);
                    self.tensor.decode_part(order.to_gguf(row) * row_len + column, wanted, &mut part);
                    out.append(&mut part);
                    at += wanted;
                }
            }
        }
    }

    fn grain(&self, value: f64) -> f64 {
        self.tensor.grain(value)
    }
}
