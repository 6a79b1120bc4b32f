//! Notes: the examples of the specification and of Go's package, and everything that is no note.

use proptest::prelude::*;

use super::*;

const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SPEC_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SEED: &str = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, MerkleError>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn the_examples_of_the_specification_and_of_go_verify() {
    for (vkey, bytes) in [(SPEC_KEY, SPEC_NOTE), (GO_KEY, GO_NOTE)] {
        let (key, note) = (key(vkey), SignedNote::parse(bytes.as_bytes()).unwrap());
        assert_eq!(key.to_string(), vkey);
        assert_eq!(note.to_bytes(), bytes.as_bytes());
        let keys = [key];
        let verified = note.open(&keys).unwrap();
        assert_eq!(verified, [VerifiedSignature { key: &keys[0], timestamp: None }]);
    }
}

#[test]
fn go_s_signing_key_makes_go_s_note() {
    let seed: [u8; 32] = from_base64(GO_SEED).unwrap().try_into().unwrap();
    let signer = Ed25519NoteSigner::from_seed("PeterNeumann", &seed).unwrap();
    assert_eq!(signer.verifier().to_string(), GO_KEY);
    let text = SignedNote::parse(GO_NOTE.as_bytes()).unwrap().text().to_owned();
    assert_eq!(SignedNote::sign(&text, &[&signer]).unwrap().to_bytes(), GO_NOTE.as_bytes());
    assert!(!format!("{signer:?}").contains(GO_SEED.trim_end_matches('=')));
}

#[test]
fn a_changed_text_name_id_or_signature_is_refused() {
    let keys = [key(GO_KEY)];
    let altered = |from: &str, to: &str| {
        let bytes = GO_NOTE.replacen(from, to, 1);
        assert_ne!(bytes, GO_NOTE);
        SignedNote::parse(bytes.as_bytes()).and_then(|note| note.open(&keys).map(|found| found.len()))
    };
    refused(altered("If you", "if you"), "CS-MRK-029");
    refused(altered("PeterNeumann", "PeterNewmann"), "CS-MRK-028");
    refused(altered("ZJku", "ZJkv"), "CS-MRK-029");
    refused(altered("x08go", "x08gp"), "CS-MRK-028");
    refused(altered(" x0", " y0"), "CS-MRK-028");
    // Every bit of the signature proper.
    let note = SignedNote::parse(GO_NOTE.as_bytes()).unwrap();
    let line = &note.signatures()[0];
    for bit in 0..64 * 8 {
        let mut signature = line.signature().to_vec();
        signature[bit / 8] ^= 1 << (bit % 8);
        let mut twin = SignedNote { signatures: Vec::new(), ..note.clone() };
        twin.add(NoteSignature::new(line.name(), line.key_id(), signature).unwrap()).unwrap();
        refused(twin.open(&keys), "CS-MRK-029");
    }
    for length in [1, 63, 65] {
        let mut signature = line.signature().to_vec();
        signature.resize(length, 0);
        let mut twin = SignedNote { signatures: Vec::new(), ..note.clone() };
        twin.add(NoteSignature::new(line.name(), line.key_id(), signature).unwrap()).unwrap();
        refused(twin.open(&keys), "CS-MRK-029");
    }
}

#[test]
fn unknown_signatures_are_ignored_but_one_bad_known_one_refuses_the_note() {
    let stranger = Ed25519NoteSigner::from_seed("stranger", &[7; 32]).unwrap();
    let friend = Ed25519NoteSigner::from_seed("friend", &[8; 32]).unwrap();
    let note = SignedNote::sign("hello\n", &[&stranger, &friend]).unwrap();
    let keys = [friend.verifier().clone()];
    assert_eq!(note.open(&keys).unwrap().len(), 1);
    let mut twice = note.clone();
    twice.add(note.signatures()[1].clone()).unwrap();
    assert_eq!(twice, note);
    let bad = NoteSignature::new("friend", friend.verifier().id(), vec![0; 64]).unwrap();
    let mut spoiled = note;
    spoiled.add(bad).unwrap();
    refused(spoiled.open(&keys), "CS-MRK-029");
    refused(spoiled.open(&[key(GO_KEY)]), "CS-MRK-028");
}

#[test]
fn what_is_no_note_is_refused() {
    let line = "\u{2014} a AAAAAAA=\n";
    let bad = [
        String::new(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}trailing"),
        format!("text\n\n{line}\n{line}\n"),
        format!("te\txt\n\n{line}"),
        format!("te\rxt\n\n{line}"),
        "text\n\n- a AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014} a  AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014} a\n".to_owned(),
        "text\n\n\u{2014} a AAAAAAA\n".to_owned(),
        "text\n\n\u{2014} a AAAAAAB=\n".to_owned(),
        "text\n\n\u{2014} a AAAA\n".to_owned(),
        "text\n\n\u{2014} a AAAAAA==\n".to_owned(),
        "text\n\n\u{2014} a AAAAAAA= \n".to_owned(),
    ];
    for note in bad {
        refused(SignedNote::parse(note.as_bytes()), "CS-MRK-021");
    }
    for name in ["", "a+b", "a\u{a0}b", "a\u{2003}b"] {
        refused(SignedNote::parse(format!("text\n\n\u{2014} {name} AAAAAAA=\n").as_bytes()), "CS-MRK-023");
    }
    refused(SignedNote::parse(b"te\xffxt\n\n"), "CS-MRK-021");
}

