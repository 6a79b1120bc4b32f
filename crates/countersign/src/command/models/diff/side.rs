//! One side of a comparison: finds out which files are a model or an adapter, reads them, and hands out their tensors.

use std::collections::BTreeMap;
use std::path::Path;

use tensor::delta::Operand;
use tensor::gguf::Gguf;
use tensor::peft::Config;
use tensor::safetensors::{Index, SafeTensors, Sharded};
use tensor::scope::BaseWeights;
use tensor::torch::{self, Checkpoint};
use tensor::weights::packed::{Packing, Unpacked};
use tensor::weights::{Family, Tensor, Weights};

use super::super::which::{ADAPTER, INDEX, SINGLE};
use super::super::work::{Contents, Side, TORCH, is_torch};
use super::operand::{Decoded, Packed, Renamed, heads};
use crate::failure::{Done, Failure, in_file};

/// The largest configuration of an adapter that is read.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The files of one side.
pub(super) struct Files<'a> {
    side: &'a Side,
    kind: FilesKind<'a>,
    /// The model's `config.json`, where the folder was named.
    config: Option<&'a [u8]>,
}

enum FilesKind<'a> {
    Single(&'a [u8]),
    Sharded { index: &'a [u8], shards: Vec<(String, &'a [u8])> },
    Gguf(&'a [u8]),
    Torch(&'a [u8]),
    Adapter { config: &'a [u8], tensors: &'a [u8] },
}

const ADAPTER_CONFIG: &str = "adapter_config.json";
const CONFIG: &str = "config.json";

impl<'a> Files<'a> {
    /// What a side stands for: a file by its ending, a folder by what is in it.
    pub(super) fn find(side: &'a Side, contents: &'a Contents) -> Done<Self> {
        let finding = Finding { side, contents };
        let kind = match &side.only {
            Some(name) => finding.one(name)?,
            None => finding.in_folder()?,
        };
        let config = (side.only.is_none() && side.has(CONFIG)).then(|| finding.bytes(CONFIG)).transpose()?;
        if config.is_some_and(|config| config.len() > CONFIG_BYTES_MAX) {
            let why = "its configuration is larger than any";
            return Err(Failure::not_a("model", Path::new(&side.path), why));
        }
        Ok(Self { side, kind, config })
    }

    /// Reads the files.
    pub(super) fn open(&self) -> Done<Opened<'a>> {
        self.read().map_err(|failure| failure.of_file(Path::new(&self.side.path)))
    }

    fn read(&self) -> Done<Opened<'a>> {
        let kind = match &self.kind {
            FilesKind::Single(bytes) => OpenedKind::Single(SafeTensors::read(bytes)?),
            FilesKind::Sharded { index, shards } => {
                let read: Done<Vec<(String, SafeTensors<'a>)>> = shards
                    .iter()
                    .map(|(name, bytes)| Ok((name.clone(), SafeTensors::read(bytes)?)))
                    .collect();
                OpenedKind::Sharded(Sharded::join(Index::read(index)?, read?)?)
            }
            FilesKind::Gguf(bytes) => OpenedKind::Gguf(Gguf::read(bytes)?),
            FilesKind::Torch(bytes) => {
                // What lies there in another order is copied; no more than there is.
                let copied_bytes_max = bytes.len() as u64;
                OpenedKind::Torch {
                    file: Checkpoint::read(bytes, &torch::Limits::STANDARD)?,
                    copied_bytes_max,
                }
            }
            FilesKind::Adapter { config, tensors } => {
                if config.len() > CONFIG_BYTES_MAX {
                    return Err(Failure::not_a(
                        "adapter",
                        Path::new(&self.side.path),
                        "its configuration is larger than any",
                    ));
                }
                OpenedKind::Adapter { config: Config::read(config)?, file: SafeTensors::read(tensors)? }
            }
        };
        let mut opened = Opened { path: self.side.path.clone(), kind, unpacked: None };
        let is_model = matches!(opened.kind, OpenedKind::Single(_) | OpenedKind::Sharded(_));
        if let Some(config) = self.config.filter(|_| is_model) {
            let stored = opened.stored()?;
            let packing = Packing::of_model(config, &stored)?;
            let unpacked = packing.map(|packing| Unpacked::of(&stored, packing)).transpose()?;
            opened.unpacked = unpacked;
        }
        Ok(opened)
    }
}

/// Finding out what the files of a side are.
#[derive(Clone, Copy)]
struct Finding<'a> {
    side: &'a Side,
    contents: &'a Contents,
}

