//! Changing files so that a crash loses nothing and destruction is real.
//!
//! `object_store` writes and syncs new objects itself (it is opened with `with_fsync(true)`); what it lacks is
//! here: overwriting in place before unlinking, replacing a file whose old bytes must go, and syncing the
//! directory after an unlink. Overwriting in place reaches the old blocks on file systems that write in place;
//! on copy-on-write file systems and wear-levelled devices the old blocks may survive out of reach, which is why
//! destruction rests on keys that are themselves sealed.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};

/// The single steps; a seam, so that tests can see and interrupt them.
pub(crate) trait Steps: std::fmt::Debug + Send + Sync {
    /// Creates `path` (mode 0600; it must not exist), writes `bytes` and syncs the file.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Overwrites the whole of `path` with zeros in place and syncs the file.
    fn overwrite(&self, path: &Path) -> io::Result<()>;
    /// Gives the file `from` the second name `to`, which must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Moves `from` over `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the name `path`.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `directory` durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug)]
pub(crate) struct OsSteps;

impl Steps for OsSteps {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn overwrite(&self, path: &Path) -> io::Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut file = OpenOptions::new().write(true).open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut zeros = io::repeat(0).take(length);
        io::copy(&mut zeros.by_ref().take(length % ZEROS.len() as u64), &mut file)?;
        for _ in 0..length / ZEROS.len() as u64 {
            file.write_all(&ZEROS)?;
        }
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// Creates `directory` (mode 0700) unless it is there, durably.
pub(crate) fn ensure_directory(steps: &dyn Steps, directory: &Path) -> Result<()> {
    let failed = |source| Error::file(directory, "created", source);
    if directory.is_dir() {
        return Ok(());
    }
    let made: Vec<&Path> = directory.ancestors().take_while(|folder| !folder.exists()).collect();
    std::fs::create_dir_all(directory).map_err(failed)?;
    std::fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(failed)?;
    made.into_iter()
        .filter(|folder| !folder.as_os_str().is_empty())
        .try_for_each(|folder| sync_parent(steps, folder))
}

/// Writes a new file under its final name in one step: complete and durable, or not there. An existing file is
/// left alone and answered with [`io::ErrorKind::AlreadyExists`].
pub(crate) fn publish_new(steps: &dyn Steps, path: &Path, draft: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::file(path, "written", source);
    steps.write_new(draft, bytes).map_err(failed)?;
    let linked = steps.link(draft, path);
    steps.unlink(draft).map_err(failed)?;
    linked.map_err(failed)?;
    sync_parent(steps, path)
}

/// Puts `bytes` in the place of `path` in one step and destroys the old bytes. Call again after a crash: the old
/// bytes stay reachable under `old` until they are overwritten.
pub(crate) fn replace_and_destroy(
    steps: &dyn Steps,
    path: &Path,
    draft: &Path,
    old: &Path,
    bytes: &[u8],
) -> Result<()> {
    let failed = |source| Error::file(path, "replaced", source);
    destroy(steps, draft)?;
    steps.write_new(draft, bytes).map_err(failed)?;
    // What an earlier replacement left under the name goes first, unless it is the very file.
    if !is_same_file(path, old).map_err(failed)? {
        destroy(steps, old)?;
        steps.link(path, old).map_err(failed)?;
    }
    sync_parent(steps, path)?;
    steps.rename(draft, path).map_err(failed)?;
    sync_parent(steps, path)?;
    destroy(steps, old)
}

/// Overwrites `path`, unlinks it and makes that durable; a file that is not there is fine.
pub(crate) fn destroy(steps: &dyn Steps, path: &Path) -> Result<()> {
    match steps.overwrite(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::file(path, "overwritten", source)),
        Ok(()) => remove(steps, path),
    }
}

/// Unlinks `path` and makes that durable; a file that is not there is fine.
pub(crate) fn remove(steps: &dyn Steps, path: &Path) -> Result<()> {
    match steps.unlink(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::file(path, "removed", source)),
        Ok(()) => sync_parent(steps, path),
    }
}

/// Destroys the drafts (files with a `#` in their names) in the folders under `root`, those last written before
/// `older_than` if given; answers how many went.
pub(crate) fn destroy_drafts(steps: &dyn Steps, root: &Path, older_than: Option<SystemTime>) -> Result<u64> {
    let mut gone = 0;
    for shard in entries(root)? {
        for path in entries(&shard)? {
            let is_draft = path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'));
            if is_draft && is_older(&path, older_than)? {
                destroy(steps, &path)?;
                gone += 1;
            }
        }
    }
    Ok(gone)
}

/// What a directory holds; nothing where it is not there or is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::file(directory, "read", source);
    let listing = match std::fs::read_dir(directory) {
        Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        listing => listing.map_err(failed)?,
    };
    listing.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn is_same_file(path: &Path, other: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(other) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        metadata => {
            let (this, other) = (std::fs::symlink_metadata(path)?, metadata?);
            Ok((this.dev(), this.ino()) == (other.dev(), other.ino()))
        }
    }
}

fn is_older(path: &Path, limit: Option<SystemTime>) -> Result<bool> {
    let Some(limit) = limit else { return Ok(true) };
    match std::fs::metadata(path).and_then(|metadata| metadata.modified()) {
        // A draft that vanished was finished by someone else.
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        modified => Ok(modified.map_err(|source| Error::file(path, "read", source))? < limit),
    }
}

/// `path` with `suffix` added to its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn sync_parent(steps: &dyn Steps, path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    steps.sync_directory(parent).map_err(|source| Error::file(parent, "synced", source))
}

#[cfg(test)]
pub(crate) mod tests;
