use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, KeyPair as _,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::certificate::Certificate;
use super::super::manifest::{HashType, Method, Resource, Serialization, Symlinks};
use super::super::plan::{Found, Hasher, Job};
use super::*;

/// The bundles of `model_signing`'s own tests, where they are present.
fn vectors() -> Option<PathBuf> {
    let named = std::env::var_os("COUNTERSIGN_DATA").map(PathBuf::from);
    let data =
        named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")));
    let folder = data.join("vectors/oms/scripts/tests");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED oms vectors: shared data absent");
    None
}

/// Within the validity of the vectors' certificates.
const IN_TIME: i64 = 1_760_000_000;

struct Vectors {
    folder: PathBuf,
    key: PublicKey,
    roots: Vec<Certificate>,
}

impl Vectors {
    fn load() -> Option<Self> {
        let folder = vectors()?;
        let keys = folder.join("keys/certificate");
        let read = |name: &str| std::fs::read(keys.join(name)).unwrap();
        Some(Self {
            key: PublicKey::from_pem(&read("signing-key-pub.pem")).unwrap(),
            roots: Certificate::all_from_pem(&read("ca-cert.pem")).unwrap(),
            folder,
        })
    }

    fn bundle(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name).join("model.sig")).unwrap()
    }

    fn verify(&self, name: &str, bundle: &[u8]) -> Result<Verified, Error> {
        let trust = if name.ends_with("certificate") {
            Trust::Roots { roots: &self.roots, at: IN_TIME }
        } else {
            Trust::Key(&self.key)
        };
        Bundle::parse(bundle)?.verify(&trust)
    }

    /// The files that are there, and the digests of the jobs.
    fn check(&self, name: &str, verified: &Verified, ignored: &[&str]) -> Result<(), Error> {
        let root = self.folder.join(name);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&root).unwrap() {
            let entry = entry.unwrap();
            let path = entry.file_name().into_string().unwrap();
            if path != "model.sig" {
                found.push(Found { path, bytes: entry.metadata().unwrap().len(), is_link: false });
            }
        }
        let ignored: Vec<String> = ignored.iter().map(|path| (*path).to_owned()).collect();
        let jobs = verified.manifest().plan(&found, &ignored)?;
        let hash = verified.manifest().serialization().hash;
        let hashed: Vec<(Job, Vec<u8>)> = jobs
            .into_iter()
            .map(|job| {
                let mut hasher = Hasher::new(hash);
                hasher.update(&std::fs::read(root.join(&job.path)).unwrap());
                (job, hasher.finish())
            })
            .collect();
        verified.manifest().compare(&hashed)
    }
}

const NAMES: [&str; 3] = ["v0.3.1-elliptic-key", "v1.0.1-elliptic-key", "v1.0.1-certificate"];

#[test]
fn the_bundles_of_model_signing_verify_and_their_files_are_what_was_signed() {
    let Some(vectors) = Vectors::load() else { return };
    for name in NAMES {
        let verified = vectors.verify(name, &vectors.bundle(name)).unwrap();
        assert!(!verified.manifest().binds_names());
        if name.starts_with("v1") {
            let error = vectors.check(name, &verified, &[]).unwrap_err();
            assert_eq!(error, Error::FileUnsigned { name: "ignore-me".to_owned() });
            vectors.check(name, &verified, &["ignore-me"]).unwrap();
        } else {
            assert_eq!(verified.manifest().resources()[0].path, ".");
        }
    }
}

#[test]
fn every_field_of_the_bundles_has_a_twin_that_is_refused() {
    let Some(vectors) = Vectors::load() else { return };
    for name in NAMES {
        let good: Json = serde_json::from_slice(&vectors.bundle(name)).unwrap();
        let refused = |what: &str, bundle: &Json| {
            let bytes = serde_json::to_vec(bundle).unwrap();
            vectors.verify(name, &bytes).map(drop).expect_err(&format!("{name}: {what}")).code()
        };
        // Every string of the bundle, one character of it changed.
        let mut places = Vec::new();
        strings(&good, &mut Vec::new(), &mut places);
        assert!(places.len() >= 5);
        for place in &places {
            // What the peer ignores as well: releases before 1.0.2 wrote the key's kind beside the key.
            if place.ends_with(&["keyDetails".to_owned()]) {
                continue;
            }
            let mut bundle = good.clone();
            let text = at(&mut bundle, place);
            let old = text.as_str().unwrap().to_owned();
            let middle = old.len() / 2;
            let other = if old.as_bytes()[middle] == b'A' { 'B' } else { 'A' };
            *text = json!(format!("{}{other}{}", &old[..middle], &old[middle + 1..]));
            refused(&place.join("."), &bundle);
        }
        for (pointer, value, code) in [
            ("/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.2+json"), "CS-SEL-020"),
            ("/dsseEnvelope/payloadType", json!("text/plain"), "CS-SEL-020"),
            ("/dsseEnvelope/signatures", json!([]), "CS-SEL-020"),
            ("/dsseEnvelope/signatures/0/sig", json!(""), "CS-SEL-020"),
            ("/dsseEnvelope/signatures/0/keyid", json!(7), "CS-SEL-020"),
            ("/verificationMaterial", json!({}), "CS-SEL-020"),
            ("/verificationMaterial", json!({"certificate": {"rawBytes": ""}}), "CS-SEL-027"),
        ] {
            let mut bundle = good.clone();
            *bundle.pointer_mut(pointer).unwrap() = value;
            assert_eq!(refused(pointer, &bundle), code, "{pointer}");
        }
        let mut twice = good.clone();
        let signatures = twice.pointer_mut("/dsseEnvelope/signatures").unwrap().as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
        assert_eq!(refused("two signatures", &twice), "CS-SEL-020");
        let mut more = good.clone();
        more["more"] = json!(1);
        assert_eq!(refused("an unknown member", &more), "CS-SEL-020");
    }
}

