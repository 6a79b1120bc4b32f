//! The zip container, as PyTorch checkpoints, TorchScript and `.npz` files use it.
//!
//! Two readers that see different things in one file are how a scanner is led past what a loader runs. So this
//! reader compares everything that is written twice (local header and directory, offset and size of the
//! directory, announced and real contents) and answers an [`Anomaly`] for each difference, and all the same looks
//! inside whatever PyTorch's, NumPy's and Python's readers would load. [`Archive::read_strict`] turns the first
//! anomaly into a refusal; [`Archive::read`] is for those who must look.
//!
//! Source: PKWARE APPNOTE 6.3.10; the behaviour of Python's `zipfile` and of `miniz.c` as PyTorch builds it
//! (checksums not checked, names compared without case, only the directory believed).
//!
//! What it does not do: write archives, decrypt, or unpack anything but stored and deflated entries.

mod anomaly;
mod crc;
mod directory;
mod error;
mod header;
mod inflate;

use std::borrow::Cow;

pub use anomaly::{Anomaly, Field, NameTrick, Oddity};
pub use crc::crc32;
pub use error::Error;
use header::slice_at;
use inflate::Unpacked;

use crate::error::shown;

/// Bounds of what a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in one archive.
    pub entries: usize,
    /// Unpacked bytes to a packed byte from which an entry is called out. Deflate reaches 1032.
    pub ratio: u64,
    /// Unpacked bytes below which the ratio does not matter.
    pub ratio_floor: u64,
    /// Unpacked bytes that all entries together may announce.
    pub total: u64,
    /// Anomalies that are kept; further ones are only counted.
    pub anomalies: usize,
}

impl Limits {
    /// Limits that every published checkpoint known to the authors stays below.
    pub const STANDARD: Self =
        Self { entries: 1 << 18, ratio: 200, ratio_floor: 1 << 20, total: 1 << 42, anomalies: 10_000 };

    /// The unpacked bytes to a packed byte that an entry announces, where they are out of all proportion.
    pub fn ratio_above(&self, packed: u64, size: u64) -> Option<u64> {
        let ratio = size / packed.max(1);
        (ratio > self.ratio && size > self.ratio_floor).then_some(ratio)
    }
}

/// How the contents of an entry are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Stored,
    /// With deflate (RFC 1951).
    Deflated,
    /// With something else, by the number of the method.
    Other(u16),
}

impl Method {
    const fn of(number: u16) -> Self {
        match number {
            0 => Self::Stored,
            8 => Self::Deflated,
            other => Self::Other(other),
        }
    }
}

/// How an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the central directory.
    Directory,
    /// By a local header in bytes that belong to no listed entry.
    Unlisted,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in the directory; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// The name in the local header, where it is another.
    pub local_name: Option<String>,
    /// How it is packed.
    pub method: Method,
    /// The announced checksum.
    pub crc: u32,
    /// Bytes in the file.
    pub packed: u64,
    /// Announced bytes when unpacked.
    pub size: u64,
    /// Offset of the local header.
    pub header_at: u64,
    /// Offset of the contents.
    pub data_at: u64,
    /// How it was found.
    pub origin: Origin,
}

/// What an entry holds, and what is odd about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents<'a> {
    /// The unpacked bytes, as far as they could be unpacked.
    pub bytes: Cow<'a, [u8]>,
    /// Differences from what is announced.
    pub anomalies: Vec<Anomaly>,
    /// Whether unpacking broke before the end of the entry. A loader that reads as it unpacks may have acted
    /// on what came before.
    pub broken: Option<Error>,
}

/// How many bytes may still be unpacked. One budget is passed through all that belongs together, nested archives
/// too, so that the bound holds for the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// A budget of that many unpacked bytes.
    pub const fn new(bytes: u64) -> Self {
        Self { left: bytes }
    }

    /// What is left.
    pub const fn left(&self) -> u64 {
        self.left
    }
}

/// An archive whose directory has been read.
#[derive(Debug, Clone)]
pub struct Archive<'a> {
    file: &'a [u8],
    entries: Vec<Entry>,
    anomalies: Vec<Anomaly>,
    anomalies_found: usize,
}

impl<'a> Archive<'a> {
    /// Reads the directory, tolerantly.
    ///
    /// # Errors
    /// [`Error::NoDirectory`] and [`Error::TooManyEntries`]; all else becomes an [`Anomaly`].
    pub fn read(file: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        directory::read(file, limits)
    }

