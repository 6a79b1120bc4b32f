//! The hash of the trees: BLAKE3, keyed for each use with a key made from the rule's digest.
//!
//! A hash under one rule, or for one purpose, therefore never equals one under another rule or for another purpose.
//! The tree over a list has the shape of RFC 6962, section 2.1: split at the largest power of two below the length.

use std::fmt;
use std::str::FromStr;

use statement::Digest;

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 32;

/// A hash: a leaf's, a node's or the root of a seal. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark([u8; HASH_BYTES]);

impl Mark {
    /// The hash with these bytes.
    pub const fn new(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({self})")
    }
}

impl FromStr for Mark {
    type Err = statement::DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Digest>().map(|digest| Self(*digest.as_bytes()))
    }
}

/// What is hashed under which key.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    payload: [u8; 32],
    leaf: [u8; 32],
    block_node: [u8; 32],
    tensor: [u8; 32],
    tensor_node: [u8; 32],
    root: [u8; 32],
}

impl Keys {
    /// The keys of a rule.
    pub(crate) fn of(rule: &Digest) -> Self {
        let key = |context: &str| blake3::derive_key(context, rule.as_bytes());
        Self {
            payload: key("countersign seal v1: payload of a block"),
            leaf: key("countersign seal v1: block"),
            block_node: key("countersign seal v1: node over blocks"),
            tensor: key("countersign seal v1: tensor"),
            tensor_node: key("countersign seal v1: node over tensors"),
            root: key("countersign seal v1: root"),
        }
    }

    pub(crate) fn payload(&self, bytes: &[u8]) -> Mark {
        Mark(*blake3::keyed_hash(&self.payload, bytes).as_bytes())
    }

    /// A block: how it is coded, its place in the tensor, how many elements it holds, and its payload's hash.
    pub(crate) fn leaf(&self, tag: u8, block: u64, elements: u64, payload: &Mark) -> Mark {
        let mut hasher = blake3::Hasher::new_keyed(&self.leaf);
        hasher.update(&[tag]);
        hasher.update(&block.to_le_bytes());
        hasher.update(&elements.to_le_bytes());
        hasher.update(payload.as_bytes());
        Mark(*hasher.finalize().as_bytes())
    }

    /// A tensor: its name, its shape, and the tree over its blocks.
    pub(crate) fn tensor(&self, name: &str, shape: &[u64], blocks: u64, tree: &Mark) -> Mark {
        let mut hasher = blake3::Hasher::new_keyed(&self.tensor);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(shape.len() as u64).to_le_bytes());
        for dimension in shape {
            hasher.update(&dimension.to_le_bytes());
        }
        hasher.update(&blocks.to_le_bytes());
        hasher.update(tree.as_bytes());
        Mark(*hasher.finalize().as_bytes())
    }

    /// The root: how many tensors, and the tree over them.
    pub(crate) fn root(&self, tensors: u64, tree: &Mark) -> Mark {
        let mut hasher = blake3::Hasher::new_keyed(&self.root);
        hasher.update(&tensors.to_le_bytes());
        hasher.update(tree.as_bytes());
        Mark(*hasher.finalize().as_bytes())
    }

    /// The tree over a tensor's blocks.
    pub(crate) const fn over_blocks(&self) -> Tree<'_> {
        Tree(&self.block_node)
    }

    /// The tree over a model's tensors.
    pub(crate) const fn over_tensors(&self) -> Tree<'_> {
        Tree(&self.tensor_node)
    }
}

/// The tree over a list of hashes, with one key for its nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'k>(&'k [u8; 32]);

