//! What the sequencer, the publisher and the readers of one open log share.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use merkle::{Hash, HashReader, ProofError, ProveError};

use crate::config::Config;
use crate::error::LogError;
use crate::index::{Index, read_entries};
use crate::storage::Storage;
use crate::wal::segment_numbers;

/// A log's state in memory.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    index: RwLock<Index>,
    failure: OnceLock<Arc<LogError>>,
    /// The number of the segment being written. Locked while it changes, so that nobody takes our own next
    /// segment for another sequencer's.
    pub(crate) epoch: Mutex<u64>,
}

impl Shared {
    pub(crate) fn new(storage: Arc<dyn Storage>, index: Index, epoch: u64) -> Self {
        Self { storage, index: RwLock::new(index), failure: OnceLock::new(), epoch: Mutex::new(epoch) }
    }

    // A panic cannot leave these locks' contents half changed in a way that matters: the sequencer poisons the
    // log when its thread unwinds.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error where an earlier failure stopped the log.
    pub(crate) fn alive(&self) -> Result<(), LogError> {
        match self.failure.get() {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    /// Stops the log for good. Answers the error that the caller passes on.
    pub(crate) fn poison(&self, error: LogError) -> LogError {
        // The first failure is the cause; what fails after it is its consequence.
        if self.failure.set(Arc::new(error.clone())).is_ok() {
            tracing::error!(code = error.code(), %error, "the log has stopped");
        }
        error
    }

    /// [`LogError::Fenced`] where another sequencer has taken over.
    pub(crate) fn check_fence(&self) -> Result<(), LogError> {
        let epoch = lock(&self.epoch);
        // Any later number, and not the next one alone: of those that took over since, one that wrote nothing may
        // have been removed again. The last one never is.
        let last = segment_numbers(&*self.storage)?.last().copied();
        if last.is_some_and(|last| last > *epoch) {
            return Err(LogError::Fenced { epoch: *epoch });
        }
        Ok(())
    }

    pub(crate) fn size(&self) -> u64 {
        self.index().size()
    }

    pub(crate) fn root(&self, size: u64) -> Result<Hash, LogError> {
        merkle::root_at(&*self.index(), size).map_err(prove_error)
    }

    pub(crate) fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        let mut bytes = None;
        self.read(index..index.saturating_add(1), |_, entry| {
            bytes = Some(entry.to_vec());
            Ok(())
        })?;
        bytes.ok_or_else(|| LogError::OutOfRange { wanted: index, size: self.size() })
    }

    /// Shows the entries of a range, each checked against its leaf hash; fewer where the log ends before.
    pub(crate) fn read(
        &self,
        range: Range<u64>,
        show: impl FnMut(u64, &[u8]) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let located = self.index().locate(range);
        read_entries(&located, show)
    }

    pub(crate) fn leaf_hash(&self, index: u64) -> Result<Hash, LogError> {
        let known = self.index();
        known.leaf(index).ok_or(LogError::OutOfRange { wanted: index, size: known.size() })
    }

    pub(crate) fn stamp_ms(&self, index: u64) -> Result<u64, LogError> {
        let known = self.index();
        known.stamp_ms(index).ok_or(LogError::OutOfRange { wanted: index, size: known.size() })
    }

    pub(crate) fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        self.check_size(size)?;
        merkle::inclusion_proof(&*self.index(), index, size).map_err(prove_error)
    }

    pub(crate) fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        self.check_size(new)?;
        merkle::consistency_proof(&*self.index(), old, new).map_err(prove_error)
    }

    pub(crate) fn check_size(&self, wanted: u64) -> Result<(), LogError> {
        let size = self.size();
        if wanted > size { Err(LogError::OutOfRange { wanted, size }) } else { Ok(()) }
    }
}

impl HashReader for Shared {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        self.index().node(level, index)
    }
}

fn prove_error(error: ProveError<LogError>) -> LogError {
    match error {
        ProveError::Read(cause) => cause,
        ProveError::Range(
            ProofError::IndexOutOfRange { index: wanted, size }
            | ProofError::SizesReversed { old: wanted, new: size },
        ) => LogError::OutOfRange { wanted, size },
        ProveError::Range(other) => LogError::BadConfig { what: other.to_string() },
    }
}

/// Locks, whatever happened to others that held it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settings that the sequencer and the publisher share.
pub(crate) type SharedConfig = Arc<Config>;
