//! The tree against a naive one, written straight from RFC 6962.

use super::*;

/// RFC 6962's recursion, word for word.
pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&(i as u64).to_be_bytes())).collect()
}

/// Nodes computed from leaf hashes on every read.
pub(crate) struct Naive<'a>(pub(crate) &'a [Hash]);

impl HashReader for Naive<'_> {
    type Error = std::convert::Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let (start, width) = (usize::try_from(index << level).unwrap(), 1_usize << level);
        Ok(naive_root(&self.0[start..start + width]))
    }
}

#[test]
fn every_proof_of_small_trees_verifies() {
    let leaves = leaves(40);
    for size in 1..=leaves.len() {
        let root = naive_root(&leaves[..size]);
        assert_eq!(root_at(&Naive(&leaves), size as u64).unwrap(), root);
        for index in 0..size {
            let proof = inclusion_proof(&Naive(&leaves), index as u64, size as u64).unwrap();
            verify_inclusion(index as u64, size as u64, &leaves[index], &proof, &root).unwrap();
        }
        for old in 1..=size {
            let proof = consistency_proof(&Naive(&leaves), old as u64, size as u64).unwrap();
            verify_consistency(old as u64, size as u64, &proof, &naive_root(&leaves[..old]), &root).unwrap();
        }
    }
}

#[test]
fn the_frontier_keeps_the_root_and_names_every_finished_node() {
    let leaves = leaves(300);
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), empty_root());
    for (i, leaf) in leaves.iter().enumerate() {
        let index = frontier.push_with(*leaf, |level, index, hash| {
            assert_eq!(Naive(&leaves).node(level, index).unwrap(), *hash);
        });
        assert_eq!(index, i as u64);
        assert_eq!(frontier.root(), naive_root(&leaves[..=i]));
        let again = Frontier::from_parts(frontier.size(), frontier.peaks().to_vec()).unwrap();
        assert_eq!(again, frontier);
    }
}
