//! What this process has read as an input: no output is put over it.
//!
//! `sign --key k.pem --out k.pem` would destroy the key, `quantize a.gguf --out a.gguf` the model, whatever the two paths look
//! like. So files are known by device and inode, from when they are opened for reading until the process ends.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

static READ: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());
/// Files that are remembered: a command opens a few thousand, a server opens files for ever and writes over none by name.
const FILES_MAX: usize = 1 << 17;

/// Remembers a file that was opened for reading.
pub(crate) fn remember(file: &File) {
    if let Ok(metadata) = file.metadata() {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() < FILES_MAX {
            read.insert((metadata.dev(), metadata.ino()));
        }
    }
}

/// Whether a file is one that was read.
pub(crate) fn is_one(metadata: &Metadata) -> bool {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    metadata.is_file() && read.contains(&(metadata.dev(), metadata.ino()))
}
