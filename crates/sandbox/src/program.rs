//! The worker's code: a copy in memory that nobody can change any more, named by its digest.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use statement::Digest;

use crate::error::SandboxError;
use crate::raw;

/// The largest program.
const PROGRAM_BYTES_MAX: u64 = 1 << 30;

/// A program, most often sealed in memory: what runs is just what was hashed, whatever happens to the file.
#[derive(Debug)]
pub struct Program {
    code: OwnedFd,
    digest: OnceLock<Digest>,
    hashing: Mutex<Option<JoinHandle<Digest>>>,
}

impl Program {
    /// Reads a program and seals the copy. It is hashed on another thread, while it may run already: what is sealed does
    /// not change any more.
    pub fn seal(path: &Path) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Program { name: path.display().to_string(), source };
        // Before it is opened: opening a pipe would wait for a writer.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
        }
        let file = File::open(path).map_err(failed)?;
        let length = metadata.len();
        if length > PROGRAM_BYTES_MAX {
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than a gigabyte")));
        }
        let mut memory = File::from(memory("countersign-worker").map_err(failed)?);
        // The kernel copies; the bytes do not come into this process.
        io::copy(&mut file.take(PROGRAM_BYTES_MAX), &mut memory).map_err(failed)?;
        let sealed = close(memory).map_err(failed)?;
        // Mapped here, so that a failure is told at once.
        let map = raw::map_sealed(&sealed).map_err(failed)?;
        let hashing = std::thread::Builder::new().name("hash".to_owned()).spawn(move || Digest::of(&map));
        let hashing = Mutex::new(Some(hashing.map_err(failed)?));
        Ok(Self { code: sealed, digest: OnceLock::new(), hashing })
    }

    /// The program that this process runs, to be run once more as a worker of its own. It is not copied: whoever could
    /// change its file could have changed this process as well. It is hashed on another thread, as one that is sealed.
    ///
    /// A file that only its owner may execute is sealed all the same, for a worker of root's is nobody.
    pub fn running() -> Result<Self, SandboxError> {
        use std::os::unix::fs::PermissionsExt as _;
        const BY_ANYBODY: u32 = 0o001;
        let path = Path::new("/proc/self/exe");
        let failed = |source| SandboxError::Program { name: path.display().to_string(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.permissions().mode() & BY_ANYBODY == 0 {
            return Self::seal(path);
        }
        let map = raw::map(&file).map_err(failed)?;
        let hashing = std::thread::Builder::new().name("hash".to_owned()).spawn(move || Digest::of(&map));
        let hashing = Mutex::new(Some(hashing.map_err(failed)?));
        Ok(Self { code: OwnedFd::from(file), digest: OnceLock::new(), hashing })
    }

    /// SHA-256 of the code that runs.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let hashing = self.hashing.lock().unwrap_or_else(PoisonError::into_inner).take();
            let hashed = hashing.and_then(|hashing| hashing.join().ok());
            // No digest is not the digest of anything: what cannot be hashed is named by one that nobody lists.
            hashed.unwrap_or_else(|| Digest::from_bytes([0; 32]))
        })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.code.as_fd()
    }
}

/// A file in memory that cannot be changed any more, not by its maker either.
pub(crate) fn seal(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memory(name)?);
    file.write_all(bytes)?;
    close(file)
}

fn memory(name: &str) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// Nothing is written any more.
fn close(mut file: File) -> io::Result<OwnedFd> {
    file.seek(SeekFrom::Start(0))?;
    let sealed = OwnedFd::from(file);
    fcntl_add_seals(&sealed, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(sealed)
}
