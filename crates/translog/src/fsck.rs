//! Reads everything that a log has on disk again and says all that is wrong with it.
//!
//! Memory is bounded, whatever the log's size: 256 hashes for each level of tiles, one group of the write-ahead
//! log, and a few million content digests at a time for the search for duplicates. Takes no lock and writes
//! nothing; beside a running writer, the newest entries may be missing from the report.

#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashMap;
use std::fmt;

use merkle::{Frontier, Hash, SignedCheckpoint, VerifierKey, leaf_hash};

use crate::error::{Location, LogError};
use crate::heads::{CHECKPOINT, COSIGNED, Found, compare_head, read_head};
use crate::storage::Storage;
use crate::wal::{Bodies, Flow, Group, STAMP_DECREASES, recover};

use walk::TileWalk;

/// The most findings that a report lists; more are counted.
pub const MAX_FINDINGS: usize = 1000;

/// The most content digests that are held at once in the search for duplicates.
const KEYS_AT_ONCE: u64 = 4_000_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// The write-ahead log's structure is damaged where it had been acknowledged.
    WalDamaged,
    /// An acknowledged entry's bytes have another leaf hash.
    EntryDamaged,
    /// A stamp is below the one before it.
    StampDecreases,
    /// Two entries were made of one content.
    Duplicate,
    /// A hash tile of the published checkpoint is missing.
    TileMissing,
    /// A hash tile has other bytes than the entries give.
    TileWrong,
    /// An entry bundle of the published checkpoint is missing.
    BundleMissing,
    /// An entry bundle has other entries than the write-ahead log.
    BundleWrong,
    /// The published checkpoint is missing.
    CheckpointMissing,
    /// A stored head cannot be read or lacks the log's signature.
    CheckpointInvalid,
    /// A stored head covers more entries than the write-ahead log holds.
    RolledBack,
    /// A stored head has another root than the entries give.
    Forked,
    /// A file cannot be read.
    Unreadable,
    /// An unfinished commit at the end of the write-ahead log, never acknowledged. Not an error.
    UnfinishedTail,
}

impl FindingKind {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WalDamaged => "CS-LOG-101",
            Self::EntryDamaged => "CS-LOG-102",
            Self::StampDecreases => "CS-LOG-103",
            Self::Duplicate => "CS-LOG-104",
            Self::TileMissing => "CS-LOG-105",
            Self::TileWrong => "CS-LOG-106",
            Self::BundleMissing => "CS-LOG-107",
            Self::BundleWrong => "CS-LOG-108",
            Self::CheckpointMissing => "CS-LOG-109",
            Self::CheckpointInvalid => "CS-LOG-110",
            Self::RolledBack => "CS-LOG-111",
            Self::Forked => "CS-LOG-112",
            Self::Unreadable => "CS-LOG-113",
            Self::UnfinishedTail => "CS-LOG-114",
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::WalDamaged | Self::EntryDamaged => {
                "keep the directory as evidence and restore this file from a copy; entry bundles hold the same entries"
            }
            Self::StampDecreases | Self::Duplicate => {
                "the sequencer must not do this: keep the directory as evidence and report the fault"
            }
            Self::TileMissing | Self::TileWrong | Self::BundleMissing | Self::BundleWrong => {
                "`countersign log rebuild` writes it anew from the write-ahead log"
            }
            Self::CheckpointMissing => {
                "`countersign log rebuild` publishes it anew from the write-ahead log, if no witness has seen another"
            }
            Self::CheckpointInvalid => "restore it, and check the log's key and origin",
            Self::RolledBack | Self::Forked => {
                "keep both heads as evidence and restore the write-ahead log that belongs to the published head"
            }
            Self::Unreadable => "check the disk and the file's permissions",
            Self::UnfinishedTail => "nothing: it is left behind when the log is opened for writing",
        }
    }

    /// Whether the log is wrong because of it.
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::UnfinishedTail)
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// The file, relative to the log's directory.
    pub path: String,
    /// The byte at which it starts, where that is known.
    pub offset: Option<u64>,
    /// The entry that it is about, where it is about one.
    pub index: Option<u64>,
    /// What was found, with both checkpoints for a fork or a roll-back.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.code(), self.path)?;
        if let Some(offset) = self.offset {
            write!(f, " at offset `{offset}`")?;
        }
        if let Some(index) = self.index {
            write!(f, " (entry `{index}`)")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What was checked and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many entries the write-ahead log was read to hold.
    pub entries: u64,
    /// The size of the published checkpoint, if it could be read.
    pub published: Option<u64>,
    /// How many hash tiles and entry bundles were compared.
    pub tiles: u64,
    /// What was found, at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many findings are not listed.
    pub unlisted: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.unlisted == 0 && !self.findings.iter().any(|finding| finding.kind.is_error())
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
        }
    }

    fn add_at(&mut self, kind: FindingKind, at: Location, what: impl Into<String>) {
        let Location { path, offset, index } = at;
        self.add(Finding { kind, path, offset: Some(offset), index: Some(index), what: what.into() });
    }

    fn add_file(&mut self, kind: FindingKind, path: &str, index: Option<u64>, what: impl Into<String>) {
        self.add(Finding { kind, path: path.to_owned(), offset: None, index, what: what.into() });
    }
}

