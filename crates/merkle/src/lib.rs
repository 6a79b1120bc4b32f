//! RFC 6962 trees, tiles, proofs, checkpoints and cosignatures, from bytes.
//!
//! Every parser takes `&[u8]`, is bounded, and never panics. What this crate does not do: read a file, a
//! socket, a clock or the environment, draw a random number, or keep a log. The log on disk is `translog`.

pub mod checkpoint;
pub mod cosignature;
mod encoding;
mod error;
pub mod fork;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;

pub use checkpoint::{Checkpoint, SignedCheckpoint, VerifiedCheckpoint};
pub use cosignature::{Cosigned, Cosigner, Ed25519Cosigner, MlDsa44Cosigner, WitnessPolicy, WitnessSeen};
pub use error::{MerkleError, SignerFailure};
pub use fork::{SplitCause, SplitView};
pub use note::{Ed25519NoteSigner, KeyId, KeyKind, NoteSignature, NoteSigner, SignedNote, VerifierKey};
pub use proof::{Included, LogProof};
pub use tile::{TileKind, TilePath, TileReader};

pub use tree::{
    Frontier, Hash, HashReader, ProofError, ProveError, consistency_proof, empty_root, frontier_at,
    inclusion_proof, leaf_hash, node_hash, root, root_at, verify_consistency, verify_inclusion,
};
pub use witness::{AddCheckpoint, WatchedLog, WitnessRefusal, WitnessState, decide};
