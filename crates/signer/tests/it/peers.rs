//! OpenSSL, Python's `cryptography` and `securesystemslib` read what this crate writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use signer::{
    FileKey, FileScheme, KeyFile, Passphrase, Progress, Protection, Signer as _, Stretching, countersign,
    public_pem, review, sign_statement,
};
use statement::kind::Purge;
use statement::{Digest, Envelope, Statement, Tracking};

const SCHEMES: [FileScheme; 2] = [FileScheme::Ed25519, FileScheme::EcdsaP256Sha256];

fn purge() -> Statement {
    let targets = std::collections::BTreeSet::from([Digest::of(b"some content")]);
    let body = Purge { basis: "too-risky".parse().unwrap(), targets };
    Statement::new("acme".parse().unwrap(), Tracking::Realm, 1_700_000_000_000, body)
}

fn fresh(scheme: FileScheme) -> FileKey {
    KeyFile::generate(scheme, Protection::Unsealed).unwrap().1
}

fn openssl(folder: &Path, arguments: &[&str]) -> Option<Output> {
    Command::new("openssl").current_dir(folder).args(arguments).output().ok()
}

/// The Python of the tests' own environment, if it has `module`.
fn python(name: &str, module: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-venv/bin/python3");
    let has = Command::new(&path).args(["-c", &format!("import {module}")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(path);
    }
    println!("SKIPPED {name}: `target/test-venv` has no `{module}`");
    None
}

fn run(python: &Path, folder: &Path, script: &str) -> String {
    let output = Command::new(python).current_dir(folder).args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn openssl_reads_our_public_keys_and_verifies_our_signatures() {
    let folder = tempfile::tempdir().unwrap();
    if openssl(folder.path(), &["version"]).is_none() {
        println!("SKIPPED openssl_reads_our_public_keys_and_verifies_our_signatures: no `openssl`");
        return;
    }
    for scheme in SCHEMES {
        let key = fresh(scheme);
        std::fs::write(folder.path().join("key.pem"), public_pem(key.public_key()).unwrap()).unwrap();
        let envelope = purge().to_envelope().unwrap();
        let reviewed = review(&envelope).unwrap();
        let Ok(Progress::Signed(signature)) = key.start(reviewed.message()) else { panic!("signs at once") };
        std::fs::write(folder.path().join("signature"), signature).unwrap();
        let verify: &[&str] = match scheme {
            FileScheme::Ed25519 => &[
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                "key.pem",
                "-rawin",
                "-in",
                "message",
                "-sigfile",
                "signature",
            ],
            FileScheme::EcdsaP256Sha256 => {
                &["dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "message"]
            }
        };
        let mut message = envelope.message();
        std::fs::write(folder.path().join("message"), &message).unwrap();
        let output = openssl(folder.path(), verify).unwrap();
        assert!(output.status.success(), "{scheme:?}: {}", String::from_utf8_lossy(&output.stderr));
        *message.last_mut().unwrap() ^= 1;
        std::fs::write(folder.path().join("message"), &message).unwrap();
        assert!(
            !openssl(folder.path(), verify).unwrap().status.success(),
            "{scheme:?}: an altered message verifies"
        );

        // Read and written again by OpenSSL, the key's PEM is the same text.
        let again = openssl(folder.path(), &["pkey", "-pubin", "-in", "key.pem"]).unwrap();
        assert_eq!(String::from_utf8(again.stdout).unwrap(), public_pem(key.public_key()).unwrap());
    }
}

#[test]
fn securesystemslib_verifies_our_envelopes() {
    let Some(python) = python("securesystemslib_verifies_our_envelopes", "securesystemslib, cryptography")
    else {
        return;
    };
    let script = r#"
import json
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
keys = [SSlibKey.from_crypto(load_pem_public_key(open(f"{name}.pem", "rb").read()), keyid=open(f"{name}.id").read())
        for name in ("0", "1")]
try:
    accepted = Envelope.from_dict(json.load(open("envelope.json"))).verify(keys, 2)
    print("accepted", len(accepted))
except VerificationError:
    print("refused")
"#;
    let folder = tempfile::tempdir().unwrap();
    let keys = SCHEMES.map(fresh);
    for (place, key) in keys.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{place}.pem")), public_pem(key.public_key()).unwrap())
            .unwrap();
        std::fs::write(folder.path().join(format!("{place}.id")), key.public_key().id().to_string()).unwrap();
    }
    let mut envelope = sign_statement(&keys[0], &purge()).unwrap();
    let reviewed = review(&envelope).unwrap();
    countersign(&keys[1], reviewed, &mut envelope).unwrap();
    let check = |envelope: &Envelope| {
        std::fs::write(folder.path().join("envelope.json"), envelope.to_bytes().unwrap()).unwrap();
        run(&python, folder.path(), script)
    };
    assert_eq!(check(&envelope), "accepted 2");

    let mut payload = envelope.clone();
    let mut bytes = payload.payload.into_vec();
    *bytes.last_mut().unwrap() ^= 1;
    payload.payload = statement::Bytes::new(bytes);
    assert_eq!(check(&payload), "refused");
    let mut one = envelope.clone();
    one.signatures.pop();
    assert_eq!(check(&one), "refused");
    let mut kind = envelope;
    kind.payload_type = "text/plain".to_owned();
    assert_eq!(check(&kind), "refused");
}

#[test]
fn another_implementation_opens_our_sealed_files() {
    let module = "cryptography.hazmat.primitives.kdf.argon2";
    let Some(python) = python("another_implementation_opens_our_sealed_files", module) else { return };
    let script = r#"
import base64, json
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
file = json.load(open("key.json"))
costs = file["kdf"]["argon2id"]
bytes_of = base64.b64decode
out = Argon2id(salt=bytes_of(costs["salt"]), length=64, iterations=costs["passes"], lanes=costs["lanes"],
               memory_cost=costs["memory_kib"]).derive("Sesam, öffne dich".encode())
assert out[32:] == bytes_of(file["check"])
head = {name: file[name] for name in ("format", "kdf", "public", "scheme")}
head = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
sealed = bytes_of(file["sealed"])
seed = AESGCM(out[:32]).decrypt(sealed[:12], sealed[12:], head)
if file["scheme"] == "ed25519":
    public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
    public = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
else:
    public = ec.derive_private_key(int.from_bytes(seed, "big"), ec.SECP256R1()).public_key()
    public = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
print(public == bytes_of(file["public"]))
"#;
    for scheme in SCHEMES {
        let folder = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::new("Sesam, öffne dich".to_owned());
        let stretching = Stretching::new(Stretching::MEMORY_KIB_MIN, 2, 3).unwrap();
        let protection = Protection::Sealed { passphrase: &passphrase, stretching };
        let (file, _) = KeyFile::generate(scheme, protection).unwrap();
        file.write_new(&folder.path().join("key.json")).unwrap();
        assert_eq!(run(&python, folder.path(), script), "True", "{scheme:?}");
    }
}