fn strings(value: &Json, here: &mut Vec<String>, places: &mut Vec<Vec<String>>) {
    let mut inside = |name: String, value: &Json| {
        here.push(name);
        strings(value, here, places);
        here.pop();
    };
    match value {
        Json::String(text) if !text.is_empty() => places.push(here.clone()),
        Json::Array(items) => items.iter().enumerate().for_each(|(at, item)| inside(at.to_string(), item)),
        Json::Object(members) => members.iter().for_each(|(name, member)| inside(name.clone(), member)),
        _ => {}
    }
}

fn at<'v>(value: &'v mut Json, place: &[String]) -> &'v mut Json {
    value.pointer_mut(&format!("/{}", place.join("/"))).unwrap()
}

#[test]
fn a_certificate_counts_only_within_its_validity_and_under_a_given_root() {
    let Some(vectors) = Vectors::load() else { return };
    let bytes = vectors.bundle("v1.0.1-certificate");
    let at = |at| Bundle::parse(&bytes).unwrap().verify(&Trust::Roots { roots: &vectors.roots, at });
    let verified = at(IN_TIME).unwrap();
    let Signer::Certificate { validity: (from, until) } = *verified.signer() else { panic!("a certificate") };
    at(from).unwrap();
    at(until).unwrap();
    assert_eq!(at(from - 1).unwrap_err().code(), "CS-SEL-030");
    assert_eq!(at(until + 1).unwrap_err().code(), "CS-SEL-030");
    let none = Bundle::parse(&bytes).unwrap().verify(&Trust::Roots { roots: &[], at: IN_TIME });
    assert_eq!(none.unwrap_err().code(), "CS-SEL-029");
    let key = Bundle::parse(&bytes).unwrap().verify(&Trust::Key(&vectors.key));
    assert_eq!(key.unwrap_err().code(), "CS-SEL-027");
    let key = vectors.bundle("v1.0.1-elliptic-key");
    let roots = Bundle::parse(&key).unwrap().verify(&Trust::Roots { roots: &vectors.roots, at: IN_TIME });
    assert_eq!(roots.unwrap_err().code(), "CS-SEL-027");
}

/// A key of each curve: its pair and its public half.
fn pairs() -> Vec<(EcdsaKeyPair, PublicKey)> {
    [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING]
        .into_iter()
        .map(|algorithm| {
            let pair = EcdsaKeyPair::generate(algorithm).unwrap();
            let spki = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(
                pair.public_key(),
            );
            let key = PublicKey::from_spki(spki.unwrap().as_ref()).unwrap();
            (pair, key)
        })
        .collect()
}

fn manifest() -> Manifest {
    let resource =
        |path: &str, byte: u8| Resource { path: path.to_owned(), span: None, digest: vec![byte; 32] };
    let serialization = Serialization {
        method: Method::Files,
        hash: HashType::Sha256,
        symlinks: Symlinks::Refused,
        ignored: vec!["model.sig".to_owned()],
    };
    Manifest::new("model", serialization, vec![resource("b/c.bin", 2), resource("a.bin", 1)]).unwrap()
}

fn signed(pair: &EcdsaKeyPair, key: &PublicKey, unsigned: Unsigned) -> Vec<u8> {
    let signature = pair.sign(&SystemRandom::new(), &unsigned.message()).unwrap();
    unsigned.finish(key, signature.as_ref()).unwrap()
}

