//! Walks what a command is given, and maps the files. Links are never followed; what is neither file nor folder is
//! never opened.
#![expect(
    unsafe_code,
    reason = "a memory map's soundness rests on nobody shortening the file while it is read"
)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::failure::{Done, Failure};
use crate::home::open_file;

/// Most files of one scan.
const FILES_MAX: usize = 200_000;
/// How deep folders may nest.
const DEPTH_MAX: usize = 64;
/// Files up to this size are read; mapping them costs more.
const READ_BYTES_MAX: u64 = 1 << 14;

/// A thing that was found, with its content.
pub(crate) struct Found {
    /// As the report names it.
    pub(crate) path: String,
    pub(crate) held: Held,
}

/// What keeps the bytes.
pub(crate) enum Held {
    Read(Vec<u8>),
    Mapped(Mmap),
    Link(String),
    Special(&'static str),
    Unreadable(String),
}

impl Held {
    /// The bytes; none of what is no file.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Mapped(map) => map,
            Self::Link(_) | Self::Special(_) | Self::Unreadable(_) => &[],
        }
    }
}

impl Found {
    /// For the scan.
    pub(crate) fn entry(&self) -> scan::Entry<'_> {
        let content = match &self.held {
            Held::Read(bytes) => scan::Content::Bytes(bytes),
            Held::Mapped(map) => scan::Content::Bytes(map),
            Held::Link(target) => scan::Content::Link(target),
            Held::Special(what) => scan::Content::Special(what),
            Held::Unreadable(why) => scan::Content::Unreadable(why),
        };
        scan::Entry { path: &self.path, content }
    }
}

/// A thing that was found, not opened.
pub(crate) struct Listed {
    /// As the report names it.
    pub(crate) path: String,
    /// Where it is.
    pub(crate) place: PathBuf,
    pub(crate) what: What,
}

/// What is there.
pub(crate) enum What {
    File,
    Link(String),
    Special(&'static str),
    Unreadable(String),
}

/// What was listed, with its content.
pub(crate) fn hold(listed: &Listed) -> Found {
    let held = match &listed.what {
        What::File => open(&listed.place).unwrap_or_else(|error| Held::Unreadable(error.to_string())),
        What::Link(target) => Held::Link(target.clone()),
        What::Special(what) => Held::Special(what),
        What::Unreadable(why) => Held::Unreadable(why.clone()),
    };
    Found { path: listed.path.clone(), held }
}

/// Everything at and below the paths, in the order of names. A path that is not there is a failure.
pub(crate) fn list(paths: &[PathBuf]) -> Done<Vec<Listed>> {
    let mut found = Vec::new();
    for path in paths {
        let kind = std::fs::symlink_metadata(path).map_err(|error| Failure::file(path, &error))?.file_type();
        // What the caller names is meant, also where it is a link; links inside are not followed.
        let kind = if kind.is_symlink() {
            std::fs::metadata(path).map_err(|error| Failure::file(path, &error))?.file_type()
        } else {
            kind
        };
        visit(path, kind, 0, &mut found)?;
    }
    Ok(found)
}

fn visit(path: &Path, kind: std::fs::FileType, depth: usize, found: &mut Vec<Listed>) -> Done {
    if found.len() >= FILES_MAX || depth > DEPTH_MAX {
        let message =
            format!("`{}`: more than {FILES_MAX} files, or folders deeper than {DEPTH_MAX}", path.display());
        return Err(Failure::new("CS-CLI-021", message, "scan the folder in parts"));
    }
    let name = path.to_string_lossy();
    // `./model` and `model` are one place.
    let name = name.strip_prefix("./").unwrap_or(&name).trim_end_matches('/').to_owned();
    let place = path.to_owned();
    if !kind.is_dir() {
        found.push(Listed { path: name, place, what: what(path, kind) });
        return Ok(());
    }
    let listing = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut children = match listing {
        Ok(children) => children,
        Err(error) => {
            found.push(Listed { path: name, place, what: What::Unreadable(error.to_string()) });
            return Ok(());
        }
    };
    children.sort_by_key(std::fs::DirEntry::file_name);
    for child in children {
        let place = child.path();
        match child.file_type() {
            Ok(kind) => visit(&place, kind, depth + 1, found)?,
            Err(error) => {
                let path = place.to_string_lossy().into_owned();
                found.push(Listed { path, place, what: What::Unreadable(error.to_string()) });
            }
        }
    }
    Ok(())
}

fn what(path: &Path, kind: std::fs::FileType) -> What {
    if kind.is_symlink() {
        match std::fs::read_link(path) {
            Ok(target) => What::Link(target.to_string_lossy().into_owned()),
            Err(error) => What::Unreadable(error.to_string()),
        }
    } else if kind.is_file() {
        What::File
    } else {
        What::Special(special(kind))
    }
}

#[cfg(unix)]
pub(super) fn special(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
pub(super) fn special(_kind: std::fs::FileType) -> &'static str {
    "a special file"
}

/// A file's content, which must be a file's.
pub(super) fn content(path: &Path) -> Done<Held> {
    open(path).map_err(|error| Failure::file(path, &error))
}

fn open(path: &Path) -> std::io::Result<Held> {
    opened(&open_file(path)?)
}

/// The content of an open file, wherever it stands in it.
pub(super) fn opened(file: &File) -> std::io::Result<Held> {
    let length = file.metadata()?.len();
    if length <= READ_BYTES_MAX {
        let mut bytes = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        return Ok(Held::Read(bytes));
    }
    // SAFETY: the map is read-only and private to this process. Whoever shortens the file while it is read ends this
    // program with a signal; nothing else follows from it, and the files are the caller's own.
    let map = unsafe { Mmap::map(file)? };
    Ok(Held::Mapped(map))
}
