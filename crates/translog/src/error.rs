//! Why the log refuses or fails, with stable codes.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Two heads of one log that cannot both be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadConflict {
    /// Where the first head was read, relative to the log's directory.
    pub path: String,
    /// The head that was found there: a signed note.
    pub published: String,
    /// The head of what the write-ahead log holds: a checkpoint's body, unsigned.
    pub recovered: String,
    /// Where the write-ahead log stops being readable, if an unfinished tail was left out.
    pub cut: Option<Location>,
}

impl fmt::Display for HeadConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` says:\n{}\nthe write-ahead log says:\n{}",
            self.path, self.published, self.recovered
        )?;
        if let Some(cut) = &self.cut {
            write!(f, "\nthe write-ahead log is unreadable from {cut}")?;
        }
        Ok(())
    }
}

/// A place in a file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, relative to the log's directory.
    pub path: String,
    /// The byte at which the damaged thing starts.
    pub offset: u64,
    /// The first entry that is affected.
    pub index: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at offset `{}` (entry `{}`)", self.path, self.offset, self.index)
    }
}

/// Why a submission was turned away by the caller's own check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AdmissionRefusal {
    /// The code of the check that refused.
    pub code: String,
    /// What it found.
    pub reason: String,
}

/// Why the log refuses or fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// A file operation failed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file, relative to the log's directory.
        path: String,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// Making data durable failed. What reached the disk is unknown.
    #[error("cannot make `{path}` durable")]
    Sync {
        /// Which file, relative to the log's directory.
        path: String,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// An earlier failure stopped this log.
    #[error("the log has stopped after an earlier failure")]
    Poisoned {
        /// The failure.
        #[source]
        cause: Arc<LogError>,
    },
    /// Another process has the log open for writing.
    #[error("the log is locked by another writer (`{path}`: {holder})")]
    Locked {
        /// The lock file, relative to the log's directory.
        path: String,
        /// What is known of who holds it.
        holder: String,
    },
    /// A later sequencer has taken over.
    #[error("sequencer `{epoch}` has been replaced by a later one")]
    Fenced {
        /// The epoch of the sequencer that is refused.
        epoch: u64,
    },
    /// The write-ahead log is damaged where it had been acknowledged.
    #[error("the write-ahead log is damaged: {at}: {what}")]
    Damaged {
        /// Where.
        at: Location,
        /// What is wrong there.
        what: &'static str,
    },
    /// A published head covers more entries than the write-ahead log holds.
    #[error("the log has been rolled back: {0}")]
    RolledBack(Box<HeadConflict>),
    /// A published head has another root than the write-ahead log's entries.
    #[error("the log has been forked: {0}")]
    Forked(Box<HeadConflict>),
    /// The content or the entry made of it is too long.
    #[error("`{bytes}` bytes are more than an entry holds (65,535)")]
    EntryTooLarge {
        /// How long it is.
        bytes: usize,
    },
    /// The caller's admission check turned the submission away.
    #[error("the submission was refused (`{}`)", .0.code)]
    NotAdmitted(#[source] AdmissionRefusal),
    /// An entry, a range or a tree size that the log does not have.
    #[error("`{wanted}` is beyond the log's size `{size}`")]
    OutOfRange {
        /// The index or size asked for.
        wanted: u64,
        /// The size of the log.
        size: u64,
    },
    /// A log is there already.
    #[error("there is a log here already (`{path}`)")]
    AlreadyExists {
        /// What was found, relative to the directory.
        path: String,
    },
    /// No log is there.
    #[error("there is no log here (`{path}` is missing)")]
    NotALog {
        /// What is missing, relative to the directory.
        path: String,
    },
    /// The write-ahead log belongs to another log.
    #[error("`{path}` belongs to another log than `{origin}`")]
    OtherLog {
        /// The file.
        path: String,
        /// The origin that was asked for.
        origin: String,
    },
    /// The published checkpoint is missing.
    #[error("the published checkpoint `{path}` is missing")]
    NoCheckpoint {
        /// Where it should be.
        path: String,
    },
    /// A stored head is no checkpoint of this log.
    #[error("`{path}` is no checkpoint of this log: {what}")]
    BadCheckpoint {
        /// Where it was read.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A cosignature was not accepted.
    #[error("the cosignature was not accepted: {what}")]
    BadCosignature {
        /// What is wrong with it.
        what: String,
    },
    /// The configuration makes no sense.
    #[error("the configuration is refused: {what}")]
    BadConfig {
        /// What is wrong with it.
        what: String,
    },
    /// A signer could not sign the head.
    #[error("the head could not be signed: {what}")]
    NotSigned {
        /// What the signer said.
        what: String,
    },
    /// The log was shut down.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    pub(crate) fn io(action: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn sync(path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Sync { path, source: Arc::new(source) }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "CS-LOG-001",
            Self::Sync { .. } => "CS-LOG-002",
            Self::Poisoned { .. } => "CS-LOG-003",
            Self::Locked { .. } => "CS-LOG-004",
            Self::Fenced { .. } => "CS-LOG-005",
            Self::Damaged { .. } => "CS-LOG-006",
            Self::RolledBack(_) => "CS-LOG-007",
            Self::Forked(_) => "CS-LOG-008",
            Self::EntryTooLarge { .. } => "CS-LOG-009",
            Self::NotAdmitted(_) => "CS-LOG-010",
            Self::OutOfRange { .. } => "CS-LOG-011",
            Self::AlreadyExists { .. } => "CS-LOG-012",
            Self::NotALog { .. } => "CS-LOG-013",
            Self::OtherLog { .. } => "CS-LOG-014",
            Self::NoCheckpoint { .. } => "CS-LOG-015",
            Self::BadCheckpoint { .. } => "CS-LOG-016",
            Self::BadCosignature { .. } => "CS-LOG-017",
            Self::BadConfig { .. } => "CS-LOG-018",
            Self::NotSigned { .. } => "CS-LOG-019",
            Self::Closed => "CS-LOG-020",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the disk, its free space and the directory's permissions",
            Self::Sync { .. } | Self::Poisoned { .. } => {
                "end this process, check the disk, and open the log again: it recovers by itself"
            }
            Self::Locked { .. } => {
                "wait until the other command or server has ended (`--wait SECONDS`); commands that only read need no lock"
            }
            Self::Fenced { .. } => "end this process: another sequencer writes the log now",
            Self::Damaged { .. } => {
                "stop writing, keep the directory as evidence, run `countersign log fsck`, and restore the write-ahead log from a copy"
            }
            Self::RolledBack(_) | Self::Forked(_) => {
                "keep both heads as evidence and restore the write-ahead log that belongs to the published head"
            }
            Self::EntryTooLarge { .. } => "log the content's digest and keep the content elsewhere",
            Self::NotAdmitted(_) => "correct the submission",
            Self::OutOfRange { .. } => "ask below the size of the latest checkpoint",
            Self::AlreadyExists { .. } => "open the log that is there, or choose an empty directory",
            Self::NotALog { .. } => "check the path, or create the log first",
            Self::OtherLog { .. } => "check the origin in the configuration against the log's checkpoint",
            Self::NoCheckpoint { .. } => {
                "`countersign log rebuild` publishes it anew from the write-ahead log, if no witness has seen another"
            }
            Self::BadCheckpoint { .. } => "restore the checkpoint, and check the log's key and origin",
            Self::BadCosignature { .. } => "check the witness's name and key, and ask it again",
            Self::BadConfig { .. } => "correct the configuration",
            Self::NotSigned { .. } => "check the log's signing key",
            Self::Closed => "open the log again",
        }
    }
}
