//! Reading a folder without being led out of it.
//!
//! Every file is opened component by component from the folder's own descriptor and never through a link, so that
//! nobody who swaps a folder for a link while it is read can lead the reader elsewhere.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lanes::{Source, hash_all};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use statement::Digest;

use super::RelativePath;
use crate::error::{Error, Result};

/// Bytes that are read and hashed at once: those of all lanes stay near the core.
const READ: usize = 32 * 1024;

/// Deepest nesting of folders.
const DEPTH_LIMIT: usize = 64;

/// A folder held open.
#[derive(Debug)]
pub(super) struct Folder {
    root: OwnedFd,
    path: PathBuf,
    canonical: PathBuf,
}

/// A file of a folder.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name in the manifest.
    pub(super) path: RelativePath,
    /// Where its content is: elsewhere in the folder if it is a link.
    content: RelativePath,
    /// Its size when it was found.
    pub(super) size: u64,
}

/// What a file looked like at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    pub(super) fn at(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Refuses a file of which `read` bytes were read and that is not as it was.
    pub(super) fn confirm(&self, file: &File, read: u64, shown: &Path) -> Result<()> {
        let now = Self::at(file).map_err(|source| Error::file(shown, "read", source))?;
        if now == *self && read == self.size {
            Ok(())
        } else {
            Err(Error::Changed { path: shown.to_owned() })
        }
    }
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::file(path, "opened", source);
        let canonical = path.canonicalize().map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, &canonical, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        Ok(Self { root, path: path.to_owned(), canonical })
    }

    /// How a path in the folder is shown to people.
    pub(super) fn shown(&self, path: &RelativePath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// All files, in no order.
    pub(super) fn files(&self) -> Result<Vec<Found>> {
        let mut files = Vec::new();
        let mut pending = VecDeque::from([String::new()]);
        while let Some(folder) = pending.pop_front() {
            let directory = self.open_beneath(&folder, OFlags::DIRECTORY)?;
            for name in self.names(&folder, &directory)? {
                let text = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let path: RelativePath = text.parse().map_err(|error| self.full(error))?;
                let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| Error::file(self.shown(&path), "read", error.into()))?;
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => {
                        files.push(Found { content: path.clone(), size: size(&stat), path });
                    }
                    FileType::Directory if path.as_str().split('/').count() >= DEPTH_LIMIT => {
                        return Err(self.refuse(&path, "it is nested deeper than 64 folders"));
                    }
                    FileType::Directory => pending.push_back(text),
                    FileType::Symlink => files.push(self.follow(path)?),
                    _ => return Err(self.refuse(&path, "it is neither a file nor a folder")),
                }
            }
        }
        Ok(files)
    }

    /// Opens a file of the folder for reading.
    pub(super) fn open_file(&self, found: &Found) -> Result<File> {
        // Without NONBLOCK, opening what has become a pipe would wait for a writer.
        let file = self.open_beneath(found.content.as_str(), OFlags::NONBLOCK)?;
        let stat =
            fstat(&file).map_err(|error| Error::file(self.shown(&found.path), "read", error.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(Error::Changed { path: self.shown(&found.path) }),
        }
    }

    fn open_beneath(&self, path: &str, last: OFlags) -> Result<OwnedFd> {
        let failed = |error: rustix::io::Errno| Error::file(self.path.join(path), "opened", error.into());
        let always = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut components = path.split('/').filter(|part| !part.is_empty()).peekable();
        let mut at = openat(&self.root, ".", always | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
        while let Some(component) = components.next() {
            let kind = if components.peek().is_some() { OFlags::DIRECTORY } else { last };
            at = openat(&at, component, always | kind, Mode::empty()).map_err(failed)?;
        }
        Ok(at)
    }

    fn names(&self, folder: &str, directory: &OwnedFd) -> Result<Vec<String>> {
        let failed = |error: rustix::io::Errno| Error::file(self.path.join(folder), "read", error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) => names.push(name.to_owned()),
                Err(_) => {
                    let lossy = entry.file_name().to_string_lossy();
                    let path = self.path.join(folder).join(&*lossy);
                    return Err(Error::Path { path, reason: "the name is not UTF-8" });
                }
            }
        }
        Ok(names)
    }

    fn follow(&self, path: RelativePath) -> Result<Found> {
        let target = self.canonical.join(path.as_str()).canonicalize();
        let target = target.map_err(|_| self.refuse(&path, "it is a link that leads nowhere"))?;
        let inside = target.strip_prefix(&self.canonical);
        let inside = inside.map_err(|_| self.refuse(&path, "it is a link that leads out of the folder"))?;
        let content = inside.to_str().and_then(|text| text.parse::<RelativePath>().ok());
        let content =
            content.ok_or_else(|| self.refuse(&path, "it is a link to a folder or to a refused name"))?;
        let metadata = target.symlink_metadata();
        match metadata.ok().filter(std::fs::Metadata::is_file) {
            Some(metadata) => Ok(Found { path, content, size: metadata.len() }),
            None => Err(self.refuse(&path, "it is a link to something that is no file")),
        }
    }

    fn refuse(&self, path: &RelativePath, reason: &'static str) -> Error {
        Error::Path { path: self.shown(path), reason }
    }

    /// A refusal of a relative path, shown with the folder before it.
    fn full(&self, error: Error) -> Error {
        match error {
            Error::Path { path, reason } => Error::Path { path: self.path.join(path), reason },
            other => other,
        }
    }
}

/// An open file on its way through the hash; it must not change while it is read.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    shown: PathBuf,
    before: Look,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet hashed.
    ahead: Range<usize>,
    length: u64,
}

impl Opened {
    pub(super) fn new(file: File, shown: PathBuf) -> Result<Self> {
        let before = Look::at(&file).map_err(|source| Error::file(&shown, "read", source))?;
        // A small file needs no more than its length, and one byte to see that it has no more.
        let room = usize::try_from(before.size.saturating_add(1)).unwrap_or(READ).min(READ);
        Ok(Self { file, shown, before, buffer: vec![0; room], ahead: 0..0, length: 0 })
    }

    /// The length, if the file is as it was when it was opened.
    pub(super) fn confirm(&self) -> Result<u64> {
        self.before.confirm(&self.file, self.length, &self.shown)?;
        Ok(self.length)
    }
}

impl Source for Opened {
    type Error = Error;

    fn fill(&mut self) -> Result<&[u8]> {
        while self.ahead.is_empty() {
            match self.file.read(&mut self.buffer) {
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::file(&self.shown, "read", source)),
                Ok(0) => return Ok(&[]),
                Ok(count) => self.ahead = 0..count,
            }
        }
        Ok(self.buffer.get(self.ahead.clone()).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.ahead.start += count;
        self.length += count as u64;
    }
}

/// SHA-256 and length of an open file; it must not change while it is read.
pub(super) fn hash_opened(opened: Opened) -> Result<(Digest, u64)> {
    let mut one = Some(opened);
    let mut answer = (Digest::of(b""), 0);
    hash_all(
        1,
        || Ok(one.take()),
        |opened: Opened, digest| {
            answer = (Digest::from_bytes(digest), opened.confirm()?);
            Ok(())
        },
    )?;
    Ok(answer)
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}
