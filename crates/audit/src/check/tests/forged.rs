//! Checkpoints, keys and realms that are not what they claim to be.

use merkle::{Checkpoint, Cosigner as _, Ed25519NoteSigner, NoteSigner, SignedCheckpoint};
use statement::Bytes;

use super::*;

fn size(realm: &Realm) -> u64 {
    realm.entries().len() as u64
}

/// The realm's export with another signed checkpoint in it, proofs and all.
fn under(realm: &Realm, head: &SignedCheckpoint) -> Vec<u8> {
    realm.export_with(head, None).to_bytes()
}

fn resigned(realm: &Realm, origin: &str, signer: &dyn NoteSigner) -> SignedCheckpoint {
    let head = realm.checkpoint(size(realm), 0);
    Checkpoint::new(origin, size(realm), *head.claims().root()).unwrap().sign(&[signer]).unwrap()
}

#[test]
fn a_forged_log_signature_is_refused() {
    let realm = busy();
    let stranger = Ed25519NoteSigner::from_seed(&realm.origin(), &[9; 32]).unwrap();
    let error = refused(
        &under(&realm, &resigned(&realm, &realm.origin(), &stranger)),
        &realm.expectations(),
        "CS-AUD-013",
    );
    assert!(error.evidence()[0].1.starts_with(&realm.origin()));
    // A bad signature under the right name and id.
    let head = String::from_utf8(realm.checkpoint(size(&realm), 0).to_bytes()).unwrap();
    let (text, line) = head.split_once("\n\n").unwrap();
    let encoded = line.trim_end().rsplit(' ').next().unwrap();
    let mut raw = Bytes::from_base64(encoded).unwrap().into_vec();
    raw[40] ^= 1;
    let forged = format!("{text}\n\n{}", line.replace(encoded, &Bytes::new(raw).to_base64()));
    let forged = SignedCheckpoint::parse(forged.as_bytes()).unwrap();
    refused(&under(&realm, &forged), &realm.expectations(), "CS-AUD-013");
}

#[test]
fn another_logs_checkpoint_is_refused() {
    let realm = busy();
    let other = resigned(&realm, "elsewhere.invalid/log", &realm.log_signer());
    refused(&under(&realm, &other), &realm.expectations(), "CS-AUD-012");
}

#[test]
fn a_forged_cosignature_is_refused() {
    let realm = busy();
    let mut head = realm.checkpoint(size(&realm), 0);
    let [witness, _] = realm.witnesses();
    // A cosignature of another checkpoint.
    let other = realm.checkpoint(3, 0);
    head.add(witness.cosign(other.note().text(), 1_800_000_000).unwrap()).unwrap();
    refused(&under(&realm, &head), &realm.expectations(), "CS-AUD-015");
}

#[test]
fn a_strangers_cosignature_counts_for_nothing() {
    let realm = busy();
    let mut head = realm.checkpoint(size(&realm), 0);
    let stranger = merkle::Ed25519Cosigner::from_seed("stranger.invalid", &[3; 32]).unwrap();
    head.add(stranger.cosign(head.note().text(), 1_800_000_000).unwrap()).unwrap();
    let report = audit(&under(&realm, &head), &realm.expectations()).unwrap();
    remarks(&report, &[RemarkCode::Unwitnessed], &[]);
}

#[test]
fn no_checkpoint_is_refused() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    sections.insert(Section::Checkpoint, b"example.invalid/log\n".to_vec());
    refused(&whole(&sections), &realm.expectations(), "CS-AUD-011");
}

#[test]
fn another_realm_is_refused() {
    let realm = busy();
    let mut other = Realm::found("other");
    other.open();
    refused(&realm.export(), &other.expectations(), "CS-AUD-018");
    let only_key = Expectations { root: None, ..other.expectations() };
    refused(&realm.export(), &only_key, "CS-AUD-014");
    // The right log under another realm's name.
    let sections = parts(&realm.export());
    let file = export::assemble(other.id(), sections).unwrap().to_bytes();
    refused(&file, &realm.expectations(), "CS-AUD-019");
}

#[test]
fn a_fork_is_shown_with_both_checkpoints() {
    let realm = busy();
    let mut fork = Realm::new();
    fork.advance_ms(1_000);
    fork.release(Plan::tuning("hidden"));
    let head = realm.checkpoint(size(&realm), 1);
    let earlier = fork.checkpoint(size(&fork), 1);
    assert!(size(&fork) < size(&realm));
    let file = realm.export_with(&head, Some(&earlier)).to_bytes();
    let error = refused(&file, &realm.expectations(), "CS-AUD-021");
    let [(_, theirs), (_, ours)] = error.evidence().try_into().unwrap();
    assert_eq!((theirs.as_bytes(), ours.as_bytes()), (&*earlier.to_bytes(), &*head.to_bytes()));
}

#[test]
fn an_earlier_checkpoint_is_earlier_and_of_this_log() {
    let realm = busy();
    let mut more = busy();
    more.release(Plan::tuning("fourth"));
    let head = realm.checkpoint(size(&realm), 1);
    let sections = parts(&realm.export_with(&head, Some(&realm.checkpoint(8, 0))).to_bytes());
    let with = |name: Section, bytes: Vec<u8>| {
        let mut sections = sections.clone();
        sections.insert(name, bytes);
        whole(&sections)
    };
    let expectations = realm.expectations();
    let later = more.checkpoint(size(&more), 0).to_bytes();
    refused(&with(Section::FromCheckpoint, later), &expectations, "CS-AUD-021");
    let stranger = Ed25519NoteSigner::from_seed(&realm.origin(), &[9; 32]).unwrap();
    let root = *realm.checkpoint(8, 0).claims().root();
    let unsigned = Checkpoint::new(&realm.origin(), 8, root).unwrap().sign(&[&stranger]).unwrap();
    refused(&with(Section::FromCheckpoint, unsigned.to_bytes()), &expectations, "CS-AUD-013");
    refused(&with(Section::FromCheckpoint, b"x".to_vec()), &expectations, "CS-AUD-011");
    // No proof, half a proof, no list of hashes.
    refused(&with(Section::Consistency, Vec::new()), &expectations, "CS-AUD-021");
    let proof = &sections[&Section::Consistency];
    refused(&with(Section::Consistency, proof[45..].to_vec()), &expectations, "CS-AUD-021");
    refused(&with(Section::Consistency, proof[..44].to_vec()), &expectations, "CS-AUD-022");
    refused(&with(Section::Consistency, b"\n".to_vec()), &expectations, "CS-AUD-022");
    refused(&with(Section::Consistency, vec![0xff]), &expectations, "CS-AUD-022");
}
