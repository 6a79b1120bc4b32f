//! What a log is told by the program that runs it.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use merkle::note::{NoteSigner, VerifierKey};

use crate::error::{AdmissionRefusal, LogError};
use crate::wal::MAX_ENTRY;

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Makes the entry that is stored of a submission's content and its stamp. Pure: the same input gives the same
/// entry.
pub type Stamper = Arc<dyn Fn(&[u8], u64) -> Vec<u8> + Send + Sync>;

/// Decides whether a content may be logged. Runs in the submitting thread, so that many can run at once.
pub type Admission = Arc<dyn Fn(&[u8]) -> Result<(), AdmissionRefusal> + Send + Sync>;

/// A key that signs the log's checkpoints.
pub type Signer = Arc<dyn NoteSigner + Send + Sync>;

/// What to do where the published checkpoint is missing from a log that was made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingCheckpoint {
    /// Refuse to open: without it a log that was rolled back cannot be told from one that was not.
    Refuse,
    /// Publish the write-ahead log's head. For when the served directory was deleted on purpose.
    Republish,
}

/// How closely the served files are looked at on open. Wrong ones are written anew from the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileCheck {
    /// Compares hash tiles in full, and entry bundles by length.
    Lengths,
    /// Compares hash tiles and entry bundles in full, which reads every entry.
    Contents,
}

/// When new entries are published without being asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    /// Only when [`crate::Log::publish`] is called, and on closing.
    OnRequest,
    /// This many milliseconds after the first entry that is not yet published.
    EveryMs(u64),
}

/// How a log is run.
#[derive(Clone)]
pub struct Config {
    /// The log's name: the first line of its checkpoints.
    pub origin: String,
    /// The keys that sign checkpoints; at least one.
    pub signers: Vec<Signer>,
    /// The public keys by which stored checkpoints are recognised as the log's own; those of `signers`, and of
    /// earlier keys.
    pub log_keys: Vec<VerifierKey>,
    /// What stamps are taken from. Stamps never decrease, whatever it says.
    pub clock: Clock,
    /// Makes entries of contents.
    pub stamper: Stamper,
    /// Turns contents away.
    pub admission: Admission,
    /// How much space a segment of the write-ahead log reserves, in bytes.
    pub segment_bytes: u64,
    /// The most entry bytes that one commit takes.
    pub batch_bytes: u64,
    /// The most entries that one commit takes.
    pub batch_entries: u32,
    /// The most submissions that wait for the sequencer; who submits more waits.
    pub queue_entries: usize,
    /// When entries are published.
    pub publishing: Publishing,
    /// What to do where the published checkpoint is missing.
    pub missing_checkpoint: MissingCheckpoint,
    /// How closely the served files are looked at on open.
    pub tile_check: TileCheck,
}

impl Config {
    /// The usual settings for a log with this origin: contents are stored as they are and all are admitted.
    pub fn new(origin: &str, signers: Vec<Signer>, log_keys: Vec<VerifierKey>, clock: Clock) -> Self {
        Self {
            origin: origin.to_owned(),
            signers,
            log_keys,
            clock,
            stamper: Arc::new(|content, _| content.to_vec()),
            admission: Arc::new(|_| Ok(())),
            segment_bytes: 64 << 20,
            batch_bytes: 8 << 20,
            batch_entries: 8192,
            queue_entries: 65_536,
            publishing: Publishing::EveryMs(1000),
            missing_checkpoint: MissingCheckpoint::Refuse,
            tile_check: TileCheck::Lengths,
        }
    }

    pub(crate) fn check(&self) -> Result<(), LogError> {
        let refuse = |what: &str| Err(LogError::BadConfig { what: what.to_owned() });
        if self.signers.is_empty() {
            return refuse("no signer");
        }
        if self.log_keys.is_empty() {
            return refuse("no key to recognise the log's checkpoints by");
        }
        if self.batch_bytes < MAX_ENTRY as u64 || self.batch_bytes > 1 << 30 {
            return refuse("`batch_bytes` is not between one entry (65,535) and 1 GiB");
        }
        if self.batch_entries == 0 || self.batch_entries > crate::wal::MAX_GROUP_RECORDS {
            return refuse("`batch_entries` is not between 1 and 65,536");
        }
        if self.queue_entries == 0 {
            return refuse("`queue_entries` is 0");
        }
        merkle::checkpoint::Checkpoint::new(&self.origin, 0, merkle::empty_root())
            .map_err(|error| LogError::BadConfig { what: format!("`origin`: {error}") })?;
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("origin", &self.origin)
            .field("log_keys", &self.log_keys)
            .field("segment_bytes", &self.segment_bytes)
            .field("batch_bytes", &self.batch_bytes)
            .field("batch_entries", &self.batch_entries)
            .field("queue_entries", &self.queue_entries)
            .field("publishing", &self.publishing)
            .field("missing_checkpoint", &self.missing_checkpoint)
            .field("tile_check", &self.tile_check)
            .finish_non_exhaustive()
    }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
