//! Making a log, and opening one after whatever happened to it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use merkle::{Frontier, Hash, SignedCheckpoint};

use crate::config::{Config, MissingCheckpoint};
use crate::error::{Location, LogError};
use crate::heads::{CHECKPOINT, COSIGNED, Found, TILES_DIR, compare_head, read_head};
use crate::index::Index;
use crate::publisher::{Publisher, sign_checkpoint, sign_head};
use crate::sequencer::Sequencer;
use crate::state::{Shared, SharedConfig};
use crate::storage::{Access, LockGuard, STAGING, Storage, clear_staging, replace_file};
use crate::wal::{
    ActiveSegment, BLOCK, Bodies, Flow, NextSegment, Recovered, SegmentHeader, WAL_DIR, recover,
};

/// The file that the writer's lock is on.
pub(crate) const LOCK: &str = "lock";

/// What opening a log found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Where an unfinished tail of the write-ahead log was left behind. None of it had been acknowledged.
    pub unfinished: Option<Location>,
    /// The tiles and bundles that were missing or wrong and were written anew, by their served path.
    pub repaired: Vec<String>,
}

/// An open log, before it has threads.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: SharedConfig,
    pub(crate) sequencer: Sequencer,
    pub(crate) publisher: Publisher,
    pub(crate) recovery: Recovery,
    pub(crate) lock: Box<dyn LockGuard>,
}

fn take_lock(storage: &dyn Storage) -> Result<Box<dyn LockGuard>, LogError> {
    storage.lock(LOCK).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            LogError::Locked { path: LOCK.to_owned(), holder: error.to_string() }
        } else {
            LogError::io("lock", LOCK)(error)
        }
    })
}

/// Makes an empty log, publishes its checkpoint of size 0 and opens it.
pub(crate) fn create_log(storage: Arc<dyn Storage>, config: Config) -> Result<Parts, LogError> {
    config.check()?;
    let lock = take_lock(&*storage)?;
    let exists = |path: &str| Err(LogError::AlreadyExists { path: path.to_owned() });
    let segments = storage.list(WAL_DIR).map_err(LogError::io("list", WAL_DIR))?;
    if let Some(name) = segments.first() {
        return exists(&format!("{WAL_DIR}/{name}"));
    }
    let earlier = read_head(&*storage, CHECKPOINT, &config.origin, &config.log_keys)?;
    // A checkpoint of size 0 without a segment is a creation that did not finish.
    if earlier.is_some_and(|head| head.claims().size() > 0) {
        return exists(CHECKPOINT);
    }
    for dir in [WAL_DIR, TILES_DIR, STAGING] {
        storage.create_dir(dir).map_err(LogError::io("create", dir))?;
    }
    clear_staging(&*storage)?;
    storage.sync_dir("").map_err(LogError::sync("."))?;
    let head = sign_checkpoint(&config, 0, merkle::empty_root())?;
    replace_file(&*storage, CHECKPOINT, &head.to_bytes())?;
    let first = first_segment(&*storage, &config)?;
    ActiveSegment::create(&*storage, &NextSegment { header: first, copied: None, capacity: BLOCK })?;
    open_locked(storage, config, lock)
}

fn first_segment(storage: &dyn Storage, config: &Config) -> Result<SegmentHeader, LogError> {
    Ok(SegmentHeader {
        number: 1,
        first_index: 0,
        durable_through: 0,
        last_stamp_ms: 0,
        root: merkle::empty_root(),
        origin: Hash::of(config.origin.as_bytes()),
        nonce: storage.nonce().map_err(LogError::io("make a name for", WAL_DIR))?,
    })
}

/// Opens a log for writing.
pub(crate) fn open_log(storage: Arc<dyn Storage>, config: Config) -> Result<Parts, LogError> {
    config.check()?;
    // Without this a mistyped path would get a lock file.
    if storage.list(WAL_DIR).map_err(LogError::io("list", WAL_DIR))?.is_empty() {
        return Err(LogError::NotALog { path: WAL_DIR.to_owned() });
    }
    let lock = take_lock(&*storage)?;
    open_locked(storage, config, lock)
}

fn open_locked(
    storage: Arc<dyn Storage>,
    config: Config,
    lock: Box<dyn LockGuard>,
) -> Result<Parts, LogError> {
    for dir in [TILES_DIR, STAGING] {
        storage.create_dir(dir).map_err(LogError::io("create", dir))?;
    }
    clear_staging(&*storage)?;
    let mut memory = Memory::default();
    let recovered = memory.recover(&*storage, &config.origin)?;
    let head = check_heads(&*storage, &config, &memory.index, &recovered)?;
    let segment = take_over(&*storage, &config, &mut memory.index, &recovered)?;

    let Memory { index, known, .. } = memory;
    let Recovered { frontier, last_stamp_ms, torn, .. } = recovered;
    if let Some(at) = &torn {
        tracing::warn!(
            path = at.path,
            offset = at.offset,
            index = at.index,
            "an unfinished tail was left behind"
        );
    }
    let config = Arc::new(config);
    let shared = Arc::new(Shared::new(storage, index, segment.header.number));
    let sequencer =
        Sequencer::new(Arc::clone(&shared), Arc::clone(&config), segment, known, frontier, last_stamp_ms);
    let (head, is_missing) = match head {
        Some(head) => (head, false),
        None => (sign_head(&config, &shared, shared.size())?, true),
    };
    let mut publisher = Publisher::new(Arc::clone(&shared), Arc::clone(&config), head);
    let repaired = publisher.repair()?;
    if is_missing {
        publisher.republish()?;
    }
    let recovery = Recovery { unfinished: torn, repaired };
    Ok(Parts { shared, config, sequencer, publisher, recovery, lock })
}

