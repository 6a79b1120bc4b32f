//! RFC 6962 Merkle trees over SHA-256: hashing, the right edge, proofs and their verification.
//!
//! Sizes and indices are `u64` throughout and no function panics on any of them. A tree here holds at most
//! [`MAX_SIZE`] leaves, as in the Go checksum database, so that sums of two sizes never overflow.

mod frontier;
mod prove;
#[cfg(test)]
pub(crate) mod tests;
mod verify;

pub use frontier::Frontier;
pub use prove::{HashReader, ProveError, consistency_proof, frontier_at, inclusion_proof, root_at};
pub use verify::{verify_consistency, verify_inclusion};

/// A node of the tree: a SHA-256 digest.
pub type Hash = statement::Digest;

/// The largest number of leaves that a tree may hold (2^63 - 1).
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The longest inclusion or consistency proof that any tree of at most [`MAX_SIZE`] leaves has, in hashes.
///
/// C2SP tlog-witness sets the same bound on the lines of a consistency proof.
pub const MAX_PROOF: usize = 63;

/// The hash of a leaf: `SHA-256(0x00 || data)` (RFC 6962, section 2.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash::of_parts(&[&[0], data])
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 6962, section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1_u8; 65];
    if let Some((first, second)) = input.get_mut(1..).and_then(|rest| rest.split_at_mut_checked(32)) {
        first.copy_from_slice(left.as_bytes());
        second.copy_from_slice(right.as_bytes());
    }
    Hash::of(&input)
}

/// The root of the tree without leaves: SHA-256 of the empty string (RFC 6962, section 2.1).
pub fn empty_root() -> Hash {
    Hash::of(&[])
}

/// The root of the tree with these leaf hashes, in order.
pub fn root(leaf_hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for hash in leaf_hashes {
        frontier.push(*hash);
    }
    frontier.root()
}

/// Why a proof does not hold, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not in the tree.
    #[error("index `{index}` is not in a tree of size `{size}`")]
    IndexOutOfRange {
        /// The leaf asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The old size is above the new one.
    #[error("old size `{old}` is above new size `{new}`")]
    SizesReversed {
        /// The size of the earlier tree.
        old: u64,
        /// The size of the later tree.
        new: u64,
    },
    /// A tree of more than [`MAX_SIZE`] leaves.
    #[error("tree size `{size}` is above the limit `{}`", MAX_SIZE)]
    SizeTooLarge {
        /// The size claimed.
        size: u64,
    },
    /// A consistency proof from the empty tree proves nothing (every tree is consistent with it).
    #[error("a consistency proof from the empty tree proves nothing")]
    EmptyOldTree,
    /// The proof has the wrong number of hashes for the sizes.
    #[error("proof of `{found}` hashes where `{expected}` are needed")]
    WrongLength {
        /// How many hashes the sizes call for.
        expected: usize,
        /// How many the proof has.
        found: usize,
    },
    /// The proof leads to another root than the (new) root given.
    #[error("proof leads to root `{computed}`, not `{expected}`")]
    RootMismatch {
        /// The root given.
        expected: Hash,
        /// The root that the proof leads to.
        computed: Hash,
    },
    /// The consistency proof leads to another old root than the one given.
    #[error("proof leads to old root `{computed}`, not `{expected}`")]
    OldRootMismatch {
        /// The old root given.
        expected: Hash,
        /// The old root that the proof leads to.
        computed: Hash,
    },
    /// The peaks given do not match the size.
    #[error("`{found}` peaks where a tree of size `{size}` has `{expected}`")]
    WrongPeaks {
        /// The tree's size.
        size: u64,
        /// How many peaks a tree of this size has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
}

impl ProofError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IndexOutOfRange { .. } => "CS-MRK-001",
            Self::SizesReversed { .. } => "CS-MRK-002",
            Self::SizeTooLarge { .. } => "CS-MRK-003",
            Self::EmptyOldTree => "CS-MRK-004",
            Self::WrongLength { .. } => "CS-MRK-005",
            Self::RootMismatch { .. } => "CS-MRK-006",
            Self::OldRootMismatch { .. } => "CS-MRK-007",
            Self::WrongPeaks { .. } => "CS-MRK-008",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::IndexOutOfRange { .. } => "use a checkpoint that is larger than the index",
            Self::SizesReversed { .. } => "give the smaller checkpoint first",
            Self::SizeTooLarge { .. } => {
                "the size is no real log's; get the checkpoint again from its source"
            }
            Self::EmptyOldTree => "compare with a checkpoint that has at least one leaf",
            Self::WrongLength { .. } => "get a proof made for exactly these tree sizes",
            Self::RootMismatch { .. } | Self::OldRootMismatch { .. } => {
                "keep the proof and both checkpoints: either the proof is damaged or the log has forked"
            }
            Self::WrongPeaks { .. } => "rebuild the right edge from the leaf hashes",
        }
    }
}
