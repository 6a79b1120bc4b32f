//! What an input holds, as bytes: small files are read, larger ones are mapped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::raw;

/// Files up to this size are read; mapping them costs more.
const READ_BYTES_MAX: u64 = 1 << 14;

/// The bytes of a file.
#[derive(Debug)]
pub struct Content(Held);

#[derive(Debug)]
enum Held {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Content {
    /// Of a file, from its beginning to the end that it has now.
    ///
    /// # Errors
    /// Where the file cannot be read or mapped.
    pub fn of(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length <= READ_BYTES_MAX {
            // Others may read the same open file: its position is theirs too, and is left alone.
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, 0)?;
            return Ok(Self(Held::Read(bytes)));
        }
        raw::map(file).map(|map| Self(Held::Mapped(map)))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Read(bytes) => bytes,
            Held::Mapped(map) => map,
        }
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
