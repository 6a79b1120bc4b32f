//! The transparency log on disk: write-ahead log, tiles, checkpoints, witnesses, fsck.
//!
//! Entries are opaque. An entry is acknowledged after `fdatasync` of the write-ahead log, which alone is
//! primary; the C2SP tlog-tiles files below `tiles/`, which are what is served, are derived from it afterwards,
//! the checkpoint last. A content that was logged before gets its first place again, exactly, across restarts.
//!
//! What this crate does not do: look into entries, ask witnesses over a network, or keep keys.
//!
//! Invariant: nothing is read back from a cache after a failed write or sync. The log stops, and the next open
//! writes again what no later commit proves to have been synced.

mod config;
mod error;
mod fsck;
mod heads;
mod index;
mod log;
mod open;
mod publisher;
mod reader;
mod sequencer;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod state;
mod storage;
mod wal;
pub mod witness;

pub use config::{
    Admission, Clock, Config, MissingCheckpoint, Publishing, Signer, Stamper, TileCheck, system_clock,
};
pub use error::{AdmissionRefusal, HeadConflict, Location, LogError};
pub use fsck::{Finding, FindingKind, MAX_FINDINGS, Report, fsck};
pub use log::{Log, Ticket, Tickets};
pub use open::Recovery;
pub use reader::ReadLog;
pub use sequencer::{Appended, Submission};
pub use storage::{Access, Disk, LockGuard, Storage, StoredFile};
pub use wal::MAX_ENTRY;