#[test]
fn the_limits_hold_to_the_byte() {
    let line = "\u{2014} a AAAAAAA=\n";
    let text = |length: usize| format!("{}\n\n{line}", "x".repeat(length - 1));
    SignedNote::parse(text(MAX_TEXT).as_bytes()).unwrap();
    refused(SignedNote::parse(text(MAX_TEXT + 1).as_bytes()), "CS-MRK-020");
    refused(SignedNote::parse(&vec![b'x'; MAX_NOTE + 1]), "CS-MRK-020");
    let many = |count: usize| format!("t\n\n{}", line.repeat(count));
    assert_eq!(
        SignedNote::parse(many(MAX_SIGNATURES).as_bytes()).unwrap().signatures().len(),
        MAX_SIGNATURES
    );
    refused(SignedNote::parse(many(MAX_SIGNATURES + 1).as_bytes()), "CS-MRK-022");
}

#[test]
fn the_text_ends_at_the_last_blank_line() {
    let note = SignedNote::parse("a\n\nb\n\n\u{2014} a AAAAAAA=\n".as_bytes()).unwrap();
    assert_eq!(note.text(), "a\n\nb\n");
    let line = note.signatures()[0].to_line();
    assert_eq!(NoteSignature::parse(line.as_bytes()).unwrap(), note.signatures()[0]);
    refused(NoteSignature::parse(line.trim_end().as_bytes()), "CS-MRK-021");
}

#[test]
fn what_is_no_sound_verifier_key_is_refused() {
    let point = |bytes: [u8; 32]| {
        let id = KeyId::of("n", KeyKind::Ed25519, &bytes);
        format!("n+{id}+{}", to_base64(&[&[1][..], &bytes].concat()))
    };
    let mut identity = [0; 32];
    identity[0] = 1;
    // y = p + 3 is a second spelling of y = 3.
    let mut second_spelling = [0xff; 32];
    (second_spelling[0], second_spelling[31]) = (0xf0, 0x7f);
    let mut no_point = [0; 32];
    no_point[0] = 2;
    for (text, code) in [
        (SPEC_KEY.replace("530d903a", "530d903b"), "CS-MRK-025"),
        (SPEC_KEY.replace("foo", "fob"), "CS-MRK-025"),
        (SPEC_KEY.replace("530d903a", "530D903A"), "CS-MRK-024"),
        (SPEC_KEY.replace("+AekyeR", "+AukyeR"), "CS-MRK-026"),
        (SPEC_KEY.replace("+AekyeR", "+AekyeQ"), "CS-MRK-025"),
        (SPEC_KEY.replace("example.com/foo", ""), "CS-MRK-023"),
        (SPEC_KEY.replace("example.com/foo", &"x".repeat(256)), "CS-MRK-023"),
        (format!("{SPEC_KEY}="), "CS-MRK-024"),
        (format!("{SPEC_KEY}\n"), "CS-MRK-024"),
        (format!("{SPEC_KEY}AAAA"), "CS-MRK-024"),
        ("name".to_owned(), "CS-MRK-024"),
        ("name+00000000".to_owned(), "CS-MRK-024"),
        ("name+00000000+".to_owned(), "CS-MRK-024"),
        ("x".repeat(5000), "CS-MRK-020"),
        (point([0; 32]), "CS-MRK-027"),
        (point(identity), "CS-MRK-027"),
        (point(second_spelling), "CS-MRK-027"),
        (point(no_point), "CS-MRK-027"),
    ] {
        refused(VerifierKey::parse(text.as_bytes()), code);
    }
}

proptest! {
    #[test]
    fn parsing_never_panics_and_has_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(note) = SignedNote::parse(&bytes) {
            prop_assert_eq!(note.to_bytes(), bytes.clone());
        }
        if let Ok(key) = VerifierKey::parse(&bytes) {
            prop_assert_eq!(key.to_string().into_bytes(), bytes.clone());
        }
    }

    #[test]
    fn a_damaged_note_is_refused_or_means_what_it_says(at in 0..GO_NOTE.len(), byte in any::<u8>()) {
        let mut bytes = GO_NOTE.as_bytes().to_vec();
        let before = std::mem::replace(&mut bytes[at], byte);
        if let Ok(note) = SignedNote::parse(&bytes) {
            prop_assert_eq!(note.to_bytes(), bytes);
            prop_assert_eq!(note.open(&[key(GO_KEY)]).is_ok(), before == byte);
        }
    }
}
