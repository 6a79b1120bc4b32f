//! `merkle`: notes, checkpoints, requests to witnesses, proofs, tiles.

use merkle::tile::{decode_bundle, decode_tile, encode_bundle, encode_tile};
use merkle::{
    AddCheckpoint, Checkpoint, Ed25519NoteSigner, Hash, LogProof, NoteSignature, SignedCheckpoint,
    SignedNote, TileKind, TilePath, VerifierKey, WatchedLog, WitnessState, decide, verify_consistency,
    verify_inclusion,
};

/// The log of the corpus. Its key is published and worthless.
pub const ORIGIN: &str = "example.com/log";

fn signer() -> Ed25519NoteSigner {
    Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).expect("a key")
}

fn watched() -> WatchedLog {
    WatchedLog::new(ORIGIN, vec![signer().verifier().clone()])
}

pub(crate) fn note(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data) {
        assert_eq!(note.to_bytes(), data, "one spelling");
        drop(note.open(&[signer().verifier().clone()]));
    }
    if let Ok(signature) = NoteSignature::parse(data) {
        assert_eq!(signature.to_line().as_bytes(), data, "one spelling");
    }
}

pub(crate) fn verifier_key(data: &[u8]) {
    if let Ok(key) = VerifierKey::parse(data) {
        assert_eq!(key.to_string().as_bytes(), data, "one spelling");
        assert!(key.verify("text\n", data).is_err(), "no bytes of the key are a signature");
    }
}

pub(crate) fn checkpoint(data: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::parse(data) {
        assert_eq!(checkpoint.to_text().as_bytes(), data, "one spelling");
    }
    if let Ok(signed) = SignedCheckpoint::parse(data) {
        assert_eq!(signed.to_bytes(), data, "one spelling");
        if let Ok(opened) = signed.open(ORIGIN, &[signer().verifier().clone()]) {
            assert_eq!(opened.origin(), ORIGIN);
        }
    }
}

pub(crate) fn witness_request(data: &[u8]) {
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(request.to_bytes(), data, "one spelling");
        assert!(decide(None, &request, None).is_err(), "a log that is not watched is never cosigned");
        if let Ok(state) = decide(None, &request, Some(&watched())) {
            let stored =
                WitnessState::restore(&state.to_bytes(), &watched()).expect("what was stored is restored");
            assert_eq!(stored.root(), state.root());
            assert_eq!(stored.size(), state.size());
        }
    }
    drop(WitnessState::restore(data, &watched()));
}

pub(crate) fn proof(data: &[u8]) {
    if let Ok(proof) = LogProof::parse(data) {
        assert_eq!(proof.to_bytes(), data, "one spelling");
    }
}

pub(crate) fn tile_path(data: &[u8]) {
    if let Ok(path) = TilePath::parse(data) {
        assert_eq!(path.to_string().as_bytes(), data, "one spelling");
        assert!((1..=256).contains(&path.width()));
        let again = TilePath::new(path.kind(), path.index(), path.width()).expect("its parts make it");
        assert_eq!(again, path);
    }
}

/// A tile's path, a line feed, the tile.
pub(crate) fn entry_bundle(data: &[u8]) {
    let (path, bytes) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let (Ok(path), bytes) = (TilePath::parse(path), bytes.get(1..).unwrap_or_default()) else { return };
    if let Ok(entries) = decode_bundle(&path, bytes) {
        assert_eq!(encode_bundle(&entries).expect("it was read"), bytes, "one spelling");
    }
    if let (TileKind::Hashes { .. }, Ok(hashes)) = (path.kind(), decode_tile(&path, bytes)) {
        assert_eq!(encode_tile(&hashes), bytes, "one spelling");
    }
}

/// Two sizes (8 bytes each, little-endian), then hashes: a leaf or old root, a root, the proof.
pub(crate) fn tree_proof(data: &[u8]) {
    let Some((first, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else { return };
    let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
    let hashes: Vec<Hash> = rest.as_chunks::<32>().0.iter().map(|chunk| Hash::from_bytes(*chunk)).collect();
    let [left, right, proof @ ..] = hashes.as_slice() else { return };
    if verify_inclusion(first, second, left, proof, right).is_ok() {
        assert!(first < second);
        assert!(proof.len() <= 63);
        // Another leaf in the same place would be a collision.
        assert!(verify_inclusion(first, second, &other(left), proof, right).is_err());
    }
    if verify_consistency(first, second, proof, left, right).is_ok() {
        assert!(0 < first && first <= second);
        assert!(verify_consistency(first, second, proof, &other(left), right).is_err());
        assert!(verify_consistency(first, second, proof, left, &other(right)).is_err());
    }
}

fn other(hash: &Hash) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[0] ^= 1;
    Hash::from_bytes(bytes)
}
