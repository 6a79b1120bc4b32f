//! The files of a served state in a folder that nobody else enters, each checked on a descriptor that stays open.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use statement::Digest;
use tempfile::TempDir;

use crate::Error;

/// Bytes of a block: what is looked at again while the engine runs.
const BLOCK: usize = 1 << 20;
/// Blocks of a file that one look takes.
const BLOCKS_A_LOOK: usize = 16;

/// Files in a private folder. It goes with this.
#[derive(Debug)]
pub struct Placed {
    folder: TempDir,
    files: Vec<PlacedFile>,
    folders: Vec<PathBuf>,
}

/// One file, and what every block of it was when it was checked.
#[derive(Debug)]
struct PlacedFile {
    path: PathBuf,
    file: File,
    length: u64,
    blocks: Vec<[u8; 32]>,
}

impl Placed {
    /// Makes a folder for its owner alone: in `within`, or where temporary files are.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn new(within: Option<&Path>) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("countersign-launch-").permissions(Permissions::from_mode(0o700));
        let made = within.map_or_else(|| builder.tempdir(), |within| builder.tempdir_in(within));
        let folder = made.map_err(Error::file(within.unwrap_or(&std::env::temp_dir()), "made"))?;
        Ok(Self { folder, files: Vec::new(), folders: Vec::new() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, takes the right to write it from everybody, and checks its SHA-256 on a descriptor that only reads.
    /// `name` is relative; its folders are made.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::File`], [`Error::OtherContent`]; whatever `write` answers.
    pub fn file<E: From<Error>>(
        &mut self,
        name: &str,
        expected: &Digest,
        write: impl FnOnce(&mut File, &Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = self.path(name)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path, "written"))?;
        write(&mut file, &path)?;
        file.flush().map_err(Error::file(&path, "written"))?;
        file.set_permissions(Permissions::from_mode(0o400)).map_err(Error::file(&path, "made unwritable"))?;
        drop(file);
        let placed = PlacedFile::check(path.clone(), expected)?;
        self.files.push(placed);
        Ok(path)
    }

    /// Takes the right to add and remove files.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn close(&self) -> Result<(), Error> {
        for folder in &self.folders {
            fs::set_permissions(folder, Permissions::from_mode(0o500))
                .map_err(Error::file(folder, "made unwritable"))?;
        }
        Ok(())
    }

    /// Looks at blocks chosen by chance of every file: through the open descriptor, and so at the very pages that an engine
    /// has mapped. Also whether the path still leads to that file.
    ///
    /// # Errors
    /// [`Error::Changed`], [`Error::File`]; [`Error::System`] where there is no randomness.
    pub fn look(&self) -> Result<(), Error> {
        self.files.iter().try_for_each(PlacedFile::look)
    }

    fn path(&mut self, name: &str) -> Result<PathBuf, Error> {
        let wrong = || Error::Name { name: name.to_owned() };
        let relative = Path::new(name);
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || name.is_empty() {
            return Err(wrong());
        }
        let mut folder = self.folder.path().to_owned();
        for part in relative.parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            if !self.folders.contains(&folder) {
                fs::create_dir(&folder).map_err(Error::file(&folder, "made"))?;
                fs::set_permissions(&folder, Permissions::from_mode(0o700))
                    .map_err(Error::file(&folder, "made"))?;
                self.folders.push(folder.clone());
            }
        }
        Ok(folder.join(relative.file_name().ok_or_else(wrong)?))
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // Files in folders that nobody may write to could not be removed.
        for folder in &self.folders {
            if let Err(error) = fs::set_permissions(folder, Permissions::from_mode(0o700)) {
                tracing::warn!(%error, folder = %folder.display(), "a folder of served files stays");
            }
        }
    }
}

impl PlacedFile {
    fn check(path: PathBuf, expected: &Digest) -> Result<Self, Error> {
        let failed = || Error::file(&path, "read");
        let mut file = File::open(&path).map_err(failed())?;
        let (mut whole, mut blocks, mut length) = (Sha256::new(), Vec::new(), 0_u64);
        let mut block = vec![0; BLOCK];
        loop {
            let read = fill(&mut file, &mut block).map_err(failed())?;
            let read = block.get(..read).unwrap_or_default();
            if read.is_empty() {
                break;
            }
            whole.update(read);
            blocks.push(Sha256::digest(read).into());
            length += read.len() as u64;
        }
        let found = Digest::from_bytes(whole.finalize().into());
        if found != *expected {
            return Err(Error::OtherContent { path, expected: *expected, found });
        }
        file.seek(SeekFrom::Start(0)).map_err(failed())?;
        Ok(Self { path, file, length, blocks })
    }

    fn look(&self) -> Result<(), Error> {
        let failed = || Error::file(&self.path, "read");
        let changed = |what: String| Err(Error::Changed { path: self.path.clone(), what });
        let held = self.file.metadata().map_err(failed())?;
        let named = fs::symlink_metadata(&self.path).map_err(failed())?;
        if (held.dev(), held.ino()) != (named.dev(), named.ino()) {
            return changed("another file is at its path".to_owned());
        }
        if held.len() != self.length {
            return changed(format!("it has {} bytes, and had {}", held.len(), self.length));
        }
        let mut block = vec![0; BLOCK];
        for _ in 0..BLOCKS_A_LOOK.min(self.blocks.len()) {
            let chance = getrandom::u64().map_err(|error| Error::system("randomness", error))?;
            let place = chance % (self.blocks.len() as u64).max(1);
            let offset = place * BLOCK as u64;
            let length = usize::try_from(self.length - offset).unwrap_or(BLOCK).min(BLOCK);
            let bytes = block.get_mut(..length).unwrap_or_default();
            self.file.read_exact_at(bytes, offset).map_err(failed())?;
            let now: [u8; 32] = Sha256::digest(&*bytes).into();
            let then = usize::try_from(place).ok().and_then(|place| self.blocks.get(place));
            if then != Some(&now) {
                return changed(format!("the bytes from {offset} on"));
            }
        }
        Ok(())
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while let Some(rest) = buffer.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => at += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
