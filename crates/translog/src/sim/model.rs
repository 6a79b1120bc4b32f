//! What the log has promised so far, and whether it keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use merkle::{Cosigner, Ed25519Cosigner, Ed25519NoteSigner, MerkleError, SignedCheckpoint, VerifierKey};

use super::disk::SimDisk;
use super::rng::Rng;
use crate::config::{Config, Publishing, TileCheck};
use crate::error::LogError;
use crate::fsck::fsck;
use crate::heads::CHECKPOINT;
use crate::open::{Parts, create_log, open_log};
use crate::reader::ReadLog;
use crate::sequencer::{Appended, Submission};
use crate::storage::Storage;
use crate::wal::{BLOCK, SegmentHeader, WAL_DIR};

pub(super) const ORIGIN: &str = "sim.example/log";

/// Where a content was acknowledged to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Promise {
    index: u64,
    stamp_ms: u64,
}

#[derive(Debug)]
pub(super) struct Model {
    disk: Arc<SimDisk>,
    clock_ms: Arc<AtomicU64>,
    keys: Keys,
    segment_bytes: u64,
    batch_entries: u32,
    /// Whether the log was acknowledged to be made.
    is_made: bool,
    promises: BTreeMap<Vec<u8>, Promise>,
    /// Contents whose commit failed: in the log or not, but at most once.
    attempted: BTreeSet<Vec<u8>>,
    /// Every checkpoint that was ever to be seen.
    heads: Vec<SignedCheckpoint>,
    next_content: u64,
}

#[derive(Debug)]
struct Keys {
    signer: Arc<Ed25519NoteSigner>,
    log: VerifierKey,
    witness: Ed25519Cosigner,
}

impl Keys {
    fn new() -> Result<Self, MerkleError> {
        let signer = Arc::new(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32])?);
        let log = signer.verifier().clone();
        Ok(Self { signer, log, witness: Ed25519Cosigner::from_seed("witness.example", &[2; 32])? })
    }
}

/// The entry that is stored of a content.
fn stamped(content: &[u8], stamp_ms: u64) -> Vec<u8> {
    [&stamp_ms.to_be_bytes(), content].concat()
}

fn show(error: &LogError) -> String {
    format!("{}: {error}: {error:?}", error.code())
}

