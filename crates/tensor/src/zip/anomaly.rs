//! What is odd about an archive that can be read all the same.

use std::fmt;

use crate::error::shown;

/// Something that well-made archives do not have, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// The entry's name, escaped and shortened, where it is about one entry.
    pub entry: Option<String>,
    /// Offset in the file.
    pub at: u64,
    /// What is odd there.
    pub oddity: Oddity,
}

impl Anomaly {
    pub(super) fn of(entry: &str, at: u64, oddity: Oddity) -> Self {
        Self { entry: Some(shown(entry)), at, oddity }
    }

    pub(super) const fn file(at: u64, oddity: Oddity) -> Self {
        Self { entry: None, at, oddity }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(formatter, "entry `{entry}`: {} (byte {})", self.oddity, self.at),
            None => write!(formatter, "{} (byte {})", self.oddity, self.at),
        }
    }
}

/// A field that stands both in the local header and in the central directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The name.
    Name,
    /// The compression method.
    Method,
    /// Whether the entry is encrypted.
    Encryption,
    /// The checksum.
    Crc,
    /// The packed size.
    PackedSize,
    /// The unpacked size.
    Size,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Method => "method",
            Self::Encryption => "encryption flag",
            Self::Crc => "checksum",
            Self::PackedSize => "packed size",
            Self::Size => "size",
        }
    }
}

/// What makes a name dangerous to unpack, or readable in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameTrick {
    /// Nothing at all.
    Empty,
    /// Begins at the root.
    Absolute,
    /// A `..` segment.
    Parent,
    /// A backslash, which is a separator on Windows.
    Backslash,
    /// A zero byte, where some readers end the name.
    Nul,
    /// A drive letter.
    Drive,
    /// A control character.
    Control,
}

impl NameTrick {
    const fn what(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::Absolute => "begins at the root",
            Self::Parent => "has a `..` segment",
            Self::Backslash => "has a backslash",
            Self::Nul => "has a zero byte, where some readers end it",
            Self::Drive => "begins with a drive letter",
            Self::Control => "has a control character",
        }
    }

    /// Every trick that is in a name.
    pub(super) fn find(name: &[u8]) -> impl Iterator<Item = Self> {
        let drive = matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic());
        let parent = name.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| segment == b"..");
        [
            (Self::Empty, name.is_empty()),
            (Self::Absolute, matches!(name.first(), Some(b'/' | b'\\'))),
            (Self::Parent, parent),
            (Self::Backslash, name.contains(&b'\\')),
            (Self::Nul, name.contains(&0)),
            (Self::Drive, drive),
            (Self::Control, name.iter().any(|byte| (1..0x20).contains(byte) || *byte == 0x7f)),
        ]
        .into_iter()
        .filter_map(|(trick, found)| found.then_some(trick))
    }
}

/// The kinds of anomaly. [`Oddity::id`] is stable; rules are written against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// The local header says something else than the central directory. Python's `zipfile` refuses some of
    /// these where PyTorch's reader, which looks only at the directory, loads the entry.
    LocalHeader {
        /// In which field they differ.
        field: Field,
    },
    /// Where the directory points there is no local header.
    LocalMissing,
    /// A name that leads elsewhere or reads in two ways.
    Name {
        /// What is wrong with it.
        trick: NameTrick,
    },
    /// An extra field that gives the entry another name, which some readers take.
    OtherName,
    /// A name that is not UTF-8.
    NameEncoding,
    /// Another entry has the same name, or one that differs only in case (PyTorch's reader ignores case).
    Repeated {
        /// The number of the earlier entry.
        earlier: usize,
    },
    /// The entry shares bytes with another entry or with the directory.
    Overlap {
        /// How many bytes, at least.
        bytes: u64,
    },
    /// The entry reaches outside the file.
    Outside,
    /// Marked as encrypted. Readers that ignore the mark read what is there.
    Encrypted,
    /// A compression method other than stored and deflate.
    Method {
        /// The method's number.
        method: u16,
    },
    /// A symbolic link.
    Link,
    /// On another disk of a set that no longer exists.
    Disk,
    /// The announced unpacked size is out of proportion to the packed size.
    Ratio {
        /// Unpacked bytes to one packed byte.
        ratio: u64,
    },
    /// All entries together unpack to more than the limit.
    Total {
        /// What they announce.
        bytes: u64,
    },
    /// More than one end record near the end of the file: readers choose differently.
    Ends {
        /// How many.
        count: usize,
    },
    /// The end record announces another number of entries than there are.
    Counts {
        /// What it announces.
        announced: u64,
        /// What there are.
        found: u64,
    },
    /// The directory is not as long as the end record says.
    DirectorySize {
        /// What it announces.
        announced: u64,
        /// What it is.
        found: u64,
    },
    /// The directory's offset and its size lead to two different directories.
    TwoDirectories,
    /// Extra fields that are cut short or of which one contradicts the header.
    Extra,
    /// Bytes ahead of the first entry.
    Prepended {
        /// How many.
        bytes: u64,
    },
    /// Bytes after the end record and its comment.
    Appended {
        /// How many.
        bytes: u64,
    },
    /// Bytes between entries that belong to none.
    Unclaimed {
        /// How many.
        bytes: u64,
    },
    /// An entry with a local header that the directory does not list.
    Unlisted,
    /// The contents do not have the announced checksum. PyTorch's reader is built without this check.
    Crc {
        /// What is announced.
        announced: u32,
        /// What it is.
        found: u32,
    },
    /// The contents do not have the announced size.
    Length {
        /// What is announced.
        announced: u64,
        /// What it is.
        found: u64,
    },
    /// Bytes of the entry after the end of its deflate stream.
    PackedTail {
        /// How many.
        bytes: u64,
    },
}

