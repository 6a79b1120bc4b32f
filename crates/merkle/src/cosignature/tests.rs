//! Cosignatures of both kinds, their messages byte for byte, and whom a policy counts.

use super::*;
use crate::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use crate::note::{Ed25519NoteSigner, KeyKind, VerifierKey};
use crate::tree::leaf_hash;

const TIME: u64 = 1_679_315_147;

fn log() -> Ed25519NoteSigner {
    Ed25519NoteSigner::from_seed("example.com/log", &[1; 32]).unwrap()
}

fn signed() -> SignedCheckpoint {
    Checkpoint::new("example.com/log", 7, leaf_hash(b"seven")).unwrap().sign(&[&log()]).unwrap()
}

fn open(signed: SignedCheckpoint) -> VerifiedCheckpoint {
    signed.open("example.com/log", &[log().verifier().clone()]).unwrap()
}

fn ed25519(name: &str, seed: u8) -> Ed25519Cosigner {
    Ed25519Cosigner::from_seed(name, &[seed; 32]).unwrap()
}

fn ml_dsa(name: &str, seed: u8) -> MlDsa44Cosigner {
    MlDsa44Cosigner::from_seed(name, &[seed; 32]).unwrap()
}

fn cosigned(cosigners: &[(&dyn Cosigner, u64)]) -> VerifiedCheckpoint {
    let mut signed = signed();
    for (cosigner, time) in cosigners {
        let line = cosigner.cosign(signed.note().text(), *time).unwrap();
        signed.add(line).unwrap();
    }
    open(signed)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, MerkleError>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn the_messages_are_those_of_the_specification() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let message = ed25519_message(text, TIME).unwrap();
    assert_eq!(
        String::from_utf8(message).unwrap(),
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
         CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    );
    let message = ml_dsa_44_message("w.example", text, TIME).unwrap();
    let mut expected = vec![0x73, 0x75, 0x62, 0x74, 0x72, 0x65, 0x65, 0x2f, 0x76, 0x31, 0x0a, 0x00];
    expected.extend(b"\x09w.example\x00\x00\x00\x00\x64\x18\x50\xcb");
    expected.extend(b"\x1bexample.com/behind-the-sofa");
    expected.extend(b"\0\0\0\0\0\0\0\0\0\0\0\0\x01\x3e\x2d\xc3");
    expected.extend(Checkpoint::parse(text.as_bytes()).unwrap().root().as_bytes());
    assert_eq!(message, expected);
}

#[test]
fn messages_out_of_bounds_are_refused() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let text = |origin: &str| format!("{origin}\n1\n{root}\n");
    refused(ed25519_message(&text("o"), MAX_TIMESTAMP + 1), "CS-MRK-040");
    refused(ml_dsa_44_message("w", &text("o"), MAX_TIMESTAMP + 1), "CS-MRK-040");
    refused(ml_dsa_44_message("w", &text(&"o".repeat(256)), TIME), "CS-MRK-040");
    refused(ml_dsa_44_message(&"w".repeat(256), &text("o"), TIME), "CS-MRK-040");
    refused(ml_dsa_44_message("", &text("o"), TIME), "CS-MRK-040");
    refused(ed25519_message("not a checkpoint\n", TIME), "CS-MRK-031");
    ml_dsa_44_message(&"w".repeat(255), &text(&"o".repeat(255)), MAX_TIMESTAMP).unwrap();
}

#[test]
fn both_kinds_verify_and_state_their_time() {
    let (ed, ml) = (ed25519("w.example/ed", 2), ml_dsa("w.example/ml", 3));
    let policy = WitnessPolicy::new(vec![ed.verifier().clone(), ml.verifier().clone()], 2).unwrap();
    let cosigned = cosigned(&[(&ed, TIME), (&ml, TIME + 1)]);
    let seen = policy.check(&cosigned).unwrap();
    let times: Vec<_> = seen.witnesses().iter().map(|w| (w.name(), w.times())).collect();
    assert_eq!(times, [("w.example/ed", &[TIME][..]), ("w.example/ml", &[TIME + 1][..])]);
    assert_eq!(cosigned.signed().note().signatures()[1].signature().len(), 8 + 64);
    assert_eq!(cosigned.signed().note().signatures()[2].signature().len(), 8 + 2420);
    for key in policy.witnesses() {
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), *key);
    }
    // Written out and read back, the cosignatures still hold.
    policy.check(&open(SignedCheckpoint::parse(&cosigned.to_bytes()).unwrap())).unwrap();
}