#[test]
fn what_is_signed_verifies_with_every_curve_and_with_no_other_key() {
    let pairs = pairs();
    for (pair, key) in &pairs {
        let bundle = signed(pair, key, Unsigned::of(&manifest()).unwrap());
        let verified = Bundle::parse(&bundle).unwrap().verify(&Trust::Key(key)).unwrap();
        assert_eq!(verified.manifest(), &manifest());
        assert!(verified.manifest().binds_names());
        assert_eq!(PublicKey::from_pem(key.to_pem().as_bytes()).unwrap(), *key);
        for (_, other) in pairs.iter().filter(|(_, other)| other != key) {
            let error = Bundle::parse(&bundle).unwrap().verify(&Trust::Key(other)).unwrap_err();
            assert_eq!(error.code(), "CS-SEL-025");
            assert_eq!(
                Unsigned::of(&manifest()).unwrap().finish(other, &[0; 70]).unwrap_err(),
                Error::Signature
            );
        }
    }
}

/// Signs a payload that is not what `Manifest` writes.
fn forged(change: impl Fn(&mut Json)) -> Result<Verified, Error> {
    let (pair, key) = pairs().remove(0);
    let mut payload: Json = serde_json::from_slice(Unsigned::of(&manifest()).unwrap().payload()).unwrap();
    change(&mut payload);
    let unsigned = Unsigned { payload: serde_json::to_vec(&payload).unwrap() };
    Bundle::parse(&signed(&pair, &key, unsigned))?.verify(&Trust::Key(&key))
}

#[test]
fn a_signed_statement_that_contradicts_itself_is_refused() {
    forged(|_| ()).unwrap();
    let change = |pointer: &'static str, value: Json| {
        forged(move |payload| *payload.pointer_mut(pointer).unwrap() = value.clone())
    };
    for (pointer, value, code) in [
        ("/_type", json!("x"), "CS-SEL-020"),
        ("/predicateType", json!("https://model_signing/Digests/v0.1"), "CS-SEL-020"),
        ("/subject", json!([]), "CS-SEL-020"),
        ("/subject/0/name", json!("other"), "CS-SEL-023"),
        ("/subject/0/digest", json!({"sha512": "00"}), "CS-SEL-020"),
        ("/subject/0/digest/sha256", json!("0".repeat(64)), "CS-SEL-022"),
        ("/predicate/serialization/method", json!("folders"), "CS-SEL-020"),
        ("/predicate/serialization/method", json!("shards"), "CS-SEL-020"),
        ("/predicate/serialization/hash_type", json!("md5"), "CS-SEL-020"),
        ("/predicate/serialization/allow_symlinks", json!("false"), "CS-SEL-020"),
        ("/predicate/serialization/allow_symlinks", json!(true), "CS-SEL-023"),
        ("/predicate/serialization/ignore_paths", json!(["../x"]), "CS-SEL-021"),
        ("/predicate/serialization/ignore_paths", json!(["a.bin2"]), "CS-SEL-023"),
        ("/predicate/countersign/names", json!("0".repeat(64)), "CS-SEL-023"),
        ("/predicate/countersign", json!("x"), "CS-SEL-020"),
        ("/predicate/resources/0/algorithm", json!("sha512"), "CS-SEL-020"),
        ("/predicate/resources/0/digest", json!("A".repeat(64)), "CS-SEL-020"),
        ("/predicate/resources/0/digest", json!("aa"), "CS-SEL-020"),
        ("/predicate/resources/0/name", json!("renamed.bin"), "CS-SEL-023"),
        ("/predicate/resources/0/name", json!("b"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("b/c.bin"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("."), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("/etc/passwd"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("../a.bin"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("a/./b"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("a//b"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("a\\b"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("C:a"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("a\u{0}b"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!("a\u{202e}b"), "CS-SEL-021"),
        ("/predicate/resources/0/name", json!(""), "CS-SEL-021"),
        ("/predicate/resources", json!([]), "CS-SEL-035"),
    ] {
        assert_eq!(change(pointer, value.clone()).unwrap_err().code(), code, "{pointer} {value}");
    }
    let swapped = forged(|payload| payload["predicate"]["resources"].as_array_mut().unwrap().swap(0, 1));
    assert_eq!(swapped.unwrap_err().code(), "CS-SEL-022");
    let more = forged(|payload| payload["predicate"]["note"] = json!("x")).unwrap();
    assert_eq!(more.manifest().unknown(), ["note"]);
    let unknown = forged(|payload| payload["predicate"]["serialization"]["skip"] = json!(["x"]));
    assert_eq!(unknown.unwrap_err().code(), "CS-SEL-020");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fail_otherwise_than_by_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Bundle::parse(&bytes));
        drop(Certificate::from_der(&bytes, 0));
        drop(PublicKey::from_spki(&bytes));
        drop(PublicKey::from_pem(&bytes));
        drop(Manifest::of_payload(&bytes));
    }
}
