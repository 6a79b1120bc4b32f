//! The one writer: gives each new content its index and stamp, and acknowledges after `fdatasync`.
//!
//! No thread of its own: [`crate::Log`] drives it from one, the simulator step by step.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use merkle::{Frontier, Hash, leaf_hash};

use crate::error::LogError;
use crate::index::Staged;
use crate::state::{Shared, SharedConfig, lock};
use crate::storage::StoredFile;
use crate::wal::{ActiveSegment, GroupBuilder, MAX_ENTRY, NextSegment, Record, SegmentHeader, group_bytes};

/// A content to be logged, with the digest by which a repetition is known.
#[derive(Debug, Clone)]
pub struct Submission {
    content: Vec<u8>,
    key: Hash,
}

impl Submission {
    /// Hashes the content.
    pub fn new(content: Vec<u8>) -> Self {
        let key = Hash::of(&content);
        Self { content, key }
    }

    /// The content.
    pub fn content(&self) -> &[u8] {
        &self.content
    }
}

/// Where a content is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The entry's index.
    pub index: u64,
    /// The entry's stamp, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// Whether the same content had been submitted before; then this is the first one's place.
    pub duplicate: bool,
}

/// What became of one submission.
pub(crate) type Outcome = Result<Appended, LogError>;

/// The writer's state.
#[derive(Debug)]
pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    config: SharedConfig,
    segment: ActiveSegment,
    /// Which of the index's segments that is.
    ordinal: u32,
    known: HashMap<Hash, u64>,
    committed: Frontier,
    last_stamp_ms: u64,
}

/// Entries that are put together and not yet written.
struct Batch {
    group: GroupBuilder,
    staged: Staged,
    frontier: Frontier,
    stamp_ms: u64,
}

impl Sequencer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: SharedConfig,
        segment: ActiveSegment,
        known: HashMap<Hash, u64>,
        committed: Frontier,
        last_stamp_ms: u64,
    ) -> Self {
        let ordinal = shared.index().next_segment().saturating_sub(1);
        Self { shared, config, segment, ordinal, known, committed, last_stamp_ms }
    }

    /// Appends what is new of the batch and makes it durable.
    ///
    /// An `Err` stops the log: whether the batch is in it will be known when it is opened again.
    pub(crate) fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Outcome>, LogError> {
        self.shared.alive()?;
        self.commit_batch(submissions).map_err(|error| self.shared.poison(error))
    }

    fn commit_batch(&mut self, submissions: &[Submission]) -> Result<Vec<Outcome>, LogError> {
        let mut outcomes = Vec::with_capacity(submissions.len());
        let mut batch = self.start_batch();
        for submission in submissions {
            let next = self.place(&mut batch, submission);
            outcomes.push(next);
            let full = batch.group.count() >= self.config.batch_entries
                || batch.group.body() + MAX_ENTRY as u64 > self.config.batch_bytes;
            if full {
                self.write(batch)?;
                batch = self.start_batch();
            }
        }
        self.write(batch)?;
        Ok(outcomes)
    }

    fn start_batch(&self) -> Batch {
        Batch {
            group: GroupBuilder::default(),
            staged: Staged::default(),
            frontier: self.committed.clone(),
            // A clock that goes back repeats the last stamp.
            stamp_ms: (self.config.clock)().max(self.last_stamp_ms),
        }
    }

    /// Finds the submission's place: that of the first with this content, or the next free one.
    fn place(&mut self, batch: &mut Batch, submission: &Submission) -> Outcome {
        let slot = match self.known.entry(submission.key) {
            Slot::Occupied(first) => {
                let index = *first.get();
                // What is not readable yet is in this batch and has its stamp.
                let stamp_ms = self.shared.index().stamp_ms(index).unwrap_or(batch.stamp_ms);
                return Ok(Appended { index, stamp_ms, duplicate: true });
            }
            Slot::Vacant(slot) => slot,
        };
        let stamp_ms = batch.stamp_ms;
        let entry = (self.config.stamper)(&submission.content, stamp_ms);
        let length = match u32::try_from(entry.len()) {
            Ok(length) if entry.len() <= MAX_ENTRY => length,
            _ => return Err(LogError::EntryTooLarge { bytes: entry.len() }),
        };
        let record = Record { length, stamp_ms, key: submission.key, leaf: leaf_hash(&entry) };
        let index = batch.frontier.size();
        let offset = batch.group.body();
        batch.staged.push(&mut batch.frontier, &record, 0, offset);
        batch.group.push(&record, &entry);
        slot.insert(index);
        Ok(Appended { index, stamp_ms, duplicate: false })
    }

    fn write(&mut self, batch: Batch) -> Result<(), LogError> {
        if batch.group.count() == 0 {
            return Ok(());
        }
        self.shared.alive()?;
        self.shared.check_fence()?;
        if !self.segment.has_room(batch.group.bytes()) {
            self.roll(&batch.group)?;
        }
        let Batch { group, mut staged, frontier, stamp_ms } = batch;
        staged.place(self.ordinal, self.segment.end + group.body_offset());
        let bytes = group.encode(&self.segment.header, self.committed.size(), frontier.root());
        self.segment.commit(&bytes)?;
        // Had another sequencer read the log before this group was in it, the group would not count.
        self.shared.check_fence()?;
        self.shared.alive()?;
        self.shared.index_mut().append(staged);
        self.committed = frontier;
        self.last_stamp_ms = stamp_ms;
        Ok(())
    }

    /// Starts the next segment, with room for `group`.
    fn roll(&mut self, group: &GroupBuilder) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let mut epoch = lock(&shared.epoch);
        let storage = &*shared.storage;
        let nonce = storage.nonce().map_err(LogError::io("make a name for", &self.segment.path))?;
        let header = SegmentHeader {
            number: self.segment.header.number + 1,
            first_index: self.committed.size(),
            durable_through: self.committed.size(),
            last_stamp_ms: self.last_stamp_ms,
            root: self.committed.root(),
            origin: self.segment.header.origin,
            nonce,
        };
        let header_bytes = group_bytes(0, 0);
        let capacity = self.config.segment_bytes.max(header_bytes + group.bytes());
        let next = ActiveSegment::create(storage, &NextSegment { header, copied: None, capacity })?;
        let full = std::mem::replace(&mut self.segment, next);
        // The space that was reserved and not used. If this is lost in a crash, it is only space.
        full.file.set_len(full.end).map_err(LogError::io("cut", &full.path))?;
        let mut index = shared.index_mut();
        self.ordinal = index.next_segment();
        index.add_segment(self.segment.path.clone(), Arc::clone(&self.segment.file) as Arc<dyn StoredFile>);
        *epoch = self.segment.header.number;
        Ok(())
    }
}
