//! The tree against a naive one, written straight from RFC 6962.

use proptest::prelude::*;
use proptest::sample::Index;

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
        assert_eq!(frontier_at(&Naive(&leaves), frontier.size()).unwrap(), frontier);
    }
}

#[test]
fn the_published_roots_of_rfc_6962_s_implementations_hold() {
    // The reference leaves of the Certificate Transparency code, and the roots of their trees of size 0 to 8.
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let leaves: Vec<_> = inputs.iter().map(|input| leaf_hash(input)).collect();
    for (size, expected) in [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ] {
        assert_eq!(root(&leaves[..size]).to_string(), expected);
    }
}

#[track_caller]
fn refused(outcome: Result<(), ProofError>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn sizes_and_indices_at_the_edges_are_refused_not_panicked_on() {
    let hash = leaf_hash(b"");
    refused(verify_inclusion(0, 0, &hash, &[], &hash), "CS-MRK-001");
    refused(verify_inclusion(5, 5, &hash, &[], &hash), "CS-MRK-001");
    refused(verify_inclusion(u64::MAX, u64::MAX, &hash, &[], &hash), "CS-MRK-003");
    refused(verify_inclusion(0, MAX_SIZE, &hash, &[hash; 62], &hash), "CS-MRK-005");
    refused(verify_inclusion(0, MAX_SIZE, &hash, &[hash; MAX_PROOF], &hash), "CS-MRK-006");
    refused(verify_consistency(0, 0, &[], &hash, &hash), "CS-MRK-004");
    refused(verify_consistency(2, 1, &[], &hash, &hash), "CS-MRK-002");
    refused(verify_consistency(1, u64::MAX, &[], &hash, &hash), "CS-MRK-003");
    refused(verify_consistency(3, 3, &[hash], &hash, &hash), "CS-MRK-005");
    refused(verify_consistency(3, 3, &[], &hash, &leaf_hash(b"x")), "CS-MRK-006");
    refused(verify_consistency(MAX_SIZE - 1, MAX_SIZE, &[hash; MAX_PROOF], &hash, &hash), "CS-MRK-007");
    verify_consistency(3, 3, &[], &hash, &hash).unwrap();
    assert_eq!(Frontier::from_parts(3, vec![hash]).unwrap_err().code(), "CS-MRK-008");
    assert_eq!(Frontier::from_parts(u64::MAX, vec![hash; 64]).unwrap_err().code(), "CS-MRK-003");
    let few = leaves(4);
    assert_eq!(inclusion_proof(&Naive(&few), 4, 4).unwrap_err().code(), "CS-MRK-001");
    assert_eq!(consistency_proof(&Naive(&few), 5, 4).unwrap_err().code(), "CS-MRK-002");
    assert_eq!(root_at(&Naive(&few), u64::MAX).unwrap_err().code(), "CS-MRK-003");
    assert!(consistency_proof(&Naive(&few), 0, 4).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn proofs_agree_with_the_naive_tree(size in 1_usize..=600, a in any::<Index>(), b in any::<Index>(), bit in 0_usize..256) {
        let leaves = leaves(size);
        let reader = Naive(&leaves);
        let (count, root) = (size as u64, naive_root(&leaves));
        prop_assert_eq!(super::root(&leaves), root);
        prop_assert_eq!(root_at(&reader, count).unwrap(), root);

        let index = a.index(size);
        let (leaf, proof) = (leaves[index], inclusion_proof(&reader, index as u64, count).unwrap());
        verify_inclusion(index as u64, count, &leaf, &proof, &root).unwrap();
        prop_assert!(verify_inclusion(index as u64, count, &flip(&leaf, bit), &proof, &root).is_err());
        prop_assert!(verify_inclusion(index as u64, count, &leaf, &proof, &flip(&root, bit)).is_err());
        prop_assert!(size == 1 || verify_inclusion(b.index(size) as u64, count, &leaf, &proof, &root).is_ok() == (b.index(size) == index));
        for twin in damaged(&proof, bit) {
            prop_assert!(verify_inclusion(index as u64, count, &leaf, &twin, &root).is_err());
        }

        let old = b.index(size) + 1;
        let (old_root, proof) = (naive_root(&leaves[..old]), consistency_proof(&reader, old as u64, count).unwrap());
        verify_consistency(old as u64, count, &proof, &old_root, &root).unwrap();
        prop_assert!(verify_consistency(old as u64, count, &proof, &flip(&old_root, bit), &root).is_err());
        prop_assert!(verify_consistency(old as u64, count, &proof, &old_root, &flip(&root, bit)).is_err());
        for twin in damaged(&proof, bit) {
            prop_assert!(verify_consistency(old as u64, count, &twin, &old_root, &root).is_err());
        }
    }

    #[test]
    fn verifying_never_panics(index in any::<u64>(), size in any::<u64>(), length in 0_usize..70) {
        let hash = leaf_hash(b"");
        let proof = vec![hash; length];
        prop_assert!(verify_inclusion(index, size, &hash, &proof, &hash).is_err() || (index, size, length) == (0, 1, 0));
        let outcome = verify_consistency(index, size, &proof, &hash, &hash);
        prop_assert!(outcome.is_err() || (index == size && length == 0));
    }
}

fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

/// The proof with one hash flipped, dropped, doubled or added.
fn damaged(proof: &[Hash], bit: usize) -> Vec<Vec<Hash>> {
    let mut twins = vec![[proof, &[leaf_hash(b"more")]].concat()];
    for at in 0..proof.len() {
        let mut twin = proof.to_vec();
        twin[at] = flip(&twin[at], bit);
        twins.push(twin);
        let mut twin = proof.to_vec();
        twin.remove(at);
        twins.push(twin);
        let mut twin = proof.to_vec();
        twin.insert(at, proof[at]);
        twins.push(twin);
    }
    twins
}
