use merkle::{Ed25519Cosigner, Ed25519NoteSigner, Hash};
use statement::kind::Assurance;

use super::*;
use crate::file_key::FileKey;
use crate::secret::{FileScheme, SecretKey, Seed};

const SEED: [u8; 32] = [7; 32];

fn file_key(scheme: FileScheme) -> FileKey {
    let mut seed = Seed::zero();
    seed.as_mut().copy_from_slice(&SEED);
    let secret = SecretKey::from_seed(scheme, &seed).unwrap();
    FileKey::new(secret.public_key(), secret, Assurance::Unsealed)
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new("example.com/log", 42, Hash::from_bytes([9; 32])).unwrap()
}

#[test]
fn a_log_key_signs_checkpoints_as_any_note_key_does() {
    let ours = LogKey::new("example.com/log", file_key(FileScheme::Ed25519)).unwrap();
    let theirs = Ed25519NoteSigner::from_seed("example.com/log", &SEED).unwrap();
    assert_eq!(ours.verifier(), theirs.verifier());
    let signed = checkpoint().sign(&[&ours]).unwrap();
    assert_eq!(signed.to_bytes(), checkpoint().sign(&[&theirs]).unwrap().to_bytes());
    let opened = signed.open("example.com/log", std::slice::from_ref(ours.verifier())).unwrap();
    assert_eq!(opened.size(), 42);
}

#[test]
fn a_log_key_signs_nothing_else() {
    let key = LogKey::new("example.com/log", file_key(FileScheme::Ed25519)).unwrap();
    let mut cosignature = "cosignature/v1\ntime 1\n".to_owned();
    cosignature.push_str(&checkpoint().to_text());
    let statement = statement::Envelope::unsigned(b"{}".to_vec()).message();
    for text in [b"".as_slice(), b"any note\n", cosignature.as_bytes(), &statement] {
        let failure = NoteSigner::sign(&key, text).unwrap_err();
        let refusal = failure.downcast_ref::<SignerError>().unwrap();
        assert_eq!(refusal.code(), "CS-MRK-031", "{refusal}");
    }
}

#[test]
fn a_witness_key_cosigns_as_any_cosigner_does() {
    let ours = WitnessKey::new("example.com/witness", file_key(FileScheme::Ed25519)).unwrap();
    let theirs = Ed25519Cosigner::from_seed("example.com/witness", &SEED).unwrap();
    assert_eq!(ours.verifier(), theirs.verifier());
    let text = checkpoint().to_text();
    let line = ours.cosign(&text, 1_700_000_000).unwrap();
    assert_eq!(line, theirs.cosign(&text, 1_700_000_000).unwrap());
    assert_eq!(ours.verifier().verify(&text, line.signature()).unwrap(), Some(1_700_000_000));
    let other = Checkpoint::new("example.com/log", 43, Hash::from_bytes([9; 32])).unwrap().to_text();
    assert_eq!(ours.verifier().verify(&other, line.signature()).unwrap_err().code(), "CS-MRK-029");
    assert_eq!(ours.cosign("any note\n", 1).unwrap_err().code(), "CS-MRK-031");
    assert_eq!(ours.cosign(&text, u64::MAX).unwrap_err().code(), "CS-MRK-040");
}

#[test]
fn other_schemes_and_bad_names_are_refused() {
    let p256 = LogKey::new("example.com/log", file_key(FileScheme::EcdsaP256Sha256)).unwrap_err();
    assert_eq!(p256.code(), "CS-SGN-046");
    let p256 = WitnessKey::new("example.com/w", file_key(FileScheme::EcdsaP256Sha256)).unwrap_err();
    assert_eq!(p256.code(), "CS-SGN-046");
    for name in ["", "two words", "a+b"] {
        let refusal = LogKey::new(name, file_key(FileScheme::Ed25519)).unwrap_err();
        assert_eq!(refusal.code(), "CS-MRK-023");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", LogKey::new("example.com/log", file_key(FileScheme::Ed25519)).unwrap());
    assert!(shown.contains("redacted") && !shown.contains("07070707") && !shown.contains("7, 7"), "{shown}");
}