impl Oddity {
    /// A stable name of the kind.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::LocalHeader { field: Field::Name } => "zip-local-name",
            Self::LocalHeader { field: Field::Method } => "zip-local-method",
            Self::LocalHeader { field: Field::Encryption } => "zip-local-encryption",
            Self::LocalHeader { field: Field::Crc } => "zip-local-crc",
            Self::LocalHeader { field: Field::PackedSize | Field::Size } => "zip-local-size",
            Self::LocalMissing => "zip-local-missing",
            Self::Name { .. } => "zip-name",
            Self::OtherName => "zip-other-name",
            Self::NameEncoding => "zip-name-encoding",
            Self::Repeated { .. } => "zip-repeated",
            Self::Overlap { .. } => "zip-overlap",
            Self::Outside => "zip-outside",
            Self::Encrypted => "zip-encrypted",
            Self::Method { .. } => "zip-method",
            Self::Link => "zip-link",
            Self::Disk => "zip-disk",
            Self::Ratio { .. } => "zip-ratio",
            Self::Total { .. } => "zip-total",
            Self::Ends { .. } => "zip-ends",
            Self::Counts { .. } => "zip-counts",
            Self::DirectorySize { .. } => "zip-directory-size",
            Self::TwoDirectories => "zip-two-directories",
            Self::Extra => "zip-extra",
            Self::Prepended { .. } => "zip-prepended",
            Self::Appended { .. } => "zip-appended",
            Self::Unclaimed { .. } => "zip-unclaimed",
            Self::Unlisted => "zip-unlisted",
            Self::Crc { .. } => "zip-crc",
            Self::Length { .. } => "zip-length",
            Self::PackedTail { .. } => "zip-packed-tail",
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalHeader { field } => {
                write!(to, "the {} in its local header is not the one in the directory", field.name())
            }
            Self::LocalMissing => to.write_str("there is no local header where the directory points"),
            Self::Name { trick } => write!(to, "the name {}", trick.what()),
            Self::OtherName => to.write_str("an extra field gives it another name"),
            Self::NameEncoding => to.write_str("the name is not UTF-8"),
            Self::Repeated { earlier } => write!(to, "entry {earlier} has the same name but for case"),
            Self::Overlap { bytes } => write!(to, "shares {bytes} bytes with another part of the archive"),
            Self::Outside => to.write_str("reaches outside the file"),
            Self::Encrypted => to.write_str("is marked as encrypted"),
            Self::Method { method } => write!(to, "is packed with the unusual method {method}"),
            Self::Link => to.write_str("is a symbolic link"),
            Self::Disk => to.write_str("is said to be on another disk"),
            Self::Ratio { ratio } => write!(to, "announces {ratio} unpacked bytes for each packed byte"),
            Self::Total { bytes } => write!(to, "the entries announce {bytes} unpacked bytes together"),
            Self::Ends { count } => write!(to, "{count} end records; readers choose differently among them"),
            Self::Counts { announced, found } => {
                write!(to, "the end record announces {announced} entries where there are {found}")
            }
            Self::DirectorySize { announced, found } => {
                write!(to, "the directory is announced as {announced} bytes and has {found}")
            }
            Self::TwoDirectories => {
                to.write_str("the directory's offset and size lead to two different directories")
            }
            Self::Extra => to.write_str("its extra fields are cut short or contradict the header"),
            Self::Prepended { bytes } => write!(to, "{bytes} bytes stand ahead of the first entry"),
            Self::Appended { bytes } => write!(to, "{bytes} bytes follow the end record"),
            Self::Unclaimed { bytes } => write!(to, "{bytes} bytes belong to no entry"),
            Self::Unlisted => to.write_str("has a local header but is not in the directory"),
            Self::Crc { announced, found } => {
                write!(to, "the checksum is {found:08x} where {announced:08x} is announced")
            }
            Self::Length { announced, found } => {
                write!(to, "has {found} bytes where {announced} are announced")
            }
            Self::PackedTail { bytes } => {
                write!(to, "{bytes} packed bytes follow the end of the deflate stream")
            }
        }
    }
}
