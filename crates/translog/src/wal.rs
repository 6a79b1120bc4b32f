//! The write-ahead log: the only primary record of the entries.
//!
//! It is a row of preallocated segment files, `wal/<number>.wal`. A segment is a header block followed by
//! groups, one group per commit, each starting on a block boundary, so that no write ever touches a block that
//! holds acknowledged data. A segment's number is also the epoch of the sequencer that made it: making the next
//! number, which only one can do, is how a sequencer takes over, and the one before it is fenced.
//!
//! What a reader may conclude:
//! - A group that is followed by a valid group of the same segment, or by a later segment that starts after
//!   it, had been synced. If it is unreadable, the log is damaged, and nobody cuts it.
//! - An unreadable group with nothing valid after it was never acknowledged, unless a published checkpoint says
//!   otherwise: it is the unfinished tail and is left behind when the next segment starts.
//! - Groups of a segment from the next segment's first index on are copies or a fenced writer's, and do not
//!   count. A segment that starts where the next one starts holds nothing that counts: whoever takes over
//!   removes it, once its own segment is durable. So numbers may be missing from the row, and whoever has the
//!   greatest number writes.

mod format;
mod scan;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use format::{GroupBuilder, MAX_GROUP_RECORDS, Record, SegmentHeader, group_bytes};
pub(crate) use scan::{Bodies, Flow, Group, Recovered, STAMP_DECREASES, recover};
pub(crate) use segment::{ActiveSegment, NextSegment, WAL_DIR, segment_numbers};

/// The unit that the write-ahead log is written in, in bytes.
pub(crate) const BLOCK: u64 = 4096;

/// The longest entry, in bytes (C2SP tlog-tiles: entry lengths are 16-bit).
pub const MAX_ENTRY: usize = 65_535;
