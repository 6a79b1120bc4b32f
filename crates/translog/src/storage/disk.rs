//! The real disk, through `rustix`.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FallocateFlags, FlockOperation, RenameFlags};

use super::{Access, LockGuard, Storage, StoredFile};

/// A directory of the real file system.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The directory `root`, made where absent.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if !root.try_exists()? {
            fs::create_dir_all(&root)?;
            if let Some(parent) = root.canonicalize()?.parent() {
                fs::File::open(parent)?.sync_all()?;
            }
        }
        Self::open_existing(root)
    }

    /// The directory `root`, which must be there.
    pub fn open_existing(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if fs::metadata(&root)?.is_dir() {
            Ok(Self { root })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Storage for Disk {
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>> {
        let file = fs::File::options().read(true).write(access == Access::Write).open(self.path(path))?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn StoredFile>> {
        let file =
            fs::File::options().read(true).write(true).create(true).truncate(true).open(self.path(path))?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // File systems without RENAME_NOREPLACE: a hard link is exclusive, too.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                rustix::fs::linkat(CWD, &from, CWD, &to, AtFlags::empty())?;
                fs::remove_file(from)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.path(path).try_exists()
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is no UTF-8 is none of ours; it is listed in a readable form and then recognised by
            // nobody.
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.path(path))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(path))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        fs::File::open(self.path(dir))?.sync_all()
    }

    fn sync_everything(&self) -> io::Result<()> {
        // One syncfs makes hundreds of new files durable with one journal commit; it reports write-back errors
        // since Linux 5.8.
        let root = fs::File::open(&self.root)?;
        Ok(rustix::fs::syncfs(&root)?)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>> {
        let file =
            fs::File::options().read(true).write(true).create(true).truncate(false).open(self.path(path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(&file)),
            Err(error) => return Err(error.into()),
        }
        // Who holds it, for who does not get it. The lock holds without these words, so a full disk does not matter.
        let holder = format!("process `{}`\n", std::process::id());
        if let Err(error) = file.set_len(0).and_then(|()| file.write_all_at(holder.as_bytes(), 0)) {
            tracing::debug!(%error, "the lock does not name its holder");
        }
        Ok(Box::new(DiskLock(file)))
    }

    fn nonce(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }
}

/// That the lock is held, and by whom where the file says so.
fn held(file: &fs::File) -> io::Error {
    let mut words = [0; 32];
    let read = file.read_at(&mut words, 0).unwrap_or(0);
    let words = String::from_utf8_lossy(words.get(..read).unwrap_or_default());
    let known = words.strip_prefix("process `").and_then(|rest| rest.trim_end().strip_suffix('`'));
    let holder = known.and_then(|id| id.parse::<u32>().ok());
    let told =
        holder.map_or_else(|| "it does not say who".to_owned(), |id| format!("held by process `{id}`"));
    io::Error::new(io::ErrorKind::WouldBlock, told)
}

/// The lock lasts as long as the open file.
#[derive(Debug)]
struct DiskLock(#[expect(dead_code, reason = "held for its lock")] fs::File);

impl LockGuard for DiskLock {}

#[derive(Debug)]
struct DiskFile(fs::File);

impl StoredFile for DiskFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while !buffer.is_empty() {
            match self.0.read_at(buffer, offset) {
                Ok(0) => break,
                Ok(count) => {
                    read += count;
                    offset += count as u64;
                    buffer = buffer.get_mut(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            // Without fallocate the file is only made long: commits are then slower, not less safe.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.0.set_len(len),
            result => Ok(result?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
