//! The decision, case by case.

use std::error::Error as _;

use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::cosignature::{Cosigner, Ed25519Cosigner, WitnessPolicy};
use crate::fork::SplitCause;
use crate::note::{Ed25519NoteSigner, NoteSignature};
use crate::tree::tests::{Naive, leaves, naive_root};
use crate::tree::{Hash, consistency_proof, empty_root, leaf_hash};

const LOG: &str = "example.com/log";

fn signer() -> Ed25519NoteSigner {
    Ed25519NoteSigner::from_seed(LOG, &[1; 32]).unwrap()
}

fn log() -> WatchedLog {
    WatchedLog::new(LOG, vec![signer().verifier().clone()])
}

fn head(size: u64, root: Hash) -> SignedCheckpoint {
    Checkpoint::new(LOG, size, root).unwrap().sign(&[&signer()]).unwrap()
}

fn ask(old: u64, proof: Vec<Hash>, checkpoint: SignedCheckpoint) -> AddCheckpoint {
    let request = AddCheckpoint::new(old, proof, checkpoint).unwrap();
    assert_eq!(AddCheckpoint::parse(&request.to_bytes()).unwrap(), request);
    request
}

fn state(size: usize) -> WitnessState {
    let request = ask(0, Vec::new(), head(size as u64, naive_root(&leaves(size))));
    decide(None, &request, Some(&log())).unwrap()
}

#[track_caller]
fn refused(state: Option<&WitnessState>, request: &AddCheckpoint, status: u16, code: &str) -> WitnessRefusal {
    let refusal = decide(state, request, Some(&log())).unwrap_err();
    assert_eq!((refusal.status(), refusal.code()), (status, code), "{refusal}");
    assert!(!refusal.hint().is_empty());
    refusal
}

#[test]
fn a_log_grows_under_the_witness_s_eyes() {
    let leaves = leaves(13);
    let mut seen: Option<WitnessState> = None;
    for size in [0_usize, 0, 1, 4, 4, 7, 13] {
        let old = seen.as_ref().map_or(0, WitnessState::size);
        let proof = consistency_proof(&Naive(&leaves), old, size as u64).unwrap();
        let request = ask(old, proof, head(size as u64, naive_root(&leaves[..size])));
        let next = decide(seen.as_ref(), &request, Some(&log())).unwrap();
        assert_eq!(next.size(), size as u64);
        assert_eq!(WitnessState::restore(&next.to_bytes(), &log()).unwrap(), next);
        seen = Some(next);
    }
    // What is decided can be cosigned, and the cosignature counts.
    let witness = Ed25519Cosigner::from_seed("w.example", &[9; 32]).unwrap();
    let seen = seen.unwrap();
    let line = witness.cosign(seen.text(), 1_700_000_000).unwrap();
    let mut cosigned = seen.checkpoint().signed().clone();
    cosigned.add(NoteSignature::parse(line.to_line().as_bytes()).unwrap()).unwrap();
    let cosigned = cosigned.open(LOG, log().keys()).unwrap();
    let policy = WitnessPolicy::new(vec![witness.verifier().clone()], 1).unwrap();
    assert_eq!(policy.check(&cosigned).unwrap().witnesses()[0].latest(), 1_700_000_000);
}

#[test]
fn only_signatures_of_the_log_are_kept() {
    let stranger = Ed25519NoteSigner::from_seed("stranger", &[5; 32]).unwrap();
    let checkpoint = Checkpoint::new(LOG, 1, leaf_hash(b"a")).unwrap();
    let both = checkpoint.sign(&[&stranger, &signer()]).unwrap();
    let seen = decide(None, &ask(0, Vec::new(), both), Some(&log())).unwrap();
    assert_eq!(seen.to_bytes(), checkpoint.sign(&[&signer()]).unwrap().to_bytes());
}

