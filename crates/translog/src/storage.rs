//! The file operations that the log needs, as a trait, so that faults can be put in their way.
//!
//! Paths are relative to the storage's root, parts joined by `/`. What is promised after a crash is what POSIX
//! promises and no more: file contents after [`StoredFile::sync_data`], names after [`Storage::sync_dir`],
//! everything after [`Storage::sync_everything`].

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use crate::error::LogError;

mod disk;

pub use disk::Disk;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For reading and writing in place.
    Write,
}

/// What a lock lasts as long as.
pub trait LockGuard: Send + Sync + Debug {}

/// A directory tree.
pub trait Storage: Send + Sync + Debug {
    /// Opens a file that exists.
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>>;

    /// Makes a file, or empties the one that is there, and opens it for writing.
    fn create(&self, path: &str) -> io::Result<Arc<dyn StoredFile>>;

    /// Renames `from` to `to`, replacing what is there, atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Renames `from` to `to`, atomically; `AlreadyExists` where `to` is there. This is the compare-and-swap by
    /// which a sequencer takes over.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;

    /// Whether there is a file at `path`.
    fn exists(&self, path: &str) -> io::Result<bool>;

    /// The names in a directory, sorted; none where the directory is absent.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Makes a directory and its parents, where absent.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a directory durable. The empty path is the root.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Makes every earlier write, rename and creation durable.
    fn sync_everything(&self) -> io::Result<()>;

    /// Takes the exclusive lock at `path`; `WouldBlock` where another holds it.
    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>>;

    /// Sixteen bytes that nobody can guess beforehand.
    fn nonce(&self) -> io::Result<[u8; 16]>;
}

/// An open file.
pub trait StoredFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads at `offset` until `buffer` is full or the file ends; answers how many bytes were read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes the contents durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves space up to `len`; what was not written reads as zeros.
    fn preallocate(&self, len: u64) -> io::Result<()>;

    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// The directory part of `path`; empty for a name in the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The whole file, or `None` where it is absent. Longer than `limit` is an error.
pub(crate) fn read_file(storage: &dyn Storage, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.size()?;
    if size > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{size}` bytes, more than `{limit}`"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Fills `buffer` from `offset`; `UnexpectedEof` where the file ends before.
pub(crate) fn read_exact(file: &dyn StoredFile, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let wanted = buffer.len();
    if file.read_at(offset, buffer)? == wanted { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Replaces the file at `path` atomically; durable when it returns. [`STAGING`] must be there.
pub(crate) fn replace_file(storage: &dyn Storage, path: &str, bytes: &[u8]) -> Result<(), LogError> {
    let temporary = staging_path(path);
    let file = storage.create(&temporary).map_err(LogError::io("create", &temporary))?;
    file.write_at(0, bytes).map_err(LogError::io("write", &temporary))?;
    file.sync_data().map_err(LogError::sync(&temporary))?;
    drop(file);
    storage.rename(&temporary, path).map_err(LogError::io("replace", path))?;
    storage.sync_dir(parent(path)).map_err(LogError::sync(path))
}

/// Where files are prepared before they are renamed to their place. What is left there is of no use.
pub(crate) const STAGING: &str = "staging";

/// Where the file at `path` is prepared.
pub(crate) fn staging_path(path: &str) -> String {
    format!("{STAGING}/{}", path.replace('/', "_"))
}

/// Removes what a crash left in the staging directory.
pub(crate) fn clear_staging(storage: &dyn Storage) -> Result<(), LogError> {
    for name in storage.list(STAGING).map_err(LogError::io("list", STAGING))? {
        let path = format!("{STAGING}/{name}");
        storage.remove(&path).map_err(LogError::io("remove", &path))?;
    }
    Ok(())
}