#[test]
fn a_tampered_time_signature_or_checkpoint_is_refused() {
    for cosigner in [&ed25519("w", 2) as &dyn Cosigner, &ml_dsa("w", 2)] {
        let policy = WitnessPolicy::new(vec![cosigner.verifier().clone()], 1).unwrap();
        let line = cosigner.cosign(signed().note().text(), TIME).unwrap();
        let length = line.signature().len();
        for at in [0, 7, 8, 40, 71, length - 1] {
            let mut bytes = line.signature().to_vec();
            bytes[at] ^= 1;
            let mut twin = signed();
            twin.add(NoteSignature::new("w", line.key_id(), bytes).unwrap()).unwrap();
            refused(policy.check(&open(twin)), "CS-MRK-029");
        }
        for (bytes, code) in [
            (line.signature()[..length - 1].to_vec(), "CS-MRK-029"),
            (line.signature()[..7].to_vec(), "CS-MRK-040"),
            ([&[0xff; 8], &line.signature()[8..]].concat(), "CS-MRK-040"),
        ] {
            let mut twin = signed();
            twin.add(NoteSignature::new("w", line.key_id(), bytes).unwrap()).unwrap();
            refused(policy.check(&open(twin)), code);
        }
        for (size, root) in [(8, leaf_hash(b"seven")), (7, leaf_hash(b"eight"))] {
            let other = Checkpoint::new("example.com/log", size, root).unwrap();
            let mut twin = other.sign(&[&log()]).unwrap();
            twin.add(line.clone()).unwrap();
            refused(policy.check(&open(twin)), "CS-MRK-029");
        }
    }
}

#[test]
fn a_witness_counts_once_and_strangers_do_not() {
    let (first, second, stranger) = (ed25519("a", 2), ed25519("b", 3), ed25519("c", 4));
    let post_quantum = ml_dsa("a", 5);
    let keys = vec![first.verifier().clone(), second.verifier().clone(), post_quantum.verifier().clone()];
    let policy = WitnessPolicy::new(keys, 2).unwrap();
    let one = cosigned(&[(&first, TIME + 9), (&post_quantum, TIME), (&first, TIME + 9), (&stranger, TIME)]);
    let seen = policy.seen(&one).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].earliest(), seen[0].latest()), (TIME, TIME + 9));
    refused(policy.check(&one), "CS-MRK-042");
    policy.check(&cosigned(&[(&first, TIME), (&second, TIME)])).unwrap();
    // A time of 0 says nothing about time.
    refused(policy.check(&cosigned(&[(&first, TIME), (&second, 0)])), "CS-MRK-042");
    assert!(WitnessPolicy::new(Vec::new(), 0).unwrap().check(&one).unwrap().witnesses().is_empty());
}

#[test]
fn an_unsound_policy_is_refused() {
    let first = ed25519("a", 2).verifier().clone();
    refused(WitnessPolicy::new(vec![first.clone()], 2), "CS-MRK-041");
    refused(WitnessPolicy::new(vec![first.clone(), first.clone()], 1), "CS-MRK-041");
    refused(WitnessPolicy::new(vec![first, ed25519("b", 2).verifier().clone()], 1), "CS-MRK-041");
    refused(WitnessPolicy::new(vec![log().verifier().clone()], 1), "CS-MRK-041");
    let pair = vec![ed25519("a", 2).verifier().clone(), ml_dsa("a", 2).verifier().clone()];
    refused(WitnessPolicy::new(pair, 2), "CS-MRK-041");
}

#[test]
fn a_cosigner_s_key_may_sign_for_a_log_but_not_its_extension_lines() {
    let log = ml_dsa("example.com/log", 6);
    let sign = |extensions: Vec<String>| {
        let checkpoint =
            Checkpoint::with_extensions("example.com/log", 7, leaf_hash(b"seven"), extensions).unwrap();
        let line = log.cosign(&checkpoint.to_text(), 0).unwrap();
        let note = format!("{}\n{}", checkpoint.to_text(), line.to_line());
        SignedCheckpoint::parse(note.as_bytes()).unwrap()
    };
    let keys = [log.verifier().clone()];
    sign(Vec::new()).open("example.com/log", &keys).unwrap();
    refused(sign(vec!["not covered".to_owned()]).open("example.com/log", &keys), "CS-MRK-031");
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?} {:?}", ed25519("a", 0x5a), ml_dsa("a", 0x5a));
    assert!(shown.contains("redacted") && !shown.contains("5a5a") && !shown.contains("90, 90"), "{shown}");
    assert_eq!(ml_dsa("a", 1).verifier().kind(), KeyKind::MlDsa44Cosignature);
}