#[test]
fn unknown_logs_and_bad_signatures_are_refused() {
    let request = ask(0, Vec::new(), head(1, leaf_hash(b"a")));
    let other = WatchedLog::new("example.com/other", log().keys().to_vec());
    for log in [None, Some(&other)] {
        let refusal = decide(None, &request, log).unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (404, "CS-MRK-061"));
    }
    let impostor = Ed25519NoteSigner::from_seed(LOG, &[2; 32]).unwrap();
    let checkpoint = Checkpoint::new(LOG, 1, leaf_hash(b"a")).unwrap();
    let unknown_key = ask(0, Vec::new(), checkpoint.sign(&[&impostor]).unwrap());
    let refusal = refused(None, &unknown_key, 403, "CS-MRK-062");
    assert!(refusal.source().unwrap().to_string().contains("not signed by any of"));
    let mut spoiled = head(1, leaf_hash(b"a"));
    let forged = NoteSignature::new(LOG, signer().verifier().id(), vec![1; 64]).unwrap();
    spoiled.add(forged).unwrap();
    refused(None, &ask(0, Vec::new(), spoiled), 403, "CS-MRK-062");
    let no_keys = WatchedLog::new(LOG, Vec::new());
    assert_eq!(decide(None, &request, Some(&no_keys)).unwrap_err().status(), 403);
}

#[test]
fn old_sizes_that_do_not_fit_are_refused() {
    let (seen, leaves) = (state(4), leaves(9));
    refused(Some(&seen), &ask(10, Vec::new(), head(9, naive_root(&leaves))), 400, "CS-MRK-063");
    for old in [0, 3, 5, 9] {
        let refusal =
            refused(Some(&seen), &ask(old, Vec::new(), head(9, naive_root(&leaves))), 409, "CS-MRK-064");
        assert_eq!(refusal.body(), ("text/x.tlog.size", "4\n".to_owned()));
        assert!(refusal.split().is_none());
    }
    let refusal = refused(None, &ask(4, Vec::new(), head(9, naive_root(&leaves))), 409, "CS-MRK-064");
    assert_eq!(refusal.body().1, "0\n");
}

#[test]
fn a_fork_is_refused_with_both_checkpoints() {
    let (seen, forked) = (state(4), head(4, leaf_hash(b"another history")));
    for (old, status, code) in [(4, 422, "CS-MRK-065"), (0, 409, "CS-MRK-064"), (3, 409, "CS-MRK-064")] {
        let refusal = refused(Some(&seen), &ask(old, Vec::new(), forked.clone()), status, code);
        let split = refusal.split().unwrap();
        assert_eq!(
            (split.ours.as_slice(), split.theirs.as_slice()),
            (&*seen.to_bytes(), &*forked.to_bytes())
        );
        assert_eq!(split.cause, SplitCause::SameSize { size: 4 });
    }
}

#[test]
fn proofs_that_do_not_hold_are_refused_with_the_evidence() {
    let (seen, leaves) = (state(4), leaves(9));
    let new = head(9, naive_root(&leaves));
    let proof = consistency_proof(&Naive(&leaves), 4, 9).unwrap();
    let mut twins = vec![Vec::new(), proof[1..].to_vec(), [proof.clone(), vec![leaf_hash(b"")]].concat()];
    for at in 0..proof.len() {
        let mut twin = proof.clone();
        twin[at] = leaf_hash(b"tampered");
        twins.push(twin);
    }
    for twin in twins {
        let refusal = refused(Some(&seen), &ask(4, twin.clone(), new.clone()), 422, "CS-MRK-067");
        let split = refusal.split().unwrap();
        assert_eq!((&split.ours, &split.theirs), (&seen.to_bytes(), &new.to_bytes()));
        assert!(matches!(&split.cause, SplitCause::Unconnected { proof, .. } if *proof == twin));
    }
    decide(Some(&seen), &ask(4, proof.clone(), new.clone()), Some(&log())).unwrap();
    // The first checkpoint and one of the same size need no proof, and must not have one.
    refused(None, &ask(0, proof.clone(), new), 422, "CS-MRK-067");
    refused(Some(&seen), &ask(4, proof, head(4, *seen.root())), 422, "CS-MRK-067");
}

