//! A tree read from its tiles, so that an outsider computes roots and proofs from static files.

use std::fmt;

use super::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath, decode_tile};
use crate::error::MerkleError;
use crate::tree::{Hash, HashReader, root};

/// The tree of `size` leaves, read through `fetch`, which returns a tile's bytes.
///
/// Tiles are not believed: what is computed from them is to be checked against a signed root
/// ([`crate::tree::verify_inclusion`], or [`crate::tree::root_at`] compared with the checkpoint). Each node
/// read is one call of `fetch`; a caller with slow tiles keeps those it has read. The path asked for is the
/// one for exactly this size; where a log has deleted a partial tile, `fetch` may cut [`TilePath::full`] to
/// the width asked for.
pub struct TileReader<F> {
    size: u64,
    fetch: F,
}

/// Why a node could not be read from tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileReadError<E: std::error::Error + 'static> {
    /// The tile could not be fetched.
    #[error("tile `{path}` could not be read")]
    Fetch {
        /// The tile's path.
        path: TilePath,
        /// Why.
        #[source]
        source: E,
    },
    /// The tile is malformed, or the node is not in the tree.
    #[error("the tiles do not give this node")]
    Malformed(#[source] MerkleError),
}

impl<E: std::error::Error + 'static> TileReadError<E> {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "CS-MRK-015",
            Self::Malformed(cause) => cause.code(),
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "check that the log's files are complete (`countersign log fsck`)",
            Self::Malformed(cause) => cause.hint(),
        }
    }
}

impl<F> TileReader<F> {
    /// A tree of `size` leaves whose tiles `fetch` returns.
    pub const fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch }
    }

    /// The tree's size.
    pub const fn size(&self) -> u64 {
        self.size
    }
}

impl<F, E> HashReader for TileReader<F>
where
    F: Fn(TilePath) -> Result<Vec<u8>, E>,
    E: std::error::Error + 'static,
{
    type Error = TileReadError<E>;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let absent = || TileReadError::Malformed(MerkleError::NoSuchNode { level, index, size: self.size });
        let whole_subtrees = self.size.checked_shr(u32::from(level)).ok_or_else(absent)?;
        if index >= whole_subtrees {
            return Err(absent());
        }
        let height = level % TILE_HEIGHT;
        // The shift cannot overflow: the node's leaves are within the tree.
        let (first, count) = (index << height, 1_usize << height);
        let kind = TileKind::Hashes { level: level / TILE_HEIGHT };
        let path = TilePath::in_tree(kind, first / TILE_WIDTH, self.size).ok_or_else(absent)?;
        let bytes = (self.fetch)(path).map_err(|source| TileReadError::Fetch { path, source })?;
        let hashes = decode_tile(&path, &bytes).map_err(TileReadError::Malformed)?;
        let start = usize::try_from(first % TILE_WIDTH).map_err(|_| absent())?;
        let below = start.checked_add(count).and_then(|end| hashes.get(start..end)).ok_or_else(absent)?;
        Ok(root(below))
    }
}

impl<F> fmt::Debug for TileReader<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TileReader").field("size", &self.size).finish_non_exhaustive()
    }
}