/// Checks the log with this origin, whose checkpoints are signed by one of `log_keys`.
pub fn fsck(storage: &dyn Storage, origin: &str, log_keys: &[VerifierKey]) -> Report {
    let mut report = Report::default();
    let mut heads = Vec::new();
    for path in [CHECKPOINT, COSIGNED] {
        match read_head(storage, path, origin, log_keys) {
            Ok(Some(head)) => heads.push((path, head)),
            Ok(None) if path == CHECKPOINT => {
                report.add_file(FindingKind::CheckpointMissing, path, None, "no checkpoint is published");
            }
            Ok(None) => {}
            Err(error) => add_error(&mut report, path, &error),
        }
    }
    let published = heads.iter().find(|(path, _)| *path == CHECKPOINT).map(|(_, head)| head.claims().size());
    report.published = published;
    let mut check = Check {
        storage,
        origin,
        heads,
        frontier: Frontier::new(),
        walk: TileWalk::new(storage, published.unwrap_or(0)),
        report,
    };
    check.entries();
    let is_whole = check.report.is_clean();
    let mut report = check.report;
    if is_whole {
        find_duplicates(storage, origin, &mut report, KEYS_AT_ONCE);
    }
    report
}

struct Check<'a> {
    storage: &'a dyn Storage,
    origin: &'a str,
    heads: Vec<(&'static str, SignedCheckpoint)>,
    frontier: Frontier,
    walk: TileWalk<'a>,
    report: Report,
}

