//! Key files on disk.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::KEY_FILE_BYTES_MAX;
use crate::error::SignerError;

/// The bits of a mode that let others than the owner at a file.
const OTHERS: u32 = 0o077;

/// Reads a file that only its owner may read, following no link. What is checked is what is read: the open file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SignerError> {
    // Without NONBLOCK, opening a pipe would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::LOOP) => return Err(SignerError::Symlink { path: path.to_owned() }),
        Err(failure) => return Err(io_error("open", path)(failure.into())),
    };
    let metadata = file.metadata().map_err(io_error("examine", path))?;
    if !metadata.is_file() {
        return Err(SignerError::NotRegular { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(SignerError::Permissions { path: path.to_owned(), mode });
    }
    // Room for more than is read, so that the bytes are never moved to memory that is not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * KEY_FILE_BYTES_MAX));
    let most = u64::try_from(KEY_FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() > KEY_FILE_BYTES_MAX {
        return Err(SignerError::Oversize { limit: KEY_FILE_BYTES_MAX });
    }
    Ok(bytes)
}

/// Writes a file that was not there: first under a name of its own, then linked to `path`, which fails where
/// something has that name, even a dangling link.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), SignerError> {
    let draft = draft_beside(path)?;
    let written = write_synced(&draft, bytes).and_then(|()| {
        fs::hard_link(&draft, path).map_err(|failure| match failure.kind() {
            ErrorKind::AlreadyExists => SignerError::Exists { path: path.to_owned() },
            _ => io_error("create", path)(failure),
        })
    });
    // The draft goes in either case: it is a second way to the key.
    let removed = match fs::remove_file(&draft) {
        Err(failure) if failure.kind() != ErrorKind::NotFound => Err(io_error("remove", &draft)(failure)),
        _ => Ok(()),
    };
    written.and(removed)?;
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

fn write_synced(draft: &Path, bytes: &[u8]) -> Result<(), SignerError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)
        .map_err(io_error("create", draft))?;
    // The process's umask may have taken the owner's bits.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(io_error("restrict", draft))?;
    file.write_all(bytes).map_err(io_error("write", draft))?;
    file.sync_all().map_err(io_error("sync", draft))
}

/// A name in the same folder that nobody else uses.
fn draft_beside(path: &Path) -> Result<PathBuf, SignerError> {
    let name = path.file_name().ok_or_else(|| SignerError::NotRegular { path: path.to_owned() })?;
    let mut random = [0; 8];
    super::random(&mut random)?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{:016x}.new", u64::from_be_bytes(random)));
    Ok(path.with_file_name(draft))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn io_error(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SignerError {
    let path = path.to_owned();
    move |source| SignerError::Io { act, path, source }
}

#[cfg(test)]
mod tests;