#[test]
fn an_empty_tree_has_one_root() {
    refused(None, &ask(0, Vec::new(), head(0, leaf_hash(b""))), 422, "CS-MRK-066");
    decide(None, &ask(0, Vec::new(), head(0, empty_root())), Some(&log())).unwrap();
}

#[test]
fn the_state_of_another_log_is_a_fault_of_the_witness() {
    let other = Ed25519NoteSigner::from_seed("other", &[1; 32]).unwrap();
    let watched = WatchedLog::new("other", vec![other.verifier().clone()]);
    let checkpoint = Checkpoint::new("other", 1, leaf_hash(b"a")).unwrap().sign(&[&other]).unwrap();
    let foreign = decide(None, &ask(0, Vec::new(), checkpoint), Some(&watched)).unwrap();
    refused(Some(&foreign), &ask(0, Vec::new(), head(1, leaf_hash(b"a"))), 500, "CS-MRK-068");
    assert_eq!(WitnessState::restore(&foreign.to_bytes(), &log()).unwrap_err().code(), "CS-MRK-032");
}

#[test]
fn what_is_no_request_is_refused() {
    let note = String::from_utf8(head(1, leaf_hash(b"a")).to_bytes()).unwrap();
    let hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    AddCheckpoint::parse(format!("old 0\n{}\n{note}", format!("{hash}\n").repeat(63)).as_bytes()).unwrap();
    for (body, code) in [
        (String::new(), "CS-MRK-060"),
        (format!("old 0\n{note}"), "CS-MRK-060"),
        (format!("old 00\n\n{note}"), "CS-MRK-060"),
        (format!("old 01\n\n{note}"), "CS-MRK-060"),
        (format!("old +1\n\n{note}"), "CS-MRK-060"),
        (format!("old  1\n\n{note}"), "CS-MRK-060"),
        (format!("old 1 \n\n{note}"), "CS-MRK-060"),
        (format!("Old 1\n\n{note}"), "CS-MRK-060"),
        (format!("old 18446744073709551616\n\n{note}"), "CS-MRK-060"),
        (format!("\nold 0\n\n{note}"), "CS-MRK-060"),
        (format!("old 1\nAAAA\n\n{note}"), "CS-MRK-060"),
        (format!("old 1\n{}\n\n{note}", hash.trim_end_matches('=')), "CS-MRK-060"),
        (format!("old 1\n{}\n\n{note}", hash.replace("2I=", "2J=")), "CS-MRK-060"),
        (format!("old 1\n{}\n{note}", format!("{hash}\n").repeat(64)), "CS-MRK-060"),
        ("old 1\n\n".to_owned(), "CS-MRK-021"),
        (format!("old 1\n\n\n{note}"), "CS-MRK-031"),
        (format!("old 1\n\n{note}x"), "CS-MRK-021"),
    ] {
        let error = AddCheckpoint::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{body:?}: {error}");
    }
    assert_eq!(AddCheckpoint::parse(&vec![b'x'; MAX_REQUEST + 1]).unwrap_err().code(), "CS-MRK-020");
}

proptest! {
    #[test]
    fn a_damaged_request_never_panics(at in 0_usize..200, byte in any::<u8>()) {
        let leaves = leaves(9);
        let proof = consistency_proof(&Naive(&leaves), 4, 9).unwrap();
        let mut bytes = ask(4, proof, head(9, naive_root(&leaves))).to_bytes();
        let at = at % bytes.len();
        let before = std::mem::replace(&mut bytes[at], byte);
        if let Ok(request) = AddCheckpoint::parse(&bytes) {
            prop_assert_eq!(request.to_bytes(), bytes);
            prop_assert_eq!(decide(Some(&state(4)), &request, Some(&log())).is_ok(), before == byte);
        }
    }
}
