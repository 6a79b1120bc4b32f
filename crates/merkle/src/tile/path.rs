//! Where tiles and entry bundles stand.

use std::fmt;
use std::str::FromStr;

use super::{TILE_HEIGHT, TILE_WIDTH};
use crate::encoding::decimal;
use crate::error::{MerkleError, excerpt};
use crate::tree::MAX_SIZE;

/// The longest path that is read, in bytes.
const MAX_PATH: usize = 64;
/// The highest level that a path may name.
const MAX_LEVEL: u8 = 63;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes; level 0 is leaf hashes, and each hash of a level above is the root of a full tile below.
    Hashes {
        /// The tile's level, 0 to 63; one tile level is eight levels of the tree.
        level: u8,
    },
    /// Log entries.
    Entries,
}

/// The path of a tile, relative to the log's prefix: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TilePath {
    /// The path of the tile number `index` with `width` (1 to 256) hashes or entries.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, MerkleError> {
        let error = |reason| MerkleError::TilePath { path: format!("{kind:?}/{index}.p/{width}"), reason };
        if matches!(kind, TileKind::Hashes { level } if level > MAX_LEVEL) {
            return Err(error("the level is above 63"));
        }
        if index > MAX_SIZE {
            return Err(error("the index is above 2^63 - 1"));
        }
        if width == 0 || u64::from(width) > TILE_WIDTH {
            return Err(error("the width is not 1 to 256"));
        }
        Ok(Self { kind, index, width })
    }

    /// Reads a path in its one spelling; bounded.
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let shown = || excerpt(&String::from_utf8_lossy(bytes.get(..MAX_PATH).unwrap_or(bytes)));
        let error = |reason| MerkleError::TilePath { path: shown(), reason };
        if bytes.len() > MAX_PATH {
            return Err(error("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| error("it is not UTF-8"))?;
        let rest = text.strip_prefix("tile/").ok_or(error("it does not start with `tile/`"))?;
        let (kind, rest) = rest.split_once('/').ok_or(error("no index"))?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes {
                level: decimal(level)
                    .and_then(|level| u8::try_from(level).ok())
                    .ok_or(error("the level is not a number from 0 to 63 without leading zeros"))?,
            },
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, 256),
            Some((index, width)) => {
                let width = decimal(width).and_then(|width| u16::try_from(width).ok());
                let partial = width.filter(|width| (1..=255).contains(width));
                (index, partial.ok_or(error("the width is not 1 to 255 without leading zeros"))?)
            }
        };
        let index = parse_index(index).ok_or(error("the index is not in groups like `x001/x234/067`"))?;
        Self::new(kind, index, width).map_err(|refused| match refused {
            MerkleError::TilePath { reason, .. } => error(reason),
            other => other,
        })
    }

    /// What the tile holds.
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// The tile's number within its level.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has, 1 to 256.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it may still grow (fewer than 256).
    pub const fn is_partial(&self) -> bool {
        (self.width as u64) < TILE_WIDTH
    }

    /// The path of the full tile in the same place.
    #[must_use]
    pub const fn full(&self) -> Self {
        Self { kind: self.kind, index: self.index, width: 256 }
    }

    /// The tile number `index` of `kind` as it is in a tree of `size` leaves; none where the tree has none.
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let hashes = width_of_level(kind, size);
        let below = index.checked_mul(TILE_WIDTH)?;
        let width = hashes.checked_sub(below)?.min(TILE_WIDTH);
        Self::new(kind, index, u16::try_from(width).ok()?).ok()
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => write!(f, "tile/entries/")?,
        }
        let (mut groups, mut rest) = (vec![self.index % 1000], self.index / 1000);
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        let last = groups.len() - 1;
        for (place, group) in groups.iter().rev().enumerate() {
            if place < last {
                write!(f, "x{group:03}/")?;
            } else {
                write!(f, "{group:03}")?;
            }
        }
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = MerkleError;

    fn from_str(text: &str) -> Result<Self, MerkleError> {
        Self::parse(text.as_bytes())
    }
}

/// The hash tiles that a tree of `new` leaves has and one of `old` leaves has not (partial tiles are new when
/// they grew), level by level upwards. `tiles_between(0, size)` is every tile of a tree.
pub fn tiles_between(old: u64, new: u64) -> impl Iterator<Item = TilePath> {
    (0..u64::BITS.div_ceil(u32::from(TILE_HEIGHT)))
        .filter_map(|level| u8::try_from(level).ok())
        .flat_map(move |level| paths_between(TileKind::Hashes { level }, old, new))
}

/// The entry bundles that a log of `new` entries has and one of `old` entries has not.
pub fn bundles_between(old: u64, new: u64) -> impl Iterator<Item = TilePath> {
    paths_between(TileKind::Entries, old, new)
}

fn paths_between(kind: TileKind, old: u64, new: u64) -> impl Iterator<Item = TilePath> {
    let (before, after) = (width_of_level(kind, old), width_of_level(kind, new));
    let first = before / TILE_WIDTH;
    let end = if after > before { after.div_ceil(TILE_WIDTH) } else { first };
    (first..end).filter_map(move |index| TilePath::in_tree(kind, index, new))
}

/// How many hashes or entries the kind has in all in a tree of `size` leaves.
const fn width_of_level(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes { level } => match size.checked_shr(level as u32 * TILE_HEIGHT as u32) {
            Some(hashes) => hashes,
            None => 0,
        },
    }
}

/// `x001/x234/067` to 1234067; minimal groups only.
fn parse_index(text: &str) -> Option<u64> {
    let (mut groups, mut index) = (text.split('/').peekable(), 0_u64);
    let several = text.contains('/');
    let mut first = true;
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if first && several && digits == "000" {
            return None;
        }
        first = false;
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}
