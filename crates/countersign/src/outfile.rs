//! Files that commands are told to write: whole or not at all, where they are put.
//!
//! A symbolic link stays a link: what it leads to is written. What is no regular file, a device or a pipe, is written
//! through, in the order of the bytes: a rename would put a file in its place. Nothing is put into the folder of a realm
//! or a station, nor over a file that the command reads: a key, a log or a model that is written over is gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use tempfile::NamedTempFile;

use crate::failure::{Done, Failure};
use crate::home::Home;
use crate::inputs;

/// How pages begin.
const PAGE_BEGINNING: &[u8] = b"<!doctype html>\n<html lang=en>\n";
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
    /// Whether what stands there is of the kind that is written: an earlier report, which a newer one may replace.
    again: bool,
}

enum To {
    /// A file without a name, in the folder of its place, until it is complete: nothing is left of it where the process is ended.
    Unnamed(File, PathBuf),
    /// A file beside its place, where the file system knows no files without names.
    Beside(NamedTempFile, PathBuf),
    /// No regular file: there is no whole of it.
    Through(File),
}

impl OutFile {
    /// Starts writing what is to be at `path`.
    pub(crate) fn begin(path: &Path, readers: Readers) -> Done<Self> {
        Self::begin_as(path, readers, false)
    }

    fn begin_as(path: &Path, readers: Readers, again: bool) -> Done<Self> {
        let place = allowed(path, again)?;
        let to = To::begin(place, path, readers).map_err(|error| Failure::file(path, &error))?;
        Ok(Self { path: path.to_owned(), to, again })
    }

    /// Refuses, before long work, what [`Self::put`] would refuse of a page after it.
    pub(crate) fn check_page(path: &Path) -> Done {
        allowed(path, begins_alike(path, PAGE_BEGINNING)).map(drop)
    }

    /// Writes a whole file. One that was read may be replaced where it begins as the new one does: a report in the folder that
    /// it is about is written anew.
    pub(crate) fn put(path: &Path, readers: Readers, bytes: &[u8]) -> Done {
        let mut file = Self::begin_as(path, readers, begins_alike(path, bytes))?;
        file.write_all(bytes).map_err(|error| Failure::file(path, &error))?;
        file.finish()
    }

    /// Puts the file in its place, durably.
    pub(crate) fn finish(self) -> Done {
        let failed = |error: io::Error| Failure::file(&self.path, &error);
        // What was opened since it was begun counts too.
        if !self.again && !matches!(self.to, To::Through(_)) {
            over_no_input(&self.path)?;
        }
        match self.to {
            To::Unnamed(file, place) => {
                file.sync_all().map_err(failed)?;
                let named = tempfile::Builder::new().make_in(folder_of(&place), |name| name_it(&file, name));
                named.map_err(failed)?.persist(&place).map(drop).map_err(|error| failed(error.error))
            }
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
            To::Unnamed(file, _) | To::Through(file) => file.write(bytes),
            To::Beside(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Unnamed(file, _) | To::Through(file) => file.flush(),
            To::Beside(file, _) => file.flush(),
        }
    }
}

/// Where a path leads, unless nothing may be put there.
fn allowed(path: &Path, again: bool) -> Done<Place> {
    let failed = |error: io::Error| Failure::file(path, &error);
    let place = Place::find(path).map_err(failed)?;
    if let Place::Named(place) = &place
        && let Some(home) = Home::around(place).map_err(failed)?
    {
        let message =
            format!("`{}` lies in `{}`, which holds keys and records", path.display(), home.display());
        return Err(Failure::new("CS-CLI-075", message, "name a file outside of it"));
    }
    if !again {
        over_no_input(path)?;
    }
    Ok(place)
}

/// Whether the file that is there begins with the same bytes: those by which reports of one kind are known.
fn begins_alike(path: &Path, bytes: &[u8]) -> bool {
    use std::io::Read as _;
    const BEGINNING: usize = 24;
    let mut there = [0; BEGINNING];
    let is_file = fs::metadata(path).is_ok_and(|there| there.is_file());
    let read = is_file && File::open(path).and_then(|mut file| file.read_exact(&mut there)).is_ok();
    read && bytes.first_chunk() == Some(&there)
}

/// Refuses a place where a file is that this command has read: a key, a model.
fn over_no_input(path: &Path) -> Done {
    if fs::metadata(path).is_ok_and(|there| inputs::is_one(&there)) {
        let message = format!("`{}` is a file that this command reads", path.display());
        return Err(Failure::new("CS-CLI-090", message, "name another file; nothing was written over it"));
    }
    Ok(())
}

/// What a path leads to.
enum Place {
    /// A regular file or nothing yet, by its name.
    Named(PathBuf),
    /// A device, a pipe, or a file that a process has open.
    Open,
}

impl Place {
    fn find(path: &Path) -> io::Result<Self> {
        // Follows links, those of /proc among them, which lead to open files and not to names.
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => return Ok(Self::Open),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(followed(path)?.map_or(Self::Open, Self::Named))
    }
}

impl To {
    fn begin(place: Place, path: &Path, readers: Readers) -> io::Result<Self> {
        match place {
            Place::Named(place) => Self::beside(place, readers),
            Place::Open => fs::OpenOptions::new().write(true).truncate(true).open(path).map(Self::Through),
        }
    }

    fn beside(place: PathBuf, readers: Readers) -> io::Result<Self> {
        let mode = match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o666,
        };
        let folder = folder_of(&place);
        let unnamed = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        // Such a file gets its name through /proc. Whatever keeps it from being made, the other way tells.
        if Path::new("/proc/self/fd").exists()
            && let Ok(file) = openat(CWD, folder, unnamed, Mode::from_raw_mode(mode))
        {
            return Ok(Self::Unnamed(File::from(file), place));
        }
        let file =
            tempfile::Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)?;
        Ok(Self::Beside(file, place))
    }
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file without a name one that nothing has yet.
fn name_it(file: &File, name: &Path) -> io::Result<()> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{OutFile, Readers, To};

    #[test]
    fn nothing_is_seen_of_a_file_until_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("report");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let mut file = OutFile::begin(&place, Readers::Owner).unwrap();
        file.write_all(b"half").unwrap();
        if matches!(file.to, To::Unnamed(..)) {
            assert_eq!(names(), 0);
        } else {
            eprintln!("SKIPPED that nothing is seen: the file system here knows no files without names");
        }
        drop(file);
        assert_eq!(names(), 0);
        fs::write(&place, "old").unwrap();
        OutFile::put(&place, Readers::Owner, b"new").unwrap();
        assert_eq!((fs::read(&place).unwrap().as_slice(), names()), (b"new".as_slice(), 1));
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_put_into_a_realms_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (home, beside) = (folder.path().join("realm"), folder.path().join("beside"));
        fs::create_dir_all(home.join("keys")).unwrap();
        fs::write(home.join("realm.json"), "{}").unwrap();
        let key = home.join("keys/root-alice.key");
        fs::write(&key, "sealed").unwrap();
        std::os::unix::fs::symlink(&key, &beside).unwrap();
        for path in [&key, &home.join("realm.json"), &home.join("new"), &home.join("keys/../new"), &beside] {
            let refused = OutFile::put(path, Readers::Owner, b"report").unwrap_err();
            assert_eq!(refused.code, "CS-CLI-075", "{}", path.display());
        }
        assert_eq!(fs::read_to_string(&key).unwrap(), "sealed");
        OutFile::put(&folder.path().join("report"), Readers::Owner, b"report").unwrap();
    }
}
