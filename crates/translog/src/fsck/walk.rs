//! Compares tiles with leaf hashes that come one after the other, keeping one unfinished tile a level.

use std::io;

use merkle::tile::{MAX_ENTRY, TILE_WIDTH, decode_bundle, encode_tile};
use merkle::{Hash, TileKind, TilePath, leaf_hash, root};

use super::{FindingKind, Report};
use crate::heads::TILES_DIR;
use crate::storage::{Storage, read_file};

/// The tiles of a tree of `published` leaves.
#[derive(Debug)]
pub(super) struct TileWalk<'a> {
    storage: &'a dyn Storage,
    published: u64,
    size: u64,
    /// By level, the hashes of the tile that is not yet full.
    open: Vec<Vec<Hash>>,
}

impl<'a> TileWalk<'a> {
    pub(super) fn new(storage: &'a dyn Storage, published: u64) -> Self {
        Self { storage, published, size: 0, open: Vec::new() }
    }

    /// Takes the next leaf; checks every tile that it completes, and the partial ones at the published size.
    pub(super) fn push(&mut self, leaf: Hash, report: &mut Report) {
        if self.size == self.published {
            return;
        }
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            let place = usize::from(level);
            if self.open.len() <= place {
                self.open.push(Vec::new());
            }
            let Some(tile) = self.open.get_mut(place) else { break };
            tile.push(hash);
            if (tile.len() as u64) < TILE_WIDTH {
                break;
            }
            let hashes = std::mem::take(tile);
            let done = (self.size >> (u32::from(level + 1) * 8)) - 1;
            self.check(level, done, &hashes, report);
            hash = root(&hashes);
        }
        if self.size == self.published {
            self.check_partial(report);
        }
    }

    fn check_partial(&self, report: &mut Report) {
        for (level, hashes) in (0_u8..).zip(&self.open) {
            if !hashes.is_empty() {
                let index = (self.size >> (u32::from(level) * 8)) / TILE_WIDTH;
                self.check(level, index, hashes, report);
            }
        }
    }

    fn check(&self, level: u8, index: u64, hashes: &[Hash], report: &mut Report) {
        let width = u16::try_from(hashes.len()).unwrap_or(u16::MAX);
        let kinds = [TileKind::Hashes { level }, TileKind::Entries];
        for kind in kinds.into_iter().take(if level == 0 { 2 } else { 1 }) {
            let Ok(path) = TilePath::new(kind, index, width) else { continue };
            self.check_file(&path, hashes, report);
            if path.is_partial() {
                self.check_narrower(&path, hashes, report);
            }
        }
    }

    /// Partial tiles of earlier checkpoints are served until the tile is full, and must be right, too.
    fn check_narrower(&self, path: &TilePath, hashes: &[Hash], report: &mut Report) {
        let dir = format!("{TILES_DIR}/{}.p", path.full());
        let Ok(names) = self.storage.list(&dir) else { return };
        let widths = names.iter().filter_map(|name| name.parse::<u16>().ok());
        for width in widths.filter(|width| *width < path.width()) {
            let Ok(narrower) = TilePath::new(path.kind(), path.index(), width) else { continue };
            self.check_file(&narrower, hashes.get(..usize::from(width)).unwrap_or_default(), report);
        }
    }

    fn check_file(&self, path: &TilePath, hashes: &[Hash], report: &mut Report) {
        report.tiles += 1;
        let name = format!("{TILES_DIR}/{path}");
        let is_bundle = path.kind() == TileKind::Entries;
        let (missing, wrong) = if is_bundle {
            (FindingKind::BundleMissing, FindingKind::BundleWrong)
        } else {
            (FindingKind::TileMissing, FindingKind::TileWrong)
        };
        let first = match path.kind() {
            TileKind::Entries | TileKind::Hashes { level: 0 } => path.index() * TILE_WIDTH,
            TileKind::Hashes { level } => path.index().checked_shl(u32::from(level + 1) * 8).unwrap_or(0),
        };
        let bytes = match read_file(self.storage, &name, TILE_WIDTH * (MAX_ENTRY as u64 + 2)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return report.add_file(missing, &name, Some(first), "the file is missing");
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return report.add_file(wrong, &name, Some(first), error.to_string());
            }
            Err(error) => {
                return report.add_file(FindingKind::Unreadable, &name, Some(first), error.to_string());
            }
        };
        if is_bundle {
            match decode_bundle(path, &bytes) {
                Err(error) => report.add_file(wrong, &name, Some(first), error.to_string()),
                Ok(entries) => {
                    for ((index, entry), hash) in (first..).zip(entries).zip(hashes) {
                        if leaf_hash(entry) != *hash {
                            report.add_file(wrong, &name, Some(index), "the entry has another leaf hash");
                        }
                    }
                }
            }
            return;
        }
        let expected = encode_tile(hashes);
        if bytes != expected {
            let at = expected
                .iter()
                .zip(&bytes)
                .position(|(a, b)| a != b)
                .unwrap_or(expected.len().min(bytes.len()));
            report.add(super::Finding {
                kind: wrong,
                path: name,
                offset: Some(at as u64),
                index: Some(first),
                what: "the tile's bytes are not the hashes of the entries".to_owned(),
            });
        }
    }
}