impl Tree<'_> {
    fn node(self, left: &Mark, right: &Mark) -> Mark {
        let mut both = [0; 2 * HASH_BYTES];
        let (first, second) = both.split_at_mut(HASH_BYTES);
        first.copy_from_slice(&left.0);
        second.copy_from_slice(&right.0);
        Mark(*blake3::keyed_hash(self.0, &both).as_bytes())
    }

    /// The root over the leaves; over none, the hash of nothing.
    pub(crate) fn root(self, leaves: &[Mark]) -> Mark {
        match leaves {
            [] => Mark(*blake3::keyed_hash(self.0, &[]).as_bytes()),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                self.node(&self.root(left), &self.root(right))
            }
        }
    }

    /// The hashes beside the way from a leaf to the root, from the leaf on; none for an index past the end.
    pub(crate) fn path(self, leaves: &[Mark], index: usize) -> Option<Vec<Mark>> {
        if index >= leaves.len() {
            return None;
        }
        let mut path = Vec::new();
        let (mut leaves, mut index) = (leaves, index);
        while leaves.len() > 1 {
            let at = split(leaves.len());
            let (left, right) = leaves.split_at(at);
            if index < at {
                path.push(self.root(right));
                leaves = left;
            } else {
                path.push(self.root(left));
                leaves = right;
                index -= at;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The root that a leaf at `index` of `length` has with this path; none where the path does not fit the place.
    pub(crate) fn climb(self, leaf: Mark, index: u64, length: u64, path: &[Mark]) -> Option<Mark> {
        if index >= length {
            return None;
        }
        // Which side each ancestor stands on, from the root down.
        let mut sides = Vec::new();
        let (mut index, mut length) = (index, length);
        while length > 1 {
            // The largest power of two below the length.
            let at = 1 << (length - 1).ilog2();
            sides.push(index < at);
            if index < at {
                length = at;
            } else {
                length -= at;
                index -= at;
            }
        }
        if sides.len() != path.len() {
            return None;
        }
        let up = sides.iter().rev().zip(path);
        Some(up.fold(
            leaf,
            |below, (is_left, beside)| {
                if *is_left { self.node(&below, beside) } else { self.node(beside, &below) }
            },
        ))
    }
}

/// The largest power of two below `length`, which is at least two.
const fn split(length: usize) -> usize {
    1 << (length - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(count: u8) -> Vec<Mark> {
        (0..count).map(|byte| Mark([byte; 32])).collect()
    }

    #[test]
    fn every_path_of_every_small_tree_leads_to_its_root_and_nowhere_else() {
        let keys = Keys::of(&Digest::of(b"rule"));
        let tree = keys.over_blocks();
        for count in 1..=33_u8 {
            let leaves = marks(count);
            let root = tree.root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = tree.path(&leaves, index).unwrap();
                let at = index as u64;
                let length = u64::from(count);
                assert_eq!(tree.climb(*leaf, at, length, &path), Some(root));
                for other in 0..length {
                    if other != at {
                        assert_ne!(
                            tree.climb(*leaf, other, length, &path),
                            Some(root),
                            "{count} {index} {other}"
                        );
                    }
                }
                let mut longer = path.clone();
                longer.push(*leaf);
                assert_eq!(tree.climb(*leaf, at, length, &longer), None);
                for place in 0..path.len() {
                    let mut tampered = path.clone();
                    tampered[place].0[0] ^= 1;
                    assert_ne!(tree.climb(*leaf, at, length, &tampered), Some(root));
                }
            }
            assert_eq!(tree.path(&leaves, usize::from(count)), None);
            assert_eq!(tree.climb(leaves[0], u64::from(count), u64::from(count), &[]), None);
        }
    }

    #[test]
    fn the_same_list_has_another_root_under_another_key() {
        let keys = Keys::of(&Digest::of(b"rule"));
        let other = Keys::of(&Digest::of(b"other rule"));
        let leaves = marks(5);
        assert_ne!(keys.over_blocks().root(&leaves), keys.over_tensors().root(&leaves));
        assert_ne!(keys.over_blocks().root(&leaves), other.over_blocks().root(&leaves));
        assert_ne!(keys.over_blocks().root(&[]), other.over_blocks().root(&[]));
        assert_ne!(keys.payload(b"x"), other.payload(b"x"));
    }
}
