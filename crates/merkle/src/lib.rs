//! RFC 6962 trees, tiles, proofs, checkpoints and cosignatures, from bytes.
//!
//! Every parser takes `&[u8]`, is bounded, and never panics. What this crate does not do: read a file, a
//! socket, a clock or the environment, draw a random number, or keep a log. The log on disk is `translog`.

pub mod tree;

pub use tree::{
    Frontier, Hash, HashReader, ProofError, ProveError, consistency_proof, empty_root, inclusion_proof,
    leaf_hash, node_hash, root, root_at, verify_consistency, verify_inclusion,
};
