//! The manifest of a folder and its one spelling.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use statement::{Digest, json};

use crate::error::{Error, Result};

/// Longest manifest, in bytes: about a million files.
pub(crate) const BYTES_LIMIT: usize = 256 * 1024 * 1024;

const TYPE: &str = "countersign/folder/v1";

/// A file's path in a folder: components joined by `/`, in UTF-8.
///
/// Refused: empty, absolute, over 4096 bytes; a component that is empty, `.`, `..` or over 255 bytes; a backslash or
/// a control character anywhere (they name other files elsewhere, or hide in a listing).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// One file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it is in the folder.
    pub path: RelativePath,
    /// Its length in bytes, at most 2^53 - 1.
    pub size: u64,
    /// SHA-256 of its content.
    pub digest: Digest,
}

/// The files of a folder, ordered by the bytes of their paths; no path twice, and none that is a folder of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    entries: Vec<Entry>,
    r#type: String,
}

impl RelativePath {
    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why `text` is no relative path.
    pub(crate) fn fault(text: &str) -> Option<&'static str> {
        let components = || text.split('/');
        match text {
            "" => Some("the path is empty"),
            _ if text.len() > 4096 => Some("the path is longer than 4096 bytes"),
            _ if text.contains('\\') => Some("a backslash separates folders elsewhere"),
            _ if text.chars().any(char::is_control) => Some("a name has a control character"),
            _ if components().any(str::is_empty) => Some("a component of the path is empty"),
            _ if components().any(|part| matches!(part, "." | "..")) => {
                Some("a component of the path is `.` or `..`")
            }
            _ if components().any(|part| part.len() > 255) => Some("a name is longer than 255 bytes"),
            _ => None,
        }
    }
}

impl FromStr for RelativePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RelativePath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match Self::fault(&text) {
            None => Ok(Self(text)),
            Some(reason) => Err(Error::Path { path: PathBuf::from(text), reason }),
        }
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Manifest {
    /// Puts `entries` in order.
    ///
    /// # Errors
    /// [`Error::Path`] for a path that is there twice or is also another's folder.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self> {
        entries.sort_unstable();
        let paths: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        let refuse = |path: &str, reason| Err(Error::Path { path: path.into(), reason });
        if let Some(path) = twice(&entries) {
            return refuse(path, "the path is there twice");
        }
        if let Some(path) = paths.iter().flat_map(|path| folders(path)).find(|folder| paths.contains(folder))
        {
            return refuse(path, "the path is a file and a folder");
        }
        Ok(Self { entries })
    }

    /// The files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes in all files together.
    pub fn total(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// The folder's name: SHA-256 of [`Manifest::to_bytes`].
    ///
    /// # Errors
    /// As [`Manifest::to_bytes`].
    pub fn digest(&self) -> Result<Digest> {
        Ok(Digest::of(&self.to_bytes()?))
    }

    /// The canonical JSON (RFC 8785) of the manifest:
    /// `{"entries":[{"digest":…,"path":…,"size":…},…],"type":"countersign/folder/v1"}`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for over 256 MiB of manifest or a file of over 2^53 - 1 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire { entries: self.entries.clone(), r#type: TYPE.to_owned() };
        let too_long = || Error::TooLong { what: "folder manifest".to_owned(), limit: BYTES_LIMIT as u64 };
        let bytes = json::to_canonical(&wire).map_err(|_| too_long())?;
        if bytes.len() > BYTES_LIMIT { Err(too_long()) } else { Ok(bytes) }
    }

    /// Reads a manifest; only its canonical bytes are accepted.
    ///
    /// # Errors
    /// [`Error::Manifest`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |reason| Error::Manifest { digest: Digest::of(bytes), reason };
        let value =
            json::parse_canonical(bytes, BYTES_LIMIT).map_err(|_| malformed("it is no canonical JSON"))?;
        let wire: Wire =
            json::from_value(&value).map_err(|_| malformed("it has not the members of a manifest"))?;
        if wire.r#type != TYPE {
            return Err(malformed("it is of another type"));
        }
        let manifest = Self::new(wire.entries.clone()).map_err(|_| malformed("two paths conflict"))?;
        if manifest.entries == wire.entries {
            Ok(manifest)
        } else {
            Err(malformed("its paths are out of order"))
        }
    }
}

/// A path that two entries have, of entries in order.
fn twice(entries: &[Entry]) -> Option<&str> {
    entries.windows(2).find_map(|pair| match pair {
        [first, second] if first.path == second.path => Some(first.path.as_str()),
        _ => None,
    })
}

/// The folders that a path leads through: `a` and `a/b` for `a/b/c`.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}
