//! C2SP tlog-tiles: the tree and its entries as a finite set of immutable files.
//!
//! A tile is 256 hashes wide (8 levels high). This crate names, reads and writes tiles; fetching them is a
//! closure of the caller's.

mod bundle;
mod path;
mod reader;
#[cfg(test)]
mod tests;

pub use bundle::{MAX_ENTRY, decode_bundle, encode_bundle};
pub use path::{TileKind, TilePath, bundles_between, tiles_between};
pub use reader::{TileReadError, TileReader};

use crate::error::MerkleError;
use crate::tree::Hash;

/// How many hashes or entries a full tile or bundle has.
pub const TILE_WIDTH: u64 = 256;
/// How many levels of the tree a tile spans.
pub const TILE_HEIGHT: u8 = 8;

/// The bytes of a hash tile: the hashes end to end.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The hashes of the tile at `path`, whose width must be that of the path exactly.
pub fn decode_tile(path: &TilePath, bytes: &[u8]) -> Result<Vec<Hash>, MerkleError> {
    let expected = usize::from(path.width()) * 32;
    let (chunks, rest) = bytes.as_chunks::<32>();
    if bytes.len() != expected || !rest.is_empty() {
        return Err(MerkleError::TileLength { path: path.to_string(), expected, found: bytes.len() });
    }
    Ok(chunks.iter().map(|chunk| Hash::from_bytes(*chunk)).collect())
}