impl<'a> Finding<'a> {
    fn bytes(self, name: &str) -> Done<&'a [u8]> {
        self.side.bytes(self.contents, name).map(AsRef::as_ref)
    }

    fn one(self, name: &str) -> Done<FilesKind<'a>> {
        if name.ends_with(".safetensors.index.json") {
            return self.sharded(name);
        }
        let bytes = self.bytes(name)?;
        if bytes.starts_with(b"GGUF") {
            return Ok(FilesKind::Gguf(bytes));
        }
        if is_torch(name, bytes) {
            return Ok(FilesKind::Torch(bytes));
        }
        if name == ADAPTER && self.side.has(ADAPTER_CONFIG) {
            return self.adapter();
        }
        Ok(FilesKind::Single(bytes))
    }

    fn adapter(self) -> Done<FilesKind<'a>> {
        Ok(FilesKind::Adapter { config: self.bytes(ADAPTER_CONFIG)?, tensors: self.bytes(ADAPTER)? })
    }

    fn in_folder(self) -> Done<FilesKind<'a>> {
        if self.side.has(ADAPTER) {
            return self.adapter();
        }
        if self.side.has(INDEX) {
            return self.sharded(INDEX);
        }
        if self.side.has(SINGLE) {
            return Ok(FilesKind::Single(self.bytes(SINGLE)?));
        }
        if self.side.has(TORCH) {
            return Ok(FilesKind::Torch(self.bytes(TORCH)?));
        }
        let folder = Path::new(&self.side.path);
        let is_weights = |name: &&str| {
            let ending = Path::new(name).extension();
            ending.is_some_and(|ending| ending == "gguf" || ending == "safetensors")
        };
        let models: Vec<&str> = self.side.names().filter(is_weights).collect();
        match models.as_slice() {
            [one] => self.one(one),
            [] => Err(Failure::not_a("model or adapter", folder, "no weights in it that this program reads")),
            _ => Err(Failure::not_a("model", folder, "several files of weights; name the one that is meant")),
        }
    }

    fn sharded(self, name: &str) -> Done<FilesKind<'a>> {
        let index = self.bytes(name)?;
        let read = Index::read(index).map_err(in_file(&self.side.place(name)))?;
        let shards: Done<Vec<(String, &'a [u8])>> =
            read.shards().into_iter().map(|name| Ok((name.to_owned(), self.bytes(name)?))).collect();
        Ok(FilesKind::Sharded { index, shards: shards? })
    }
}

/// One side, read.
pub(super) struct Opened<'a> {
    /// As it was named.
    pub(super) path: String,
    pub(super) kind: OpenedKind<'a>,
    /// Layers that GPTQ or AWQ packed, as the weights that they stand for.
    unpacked: Option<Unpacked>,
}

pub(super) enum OpenedKind<'a> {
    Single(SafeTensors<'a>),
    Sharded(Sharded<'a>),
    Gguf(Gguf<'a>),
    Torch { file: Checkpoint<'a>, copied_bytes_max: u64 },
    Adapter { config: Config, file: SafeTensors<'a> },
}

impl<'a> Opened<'a> {
    /// Every tensor, to be compared with those of the other side. Where one side is a GGUF file and the other is not, the
    /// tensors of the first are looked up by the names that the second has for them, and read in its order of rows.
    pub(super) fn operands(&'a self, other: &Opened<'_>) -> Done<Vec<Box<dyn Operand + 'a>>> {
        let weights = self.list()?;
        let OpenedKind::Gguf(file) = &self.kind else {
            let unpacked = self.unpacked.as_ref();
            let operand = |tensor: &Tensor<'a>| -> Box<dyn Operand + 'a> {
                match unpacked.and_then(|unpacked| unpacked.packing_of(tensor.name())) {
                    Some(packing) => Box::new(Packed { tensor: tensor.clone(), packing }),
                    None => Box::new(tensor.clone()),
                }
            };
            return Ok(weights.tensors().iter().map(operand).collect());
        };
        let family = file.architecture().and_then(Family::of_architecture);
        let mut names = BTreeMap::new();
        if let (Some(family), false) = (family, matches!(other.kind, OpenedKind::Gguf(_))) {
            for tensor in other.list()?.tensors() {
                if let Some((name, transform)) = family.to_gguf(tensor.name()) {
                    names.insert(name, (tensor.name().to_owned(), transform));
                }
            }
        }
        let heads = |which| heads(file, which);
        let renamed = |tensor: &Tensor<'a>| -> Box<dyn Operand + 'a> {
            let named = names.get(tensor.name());
            match named.and_then(|(name, transform)| Renamed::of(tensor.clone(), name, *transform, heads)) {
                Some(renamed) => Box::new(renamed),
                None => Box::new(tensor.clone()),
            }
        };
        Ok(weights.tensors().iter().map(renamed).collect())
    }

    /// The tensors, none of them packed.
    fn list(&'a self) -> Done<Weights<'a>> {
        let stored = self.stored()?;
        Ok(self.unpacked.as_ref().map_or(Ok(stored.clone()), |unpacked| unpacked.among(&stored))?)
    }

    /// The tensors as they stand in the files.
    fn stored(&self) -> Done<Weights<'_>> {
        Ok(match &self.kind {
            OpenedKind::Single(file) | OpenedKind::Adapter { file, .. } => file.into(),
            OpenedKind::Sharded(files) => files.into(),
            OpenedKind::Gguf(file) => file.into(),
            OpenedKind::Torch { file, copied_bytes_max } => Weights::of_checkpoint(file, *copied_bytes_max)?,
        })
    }

    /// As weights that a scope can be checked on; nothing for GGUF files, adapters and packed layers.
    pub(super) fn weights(&'a self) -> Done<Option<Box<dyn BaseWeights + Sync + 'a>>> {
        if self.unpacked.is_some() {
            return Ok(None);
        }
        Ok(match &self.kind {
            OpenedKind::Single(_) | OpenedKind::Sharded(_) | OpenedKind::Torch { .. } => {
                Some(Box::new(self.list()?))
            }
            OpenedKind::Gguf(_) | OpenedKind::Adapter { .. } => None,
        })
    }

    /// As weights that an adapter's changes are measured against, those that it changes decoded to single precision where
    /// they are kept otherwise; nothing for adapters, and for GGUF files whose names have no others at Hugging Face.
    pub(super) fn base(&'a self) -> Done<Option<Box<dyn BaseWeights + Sync + 'a>>> {
        Ok(match &self.kind {
            OpenedKind::Adapter { .. } => None,
            OpenedKind::Gguf(file) => {
                Decoded::of(file).map(|base| Box::new(base) as Box<dyn BaseWeights + Sync>)
            }
            OpenedKind::Single(_) | OpenedKind::Sharded(_) | OpenedKind::Torch { .. } => {
                Some(Box::new(self.list()?))
            }
        })
    }
}
