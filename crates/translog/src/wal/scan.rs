//! Reading the write-ahead log from its beginning: what is valid, what is an unfinished tail, what is damage.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use merkle::{Frontier, Hash, leaf_hash};

use super::format::{GroupHeader, Record, SegmentHeader, usize_of};
use super::segment::{WAL_DIR, segment_numbers, segment_path};
use super::{BLOCK, GroupBuilder};
use crate::error::{Location, LogError};
use crate::storage::{Access, Storage, StoredFile};

/// What is wrong with a stamp below the one before it.
pub(crate) const STAMP_DECREASES: &str = "a stamp is earlier than the one before it";

/// What a scan does with the entries' bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Does not read them, except in the last segment, where they decide what is an unfinished tail.
    Skip,
    /// Reads and checks them; an entry with another leaf hash makes its group unreadable.
    Check,
    /// Reads them and leaves it to the visitor to check them, even in the last segment.
    Load,
}

/// A group as a scan shows it.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The file that holds it.
    pub(crate) file: Arc<dyn StoredFile>,
    /// The file's path.
    pub(crate) path: String,
    /// Which segment that is, counted from 0 in the order of the scan.
    pub(crate) segment: u32,
    /// The index of its first entry.
    pub(crate) first_index: u64,
    /// Where its first entry's bytes start in the file.
    pub(crate) body_offset: u64,
    /// Its table.
    pub(crate) records: Vec<Record>,
    /// Its entries, end to end; `None` where they were not read.
    pub(crate) body: Option<Vec<u8>>,
    /// Where it ends in the file.
    end: u64,
    root: Hash,
    header: SegmentHeader,
    /// Where the next segment starts, if there is one.
    limit: Option<u64>,
}

impl Group {
    /// Each record with its index, where its bytes start in the file, and its bytes where they were read.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, u64, &Record, Option<&[u8]>)> {
        let mut start = 0_usize;
        (self.first_index..).zip(&self.records).map(move |(index, record)| {
            let end = start + record.length as usize;
            let bytes = self.body.as_deref().and_then(|body| body.get(start..end));
            let offset = self.body_offset + start as u64;
            start = end;
            (index, offset, record, bytes)
        })
    }

    /// The index after its last entry.
    pub(crate) fn next_index(&self) -> u64 {
        self.first_index + self.records.len() as u64
    }

    /// Whether something shows that the group had been synced.
    pub(crate) fn was_synced(&self) -> Result<bool, LogError> {
        let copied = self.first_index < self.header.durable_through;
        let found = |path| later_group(&*self.file, path, &self.header, self.end, self.first_index);
        Ok(self.limit.is_some() || copied || found(&self.path)?)
    }

    /// The same entries as a group to be written elsewhere.
    pub(crate) fn rebuild(&self) -> GroupBuilder {
        let mut builder = GroupBuilder::default();
        for (_, _, record, bytes) in self.entries() {
            builder.push(record, bytes.unwrap_or_default());
        }
        builder
    }
}

/// A segment as a scan found it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) path: String,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn StoredFile>,
    /// Where its last valid group ends.
    pub(crate) end: u64,
}

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The segments, in order; never empty.
    pub(crate) segments: Vec<Segment>,
    /// The right edge of the tree over all valid entries.
    pub(crate) frontier: Frontier,
    /// The last entry's stamp, 0 for none.
    pub(crate) last_stamp_ms: u64,
    /// The last group, if nothing shows that it was ever synced.
    pub(crate) unproven: Option<Group>,
    /// Where an unfinished tail starts, if there is one.
    pub(crate) torn: Option<Location>,
}

/// Whether a visitor wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on with the next group.
    Continue,
    /// Stop here; what was seen so far is the result.
    Stop,
}

/// What is called for each valid group, in order.
pub(crate) type Visit<'a> = dyn FnMut(&Group) -> Result<Flow, LogError> + 'a;

/// Reads all of the log whose origin has the digest `origin`.
///
/// Errors: [`LogError::NotALog`] where there is no segment, [`LogError::OtherLog`], [`LogError::Damaged`] naming
/// the first unreadable place, [`LogError::Io`].
pub(crate) fn recover(
    storage: &dyn Storage,
    origin: &str,
    bodies: Bodies,
    visit: &mut Visit<'_>,
) -> Result<Recovered, LogError> {
    let segments = open_segments(storage, origin)?;
    scan(segments, bodies, visit)
}

/// How often the segments are listed again where a writer takes over at the same time.
const LISTINGS_MAX: u32 = 64;

