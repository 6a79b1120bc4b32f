//! PyTorch checkpoints: which tensors they hold, where, and their elements; without running anything.
//!
//! Read are the zip form (since 1.6, TorchScript archives among it) and the legacy form (five pickles and the
//! storages). The pickles are walked by [`crate::pickle`]; a tensor is a call of one of `torch._utils._rebuild_*`
//! with a persistent id that names a storage. A tensor is a view of its storage (offset, shape, strides), several
//! may share one, and every view is checked to stay inside.
//!
//! Source: pytorch/pytorch `torch/serialization.py`, `torch/_utils.py`,
//! `torch/csrc/jit/serialization/pickler.cpp`.
//!
//! What this module does not do: say whether a checkpoint is fit to be loaded; that is for the allow-list of
//! [`crate::pickle`]. Objects that it does not know are listed in [`Checkpoint::unread`], since tensors may be
//! inside.

mod element;
mod error;
mod legacy;
mod tensors;
mod view;
mod walk;

use std::borrow::Cow;

pub use element::ElementType;
pub use error::Error;
pub use view::{Runs, Tensor};

use crate::pickle::{self, Pickle};
use crate::zip::{self, Archive, Budget, Method};
use tensors::Collector;

/// Bounds of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the container.
    pub zip: zip::Limits,
    /// Of each pickle.
    pub pickle: pickle::Limits,
    /// Bytes that deflated entries may unpack to, all together. PyTorch itself never writes deflated storages.
    pub unpacked: u64,
    /// Tensors in one checkpoint.
    pub tensors: usize,
    /// Values that are looked at in search of tensors; one that stands at several places counts at each.
    pub visits: usize,
}

impl Limits {
    /// Limits that every published checkpoint known to the authors stays below.
    pub const STANDARD: Self = Self {
        zip: zip::Limits::STANDARD,
        pickle: pickle::Limits::STANDARD,
        unpacked: 1 << 30,
        tensors: 1 << 20,
        visits: 4 << 20,
    };
}

/// The form of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A zip archive made by `torch.save`.
    Zip,
    /// A TorchScript archive.
    Script,
    /// Pickles and storages one after the other.
    Legacy,
}

/// A storage: the bytes that tensors are views of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage<'a> {
    /// Its key in the file.
    pub key: String,
    /// The type of its elements.
    pub element: ElementType,
    /// Its elements, as the checkpoint says.
    pub elements: u64,
    /// Its bytes, exactly as many as the elements need, as they stand in the file.
    pub bytes: Cow<'a, [u8]>,
    /// Offset of the bytes in the file, unless they were packed.
    pub at: Option<u64>,
}

/// A tensor's place in the checkpoint and an object there that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it stands: keys and indices joined by dots.
    pub name: String,
    /// What it is, in a few words.
    pub what: String,
}

/// Something that does not stop the reading but should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Two tensors have the same name; Python keeps the later one, and so does this reader.
    Repeated {
        /// The name.
        name: String,
    },
    /// A storage has more bytes in the file than its elements need.
    Longer {
        /// Its key.
        key: String,
        /// How many more.
        bytes: u64,
    },
    /// Bytes of storages that no tensor refers to.
    Unused {
        /// The name of the entry.
        entry: String,
        /// How many.
        bytes: u64,
    },
    /// More than one `data.pkl`; the one beside the first entry is read.
    SeveralRoots,
    /// Bytes after the last storage of a legacy file, or after the pickle of an archive.
    Trailing {
        /// How many.
        bytes: u64,
    },
}

/// A checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint<'a> {
    /// The form.
    pub layout: Layout,
    /// The first segment of the entries' names, in archives.
    pub root: String,
    /// The tensors, in the order of the file.
    pub tensors: Vec<Tensor>,
    /// The storages, in the order of first use.
    pub storages: Vec<Storage<'a>>,
    /// Objects that are not understood.
    pub unread: Vec<Unread>,
    /// What should not be.
    pub findings: Vec<Finding>,
    /// Whether the elements are written with the most significant byte first.
    pub big_endian: bool,
}

impl<'a> Checkpoint<'a> {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn read(file: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        if file.starts_with(b"PK\x03\x04") {
            return archive(file, limits);
        }
        legacy::read(file, limits)
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The longest runs of elements that lie together, in row-major order. Nothing is copied.
    pub fn runs(&self, tensor: &Tensor) -> Runs<'_> {
        Runs::new(tensor, self.storage_bytes(tensor))
    }

    /// A tensor's elements in row-major order, least significant byte first; borrowed where they lie so.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if more than `limit` bytes would have to be copied: a small storage may be viewed as
    /// a huge tensor by strides of zero.
    pub fn elements(&self, tensor: &Tensor, limit: u64) -> Result<Cow<'_, [u8]>, Error> {
        view::elements(tensor, self.storage_bytes(tensor), self.big_endian, limit)
    }

    fn storage_bytes(&self, tensor: &Tensor) -> &[u8] {
        self.storages.get(tensor.storage).map_or(&[], |storage| &storage.bytes)
    }
}

