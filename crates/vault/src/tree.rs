//! The BLAKE3 tree over groups of 256 KiB: parallel hashing, and checking a part without reading the rest.
//!
//! A *group* is 256 KiB of content (the last may be shorter); its chaining value is BLAKE3's own for that subtree,
//! so the root is the ordinary BLAKE3 hash of the content (BLAKE3 paper, section 2.1). The stored *outboard* holds
//! the chaining values level by level from the groups upwards, without the root. Content of a single group has
//! none: its root is its hash.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of content under one leaf of the tree.
pub(crate) const GROUP: usize = 256 * 1024;
/// Bytes of a chaining value.
pub(crate) const NODE: usize = 32;

/// A BLAKE3 chaining value.
pub(crate) type Node = [u8; NODE];

/// The BLAKE3 hash of an artefact's content (32 bytes), shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blake3Root([u8; NODE]);

impl Blake3Root {
    /// Wraps 32 bytes known to be a BLAKE3 hash.
    pub const fn from_bytes(bytes: [u8; NODE]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; NODE] {
        &self.0
    }
}

impl fmt::Display for Blake3Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Blake3Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blake3Root({self})")
    }
}

/// The chaining value of group `index`. `group` is not empty and is at most [`GROUP`] bytes.
pub(crate) fn group_node(index: u64, group: &[u8]) -> Node {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(index * GROUP as u64);
    hasher.update(group);
    hasher.finalize_non_root()
}

/// The root of content that fits one group.
pub(crate) fn small_root(content: &[u8]) -> Blake3Root {
    Blake3Root(*blake3::hash(content).as_bytes())
}

/// The outboard and the root over `leaves`, of which there are at least two; `None` otherwise.
pub(crate) fn build(leaves: Vec<Node>) -> Option<(Vec<u8>, Blake3Root)> {
    let mut outboard = Vec::with_capacity(2 * NODE * leaves.len());
    let mut level = leaves;
    loop {
        outboard.extend(level.iter().flatten());
        match level.as_slice() {
            [] | [_] => return None,
            [left, right] => {
                let root = merge_subtrees_root(left, right, Mode::Hash);
                return Some((outboard, Blake3Root(*root.as_bytes())));
            }
            _ => level = parents(&level),
        }
    }
}

fn parents(level: &[Node]) -> Vec<Node> {
    level
        .chunks(2)
        .filter_map(|pair| match pair {
            [left, right] => Some(merge_subtrees_non_root(left, right, Mode::Hash)),
            [odd] => Some(*odd),
            _ => None,
        })
        .collect()
}

/// How many nodes each level of a tree has, and where they lie in the outboard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    groups: u64,
}

impl Shape {
    /// The tree over content of `length` bytes.
    pub(crate) const fn of(length: u64) -> Self {
        Self { groups: length.div_ceil(GROUP as u64) }
    }

    /// Groups of content.
    pub(crate) const fn groups(self) -> u64 {
        self.groups
    }

    /// Bytes of the outboard; 0 for content of one group or none.
    pub(crate) fn outboard_len(self) -> u64 {
        self.levels().map(|(_, count)| count * NODE as u64).sum()
    }

    /// First node's number in the outboard and the count of nodes, per level from the groups upwards.
    fn levels(self) -> impl Iterator<Item = (u64, u64)> {
        let mut start = 0;
        let mut count = self.groups;
        std::iter::from_fn(move || {
            (count >= 2).then(|| {
                let level = (start, count);
                start += count;
                count = count.div_ceil(2);
                level
            })
        })
    }

    /// The numbers (in the outboard) of the nodes with which `groups` can be checked against the root.
    pub(crate) fn needed(self, groups: &Range<u64>) -> Vec<u64> {
        let Some(mut last) = groups.end.checked_sub(1).filter(|last| *last >= groups.start) else {
            return Vec::new();
        };
        let mut first = groups.start;
        let mut needed: Vec<u64> = groups.clone().collect();
        for (start, count) in self.levels() {
            if first % 2 == 1 {
                needed.push(start + first - 1);
            }
            if last.is_multiple_of(2) && last + 1 < count {
                needed.push(start + last + 1);
            }
            first /= 2;
            last /= 2;
        }
        needed
    }

    /// Whether `nodes` (by number in the outboard) carry the leaves of `groups` up to `root`.
    pub(crate) fn check(self, groups: &Range<u64>, nodes: &BTreeMap<u64, Node>, root: &Blake3Root) -> bool {
        self.climb(groups, nodes).is_some_and(|found| found == *root)
    }

    fn climb(self, groups: &Range<u64>, nodes: &BTreeMap<u64, Node>) -> Option<Blake3Root> {
        let mut first = groups.start;
        let mut run: Vec<Node> =
            groups.clone().map(|group| nodes.get(&group).copied()).collect::<Option<_>>()?;
        if run.is_empty() {
            return None;
        }
        for (start, count) in self.levels() {
            let last = first + run.len() as u64 - 1;
            if last >= count {
                return None;
            }
            if last.is_multiple_of(2) && last + 1 < count {
                run.push(*nodes.get(&(start + last + 1))?);
            }
            if first % 2 == 1 {
                run.insert(0, *nodes.get(&(start + first - 1))?);
            }
            if let ([left, right], 2) = (run.as_slice(), count) {
                return Some(Blake3Root(*merge_subtrees_root(left, right, Mode::Hash).as_bytes()));
            }
            first /= 2;
            run = parents(&run);
        }
        None
    }
}

#[cfg(test)]
mod tests;
