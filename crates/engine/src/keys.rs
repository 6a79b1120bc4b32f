//! API keys: kept as SHA-256, compared in constant time.
//!
//! Keys are random and long, so a plain hash hides them as well as a slow one would.

use sha2::{Digest as _, Sha256};

use crate::Error;

/// Most bytes of a file of keys, and most keys.
const FILE_BYTES_MAX: usize = 64 << 10;
const KEYS_MAX: usize = 1024;
/// Fewest characters of a key.
const KEY_MIN: usize = 16;
/// How a line with a hash instead of a key begins.
const HASHED: &str = "sha256:";

/// The keys that may ask.
#[derive(Clone)]
pub struct Keys {
    hashes: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("count", &self.hashes.len()).finish_non_exhaustive()
    }
}

/// Who asks: the place of their key, or nobody where no keys are asked for. Memories of prompts are not shared
/// between callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) Option<usize>);

impl Keys {
    /// Reads a file of keys: one a line, or `sha256:` and its hash in hexadecimal. Empty lines and lines that begin
    /// with `#` are passed over.
    ///
    /// # Errors
    /// [`Error::Keys`] names the line; a file without a key is refused too.
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        let whole = |reason| Error::Keys { line: 0, reason };
        if file.len() > FILE_BYTES_MAX {
            return Err(whole("is beyond 64 KiB"));
        }
        let text = std::str::from_utf8(file).map_err(|_| whole("is not text"))?;
        let mut hashes = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let hash = match text.strip_prefix(HASHED) {
                Some(digits) => from_hex(digits)
                    .ok_or(Error::Keys { line, reason: "has no SHA-256 of 64 hexadecimal digits" })?,
                None if text.chars().count() < KEY_MIN => {
                    return Err(Error::Keys { line, reason: "has fewer than 16 characters" });
                }
                None => hash(text.as_bytes()),
            };
            hashes.push(hash);
        }
        match hashes.len() {
            0 => Err(whole("holds no key")),
            1..=KEYS_MAX => Ok(Self { hashes }),
            _ => Err(whole("holds more than 1024 keys")),
        }
    }

    /// Whose key this is. Every key is compared, whichever it is.
    pub(crate) fn caller(&self, key: &str) -> Option<Caller> {
        let given = hash(key.as_bytes());
        let mut found = None;
        for (at, known) in self.hashes.iter().enumerate() {
            if secret::equal(known, &given) {
                found = Some(Caller(Some(at)));
            }
        }
        found
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests;
