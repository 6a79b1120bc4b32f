use merkle::{Checkpoint, Cosigner as _, Ed25519Cosigner, Ed25519NoteSigner, LogProof, node_hash};

use super::*;

const LOG: &str = "example.com/log";

/// A log of two entries, the second a bundle's, cosigned by two witnesses at these times.
fn proof(bundle: &Digest, times: [u64; 2]) -> Vec<u8> {
    let first = leaf_hash(b"another entry");
    let root = node_hash(&first, &leaf_hash(&entry(bundle)));
    let signer = Ed25519NoteSigner::from_seed(LOG, &[1; 32]).unwrap();
    let mut head = Checkpoint::new(LOG, 2, root).unwrap().sign(&[&signer]).unwrap();
    let text = head.note().text().to_owned();
    for (witness, time) in witnesses().iter().zip(times) {
        head.add(witness.cosign(&text, time).unwrap()).unwrap();
    }
    LogProof::new(1, vec![first], head).unwrap().to_bytes()
}

fn witnesses() -> [Ed25519Cosigner; 2] {
    [("one.example", 2), ("two.example", 3)]
        .map(|(name, seed)| Ed25519Cosigner::from_seed(name, &[seed; 32]).unwrap())
}

#[test]
fn a_bundle_in_a_witnessed_log_was_there_when_the_last_witness_saw_it() {
    let bundle = Digest::of(b"bundle");
    let log = Ed25519NoteSigner::from_seed(LOG, &[1; 32]).unwrap().verifier().clone();
    let keys: Vec<VerifierKey> = witnesses().iter().map(|witness| witness.verifier().clone()).collect();
    let proof = proof(&bundle, [1_700_000_000, 1_700_000_050]);
    let logged = check(&proof, &bundle, &log, keys.clone()).unwrap();
    assert_eq!((logged.index, logged.seen, logged.witnesses.len()), (1, 1_700_000_050, 2));
    let refused = |proof: &[u8], bundle: &Digest, log: &VerifierKey, keys: Vec<VerifierKey>| {
        assert_eq!(check(proof, bundle, log, keys).unwrap_err().code(), "CS-SEL-036");
    };
    refused(&proof, &Digest::of(b"other"), &log, keys.clone());
    refused(&proof, &bundle, &log, Vec::new());
    let stranger = Ed25519Cosigner::from_seed("three.example", &[4; 32]).unwrap().verifier().clone();
    refused(&proof, &bundle, &log, vec![keys[0].clone(), stranger]);
    let other = Ed25519NoteSigner::from_seed(LOG, &[9; 32]).unwrap().verifier().clone();
    refused(&proof, &bundle, &other, keys.clone());
    refused(&proof[1..], &bundle, &log, keys);
}