impl Check<'_> {
    fn entries(&mut self) {
        let claimed = self.heads.iter().map(|(_, head)| head.claims().size()).max().unwrap_or(0);
        self.compare_heads_here();
        let outcome =
            recover(self.storage, self.origin, Bodies::Load, &mut |group| self.group(group, claimed));
        self.report.entries = self.frontier.size();
        match outcome {
            Ok(recovered) => {
                if let Some(at) = recovered.torn {
                    self.report.add_at(FindingKind::UnfinishedTail, at, "a commit that did not finish");
                }
                self.heads_beyond();
            }
            Err(error) => add_error(&mut self.report, crate::wal::WAL_DIR, &error),
        }
    }

    fn group(&mut self, group: &Group, claimed: u64) -> Result<Flow, LogError> {
        let is_wrong = |(_, _, record, bytes): &(u64, u64, &crate::wal::Record, Option<&[u8]>)| {
            bytes.map(leaf_hash) != Some(record.leaf)
        };
        let wrong: Vec<(u64, u64)> =
            group.entries().filter(is_wrong).map(|(index, offset, ..)| (index, offset)).collect();
        if let Some((index, offset)) = wrong.first().copied()
            && group.first_index >= claimed
            && !group.was_synced()?
        {
            let at = Location { path: group.path.clone(), offset, index };
            self.report.add_at(FindingKind::UnfinishedTail, at, "a commit that did not finish");
            return Ok(Flow::Stop);
        }
        for (index, offset) in wrong {
            let at = Location { path: group.path.clone(), offset, index };
            self.report.add_at(FindingKind::EntryDamaged, at, "the entry's bytes have another leaf hash");
        }
        for record in &group.records {
            self.frontier.push(record.leaf);
            self.walk.push(record.leaf, &mut self.report);
            self.compare_heads_here();
        }
        Ok(Flow::Continue)
    }

    /// Compares the heads of exactly the entries read so far.
    fn compare_heads_here(&mut self) {
        let size = self.frontier.size();
        let Self { heads, frontier, origin, report, .. } = self;
        for (path, head) in heads.iter().filter(|(_, head)| head.claims().size() == size) {
            compare(path, head, origin, frontier, report);
        }
    }

    /// Reports the heads that cover more than all entries.
    fn heads_beyond(&mut self) {
        let size = self.frontier.size();
        let Self { heads, frontier, origin, report, .. } = self;
        for (path, head) in heads.iter().filter(|(_, head)| head.claims().size() > size) {
            compare(path, head, origin, frontier, report);
        }
    }
}

/// Compares a head with the tree read so far, which has the head's size or all entries.
fn compare(path: &str, head: &SignedCheckpoint, origin: &str, frontier: &Frontier, report: &mut Report) {
    let root = frontier.root();
    let found = Found { origin, size: frontier.size(), root, root_at: &|_| Ok(root), torn: None };
    if let Err(error) = compare_head(path, head, &found) {
        add_error(report, path, &error);
    }
}

/// Reports an error that ended a part of the check.
fn add_error(report: &mut Report, path: &str, error: &LogError) {
    match error {
        LogError::Damaged { at, what } => {
            let kind =
                if *what == STAMP_DECREASES { FindingKind::StampDecreases } else { FindingKind::WalDamaged };
            report.add_at(kind, at.clone(), format!("{what}; entries from here on were not checked"));
        }
        LogError::RolledBack(conflict) => {
            report.add_file(FindingKind::RolledBack, path, None, conflict.to_string());
        }
        LogError::Forked(conflict) => report.add_file(FindingKind::Forked, path, None, conflict.to_string()),
        LogError::BadCheckpoint { what, .. } => {
            report.add_file(FindingKind::CheckpointInvalid, path, None, what.clone());
        }
        LogError::Io { path, source, .. } => {
            report.add_file(FindingKind::Unreadable, path, None, source.to_string());
        }
        other => report.add_file(FindingKind::WalDamaged, path, None, other.to_string()),
    }
}

/// Reports entries with the content of an earlier one, holding at most `at_once` digests at a time.
fn find_duplicates(storage: &dyn Storage, origin: &str, report: &mut Report, at_once: u64) {
    let passes = report.entries.div_ceil(at_once.max(1));
    for pass in 0..passes {
        let mut seen: HashMap<Hash, u64> = HashMap::new();
        let outcome = recover(storage, origin, Bodies::Skip, &mut |group| {
            for (index, offset, record, _) in group.entries() {
                if share(&record.key, passes) != pass {
                    continue;
                }
                let first = *seen.entry(record.key).or_insert(index);
                if first != index {
                    let at = Location { path: group.path.clone(), offset, index };
                    report.add_at(
                        FindingKind::Duplicate,
                        at,
                        format!("the content of entry `{first}` again"),
                    );
                }
            }
            Ok(Flow::Continue)
        });
        if let Err(error) = outcome {
            add_error(report, crate::wal::WAL_DIR, &error);
        }
    }
}

/// Which of `passes` passes looks at the content with this digest.
fn share(key: &Hash, passes: u64) -> u64 {
    let [a, b, c, d, ..] = *key.as_bytes();
    u64::from(u32::from_be_bytes([a, b, c, d])) % passes
}
