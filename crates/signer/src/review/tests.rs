use statement::kind::Purge;
use statement::{Digest, Tracking};

use super::*;
use crate::file_key::FileKey;
use crate::key_file::{KeyFile, Protection};
use crate::secret::FileScheme;

pub(crate) fn key(scheme: FileScheme) -> FileKey {
    KeyFile::generate(scheme, Protection::Unsealed).unwrap().1
}

/// What one or several may sign.
fn purge(basis: &str) -> Statement {
    let body = Purge {
        basis: basis.parse().unwrap(),
        targets: std::collections::BTreeSet::from([Digest::of(b"some content")]),
    };
    Statement::new("acme".parse().unwrap(), Tracking::Realm, 1_700_000_000_000, body)
}

pub(crate) fn unsigned() -> Envelope {
    purge("too-risky").to_envelope().unwrap()
}

#[track_caller]
pub(crate) fn refused(result: Result<impl std::fmt::Debug, SignerError>, code: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

pub(crate) fn verified(envelope: &Envelope, keys: &[&PublicKey]) {
    assert_eq!(envelope.signatures.len(), keys.len());
    for key in keys {
        let line = envelope.signatures.iter().find(|line| line.keyid == key.id()).unwrap();
        key.verify(&envelope.message(), line.sig.as_slice()).unwrap();
    }
    assert_eq!(&Envelope::parse(&envelope.to_bytes().unwrap()).unwrap(), envelope);
}

#[test]
fn two_keys_sign_one_statement() {
    let (first, second) = (key(FileScheme::Ed25519), key(FileScheme::EcdsaP256Sha256));
    let mut envelope = sign_statement(&first, &purge("too-risky")).unwrap();
    let reviewed = review(&envelope).unwrap();
    assert_eq!(reviewed.statement(), &purge("too-risky"));
    assert_eq!(reviewed.id(), envelope.id());
    assert_eq!(reviewed.message().as_bytes(), envelope.message());
    countersign(&second, reviewed, &mut envelope).unwrap();
    verified(&envelope, &[first.public_key(), second.public_key()]);
}

#[test]
fn one_key_signs_once() {
    let key = key(FileScheme::Ed25519);
    let mut envelope = sign_statement(&key, &purge("too-risky")).unwrap();
    let before = envelope.clone();
    let reviewed = review(&envelope).unwrap();
    refused(countersign(&key, reviewed, &mut envelope), "CS-STM-018");
    assert_eq!(envelope, before);
}

#[test]
fn what_names_its_signer_is_signed_by_no_other() {
    let (named, other) = (key(FileScheme::Ed25519), key(FileScheme::Ed25519));
    let alone = purge("too-risky").signed_by(&[named.public_key().id()]);
    refused(sign_statement(&other, &alone), "CS-SGN-048");
    let mut envelope = sign_statement(&named, &alone).unwrap();
    let before = envelope.clone();
    let reviewed = review(&envelope).unwrap();
    refused(countersign(&other, reviewed, &mut envelope), "CS-SGN-048");
    assert_eq!(envelope, before);
    verified(&envelope, &[named.public_key()]);
}

#[test]
fn what_was_reviewed_is_what_is_signed() {
    let key = key(FileScheme::Ed25519);
    let reviewed = review(&unsigned()).unwrap();
    let mut other = purge("too-late").to_envelope().unwrap();
    let before = other.clone();
    refused(countersign(&key, reviewed, &mut other), "CS-SGN-041");
    let Signing::Done(signed) = begin(&key, review(&unsigned()).unwrap()).unwrap() else {
        panic!("a file key answers at once");
    };
    refused(signed.attach(&mut other), "CS-SGN-041");
    assert_eq!(other, before);
}

#[test]
fn what_cannot_be_read_is_not_reviewed() {
    let payload = |from: &str, to: &str| {
        let text = String::from_utf8(unsigned().payload.into_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        review(&Envelope::unsigned(text.replace(from, to).into_bytes()))
    };
    refused(payload("too-risky", "too risky"), "CS-STM-011");
    refused(payload("\"basis\"", "\"bases\""), "CS-STM-009");
    refused(payload(",", ", "), "CS-STM-008");
    refused(payload("purge", "purge-x"), "CS-STM-016");
    let mut envelope = unsigned();
    envelope.payload_type = "text/plain".to_owned();
    refused(review(&envelope), "CS-STM-013");

    // Signatures out of order, put there by hand.
    let mut envelope = sign_statement(&key(FileScheme::Ed25519), &purge("too-risky")).unwrap();
    let reviewed = review(&envelope).unwrap();
    countersign(&key(FileScheme::Ed25519), reviewed, &mut envelope).unwrap();
    envelope.signatures.reverse();
    refused(review(&envelope), "CS-STM-019");
}

#[test]
fn unknown_kinds_are_not_signed() {
    let text = String::from_utf8(unsigned().payload.into_vec()).unwrap();
    let text = text.replace("\"critical\":true", "\"critical\":false").replace("purge", "novelty");
    let envelope = Envelope::unsigned(text.into_bytes());
    assert!(matches!(Content::parse(envelope.payload.as_slice()), Ok(Content::Opaque(_))));
    let error = review(&envelope).unwrap_err();
    assert_eq!(error.code(), "CS-SGN-040");
    assert!(error.to_string().contains("`novelty`"), "{error}");
}

#[test]
fn an_envelope_takes_32_signatures() {
    let mut envelope = unsigned();
    for _ in 0..32 {
        let reviewed = review(&envelope).unwrap();
        countersign(&key(FileScheme::Ed25519), reviewed, &mut envelope).unwrap();
    }
    let before = envelope.clone();
    let reviewed = review(&envelope).unwrap();
    refused(countersign(&key(FileScheme::Ed25519), reviewed, &mut envelope), "CS-STM-020");
    assert_eq!(envelope, before);
}
