//! What is scanned: a tree of named byte slices.
//!
//! The program walks folders and maps files; this crate sees names and bytes. What the program could not or would
//! not open is in the tree too, so that it is reported and never passed over.

/// A thing in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A file's bytes.
    Bytes(&'a [u8]),
    /// A symbolic link that was not followed, and what it points to.
    Link(&'a str),
    /// Neither file, folder nor link: a device, socket or pipe, by its kind.
    Special(&'a str),
    /// A file that could not be opened or read, and why.
    Unreadable(&'a str),
}

/// A name with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path as the report names it, parted by `/`.
    pub path: &'a str,
    /// What is there.
    pub content: Content<'a>,
}

impl<'a> Entry<'a> {
    /// A file.
    pub const fn file(path: &'a str, bytes: &'a [u8]) -> Self {
        Self { path, content: Content::Bytes(bytes) }
    }

    /// The file's bytes, where it is one.
    pub const fn bytes(&self) -> Option<&'a [u8]> {
        match self.content {
            Content::Bytes(bytes) => Some(bytes),
            Content::Link(_) | Content::Special(_) | Content::Unreadable(_) => None,
        }
    }

    /// The last segment of the path.
    pub fn name(&self) -> &'a str {
        file_name(self.path)
    }

    /// The path without its last segment.
    pub fn folder(&self) -> &'a str {
        folder_of(self.path)
    }
}

/// The last segment of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '!']).next().unwrap_or(path)
}

/// A path without its last segment.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Everything that a scan is about.
#[derive(Debug, Clone, Default)]
pub struct Artefact<'a> {
    /// The entries, in the order of their paths.
    pub entries: Vec<Entry<'a>>,
}

impl<'a> Artefact<'a> {
    /// From entries in any order.
    pub fn new(mut entries: Vec<Entry<'a>>) -> Self {
        entries.sort_by_key(|entry| entry.path);
        Self { entries }
    }

    /// Whether there is more than one entry.
    pub(crate) const fn is_several(&self) -> bool {
        self.entries.len() > 1
    }

    /// The file of that name in that folder.
    pub(crate) fn beside(&self, folder: &str, name: &str) -> Option<&Entry<'a>> {
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(&path)).ok()?;
        self.entries.get(at)
    }
}
