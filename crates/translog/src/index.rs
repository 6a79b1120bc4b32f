//! What is known in memory of every acknowledged entry: the tree's nodes, and where the bytes are.
//!
//! About 100 bytes an entry (and about 60 to 100 more for the sequencer's index of content digests), so that
//! proofs never wait for a disk. It is rebuilt from the write-ahead log's tables on open.

use std::sync::Arc;

use merkle::{Frontier, Hash, HashReader, leaf_hash};

use crate::error::{Location, LogError};
use crate::storage::{StoredFile, read_exact};
use crate::wal::{Group, Record};

/// Where an entry's bytes are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) stamp_ms: u64,
    pub(crate) offset: u64,
    pub(crate) segment: u32,
    pub(crate) length: u32,
}

/// A file of the write-ahead log that entries are read from.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    pub(crate) path: String,
    pub(crate) file: Arc<dyn StoredFile>,
}

/// All acknowledged entries.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The hashes of the full subtrees, by level and index.
    levels: Vec<Vec<Hash>>,
    places: Vec<Place>,
    segments: Vec<SegmentFile>,
}

/// Nodes and places of a group that is not yet acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    nodes: Vec<(u8, Hash)>,
    places: Vec<Place>,
}

impl Staged {
    /// Adds an entry whose bytes are at `offset` in the segment with this ordinal.
    pub(crate) fn push(&mut self, frontier: &mut Frontier, record: &Record, segment: u32, offset: u64) {
        frontier.push_with(record.leaf, |level, _, hash| self.nodes.push((level, *hash)));
        let Record { stamp_ms, length, .. } = *record;
        self.places.push(Place { stamp_ms, offset, segment, length });
    }

    /// Moves the places of a group that was put together before its place was known.
    pub(crate) fn place(&mut self, segment: u32, body_offset: u64) {
        for place in &mut self.places {
            place.segment = segment;
            place.offset += body_offset;
        }
    }
}

impl Index {
    pub(crate) fn size(&self) -> u64 {
        self.places.len() as u64
    }

    /// The number that the next segment added will have.
    pub(crate) fn next_segment(&self) -> u32 {
        u32::try_from(self.segments.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn add_segment(&mut self, path: String, file: Arc<dyn StoredFile>) {
        self.segments.push(SegmentFile { path, file });
    }

    /// Makes staged entries readable.
    pub(crate) fn append(&mut self, staged: Staged) {
        for (level, hash) in staged.nodes {
            let level = usize::from(level);
            if self.levels.len() <= level {
                self.levels.resize_with(level + 1, Vec::new);
            }
            if let Some(nodes) = self.levels.get_mut(level) {
                nodes.push(hash);
            }
        }
        self.places.extend(staged.places);
    }

    /// Makes a recovered group readable.
    pub(crate) fn append_group(&mut self, frontier: &mut Frontier, group: &Group) {
        let mut staged = Staged::default();
        for (_, offset, record, _) in group.entries() {
            staged.push(frontier, record, group.segment, offset);
        }
        self.append(staged);
    }

    /// Moves the entries from `first` on into another segment, where they follow each other from `offset`.
    pub(crate) fn relocate(&mut self, first: u64, segment: u32, mut offset: u64) {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        for place in self.places.iter_mut().skip(first) {
            place.segment = segment;
            place.offset = offset;
            offset += u64::from(place.length);
        }
    }

    /// Forgets the entries from `size` on. Readers of a log that another process writes see only what it has
    /// published.
    pub(crate) fn truncate(&mut self, size: u64) {
        self.places.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        for (level, nodes) in (0_u32..).zip(&mut self.levels) {
            let kept = size.checked_shr(level).unwrap_or(0);
            nodes.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        }
    }

    pub(crate) fn place(&self, index: u64) -> Option<(Place, SegmentFile)> {
        let place = self.places.get(usize::try_from(index).ok()?)?;
        let segment = self.segments.get(place.segment as usize)?;
        Some((*place, segment.clone()))
    }

    pub(crate) fn stamp_ms(&self, index: u64) -> Option<u64> {
        Some(self.places.get(usize::try_from(index).ok()?)?.stamp_ms)
    }

    pub(crate) fn length(&self, index: u64) -> Option<u32> {
        Some(self.places.get(usize::try_from(index).ok()?)?.length)
    }

    pub(crate) fn leaf(&self, index: u64) -> Option<Hash> {
        self.hash(0, index)
    }

    pub(crate) fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        self.levels.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }
}

impl HashReader for Index {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        let wanted = index.checked_shl(u32::from(level)).unwrap_or(u64::MAX);
        self.hash(level, index).ok_or(LogError::OutOfRange { wanted, size: self.size() })
    }
}

/// An entry's place, with all that is needed to read and check it.
#[derive(Debug)]
pub(crate) struct Located {
    index: u64,
    leaf: Hash,
    place: Place,
    segment: SegmentFile,
}

impl Index {
    /// The places of `range`; fewer where the log ends before.
    pub(crate) fn locate(&self, range: std::ops::Range<u64>) -> Vec<Located> {
        let located = |index| {
            let (place, segment) = self.place(index)?;
            Some(Located { index, leaf: self.leaf(index)?, place, segment })
        };
        range.map_while(located).collect()
    }
}

/// Reads entries, neighbours together, and shows each once it is checked against its leaf hash.
pub(crate) fn read_entries(
    located: &[Located],
    mut show: impl FnMut(u64, &[u8]) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let follows = |a: &Located, b: &Located| {
        a.place.segment == b.place.segment && a.place.offset + u64::from(a.place.length) == b.place.offset
    };
    let mut bytes = Vec::new();
    for run in located.chunk_by(follows) {
        let Some(Located { place: Place { offset, .. }, segment, .. }) = run.first() else { continue };
        bytes.resize(run.iter().map(|entry| entry.place.length as usize).sum(), 0);
        read_exact(&*segment.file, *offset, &mut bytes).map_err(LogError::io("read", &segment.path))?;
        let mut rest = bytes.as_slice();
        for Located { index, leaf, place, .. } in run {
            let (entry, after) = rest.split_at_checked(place.length as usize).unwrap_or_default();
            rest = after;
            if leaf_hash(entry) != *leaf {
                let at = Location { path: segment.path.clone(), offset: place.offset, index: *index };
                return Err(LogError::Damaged { at, what: "an entry's bytes have another leaf hash" });
            }
            show(*index, entry)?;
        }
    }
    Ok(())
}
