//! The published test vectors, read as an outsider reads them: through the public interface alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use statement::{Bytes, Content, Digest, Envelope, Kind, Leaf, PublicKey};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/statements/vectors")
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(vectors().join(name)).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn key(value: &Value) -> PublicKey {
    serde_json::from_value(value["key"].clone()).unwrap()
}

#[test]
fn every_kind_has_a_vector_that_verifies() {
    for kind in Kind::ALL {
        let vector = read(&format!("{}.json", kind.name()));
        let (payload, envelope) = (text(&vector, "payload"), text(&vector, "envelope"));
        let read = Envelope::parse(envelope.as_bytes()).unwrap();
        assert_eq!(read.payload.as_slice(), payload.as_bytes());
        assert_eq!(read.id().to_string(), text(&vector, "pae_sha256"));
        assert_eq!(Digest::of(payload.as_bytes()).to_string(), text(&vector, "payload_sha256"));
        let [signature] = read.signatures.as_slice() else { panic!("one signature") };
        let key = key(&vector);
        assert_eq!(signature.keyid, key.id());
        key.verify(&read.message(), signature.sig.as_slice()).unwrap();

        let Content::Known(statement) = Content::parse(payload.as_bytes()).unwrap() else {
            panic!("{kind:?}")
        };
        assert_eq!(statement.body.kind(), *kind);
        assert_eq!(statement.to_payload().unwrap(), payload.as_bytes());
        assert_eq!(read.to_bytes().unwrap(), envelope.as_bytes());

        let entry = text(&vector, "entry").as_bytes();
        let leaf = Leaf::parse(0, entry).unwrap();
        assert_eq!(leaf.envelope, read);
        assert_eq!(leaf.content, Content::Known(statement));
        assert_eq!(leaf.to_entry().unwrap(), entry);
        assert_eq!(Digest::of_parts(&[&[0], entry]).to_string(), text(&vector, "entry_leaf_hash"));
    }
}

/// No two vectors share anything that names them.
#[test]
fn vectors_are_distinct() {
    for name in ["payload", "payload_sha256", "pae_sha256", "entry", "entry_leaf_hash"] {
        let distinct: BTreeSet<String> = Kind::ALL
            .iter()
            .map(|kind| text(&read(&format!("{}.json", kind.name())), name).to_owned())
            .collect();
        assert_eq!(distinct.len(), Kind::ALL.len(), "{name}");
    }
}

#[test]
fn a_signature_of_each_scheme_verifies() {
    let vectors = read("schemes.json");
    let message = text(&vectors, "message").as_bytes();
    assert_eq!(Digest::of(message).to_string(), text(&vectors, "message_sha256"));
    let signatures = vectors["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 4);
    for vector in signatures {
        let key = key(vector);
        let signature = Bytes::from_base64(text(vector, "sig")).unwrap();
        assert_eq!(key.id().to_string(), text(vector, "key_id"));
        key.verify(message, signature.as_slice()).unwrap();
        let mut other = message.to_vec();
        other[0] ^= 1;
        assert!(key.verify(&other, signature.as_slice()).is_err());
    }
}

#[test]
fn every_twin_is_refused_by_its_code() {
    let vectors = read("refused.json");
    let cases = vectors["cases"].as_array().unwrap();
    let mut codes = BTreeSet::new();
    for case in cases {
        let error = match case.get("payload") {
            Some(payload) => Content::parse(payload.as_str().unwrap().as_bytes()).unwrap_err(),
            None => Envelope::parse(text(case, "envelope").as_bytes()).unwrap_err(),
        };
        assert_eq!(error.code(), text(case, "code"), "{}", case["what"]);
        codes.insert(error.code());
    }
    let expected =
        [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 22, 24, 25].map(|n| format!("CS-STM-{n:03}"));
    assert_eq!(codes.into_iter().map(str::to_owned).collect::<Vec<_>>(), expected);
}
