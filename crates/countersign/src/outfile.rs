//! Files that commands are told to write: whole or not at all, where they are put.
//!
//! A symbolic link stays a link: what it leads to is written. What is no regular file, a device or a pipe, is written
//! through, in the order of the bytes: a rename would put a file in its place. What this module does not do: write the
//! realm's own files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::{Done, Failure};

/// How many symbolic links are followed, as many as Linux follows.
const LINKS_MAX: u32 = 40;

/// Who may read a file that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Who made it.
    Owner,
    /// Whom the process's mask lets.
    Everybody,
}

/// A file that is being written.
pub(crate) struct OutFile {
    path: PathBuf,
    to: To,
}

enum To {
    /// A file beside its place, until it is complete.
    Beside(NamedTempFile, PathBuf),
    /// No regular file: there is no whole of it.
    Through(File),
}

impl OutFile {
    /// Starts writing what is to be at `path`.
    pub(crate) fn begin(path: &Path, readers: Readers) -> Done<Self> {
        let to = To::find(path, readers).map_err(|error| Failure::file(path, &error))?;
        Ok(Self { path: path.to_owned(), to })
    }

    /// Writes a whole file.
    pub(crate) fn put(path: &Path, readers: Readers, bytes: &[u8]) -> Done {
        let mut file = Self::begin(path, readers)?;
        file.write_all(bytes).map_err(|error| Failure::file(path, &error))?;
        file.finish()
    }

    /// Puts the file in its place, durably.
    pub(crate) fn finish(self) -> Done {
        let failed = |error: io::Error| Failure::file(&self.path, &error);
        match self.to {
            To::Beside(file, place) => {
                file.as_file().sync_all().map_err(failed)?;
                file.persist(&place).map(drop).map_err(|error| failed(error.error))
            }
            // A device or a pipe has nothing that could be made durable.
            To::Through(mut file) => file.flush().map_err(failed),
        }
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Beside(file, _) => file.write(bytes),
            To::Through(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Beside(file, _) => file.flush(),
            To::Through(file) => file.flush(),
        }
    }
}

impl To {
    fn find(path: &Path, readers: Readers) -> io::Result<Self> {
        let through = || fs::OpenOptions::new().write(true).truncate(true).open(path).map(Self::Through);
        // Follows links, those of /proc among them, which lead to open files and not to names.
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => return through(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match followed(path)? {
            Some(place) => Self::beside(place, readers),
            None => through(),
        }
    }

    fn beside(place: PathBuf, readers: Readers) -> io::Result<Self> {
        let mode = match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o666,
        };
        let folder = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file =
            tempfile::Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)?;
        Ok(Self::Beside(file, place))
    }
}

/// Where symbolic links lead, whether something is there or not; `None` where they lead to a file that a process has
/// open, which has no name of its own.
fn followed(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&place) {
            Ok(there) if there.is_symlink() => {}
            Ok(_) => return Ok(Some(place)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(place)),
            Err(error) => return Err(error),
        }
        let folder = place.parent().unwrap_or(Path::new(""));
        let is_open_file =
            fs::canonicalize(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
                .is_ok_and(|folder| folder.starts_with("/proc"));
        if is_open_file {
            return Ok(None);
        }
        place = folder.join(fs::read_link(&place)?);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it leads from link to link"))
}