/// The entries that belong to a pickle: its own, and the folder of its storages.
const PARTS: [(&str, &str, &str); 2] =
    [("data.pkl", "data", ""), ("constants.pkl", "constants", "constants")];

fn archive<'a>(file: &'a [u8], limits: &Limits) -> Result<Checkpoint<'a>, Error> {
    let archive = Archive::read(file, &limits.zip)?;
    let mut budget = Budget::new(limits.unpacked);
    let first = archive.entries().first().map_or("", |entry| entry.name.as_str());
    let root = first.split('/').next().unwrap_or_default().to_owned();
    let is_root_pickle = |name: &str| {
        name.rsplit_once('/')
            .is_some_and(|(folder, name)| !folder.contains('/') && name.eq_ignore_ascii_case("data.pkl"))
    };
    let roots = archive.entries().iter().filter(|entry| is_root_pickle(&entry.name)).count();
    let code = format!("{root}/code/");
    let script = archive.entries().iter().any(|entry| entry.name.starts_with(&code));
    let mut checkpoint = Checkpoint {
        layout: if script { Layout::Script } else { Layout::Zip },
        root,
        tensors: Vec::new(),
        storages: Vec::new(),
        unread: Vec::new(),
        findings: Vec::new(),
        big_endian: false,
    };
    if roots > 1 {
        checkpoint.findings.push(Finding::SeveralRoots);
    }
    let named = |name: &str| archive.find(&format!("{}/{name}", checkpoint.root)).next();
    let order = named("byteorder");
    let parts: Vec<_> =
        PARTS.iter().filter_map(|(name, folder, prefix)| Some((named(name)?, *folder, *prefix))).collect();
    if named("data.pkl").is_none() {
        return Err(Error::NotTorch);
    }
    if let Some(index) = order {
        let order = archive.contents(index, &mut budget)?;
        checkpoint.big_endian = &*order.bytes == b"big";
    }
    let mut used = vec![false; archive.entries().len()];
    for (index, folder, prefix) in parts {
        let contents = archive.contents(index, &mut budget)?;
        let pickle = Pickle::read_at(&contents.bytes, 0, &limits.pickle);
        if let Some(fault) = pickle.fault {
            return Err(Error::Pickle { fault });
        }
        let length = u64::try_from(contents.bytes.len()).unwrap_or(u64::MAX);
        if pickle.end < length {
            checkpoint.findings.push(Finding::Trailing { bytes: length - pickle.end });
        }
        let mut collector = Collector::new(&pickle, limits, checkpoint.tensors.len());
        collector.collect(prefix)?;
        // One look for all storages: an archive may hold as many entries as it likes.
        let places = folder_entries(&archive, &format!("{}/{folder}/", checkpoint.root));
        let shift = checkpoint.storages.len();
        for need in collector.needs {
            let index = places
                .get(need.key.to_ascii_lowercase().as_str())
                .copied()
                .ok_or_else(|| Error::storage_missing(&need.key))?;
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
            let bytes = storage_bytes(&archive, index, &mut budget)?;
            let at = archive.entries().get(index).filter(|entry| entry.method == Method::Stored);
            let at = at.map(|entry| entry.data_at);
            checkpoint.add_storage(need, bytes, at)?;
        }
        checkpoint.unread.append(&mut collector.unread);
        checkpoint.add_tensors(collector.tensors, shift)?;
    }
    let folder = format!("{}/data/", checkpoint.root).to_ascii_lowercase();
    for (entry, used) in archive.entries().iter().zip(used) {
        if !used && entry.packed > 0 && entry.name.to_ascii_lowercase().starts_with(&folder) {
            let entry_name = crate::error::shown(&entry.name);
            checkpoint.findings.push(Finding::Unused { entry: entry_name, bytes: entry.packed });
        }
    }
    Ok(checkpoint)
}

/// The entries of a folder by the rest of their names in lower case; the first of each name.
fn folder_entries(archive: &Archive<'_>, folder: &str) -> std::collections::HashMap<String, usize> {
    let mut places = std::collections::HashMap::new();
    for (index, entry) in archive.entries().iter().enumerate() {
        let head = entry.name.get(..folder.len());
        if head.is_some_and(|head| head.eq_ignore_ascii_case(folder)) {
            let key = entry.name.get(folder.len()..).unwrap_or_default().to_ascii_lowercase();
            places.entry(key).or_insert(index);
        }
    }
    places
}

/// The bytes of a storage. Stored entries are not read through: checksums are for who asks for them.
fn storage_bytes<'a>(
    archive: &Archive<'a>,
    index: usize,
    budget: &mut Budget,
) -> Result<Cow<'a, [u8]>, Error> {
    if archive.entries().get(index).is_some_and(|entry| entry.method == Method::Stored) {
        return Ok(Cow::Borrowed(archive.packed(index)?));
    }
    let contents = archive.contents(index, budget)?;
    match contents.broken {
        Some(error) => Err(error.into()),
        None => Ok(contents.bytes),
    }
}

#[cfg(test)]
mod tests;
