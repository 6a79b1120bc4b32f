//! A log opened for reading, beside its writer or without one.

use std::ops::Range;
use std::sync::Arc;

use merkle::note::NoteSignature;
use merkle::{Hash, HashReader, SignedCheckpoint, VerifierKey};

use crate::error::LogError;
use crate::heads::{CHECKPOINT, COSIGNED, Found, compare_head, read_head};
use crate::open::Memory;
use crate::state::Shared;
use crate::storage::Storage;

/// The log as it was published last when this was opened. Takes no lock and writes nothing.
#[derive(Debug)]
pub struct ReadLog {
    shared: Shared,
    head: SignedCheckpoint,
    /// How many entries the write-ahead log was found to hold.
    found: u64,
}

impl ReadLog {
    /// Reads the published checkpoint, which must be signed by one of `log_keys`, and the write-ahead log up to
    /// it.
    pub fn open(storage: Arc<dyn Storage>, origin: &str, log_keys: &[VerifierKey]) -> Result<Self, LogError> {
        // The checkpoint first: a writer only adds to the log after it.
        let head = published(&*storage, origin, log_keys)?;
        Self::up_to(storage, origin, CHECKPOINT, head)
    }

    /// As [`ReadLog::open`], but up to the last checkpoint that a witness has cosigned: between its publication and its
    /// cosignatures a checkpoint convinces nobody. Where no witness cosigned yet, up to the published one.
    pub fn open_cosigned(
        storage: Arc<dyn Storage>,
        origin: &str,
        log_keys: &[VerifierKey],
    ) -> Result<Self, LogError> {
        let head = published(&*storage, origin, log_keys)?;
        let own = |line: &NoteSignature| log_keys.iter().any(|key| key.matches(line));
        if head.note().signatures().iter().all(own)
            && let Some(cosigned) = read_head(&*storage, COSIGNED, origin, log_keys)?
        {
            return Self::up_to(storage, origin, COSIGNED, cosigned);
        }
        Self::up_to(storage, origin, CHECKPOINT, head)
    }

    fn up_to(
        storage: Arc<dyn Storage>,
        origin: &str,
        path: &str,
        head: SignedCheckpoint,
    ) -> Result<Self, LogError> {
        let mut memory = Memory::default();
        let recovered = memory.recover(&*storage, origin)?;
        let mut index = memory.index;
        let found = Found {
            origin,
            size: recovered.frontier.size(),
            root: recovered.frontier.root(),
            root_at: &|size| {
                merkle::root_at(&index, size)
                    .map_err(|_| LogError::OutOfRange { wanted: size, size: index.size() })
            },
            torn: recovered.torn.as_ref(),
        };
        compare_head(path, &head, &found)?;
        let found = index.size();
        index.truncate(head.claims().size());
        Ok(Self { shared: Shared::new(storage, index, 0), head, found })
    }

    /// How many entries the published checkpoint covers.
    pub fn size(&self) -> u64 {
        self.head.claims().size()
    }

    /// How many entries the write-ahead log was found to hold beyond the checkpoint: a writer is about to publish them, or
    /// was ended before it did.
    pub fn unpublished(&self) -> u64 {
        self.found.saturating_sub(self.size())
    }

    /// The published checkpoint with its cosignatures.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.head
    }

    /// The entry with this index, checked against its leaf hash.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        self.shared.entry(index)
    }

    /// The entries of a range, read one by one.
    pub fn entries(&self, range: Range<u64>) -> impl Iterator<Item = Result<Vec<u8>, LogError>> + '_ {
        range.map(|index| self.entry(index))
    }

    /// An entry's stamp, in milliseconds since 1970.
    pub fn stamp_ms(&self, index: u64) -> Result<u64, LogError> {
        self.shared.stamp_ms(index)
    }

    /// An entry's leaf hash.
    pub fn leaf_hash(&self, index: u64) -> Result<Hash, LogError> {
        self.shared.leaf_hash(index)
    }

    /// The root of the tree of the first `size` entries.
    pub fn root(&self, size: u64) -> Result<Hash, LogError> {
        self.shared.check_size(size)?;
        self.shared.root(size)
    }

    /// The proof that entry `index` is in the tree of the first `size` entries.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        self.shared.inclusion_proof(index, size)
    }

    /// The proof that the tree of `old` entries is a prefix of that of `new` entries.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        self.shared.consistency_proof(old, new)
    }
}

fn published(
    storage: &dyn Storage,
    origin: &str,
    log_keys: &[VerifierKey],
) -> Result<SignedCheckpoint, LogError> {
    let head = read_head(storage, CHECKPOINT, origin, log_keys)?;
    head.ok_or_else(|| LogError::NoCheckpoint { path: CHECKPOINT.to_owned() })
}

impl HashReader for ReadLog {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        self.shared.node(level, index)
    }
}
