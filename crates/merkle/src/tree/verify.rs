//! Verifying proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2), with the exact length checked first.

use super::{Hash, MAX_SIZE, ProofError, node_hash};

/// Checks that the leaf with hash `leaf` is number `index` in the tree of `size` leaves with root `root`.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_size(size)?;
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    check_length(proof, inclusion_length(index, size))?;
    let (mut position, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            // A node without a right sibling moves up unhashed until it is a right child.
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if hash == *root { Ok(()) } else { Err(ProofError::RootMismatch { expected: *root, computed: hash }) }
}

/// Checks that the tree of `old_size` leaves with root `old_root` is a prefix of the tree of `new_size` leaves
/// with root `new_root`.
///
/// An `old_size` of 0 is refused ([`ProofError::EmptyOldTree`]): such a proof says nothing, and who relies on
/// it has no state to compare with. Equal sizes need an empty proof and equal roots.
pub fn verify_consistency(
    old_size: u64,
    new_size: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    check_size(new_size)?;
    if old_size > new_size {
        return Err(ProofError::SizesReversed { old: old_size, new: new_size });
    }
    if old_size == 0 {
        return Err(ProofError::EmptyOldTree);
    }
    check_length(proof, consistency_length(old_size, new_size))?;
    if old_size == new_size {
        return compare_new(new_root, old_root);
    }
    let (mut position, mut last) = (old_size - 1, new_size - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    // Where the old tree is one full subtree, its root is where the proof starts.
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !old_size.is_power_of_two() => (*first, rest),
        _ => (*old_root, proof),
    };
    let (mut old_hash, mut new_hash) = (seed, seed);
    for sibling in rest {
        if position & 1 == 1 || position == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if old_hash != *old_root {
        return Err(ProofError::OldRootMismatch { expected: *old_root, computed: old_hash });
    }
    compare_new(new_root, &new_hash)
}

fn compare_new(expected: &Hash, computed: &Hash) -> Result<(), ProofError> {
    if expected == computed {
        Ok(())
    } else {
        Err(ProofError::RootMismatch { expected: *expected, computed: *computed })
    }
}

const fn check_size(size: u64) -> Result<(), ProofError> {
    if size > MAX_SIZE { Err(ProofError::SizeTooLarge { size }) } else { Ok(()) }
}

const fn check_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    if proof.len() == expected {
        Ok(())
    } else {
        Err(ProofError::WrongLength { expected, found: proof.len() })
    }
}

/// How many hashes the inclusion proof of `index` in a tree of `size` has, for `index` below `size`.
///
/// Below the level where the leaf's way and the right edge part, each level gives one sibling; above it, only
/// the levels where the leaf's way is a right child.
const fn inclusion_length(index: u64, size: u64) -> usize {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    (inner + right_turns(index, inner)) as usize
}

/// How many hashes the consistency proof has, for `0 < old <= new`.
const fn consistency_length(old: u64, new: u64) -> usize {
    if old == new {
        return 0;
    }
    let shift = old.trailing_zeros();
    let position = old - 1;
    let inner = u64::BITS - (position ^ (new - 1)).leading_zeros();
    let siblings = inner - shift + right_turns(position, inner);
    (if old.is_power_of_two() { siblings } else { siblings + 1 }) as usize
}

const fn right_turns(index: u64, inner: u32) -> u32 {
    match index.checked_shr(inner) {
        Some(rest) => rest.count_ones(),
        None => 0,
    }
}
