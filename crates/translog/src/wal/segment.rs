//! Making segments and writing groups into the last one.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::format::SegmentHeader;
use super::{BLOCK, GroupBuilder};
use crate::error::LogError;
use crate::storage::{Storage, StoredFile, staging_path};

/// The directory of the segments.
pub(crate) const WAL_DIR: &str = "wal";

const ENDING: &str = ".wal";

/// The path of the segment with this number.
pub(crate) fn segment_path(number: u64) -> String {
    format!("{WAL_DIR}/{number:012}{ENDING}")
}

/// The numbers of the segments that are there.
pub(crate) fn segment_numbers(storage: &dyn Storage) -> Result<BTreeSet<u64>, LogError> {
    let names = storage.list(WAL_DIR).map_err(LogError::io("list", WAL_DIR))?;
    Ok(names.iter().filter_map(|name| segment_number(name)).collect())
}

/// The number in a segment's file name; `None` for any other name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(ENDING)?.parse().ok()?;
    (segment_path(number).strip_prefix(WAL_DIR)?.strip_prefix('/')? == name).then_some(number)
}

/// What a new segment starts with.
#[derive(Debug)]
pub(crate) struct NextSegment<'a> {
    pub(crate) header: SegmentHeader,
    /// Entries to copy into it, with the root after them.
    pub(crate) copied: Option<(&'a GroupBuilder, merkle::Hash)>,
    /// How much space to reserve, in bytes; more is reserved where `copied` needs it.
    pub(crate) capacity: u64,
}

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) path: String,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn StoredFile>,
    /// Where the next group goes.
    pub(crate) end: u64,
    pub(crate) capacity: u64,
}

impl ActiveSegment {
    /// Makes a segment, durable when this returns. [`LogError::Fenced`] where its number is taken.
    pub(crate) fn create(storage: &dyn Storage, next: &NextSegment<'_>) -> Result<Self, LogError> {
        let header = next.header.clone();
        let path = segment_path(header.number);
        let mut bytes = header.encode();
        if let Some((group, root)) = next.copied {
            bytes.extend(group.encode(&header, header.first_index, root));
        }
        let end = bytes.len() as u64;
        let capacity = next.capacity.max(end).next_multiple_of(BLOCK);
        // Two sequencers that race for a number must not share the file that they prepare.
        let unique = statement::Digest::of(&header.nonce).short();
        let temporary = staging_path(&format!("{path}.{unique}"));
        let file = storage.create(&temporary).map_err(LogError::io("create", &temporary))?;
        file.preallocate(capacity).map_err(LogError::io("reserve space for", &temporary))?;
        file.write_at(0, &bytes).map_err(LogError::io("write", &temporary))?;
        file.sync_data().map_err(LogError::sync(&temporary))?;
        storage.rename_new(&temporary, &path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                LogError::Fenced { epoch: header.number.saturating_sub(1) }
            } else {
                LogError::io("rename", &temporary)(error)
            }
        })?;
        storage.sync_dir(WAL_DIR).map_err(LogError::sync(WAL_DIR))?;
        Ok(Self { path, header, file, end, capacity })
    }

    /// Whether `bytes` more fit.
    pub(crate) const fn has_room(&self, bytes: u64) -> bool {
        self.end + bytes <= self.capacity
    }

    /// Writes a group; durable when this returns.
    pub(crate) fn commit(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.file.write_at(self.end, bytes).map_err(LogError::io("write", &self.path))?;
        self.file.sync_data().map_err(LogError::sync(&self.path))?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}
