//! The file that is written: whole or not at all, hashed on its way.

use std::cell::RefCell;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use statement::Digest;

use super::super::work::Heard;
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};

/// A file beside its place, until it is complete.
pub(super) struct Output {
    path: PathBuf,
    state: RefCell<State>,
}

struct State {
    file: BufWriter<OutFile>,
    hash: Context,
    bytes: u64,
    /// The first error; what comes after it is dropped.
    failed: Option<std::io::Error>,
}

/// What was written.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) digest: Digest,
}

impl Output {
    pub(super) fn begin(path: &Path) -> Done<Self> {
        let file = OutFile::begin(path, Readers::Everybody)?;
        let state = State { file: BufWriter::new(file), hash: Context::new(&SHA256), bytes: 0, failed: None };
        Ok(Self { path: path.to_owned(), state: RefCell::new(state) })
    }

    /// Writes; an error is told when the file is published.
    fn write(&self, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        if state.failed.is_none() {
            state.failed = state.file.write_all(bytes).err();
        }
        state.hash.update(bytes);
        state.bytes += bytes.len() as u64;
    }

    /// Writes what is heard; what cannot be written ends the work.
    pub(super) fn hear(&self, heard: Heard<'_>) -> Done {
        if let Heard::Data(bytes) = heard {
            self.write(bytes);
        }
        match self.state.borrow_mut().failed.take() {
            Some(error) => Err(Failure::file(&self.path, &error)),
            None => Ok(()),
        }
    }

    /// Puts the file in its place.
    pub(super) fn publish(self) -> Done<Written> {
        let State { file, hash, bytes, failed } = self.state.into_inner();
        let refused = |error: std::io::Error| Failure::file(&self.path, &error);
        if let Some(error) = failed {
            return Err(refused(error));
        }
        let file = file.into_inner().map_err(|error| refused(error.into_error()))?;
        file.finish()?;
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        Ok(Written { bytes, digest: Digest::from_bytes(digest) })
    }
}
