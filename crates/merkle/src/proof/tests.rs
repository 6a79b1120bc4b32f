//! Proof files: made, read, verified, and a tampered twin for each field.

use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::cosignature::{Cosigner as _, Ed25519Cosigner, MlDsa44Cosigner};
use crate::note::Ed25519NoteSigner;
use crate::tree::inclusion_proof;
use crate::tree::tests::{Naive, leaves, naive_root};

const LOG: &str = "example.com/fancylog";

fn signer() -> Ed25519NoteSigner {
    Ed25519NoteSigner::from_seed(LOG, &[1; 32]).unwrap()
}

fn witnesses() -> WitnessPolicy {
    let first = Ed25519Cosigner::from_seed("witness1.example", &[2; 32]).unwrap();
    let second = MlDsa44Cosigner::from_seed("witness2.example", &[3; 32]).unwrap();
    WitnessPolicy::new(vec![first.verifier().clone(), second.verifier().clone()], 2).unwrap()
}

fn proof() -> LogProof {
    let leaves = leaves(11);
    let mut head = Checkpoint::new(LOG, 11, naive_root(&leaves)).unwrap().sign(&[&signer()]).unwrap();
    let text = head.note().text().to_owned();
    let first = Ed25519Cosigner::from_seed("witness1.example", &[2; 32]).unwrap();
    let second = MlDsa44Cosigner::from_seed("witness2.example", &[3; 32]).unwrap();
    head.add(first.cosign(&text, 1_700_000_000).unwrap()).unwrap();
    head.add(second.cosign(&text, 1_700_000_001).unwrap()).unwrap();
    LogProof::new(6, inclusion_proof(&Naive(&leaves), 6, 11).unwrap(), head).unwrap()
}

fn verify(proof: LogProof) -> Result<Included, MerkleError> {
    proof.verify(&leaves(11)[6], LOG, &[signer().verifier().clone()], &witnesses())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, MerkleError>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn a_proof_file_is_written_read_and_verified() {
    let proof = proof();
    let bytes = proof.to_bytes();
    assert!(bytes.starts_with(b"c2sp.org/tlog-proof@v1\nindex 6\n"));
    assert_eq!(LogProof::parse(&bytes).unwrap(), proof);
    let included = verify(proof.clone()).unwrap();
    assert_eq!((included.index(), included.checkpoint().size()), (6, 11));
    assert_eq!(*included.leaf(), leaves(11)[6]);
    assert_eq!(included.cosigned().witnesses().len(), 2);
    let extra = proof.with_extra(b"opaque".to_vec()).unwrap();
    let bytes = extra.to_bytes();
    assert!(bytes.starts_with(b"c2sp.org/tlog-proof@v1\nextra b3BhcXVl\nindex 6\n"));
    let read = LogProof::parse(&bytes).unwrap();
    assert_eq!(read.extra(), Some(&b"opaque"[..]));
    verify(read).unwrap();
}

#[test]
fn a_tree_of_one_leaf_needs_no_hashes() {
    let leaf = leaves(1);
    let head = Checkpoint::new(LOG, 1, leaf[0]).unwrap().sign(&[&signer()]).unwrap();
    let proof = LogProof::new(0, Vec::new(), head).unwrap();
    let read = LogProof::parse(&proof.to_bytes()).unwrap();
    let nobody = WitnessPolicy::new(Vec::new(), 0).unwrap();
    read.verify(&leaf[0], LOG, &[signer().verifier().clone()], &nobody).unwrap();
}

#[test]
fn each_field_has_its_refusal() {
    let text = String::from_utf8(proof().to_bytes()).unwrap();
    let twin = |from: &str, to: &str| {
        let bytes = text.replacen(from, to, 1);
        assert_ne!(bytes, text, "{from}");
        LogProof::parse(bytes.as_bytes()).and_then(verify)
    };
    refused(twin("index 6", "index 7"), "CS-MRK-051");
    refused(twin("index 6", "index 11"), "CS-MRK-051");
    refused(twin("\n11\n", "\n12\n"), "CS-MRK-029");
    refused(twin("fancylog\n11", "fancylag\n11"), "CS-MRK-032");
    let keys = [signer().verifier().clone()];
    for at in 0..proof().path().len() {
        let mut altered = proof();
        altered.path[at] = leaves(1)[0];
        refused(verify(altered), "CS-MRK-051");
    }
    let mut short = proof();
    short.path.pop();
    refused(verify(short), "CS-MRK-051");
    refused(proof().verify(&leaves(11)[5], LOG, &keys, &witnesses()), "CS-MRK-051");
    refused(proof().verify(&leaves(11)[6], "example.com/other", &keys, &witnesses()), "CS-MRK-032");
    refused(proof().verify(&leaves(11)[6], LOG, &[], &witnesses()), "CS-MRK-028");
    let third = Ed25519Cosigner::from_seed("witness3.example", &[4; 32]).unwrap();
    let mut three = witnesses().witnesses().to_vec();
    three.push(third.verifier().clone());
    refused(proof().verify(&leaves(11)[6], LOG, &keys, &WitnessPolicy::new(three, 3).unwrap()), "CS-MRK-042");
}

#[test]
fn what_is_no_proof_file_is_refused() {
    let text = String::from_utf8(proof().to_bytes()).unwrap();
    for (from, to, code) in [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2", "CS-MRK-050"),
        ("c2sp.org", " c2sp.org", "CS-MRK-050"),
        ("index 6", "index 06", "CS-MRK-050"),
        ("index 6", "index +6", "CS-MRK-050"),
        ("index 6", "index 18446744073709551616", "CS-MRK-050"),
        ("index 6\n", "", "CS-MRK-050"),
        ("index 6", "index 6\nindex 6", "CS-MRK-050"),
        ("index 6", "extra \nindex 6", "CS-MRK-050"),
        ("index 6", "extra b3BhcXV=\nindex 6", "CS-MRK-050"),
        ("index 6", "extra b3BhcXVl\nextra b3BhcXVl\nindex 6", "CS-MRK-050"),
        ("index 6\n", "index 6\nAAAA\n", "CS-MRK-050"),
        ("=\n\n", "=\n", "CS-MRK-050"),
        ("index 6\n", "index 6\n\n", "CS-MRK-031"),
    ] {
        let bytes = text.replacen(from, to, 1);
        refused(LogProof::parse(bytes.as_bytes()), code);
    }
    let hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let with = |count: usize| text.replacen("index 6\n", &format!("index 6\n{}", hash.repeat(count)), 1);
    LogProof::parse(with(63 - proof().path().len()).as_bytes()).unwrap();
    refused(LogProof::parse(with(64 - proof().path().len()).as_bytes()), "CS-MRK-050");
    refused(LogProof::parse(&vec![b'x'; MAX_PROOF_FILE + 1]), "CS-MRK-020");
    refused(proof().with_extra(vec![0; MAX_EXTRA + 1]), "CS-MRK-050");
    refused(proof().with_extra(Vec::new()), "CS-MRK-050");
}

proptest! {
    #[test]
    fn a_damaged_file_is_never_believed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = proof().to_bytes();
        let at = at.index(bytes.len());
        let before = std::mem::replace(&mut bytes[at], byte);
        if let Ok(read) = LogProof::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
            prop_assert_eq!(verify(read).is_ok(), before == byte);
        }
    }
}
