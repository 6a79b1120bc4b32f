//! Files that are proposed: regular files and folders, opened once and read to the length that they say they have.
//!
//! A link is followed to where it leads. Devices and pipes may never end, and what the kernel makes up when it is read, as
//! under `/proc`, is nothing that anybody has written down: all of them are refused.
//! What this module does not do: look into a folder. The vault walks that, and is led out of it by nothing.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Error, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::failure::{Done, Failure};
use crate::home::open_at_once;

/// What a path leads to.
pub(crate) enum Opened {
    Folder,
    File(Whole),
}

/// Opens a regular file or a folder; `what` is what it is to be, for whoever has to be told that it is neither.
pub(crate) fn open(what: &str, path: &Path) -> Done<Opened> {
    let failed = |error: Error| Failure::file(path, &error);
    let file = open_at_once(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Ok(Opened::Folder);
    }
    if !metadata.is_file() {
        return Err(Failure::not_a(what, path, "it is no regular file and no folder"));
    }
    // The files of `/proc` say that they are empty, and are not.
    if metadata.len() == 0 && file.read_at(&mut [0], 0).map_err(failed)? > 0 {
        return Err(Failure::not_a(what, path, "the kernel makes it up as it is read"));
    }
    Ok(Opened::File(Whole { file, left: metadata.len() }))
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(what: &str, path: &Path, limit: usize) -> Done<Vec<u8>> {
    let Opened::File(mut file) = open(what, path)? else {
        return Err(Failure::not_a(what, path, "it is no regular file"));
    };
    if usize::try_from(file.left).is_ok_and(|length| length <= limit) {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| Failure::file(path, &error))?;
        return Ok(bytes);
    }
    let message = format!("`{}` has more than {limit} bytes", path.display());
    Err(Failure::new("CS-CLI-007", message, "this is not the file that was meant"))
}

/// A file of which exactly as many bytes are read as it said it had when it was opened.
#[derive(Debug)]
pub(crate) struct Whole {
    file: File,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(count).ok_or_else(|| Error::other("it is longer than it said"))?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(Error::other("it is shorter than it said"));
        }
        Ok(read)
    }
}
