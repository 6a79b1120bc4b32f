//! The worker's code: a copy in memory that nobody can change any more, named by its digest.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use statement::Digest;

use crate::error::SandboxError;

/// The largest program.
const PROGRAM_BYTES_MAX: u64 = 1 << 30;

/// A program, sealed in memory. What runs is just what was hashed, whatever happens to the file.
#[derive(Debug)]
pub struct Program {
    sealed: OwnedFd,
    digest: Digest,
}

impl Program {
    /// Reads a program, seals the copy and hashes it.
    pub fn seal(path: &Path) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Program { name: path.display().to_string(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(PROGRAM_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let sealed = seal("countersign-worker", &bytes).map_err(failed)?;
        Ok(Self { sealed, digest: Digest::of(&bytes) })
    }

    /// SHA-256 of the code that runs.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.sealed.as_fd()
    }
}

/// A file in memory that cannot be changed any more, not by its maker either.
pub(crate) fn seal(name: &str, bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let made = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(made);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    let sealed = OwnedFd::from(file);
    fcntl_add_seals(&sealed, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(sealed)
}
