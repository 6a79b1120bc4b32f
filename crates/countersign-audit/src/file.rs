//! Files that the command line names, read whole: of a bounded length, and files only.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::fault::Fault;

/// The longest export that is read into memory.
pub(crate) const EXPORT_BYTES_MAX: u64 = 16 << 30;

/// The longest policy or checkpoint.
pub(crate) const SMALL_BYTES_MAX: u64 = 1 << 20;

/// Reads a file of at most `limit` bytes. Pipes and devices are refused before they are opened: one that nobody writes
/// would never end, nor would one that never stops.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    let failed = |source| Fault::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        let kind = metadata.file_type();
        let what = if kind.is_dir() {
            "a folder"
        } else if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        return Err(Fault::NotAFile { path: path.to_owned(), what });
    }
    let too_large = || Fault::TooLarge { path: path.to_owned(), limit };
    if metadata.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let length = usize::try_from(metadata.len()).map_err(|_| too_large())?;
    bytes.try_reserve_exact(length).map_err(|error| failed(io::Error::other(error)))?;
    // It may grow while it is read.
    let read = File::open(path).and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    let count = read.map_err(failed)?;
    if u64::try_from(count).unwrap_or(u64::MAX) > limit {
        return Err(too_large());
    }
    Ok(bytes)
}