impl Model {
    pub(super) fn new(disk: Arc<SimDisk>, seed: u64) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        Ok(Self {
            disk,
            clock_ms: Arc::new(AtomicU64::new(1_000_000)),
            keys: Keys::new().map_err(|error| error.to_string())?,
            segment_bytes: 1 << (14 + rng.below(3)),
            batch_entries: match rng.below(3) {
                0 => 4,
                1 => 16,
                _ => 64,
            },
            is_made: false,
            promises: BTreeMap::new(),
            attempted: BTreeSet::new(),
            heads: Vec::new(),
            next_content: 0,
        })
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.promises.len() as u64
    }

    pub(super) fn published(&self) -> u64 {
        self.heads.len() as u64
    }

    fn config(&self) -> Config {
        let now = Arc::clone(&self.clock_ms);
        let clock = Arc::new(move || now.load(Ordering::Relaxed));
        let mut config =
            Config::new(ORIGIN, vec![Arc::clone(&self.keys.signer) as _], vec![self.keys.log.clone()], clock);
        config.stamper = Arc::new(stamped);
        config.segment_bytes = self.segment_bytes;
        config.batch_entries = self.batch_entries;
        config.publishing = Publishing::OnRequest;
        config.tile_check = TileCheck::Contents;
        config
    }

    fn open(&mut self) -> Result<Parts, LogError> {
        let storage = Arc::clone(&self.disk) as Arc<dyn Storage>;
        let parts = match open_log(Arc::clone(&storage), self.config()) {
            Err(LogError::NotALog { .. }) if !self.is_made => create_log(storage, self.config())?,
            outcome => outcome?,
        };
        self.is_made = true;
        Ok(parts)
    }

    /// An error is in order only after a fault.
    fn excuse(&self, error: &LogError) -> Result<(), String> {
        if self.disk.has_met_fault() {
            Ok(())
        } else {
            Err(format!("failed without a fault: {}", show(error)))
        }
    }

    /// One life of the log: opened, written, and ended by a fault or closed.
    pub(super) fn live(&mut self, rng: &mut Rng) -> Result<(), String> {
        let mut parts = match self.open() {
            Ok(parts) => parts,
            Err(error) => {
                self.note_head();
                return self.excuse(&error);
            }
        };
        for _ in 0..4 + rng.below(24) {
            let outcome = self.step(&mut parts, rng)?;
            self.note_head();
            if let Err(error) = outcome {
                self.excuse(&error)?;
                return Self::check_poisoned(&mut parts);
            }
        }
        Ok(())
    }

    fn step(&mut self, parts: &mut Parts, rng: &mut Rng) -> Result<Result<(), LogError>, String> {
        // The clock may stand still and go back.
        let now = self.clock_ms.load(Ordering::Relaxed);
        self.clock_ms.store((now + rng.below(2000)).saturating_sub(rng.below(1000)), Ordering::Relaxed);
        Ok(match rng.below(12) {
            0..=6 => {
                let batch = self.batch(rng);
                return self.commit(parts, batch);
            }
            7 => parts.publisher.materialise(),
            8 => parts.publisher.publish_head(),
            9 | 10 => parts.publisher.publish(),
            _ => {
                let head = parts.publisher.checkpoint().clone();
                let line = self.keys.witness.cosign(head.note().text(), now / 1000);
                let line = line.map_err(|error| error.to_string())?.to_line();
                parts.publisher.add_cosignatures(line.as_bytes(), &[self.keys.witness.verifier().clone()])
            }
        })
    }

    fn batch(&mut self, rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut batch: Vec<Vec<u8>> = Vec::new();
        let most = if rng.below(8) == 0 { 90 } else { 12 };
        for _ in 0..=rng.below(most) {
            let content = match rng.below(6) {
                0 if !batch.is_empty() => batch.get(below(rng, batch.len())).cloned(),
                1 if !self.promises.is_empty() => {
                    self.promises.keys().nth(below(rng, self.promises.len())).cloned()
                }
                2 if !self.attempted.is_empty() => {
                    self.attempted.iter().nth(below(rng, self.attempted.len())).cloned()
                }
                _ => None,
            };
            batch.push(content.unwrap_or_else(|| {
                self.next_content += 1;
                let mut content = self.next_content.to_be_bytes().to_vec();
                let longest = if rng.below(16) == 0 { 3000 } else { 100 };
                content.resize(8 + below(rng, longest), 0x5a);
                content
            }));
        }
        batch
    }

    fn commit(&mut self, parts: &mut Parts, batch: Vec<Vec<u8>>) -> Result<Result<(), LogError>, String> {
        let submissions: Vec<Submission> = batch.iter().cloned().map(Submission::new).collect();
        let outcomes = match parts.sequencer.commit(&submissions) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.attempted
                    .extend(batch.into_iter().filter(|content| !self.promises.contains_key(content)));
                return Ok(Err(error));
            }
        };
        for (content, outcome) in batch.into_iter().zip(outcomes) {
            let Appended { index, stamp_ms, duplicate } = outcome.map_err(|error| show(&error))?;
            let promise = Promise { index, stamp_ms };
            match self.promises.get(&content) {
                Some(earlier) if *earlier != promise => {
                    return Err(format!("a content was at {earlier:?} and is now at {promise:?}"));
                }
                Some(_) if !duplicate => return Err(format!("a repetition was not recognised: {promise:?}")),
                None if duplicate && !self.attempted.contains(&content) => {
                    return Err(format!("a new content was taken for a repetition: {promise:?}"));
                }
                _ => {}
            }
            self.attempted.remove(&content);
            self.promises.insert(content, promise);
        }
        Ok(Ok(()))
    }

    /// After a failure, everything fails.
    fn check_poisoned(parts: &mut Parts) -> Result<(), String> {
        let is_poisoned = |outcome: Result<(), LogError>| matches!(outcome, Err(LogError::Poisoned { .. }));
        let all = is_poisoned(parts.sequencer.commit(&[Submission::new(vec![1])]).map(|_| ()))
            && is_poisoned(parts.publisher.materialise())
            && is_poisoned(parts.publisher.publish_head());
        if all { Ok(()) } else { Err("the log went on after a failure".to_owned()) }
    }

    /// Remembers the checkpoint that a client could have read by now.
    fn note_head(&mut self) {
        let Some(bytes) = self.disk.peek(CHECKPOINT) else { return };
        let Ok(head) = SignedCheckpoint::parse(&bytes) else { return };
        if self.heads.last().is_none_or(|last| last.claims() != head.claims()) {
            self.heads.push(head);
        }
    }

    fn check_fsck(&self) -> Result<(), String> {
        let report = fsck(&*self.disk, ORIGIN, std::slice::from_ref(&self.keys.log));
        if report.is_clean() {
            return Ok(());
        }
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        Err(format!("fsck: {}", findings.join("; ")))
    }

    /// Looks at the log as it was left, then opens it and holds it to all it has promised.
    pub(super) fn check(&mut self) -> Result<(), String> {
        if self.is_made {
            self.check_fsck()?;
            self.check_reader()?;
        }
        let mut parts = self.open().map_err(|error| format!("cannot open: {}", show(&error)))?;
        self.check_segments()?;
        self.check_heads(&parts)?;
        let again: Vec<Vec<u8>> = self.promises.keys().step_by(3).chain(&self.attempted).cloned().collect();
        self.commit(&mut parts, again)?.map_err(|error| show(&error))?;
        self.check_entries(&parts)?;
        parts.publisher.publish().map_err(|error| show(&error))?;
        self.note_head();
        Ok(())
    }

    /// Two sequencers at once: the first may commit nothing more, and what the second acknowledges stands.
    #[cfg(test)]
    pub(super) fn check_fencing(&mut self) -> Result<(), String> {
        let mut first = self.open().map_err(|error| show(&error))?;
        self.commit(&mut first, vec![b"by the first".to_vec()])?.map_err(|error| show(&error))?;
        let mut second = self.open().map_err(|error| show(&error))?;
        let refused = first.sequencer.commit(&[Submission::new(b"too late".to_vec())]);
        if !matches!(refused, Err(LogError::Fenced { .. })) {
            return Err(format!("the first was not fenced: {refused:?}"));
        }
        let refused = first.publisher.publish();
        if !matches!(refused, Err(LogError::Poisoned { .. })) {
            return Err(format!("the first was not stopped: {refused:?}"));
        }
        self.commit(&mut second, vec![b"by the second".to_vec()])?.map_err(|error| show(&error))?;
        drop((first, second));
        self.check()
    }

    /// Three sequencers: the second writes nothing, so that the third removes its segment. The first finds out all the
    /// same.
    #[cfg(test)]
    pub(super) fn check_fencing_twice(&mut self) -> Result<(), String> {
        let mut earlier = self.open().map_err(|error| show(&error))?;
        self.commit(&mut earlier, vec![b"by one before".to_vec()])?.map_err(|error| show(&error))?;
        drop(earlier);
        // Its segment holds a copy of that, and so stays.
        let mut first = self.open().map_err(|error| show(&error))?;
        drop(self.open().map_err(|error| show(&error))?);
        let before = self.segments();
        let mut third = self.open().map_err(|error| show(&error))?;
        let gone: Vec<&String> = before.iter().filter(|path| !self.segments().contains(path)).collect();
        if gone != before.last().into_iter().collect::<Vec<_>>() {
            return Err(format!("{before:?} became {:?}", self.segments()));
        }
        let refused = first.sequencer.commit(&[Submission::new(b"too late".to_vec())]);
        if !matches!(refused, Err(LogError::Fenced { .. })) {
            return Err(format!("the first was not fenced: {refused:?}"));
        }
        self.commit(&mut third, vec![b"by the third".to_vec()])?.map_err(|error| show(&error))?;
        drop((first, third));
        self.check()
    }

    fn segments(&self) -> Vec<String> {
        self.disk.paths().into_iter().filter(|path| path.starts_with(WAL_DIR)).collect()
    }

    /// Whoever opens the log for reading sees the last checkpoint and all that it speaks of, and changes nothing.
    fn check_reader(&self) -> Result<(), String> {
        let before = self.disk.operations();
        let keys = std::slice::from_ref(&self.keys.log);
        let reader = ReadLog::open(Arc::clone(&self.disk) as Arc<dyn Storage>, ORIGIN, keys)
            .map_err(|error| format!("cannot read: {}", show(&error)))?;
        for entry in reader.entries(0..reader.size()) {
            entry.map_err(|error| format!("cannot read: {}", show(&error)))?;
        }
        if self.disk.operations() != before {
            return Err("a reader has changed the disk".to_owned());
        }
        Ok(())
    }

    /// Of all segments but the last, something counts: runs that wrote nothing leave nothing.
    fn check_segments(&self) -> Result<(), String> {
        let starts = self.segments().into_iter().map(|path| {
            let bytes = self.disk.peek(&path).unwrap_or_default();
            let block = bytes.get(..usize::try_from(BLOCK).unwrap_or(0)).unwrap_or_default();
            SegmentHeader::decode(block).map(|header| header.first_index)
        });
        let starts = starts.collect::<Result<Vec<u64>, _>>()?;
        if starts.is_sorted_by(|a, b| a < b) {
            Ok(())
        } else {
            Err(format!("segments of which nothing counts are left: they start at {starts:?}"))
        }
    }

    fn check_entries(&self, parts: &Parts) -> Result<(), String> {
        let size = parts.shared.size();
        for (content, Promise { index, stamp_ms }) in &self.promises {
            let entry = parts.shared.entry(*index).map_err(|error| format!("lost: {}", show(&error)))?;
            if entry != stamped(content, *stamp_ms) || parts.shared.stamp_ms(*index).ok() != Some(*stamp_ms) {
                return Err(format!("entry {index} is not what was acknowledged"));
            }
        }
        let (mut seen, mut last) = (BTreeSet::new(), 0);
        for index in 0..size {
            let entry = parts.shared.entry(index).map_err(|error| show(&error))?;
            let (stamp, content) = entry.split_at_checked(8).ok_or("an entry without a stamp")?;
            let stamp = stamp.try_into().map_or(0, u64::from_be_bytes);
            let content = content.to_vec();
            if stamp < last {
                return Err(format!("stamp {stamp} of entry {index} is below {last}"));
            }
            last = stamp;
            if !self.promises.contains_key(&content) && !self.attempted.contains(&content) {
                return Err(format!("entry {index} was never submitted"));
            }
            if !seen.insert(content) {
                return Err(format!("entry {index} is a repetition"));
            }
        }
        Ok(())
    }

    fn check_heads(&self, parts: &Parts) -> Result<(), String> {
        for head in &self.heads {
            let claims = head.claims();
            let root = (claims.size() <= parts.shared.size()).then(|| parts.shared.root(claims.size()));
            if !matches!(root, Some(Ok(root)) if root == *claims.root()) {
                return Err(format!("checkpoint of size {} was published and is no more", claims.size()));
            }
        }
        Ok(())
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}