/// Opens the segments that are there, all at one time.
///
/// A reader has no lock, and a writer that takes over makes a segment and then removes those of which nothing counts.
/// Of a row that changed while it was opened, one that is gone and one that is new could both be missed.
fn open_segments(storage: &dyn Storage, origin: &str) -> Result<Vec<Segment>, LogError> {
    let mut numbers = segment_numbers(storage)?;
    for _ in 0..LISTINGS_MAX {
        let opened = open_listed(storage, origin, &numbers)?;
        let now = segment_numbers(storage)?;
        if let Some(segments) = opened
            && now == numbers
        {
            return if segments.is_empty() {
                Err(LogError::NotALog { path: WAL_DIR.to_owned() })
            } else {
                Ok(segments)
            };
        }
        numbers = now;
    }
    let restless = io::Error::other("its segments change faster than they can be opened");
    Err(LogError::io("read", WAL_DIR)(restless))
}

/// Opens these segments; `None` where one of them is gone.
fn open_listed(
    storage: &dyn Storage,
    origin: &str,
    numbers: &BTreeSet<u64>,
) -> Result<Option<Vec<Segment>>, LogError> {
    let mut segments = Vec::new();
    for number in numbers.iter().copied() {
        let path = segment_path(number);
        let file = match storage.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io("open", &path)(error)),
        };
        let mut block = vec![0; usize_of(BLOCK)];
        let read = file.read_at(0, &mut block).map_err(LogError::io("read", &path))?;
        block.truncate(read);
        let damaged =
            |what| LogError::Damaged { at: Location { path: path.clone(), offset: 0, index: 0 }, what };
        let header = SegmentHeader::decode(&block).map_err(damaged)?;
        if header.number != number {
            return Err(damaged("the segment's number is not its name's"));
        }
        if header.origin != Hash::of(origin.as_bytes()) {
            return Err(LogError::OtherLog { path, origin: origin.to_owned() });
        }
        segments.push(Segment { path, header, file, end: BLOCK });
    }
    Ok(Some(segments))
}

/// Reads the entries of these segments, in order.
pub(crate) fn scan(
    mut segments: Vec<Segment>,
    bodies: Bodies,
    visit: &mut Visit<'_>,
) -> Result<Recovered, LogError> {
    let mut state = State { frontier: Frontier::new(), last_stamp_ms: 0 };
    let mut unproven = None;
    let mut torn = None;
    let limits: Vec<Option<u64>> =
        segments.iter().skip(1).map(|next| Some(next.header.first_index)).chain([None]).collect();
    'segments: for ((ordinal, segment), limit) in (0..).zip(&mut segments).zip(limits) {
        state.enter(segment)?;
        let bodies = if limit.is_none() && bodies == Bodies::Skip { Bodies::Check } else { bodies };
        while limit.is_none_or(|limit| state.frontier.size() < limit) {
            let next = match read_settled(segment, ordinal, &state, bodies, limit)? {
                Ok(group) => group,
                Err(tail) => {
                    torn = tail;
                    break;
                }
            };
            if limit.is_some_and(|limit| next.next_index() > limit) {
                return Err(state.damaged(segment, "a group reaches into the next segment"));
            }
            state.append(segment, &next)?;
            segment.end = next.end;
            let flow = visit(&next)?;
            unproven = (next.first_index >= segment.header.durable_through).then_some(next);
            if flow == Flow::Stop {
                break 'segments;
            }
        }
        if limit.is_some() {
            unproven = None;
        }
    }
    let State { frontier, last_stamp_ms } = state;
    Ok(Recovered { segments, frontier, last_stamp_ms, unproven, torn })
}

/// The tree so far, against which every header and group is checked.
struct State {
    frontier: Frontier,
    last_stamp_ms: u64,
}

impl State {
    fn damaged(&self, segment: &Segment, what: &'static str) -> LogError {
        let (path, offset) = (segment.path.clone(), segment.end);
        LogError::Damaged { at: Location { path, offset, index: self.frontier.size() }, what }
    }

    fn enter(&self, segment: &Segment) -> Result<(), LogError> {
        let header = &segment.header;
        if header.first_index != self.frontier.size() {
            return Err(self.damaged(segment, "the segment does not start where the one before ends"));
        }
        if header.root != self.frontier.root() || header.last_stamp_ms != self.last_stamp_ms {
            return Err(self.damaged(segment, "the segment does not follow the entries before it"));
        }
        Ok(())
    }

    fn append(&mut self, segment: &Segment, group: &Group) -> Result<(), LogError> {
        for record in &group.records {
            if record.stamp_ms < self.last_stamp_ms {
                return Err(self.damaged(segment, STAMP_DECREASES));
            }
            self.last_stamp_ms = record.stamp_ms;
            self.frontier.push(record.leaf);
        }
        if self.frontier.root() != group.root {
            return Err(self.damaged(segment, "the group's root is not that of its entries"));
        }
        Ok(())
    }
}