    /// Reads the directory, and refuses the archive if anything about it is odd.
    ///
    /// # Errors
    /// Those of [`Archive::read`], and [`Error::Anomalous`] with the first anomaly.
    pub fn read_strict(file: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let archive = Self::read(file, limits)?;
        match archive.anomalies.first() {
            Some(anomaly) => Err(Error::Anomalous(anomaly.clone())),
            None => Ok(archive),
        }
    }

    /// The entries: those of the directory in its order, then unlisted ones.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is odd about the archive, up to [`Limits::anomalies`].
    pub fn anomalies(&self) -> &[Anomaly] {
        &self.anomalies
    }

    /// How many anomalies there are, those that were not kept included.
    pub const fn anomalies_found(&self) -> usize {
        self.anomalies_found
    }

    /// The numbers of the entries whose name equals `name` without regard to ASCII case, which is how PyTorch's
    /// reader looks names up.
    pub fn find<'n>(&'n self, name: &'n str) -> impl Iterator<Item = usize> + 'n {
        self.entries
            .iter()
            .enumerate()
            .filter(move |(_, entry)| entry.name.eq_ignore_ascii_case(name))
            .map(|(index, _)| index)
    }

    /// The bytes of an entry as they stand in the file. For stored entries these are the contents.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Outside`].
    pub fn packed(&self, index: usize) -> Result<&'a [u8], Error> {
        let entry = self.entries.get(index).ok_or(Error::NoEntry { index })?;
        slice_at(self.file, entry.data_at, entry.packed)
            .ok_or_else(|| Error::Outside { entry: shown(&entry.name) })
    }

    /// The first bytes of an entry, at most `bytes` of them: enough to see what it is. What cannot be unpacked ends them.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Outside`], [`Error::Method`].
    pub fn head(&self, index: usize, bytes: usize) -> Result<Cow<'a, [u8]>, Error> {
        let packed = self.packed(index)?;
        let entry = self.entries.get(index).ok_or(Error::NoEntry { index })?;
        match entry.method {
            Method::Stored => Ok(Cow::Borrowed(packed.get(..bytes).unwrap_or(packed))),
            Method::Deflated => Ok(Cow::Owned(inflate::unpack(packed, entry.size, wide(bytes)).0)),
            Method::Other(method) => Err(Error::Method { entry: shown(&entry.name), method }),
        }
    }

    /// Unpacks an entry, tolerantly: what is unlike what is announced comes back beside the bytes. Stored
    /// entries are borrowed and cost no budget.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Outside`], [`Error::Method`]; [`Error::Bomb`] when the budget is used up.
    pub fn contents(&self, index: usize, budget: &mut Budget) -> Result<Contents<'a>, Error> {
        let packed = self.packed(index)?;
        let entry = self.entries.get(index).ok_or(Error::NoEntry { index })?;
        let mut anomalies = Vec::new();
        let mut broken = None;
        let odd = |oddity| Anomaly::of(&entry.name, entry.data_at, oddity);
        let bytes = match entry.method {
            Method::Stored => Cow::Borrowed(packed),
            Method::Deflated => {
                let (bytes, end) = inflate::unpack(packed, entry.size, budget.left);
                match end {
                    Unpacked::Whole { consumed } => {
                        let tail = packed.len().saturating_sub(consumed);
                        if tail > 0 {
                            anomalies.push(odd(Oddity::PackedTail { bytes: wide(tail) }));
                        }
                    }
                    Unpacked::Broken => {
                        broken =
                            Some(Error::Deflate { entry: shown(&entry.name), unpacked: wide(bytes.len()) });
                    }
                    Unpacked::TooLong => {
                        return Err(Error::Bomb { entry: shown(&entry.name), left: budget.left });
                    }
                }
                budget.left = budget.left.saturating_sub(wide(bytes.len()));
                Cow::Owned(bytes)
            }
            Method::Other(method) => {
                return Err(Error::Method { entry: shown(&entry.name), method });
            }
        };
        if wide(bytes.len()) != entry.size {
            anomalies.push(odd(Oddity::Length { announced: entry.size, found: wide(bytes.len()) }));
        }
        let found = crc32(&bytes);
        if found != entry.crc && broken.is_none() {
            anomalies.push(odd(Oddity::Crc { announced: entry.crc, found }));
        }
        Ok(Contents { bytes, anomalies, broken })
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