/// What is built in memory while the write-ahead log is read.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) index: Index,
    pub(crate) known: HashMap<Hash, u64>,
    frontier: Frontier,
}

impl Memory {
    pub(crate) fn recover(&mut self, storage: &dyn Storage, origin: &str) -> Result<Recovered, LogError> {
        let recovered = recover(storage, origin, Bodies::Skip, &mut |group| {
            self.index.append_group(&mut self.frontier, group);
            for (index, _, record, _) in group.entries() {
                self.known.entry(record.key).or_insert(index);
            }
            Ok(Flow::Continue)
        })?;
        for segment in &recovered.segments {
            self.index.add_segment(segment.path.clone(), Arc::clone(&segment.file));
        }
        Ok(recovered)
    }
}

/// Compares the stored heads with what was recovered; answers the published one.
pub(crate) fn check_heads(
    storage: &dyn Storage,
    config: &Config,
    index: &Index,
    recovered: &Recovered,
) -> Result<Option<SignedCheckpoint>, LogError> {
    let found = Found {
        origin: &config.origin,
        size: recovered.frontier.size(),
        root: recovered.frontier.root(),
        root_at: &|size| {
            merkle::root_at(index, size)
                .map_err(|_| LogError::OutOfRange { wanted: size, size: index.size() })
        },
        torn: recovered.torn.as_ref(),
    };
    let read = |path| read_head(storage, path, &config.origin, &config.log_keys);
    if let Some(cosigned) = read(COSIGNED)? {
        compare_head(COSIGNED, &cosigned, &found)?;
    }
    let Some(head) = read(CHECKPOINT)? else {
        return match config.missing_checkpoint {
            MissingCheckpoint::Refuse => Err(LogError::NoCheckpoint { path: CHECKPOINT.to_owned() }),
            MissingCheckpoint::Republish => Ok(None),
        };
    };
    compare_head(CHECKPOINT, &head, &found)?;
    Ok(Some(head))
}

/// Makes the next segment, by which this sequencer takes over and every earlier one is fenced.
///
/// The last group is copied into it where nothing shows that it was ever synced: it may have been read from a
/// cache whose write-back had failed, and must not be built upon before it is durable.
fn take_over(
    storage: &dyn Storage,
    config: &Config,
    index: &mut Index,
    recovered: &Recovered,
) -> Result<ActiveSegment, LogError> {
    let not_a_log = || LogError::NotALog { path: WAL_DIR.to_owned() };
    let last = recovered.segments.last().ok_or_else(not_a_log)?;
    let size = recovered.frontier.size();
    let copied = recovered.unproven.as_ref().map(|group| (group, group.rebuild()));
    let (first_index, root, last_stamp_ms) = match &copied {
        None => (size, recovered.frontier.root(), recovered.last_stamp_ms),
        Some((group, _)) => {
            let before = group.first_index;
            let root =
                merkle::root_at(index, before).map_err(|_| LogError::OutOfRange { wanted: before, size })?;
            let stamp = before.checked_sub(1).and_then(|entry| index.stamp_ms(entry)).unwrap_or(0);
            (before, root, stamp)
        }
    };
    let header = SegmentHeader {
        number: last.header.number + 1,
        first_index,
        durable_through: size,
        last_stamp_ms,
        root,
        origin: last.header.origin,
        nonce: storage.nonce().map_err(LogError::io("make a name for", WAL_DIR))?,
    };
    let copy = copied.as_ref().map(|(_, group)| (group, recovered.frontier.root()));
    let segment = ActiveSegment::create(
        storage,
        &NextSegment { header, copied: copy, capacity: config.segment_bytes },
    )?;
    if let Some((group, builder)) = &copied {
        index.relocate(group.first_index, index.next_segment(), BLOCK + builder.body_offset());
    }
    index.add_segment(segment.path.clone(), Arc::clone(&segment.file));
    // What the segment before had reserved and not used, and the unfinished tail. If this is lost in a crash, it
    // is only space.
    let before = storage.open(&last.path, Access::Write).map_err(LogError::io("open", &last.path))?;
    before.set_len(last.end).map_err(LogError::io("cut", &last.path))?;
    remove_superseded(storage, recovered, segment.header.first_index)?;
    Ok(segment)
}

/// Removes the segments of which nothing counts, because the next one starts where they do: those of runs that wrote
/// nothing, and those whose only group has been copied. `first_index` is where the new segment starts, which is durable
/// by now; if a removal is lost in a crash, it is only space, and the next one to take over removes the segment.
fn remove_superseded(storage: &dyn Storage, recovered: &Recovered, first_index: u64) -> Result<(), LogError> {
    let starts = recovered.segments.iter().map(|segment| segment.header.first_index);
    let next_starts = starts.skip(1).chain([first_index]);
    for (segment, next) in recovered.segments.iter().zip(next_starts) {
        if segment.header.first_index == next {
            storage.remove(&segment.path).map_err(LogError::io("remove", &segment.path))?;
        }
    }
    Ok(())
}
