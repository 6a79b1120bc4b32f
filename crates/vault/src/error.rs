//! Every way in which the vault says no.

use std::fmt;
use std::path::PathBuf;

use statement::Digest;

use crate::tenant::Tenant;
use crate::tree::Blake3Root;

/// The vault's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which part of a stored artefact is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The content; the offset counts bytes of plaintext, rounded down to what is checked at once.
    Content,
    /// The salt and commitment before the content or before the tree (offset 0).
    Header,
    /// The BLAKE3 tree; the offset counts bytes of the tree.
    Tree,
    /// The stored object as a whole is too short or too long; the offset is the length it has.
    Length,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Header => "header",
            Self::Tree => "tree",
            Self::Length => "length",
        })
    }
}

/// What the vault refuses or fails at; see [`Error::code`] and [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such artefact for this tenant.
    #[error("artefact `{digest}` is not in the vault")]
    NotFound {
        /// The artefact asked for.
        digest: Digest,
    },
    /// The artefact, or its tenant's key, was destroyed on purpose.
    #[error("artefact `{digest}` was purged")]
    Purged {
        /// The artefact asked for.
        digest: Digest,
    },
    /// The tenant's key was destroyed, so nothing can be stored for it.
    #[error("tenant `{tenant}` was destroyed")]
    TenantDestroyed {
        /// The tenant.
        tenant: Tenant,
    },
    /// The key ring has no key for this tenant.
    #[error("tenant `{tenant}` is unknown")]
    TenantUnknown {
        /// The tenant.
        tenant: Tenant,
    },
    /// The key ring already has a key for this tenant.
    #[error("tenant `{tenant}` exists already")]
    TenantExists {
        /// The tenant.
        tenant: Tenant,
    },
    /// A text is no tenant identifier.
    #[error("`{text}` is no tenant identifier")]
    TenantName {
        /// The text.
        text: String,
    },
    /// Stored bytes do not verify.
    #[error("artefact `{digest}` is damaged: {part} at offset {offset}")]
    Corrupt {
        /// The artefact.
        digest: Digest,
        /// What is damaged.
        part: Part,
        /// Where; see [`Part`].
        offset: u64,
    },
    /// The sealed record of an artefact does not open, or is another artefact's.
    #[error("the record `{record}` does not open")]
    RecordCorrupt {
        /// Where the record is stored.
        record: String,
    },
    /// The record is there but the content it names is not.
    #[error("the content of artefact `{digest}` is missing")]
    ContentMissing {
        /// The artefact.
        digest: Digest,
    },
    /// All parts verify against the record, but the content's SHA-256 is another.
    #[error("artefact `{digest}` has content with the digest `{found}`")]
    DigestMismatch {
        /// The artefact asked for.
        digest: Digest,
        /// What its content hashes to.
        found: Digest,
    },
    /// The content would exceed the tenant's quota.
    #[error("tenant `{tenant}` may store {limit} bytes: {used} are used and {wanted} more were asked for")]
    Quota {
        /// The tenant.
        tenant: Tenant,
        /// The quota in bytes.
        limit: u64,
        /// Bytes used and reserved.
        used: u64,
        /// Bytes asked for.
        wanted: u64,
    },
    /// Content is longer than the vault or the caller allows.
    #[error("artefact `{what}` is longer than {limit} bytes")]
    TooLong {
        /// What is too long.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A range outside the artefact.
    #[error("bytes {start}..{end} are outside artefact `{digest}` of {length} bytes")]
    Range {
        /// The artefact.
        digest: Digest,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// The artefact's length in bytes.
        length: u64,
    },
    /// A folder holds something that a manifest cannot name.
    #[error("`{}` cannot be stored: {reason}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A file was changed while it was read.
    #[error("`{}` changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Bytes are no canonical folder manifest.
    #[error("the folder manifest `{digest}` is malformed: {reason}")]
    Manifest {
        /// The digest of the bytes.
        digest: Digest,
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes are no salted attachment.
    #[error("`{digest}` is no salted attachment")]
    Attachment {
        /// The digest of the bytes.
        digest: Digest,
    },
    /// Bytes are no canonical snapshot, or its parts contradict each other.
    #[error("the snapshot `{digest}` is malformed: {reason}")]
    Snapshot {
        /// The digest of the bytes.
        digest: Digest,
        /// What is wrong.
        reason: &'static str,
    },
    /// A snapshot names a parent that cannot be read or does not verify.
    #[error("parent `{parent}` of snapshot `{child}` does not verify")]
    Lineage {
        /// The snapshot that names the parent.
        child: Digest,
        /// The parent.
        parent: Digest,
        /// Why it does not.
        #[source]
        source: Box<Error>,
    },
    /// Snapshots name each other as ancestors.
    #[error("snapshot `{digest}` is its own ancestor")]
    Cycle {
        /// A snapshot on the cycle.
        digest: Digest,
    },
    /// A lineage has more snapshots than the caller allows.
    #[error("the lineage of snapshot `{digest}` has more than {limit} snapshots")]
    LineageTooLong {
        /// Where the walk began.
        digest: Digest,
        /// The limit.
        limit: usize,
    },
    /// A key ring's file does not open under the master key.
    #[error("the key file `{}` does not open under this master key", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A key ring's file may be read by others than its owner.
    #[error("the key file `{}` is open to other users", path.display())]
    KeyFileMode {
        /// The file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("`{}` could not be {action}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a past participle.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The content could not be read from its source.
    #[error("the content could not be read from its source")]
    Source {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The object store failed.
    #[error("the object store failed at `{object}`")]
    Store {
        /// The object.
        object: String,
        /// The cause.
        #[source]
        source: object_store::Error,
    },
    /// The system's random generator did not answer.
    #[error("no randomness from `the operating system`")]
    Randomness {
        /// The cause.
        #[source]
        source: getrandom::Error,
    },
    /// The cryptographic library refused to work.
    #[error("the `cryptographic library` refused to work")]
    Cryptography,
    /// A background task ended without an answer.
    #[error("the background task `{task}` ended without an answer")]
    Task {
        /// What it did.
        task: &'static str,
    },
    /// The content's BLAKE3 hash is not the one recorded.
    #[error("artefact `{digest}` has content with the BLAKE3 hash `{found}`")]
    RootMismatch {
        /// The artefact.
        digest: Digest,
        /// What its content hashes to.
        found: Blake3Root,
    },
}

impl Error {
    /// The stable code of this refusal, listed in the project's error reference.
    pub const fn code(&self) -> &'static str {
        self.catalogue().0
    }

    /// What the reader can do about it.
    pub const fn hint(&self) -> &'static str {
        self.catalogue().1
    }

    const fn catalogue(&self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound { .. } => ("CS-VLT-001", "check the digest and the tenant, or store the artefact"),
            Self::Purged { .. } => {
                ("CS-VLT-002", "it was destroyed on purpose; its digest and the proofs about it stay valid")
            }
            Self::TenantDestroyed { .. } => ("CS-VLT-003", "choose another tenant; destruction is final"),
            Self::TenantUnknown { .. } => ("CS-VLT-004", "create the tenant first"),
            Self::TenantExists { .. } => ("CS-VLT-005", "use the existing tenant"),
            Self::TenantName { .. } => ("CS-VLT-006", "use 1 to 63 of a-z, 0-9 and -, not starting with -"),
            Self::Corrupt { .. } => (
                "CS-VLT-007",
                "restore the artefact from a copy; treat the storage as failing or tampered with",
            ),
            Self::RecordCorrupt { .. } => (
                "CS-VLT-008",
                "restore the record from a copy; treat the storage as failing or tampered with",
            ),
            Self::ContentMissing { .. } => ("CS-VLT-009", "restore the content from a copy"),
            Self::DigestMismatch { .. } => {
                ("CS-VLT-010", "whoever stored this held the tenant's key: investigate, then remove it")
            }
            Self::Quota { .. } => ("CS-VLT-011", "remove artefacts that are not needed, or raise the quota"),
            Self::TooLong { .. } => ("CS-VLT-012", "read it as a stream, or split it"),
            Self::Range { .. } => ("CS-VLT-013", "ask for bytes within the artefact's length"),
            Self::Path { .. } => ("CS-VLT-014", "remove or rename it, then store the folder again"),
            Self::Changed { .. } => ("CS-VLT-015", "store the folder while nobody writes to it"),
            Self::Manifest { .. } => ("CS-VLT-016", "this digest names no folder; check where it came from"),
            Self::Attachment { .. } => {
                ("CS-VLT-017", "this digest names no attachment; check where it came from")
            }
            Self::Snapshot { .. } => {
                ("CS-VLT-018", "this digest names no snapshot; check where it came from")
            }
            Self::Lineage { .. } => {
                ("CS-VLT-019", "restore the parent; until then nothing before it is proved")
            }
            Self::Cycle { .. } => ("CS-VLT-020", "the store was tampered with: restore it from a copy"),
            Self::LineageTooLong { .. } => ("CS-VLT-021", "raise the limit if the history is really so long"),
            Self::KeyFile { .. } => ("CS-VLT-022", "use the master key that the ring was made with"),
            Self::KeyFileMode { .. } => ("CS-VLT-023", "set its mode to 0600 and find out who could read it"),
            Self::File { .. } => ("CS-VLT-024", "check that the disk has room and the owner is right"),
            Self::Source { .. } => ("CS-VLT-025", "nothing was stored; try again with a readable source"),
            Self::Store { .. } => ("CS-VLT-026", "check that the object store can be reached and written"),
            Self::Randomness { .. } => ("CS-VLT-027", "check the operating system's random generator"),
            Self::Cryptography => ("CS-VLT-028", "check the build of the cryptographic library"),
            Self::Task { .. } => {
                ("CS-VLT-029", "the program is shutting down or a defect was met: see the log")
            }
            Self::RootMismatch { .. } => {
                ("CS-VLT-030", "whoever stored this held the tenant's key: investigate, then remove it")
            }
        }
    }

    pub(crate) fn store(object: &object_store::path::Path, source: object_store::Error) -> Self {
        Self::Store { object: object.to_string(), source }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, action: &'static str, source: std::io::Error) -> Self {
        Self::File { path: path.into(), action, source }
    }
}
