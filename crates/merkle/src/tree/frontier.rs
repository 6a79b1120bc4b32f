//! The right edge of a growing tree (a compact range from leaf 0).

use super::{Hash, MAX_SIZE, ProofError, empty_root, node_hash};

/// The roots of the full subtrees that make up a tree, largest (leftmost) first.
///
/// INVARIANT: there is one peak for each set bit of the size, from the highest bit down; so an append costs
/// one hash on average and the root at most 62.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The right edge of the empty tree.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The right edge of a tree of `size` leaves whose peaks are given largest first.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, ProofError> {
        if size > MAX_SIZE {
            return Err(ProofError::SizeTooLarge { size });
        }
        let expected = peak_count(size);
        if peaks.len() != expected {
            return Err(ProofError::WrongPeaks { size, expected, found: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// Appends a leaf and returns its index.
    pub fn push(&mut self, leaf: Hash) -> u64 {
        self.push_with(leaf, |_, _, _| {})
    }

    /// Appends a leaf and returns its index; `completed(level, index, hash)` is called for each node that is
    /// now final, the leaf itself (level 0) first. These are exactly the nodes a [`super::HashReader`] serves.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, &Hash)) -> u64 {
        let index = self.size;
        let (mut level, mut hash) = (0_u8, leaf);
        completed(level, index, &hash);
        while (index >> level) & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(&left, &hash);
            level += 1;
            completed(level, index >> level, &hash);
        }
        self.peaks.push(hash);
        self.size = index.saturating_add(1);
        index
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root.
    pub fn root(&self) -> Hash {
        fold(&self.peaks)
    }

    /// The roots of the full subtrees, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

/// The root over peaks given largest first; the empty tree's root for none.
pub(super) fn fold(peaks: &[Hash]) -> Hash {
    peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

const fn peak_count(size: u64) -> usize {
    size.count_ones() as usize
}
