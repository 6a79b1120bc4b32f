//! Pairs of checkpoints that do and do not go together.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::note::Ed25519NoteSigner;
use crate::tree::tests::{Naive, leaves, naive_root};
use crate::tree::{consistency_proof, leaf_hash};

fn head(size: u64, root: Hash) -> VerifiedCheckpoint {
    let signer = Ed25519NoteSigner::from_seed("log", &[1; 32]).unwrap();
    let signed = Checkpoint::new("log", size, root).unwrap().sign(&[&signer]).unwrap();
    signed.open("log", &[signer.verifier().clone()]).unwrap()
}

#[test]
fn consistent_heads_go_together_in_either_order() {
    let leaves = leaves(9);
    let (old, new) = (head(4, naive_root(&leaves[..4])), head(9, naive_root(&leaves)));
    let proof = consistency_proof(&Naive(&leaves), 4, 9).unwrap();
    compare(&old, &new, &proof).unwrap();
    compare(&new, &old, &proof).unwrap();
    compare(&old, &old, &[]).unwrap();
    compare(&head(0, empty_root()), &new, &[]).unwrap();
}

#[test]
fn a_split_view_shows_both_checkpoints() {
    let (ours, theirs) = (head(3, leaf_hash(b"a")), head(3, leaf_hash(b"b")));
    let split = compare(&ours, &theirs, &[]).unwrap_err();
    assert_eq!(split.cause, SplitCause::SameSize { size: 3 });
    assert!(split.is_conclusive());
    let shown = split.to_string();
    for head in [&ours, &theirs] {
        assert!(shown.contains(&String::from_utf8(head.to_bytes()).unwrap()), "{shown}");
    }
}

#[test]
fn terminal_escapes_are_made_visible() {
    let signer = Ed25519NoteSigner::from_seed("log", &[1; 32]).unwrap();
    let keys = [signer.verifier().clone()];
    let head = |root| {
        let escape = vec!["\u{9b}31mred".to_owned()];
        let signed = Checkpoint::with_extensions("log", 3, root, escape).unwrap().sign(&[&signer]).unwrap();
        signed.open("log", &keys).unwrap()
    };
    let shown = compare(&head(leaf_hash(b"a")), &head(leaf_hash(b"b")), &[]).unwrap_err().to_string();
    assert!(shown.contains("\\u{9b}31mred") && !shown.contains('\u{9b}'), "{shown}");
}

#[test]
fn a_failed_proof_and_a_false_empty_tree_are_told_apart() {
    let leaves = leaves(9);
    let (old, new) = (head(4, leaf_hash(b"other")), head(9, naive_root(&leaves)));
    let proof = consistency_proof(&Naive(&leaves), 4, 9).unwrap();
    let split = compare(&old, &new, &proof).unwrap_err();
    assert_eq!((split.code(), split.is_conclusive()), ("CS-MRK-072", false));
    assert!(matches!(split.cause, SplitCause::Unconnected { proof: kept, .. } if kept == proof));
    let split = compare(&head(0, leaf_hash(b"")), &new, &[]).unwrap_err();
    assert_eq!((split.code(), split.is_conclusive()), ("CS-MRK-071", true));
    let split = compare(&head(0, empty_root()), &new, &proof).unwrap_err();
    assert_eq!(split.code(), "CS-MRK-072");
}