/// The next group, or where the unfinished tail starts, if there is one; an error where a group that had been
/// synced is unreadable.
fn read_settled(
    segment: &Segment,
    ordinal: u32,
    state: &State,
    bodies: Bodies,
    limit: Option<u64>,
) -> Result<Result<Group, Option<Location>>, LogError> {
    let index = state.frontier.size();
    let unreadable = match read_group(segment, ordinal, index, bodies, limit)? {
        Ok(group) => return Ok(Ok(group)),
        Err(unreadable) => unreadable,
    };
    let at = Location { path: segment.path.clone(), offset: unreadable.offset, index };
    let was_synced = limit.is_some()
        || index < segment.header.durable_through
        || later_group(&*segment.file, &segment.path, &segment.header, segment.end, index)?;
    if !was_synced {
        return Ok(Err(unreadable.is_tail().then_some(at)));
    }
    // Another process may have been writing this very group while it was read. Now that a later one is there,
    // this one is complete.
    match read_group(segment, ordinal, index, bodies, limit)? {
        Ok(group) => Ok(Ok(group)),
        Err(unreadable) => Err(LogError::Damaged { at, what: unreadable.what }),
    }
}

/// Why there is no valid group at a place.
struct Unreadable {
    offset: u64,
    what: &'static str,
}

const NOTHING: &str = "no group starts here";

impl Unreadable {
    /// Whether something was written here, and not only space reserved.
    fn is_tail(&self) -> bool {
        self.what != NOTHING
    }
}

/// The group at the segment's end so far, or why there is none.
fn read_group(
    segment: &Segment,
    ordinal: u32,
    expected: u64,
    bodies: Bodies,
    limit: Option<u64>,
) -> Result<Result<Group, Unreadable>, LogError> {
    let start = segment.end;
    let unreadable = |offset, what| Ok(Err(Unreadable { offset, what }));
    let read = |offset, buffer: &mut [u8]| {
        segment.file.read_at(offset, buffer).map_err(LogError::io("read", &segment.path))
    };
    let mut head = [0; GroupHeader::LENGTH];
    let count = read(start, &mut head)?;
    let Some(header) = GroupHeader::decode(&head, &segment.header) else {
        let blank = head.iter().take(count).all(|byte| *byte == 0) && blank_block(segment, start)?;
        return unreadable(start, if blank { NOTHING } else { "the group's header is unreadable" });
    };
    if header.first_index != expected {
        return unreadable(start, "the group is not the next one");
    }
    let size = segment.file.size().map_err(LogError::io("read", &segment.path))?;
    let body_offset = start + (GroupHeader::LENGTH + header.table_bytes()) as u64;
    if body_offset + header.body > size {
        return unreadable(start, "the file ends inside the group");
    }
    let mut table = vec![0; header.table_bytes()];
    if read(start + GroupHeader::LENGTH as u64, &mut table)? != table.len() {
        return unreadable(start, "the file ends inside the group");
    }
    let records = match header.records(&table) {
        Ok(records) => records,
        Err(what) => return unreadable(start, what),
    };
    let mut body = None;
    if bodies != Bodies::Skip {
        let mut bytes = vec![0; usize_of(header.body)];
        if read(body_offset, &mut bytes)? != bytes.len() {
            return unreadable(start, "the file ends inside the group");
        }
        body = Some(bytes);
    }
    let group = Group {
        file: Arc::clone(&segment.file),
        path: segment.path.clone(),
        segment: ordinal,
        first_index: header.first_index,
        body_offset,
        records,
        body,
        end: start + header.bytes(),
        root: header.root,
        header: segment.header.clone(),
        limit,
    };
    if bodies == Bodies::Check {
        let wrong = group.entries().find(|(_, _, record, bytes)| bytes.map(leaf_hash) != Some(record.leaf));
        if let Some((_, offset, _, _)) = wrong {
            return unreadable(offset, "an entry's bytes have another leaf hash");
        }
    }
    Ok(Ok(group))
}

/// Whether the block at `offset` is all zeros, or beyond the file's end.
fn blank_block(segment: &Segment, offset: u64) -> Result<bool, LogError> {
    let mut block = vec![0; usize_of(BLOCK)];
    let count = segment.file.read_at(offset, &mut block).map_err(LogError::io("read", &segment.path))?;
    Ok(block.iter().take(count).all(|byte| *byte == 0))
}

/// Whether a group that starts after entry `index` stands anywhere in the file from `offset` on.
fn later_group(
    file: &dyn StoredFile,
    path: &str,
    segment: &SegmentHeader,
    mut offset: u64,
    index: u64,
) -> Result<bool, LogError> {
    const CHUNK: u64 = 256 * BLOCK;
    let size = file.size().map_err(LogError::io("read", path))?;
    let mut chunk = vec![0; usize_of(CHUNK.min(size.saturating_sub(offset)))];
    while offset < size {
        let wanted = usize_of(CHUNK.min(size - offset));
        let Some(part) = chunk.get_mut(..wanted) else { return Ok(false) };
        // Shorter where the file was cut meanwhile.
        let read = file.read_at(offset, part).map_err(LogError::io("read", path))?;
        let found = part
            .get(..read)
            .unwrap_or_default()
            .chunks(usize_of(BLOCK))
            .filter_map(|block| GroupHeader::decode(block, segment))
            .any(|header| header.first_index > index);
        if found {
            return Ok(true);
        }
        offset += wanted as u64;
    }
    Ok(false)
}
