//! The log's signed heads on disk, and whether the write-ahead log can be what they speak of.

use merkle::note::MAX_NOTE;
use merkle::{Checkpoint, Hash, SignedCheckpoint, VerifierKey};

use crate::error::{HeadConflict, Location, LogError};
use crate::storage::{Storage, read_file};

/// The directory that is served: exactly the C2SP tlog-tiles layout.
pub(crate) const TILES_DIR: &str = "tiles";
/// The published checkpoint.
pub(crate) const CHECKPOINT: &str = "tiles/checkpoint";
/// The latest checkpoint that a witness cosigned.
pub(crate) const COSIGNED: &str = "cosigned";

/// The head stored at `path`, if there is one; it must bear the log's signature.
pub(crate) fn read_head(
    storage: &dyn Storage,
    path: &str,
    origin: &str,
    keys: &[VerifierKey],
) -> Result<Option<SignedCheckpoint>, LogError> {
    let Some(bytes) = read_file(storage, path, MAX_NOTE as u64).map_err(LogError::io("read", path))? else {
        return Ok(None);
    };
    let bad = |error: merkle::MerkleError| LogError::BadCheckpoint {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let verified =
        SignedCheckpoint::parse(&bytes).and_then(|signed| signed.open(origin, keys)).map_err(bad)?;
    Ok(Some(verified.signed().clone()))
}

/// What the write-ahead log was found to hold.
pub(crate) struct Found<'a> {
    pub(crate) origin: &'a str,
    pub(crate) size: u64,
    /// The root at the end.
    pub(crate) root: Hash,
    /// The root at a size up to that.
    pub(crate) root_at: &'a dyn Fn(u64) -> Result<Hash, LogError>,
    pub(crate) torn: Option<&'a Location>,
}

/// [`LogError::RolledBack`] or [`LogError::Forked`], with both heads, where the head read from `path` is not one
/// of the log found.
pub(crate) fn compare_head(path: &str, head: &SignedCheckpoint, found: &Found<'_>) -> Result<(), LogError> {
    let claims = head.claims();
    let conflict = |size, root| {
        let recovered = Checkpoint::new(found.origin, size, root)
            .map_or_else(|error| error.to_string(), |checkpoint| checkpoint.to_text());
        Box::new(HeadConflict {
            path: path.to_owned(),
            published: String::from_utf8_lossy(&head.to_bytes()).into_owned(),
            recovered,
            cut: found.torn.cloned(),
        })
    };
    if claims.size() > found.size {
        return Err(LogError::RolledBack(conflict(found.size, found.root)));
    }
    let root = (found.root_at)(claims.size())?;
    if root != *claims.root() {
        return Err(LogError::Forked(conflict(claims.size(), root)));
    }
    Ok(())
}
