//! What stands between the cache and the platter: unsynced writes and names.

use std::collections::BTreeMap;

use super::usize_of;
use crate::sim::rng::Rng;

/// The unit in which an unsynced write may be torn, in bytes.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
pub(super) enum Change {
    Bytes { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    pub(super) fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Length(length) => contents.resize(*length, 0),
            Self::Bytes { offset, bytes } => {
                let end = offset + bytes.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                if let Some(place) = contents.get_mut(*offset..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }

    /// Applies what is left of the change after a power cut.
    pub(super) fn apply_torn(&self, contents: &mut Vec<u8>, rng: &mut Rng) {
        let Self::Bytes { offset, bytes } = self else {
            if rng.below(2) == 0 {
                self.apply(contents);
            }
            return;
        };
        match rng.below(4) {
            0 => {}
            1 => self.apply(contents),
            2 => {
                let kept = usize_of(rng.below(bytes.len() as u64 + 1));
                let bytes = bytes.get(..kept).unwrap_or_default().to_vec();
                Self::Bytes { offset: *offset, bytes }.apply(contents);
            }
            _ => {
                let first = SECTOR - offset % SECTOR;
                let (head, rest) = bytes.split_at(first.min(bytes.len()));
                let mut at = *offset;
                for sector in std::iter::once(head).chain(rest.chunks(SECTOR)) {
                    if rng.below(2) == 0 {
                        Self::Bytes { offset: at, bytes: sector.to_vec() }.apply(contents);
                    }
                    at += sector.len();
                }
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Vec<u8>,
    pub(super) cached: Vec<u8>,
    pending: Vec<Change>,
    /// Whether the cache may show other than what is durable.
    pub(super) is_dirty: bool,
}

impl Inode {
    pub(super) fn change(&mut self, change: Change) {
        self.is_dirty = true;
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What is left of the unsynced changes reaches the disk; the rest never will.
    pub(super) fn tear(&mut self, rng: &mut Rng) {
        let mut changes = std::mem::take(&mut self.pending);
        // Unsynced writes reach the disk in any order; those that overlap are made in theirs.
        if rng.below(2) == 0 {
            let kept = usize_of(rng.below(changes.len() as u64 + 1));
            changes.truncate(kept);
        }
        for change in &changes {
            change.apply_torn(&mut self.durable, rng);
        }
    }
}

/// A change of names, made as a whole or not at all.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    pub(super) unlink: Option<String>,
    pub(super) link: Option<(String, usize)>,
}

impl Naming {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        if let Some(path) = &self.unlink {
            names.remove(path);
        }
        if let Some((path, inode)) = &self.link {
            names.insert(path.clone(), *inode);
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.unlink.as_deref().into_iter().chain(self.link.as_ref().map(|(path, _)| path.as_str()))
    }
}
