//! Where the packages' files are, and what all tests do with them.

use std::path::PathBuf;

use evidence::{Claims, Error, Hex};
use statement::{Bytes, Digest};

/// A file of a package; where it is absent the test says so and is passed over.
pub(crate) fn sample(package: &str, file: &str) -> Option<Vec<u8>> {
    let named = std::env::var_os("COUNTERSIGN_SAMPLES").map(PathBuf::from);
    let folder =
        named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/samples")));
    let bytes = std::fs::read(folder.join(package).join(file)).ok();
    if bytes.is_none() {
        println!("SKIPPED attestation evidence of {package}: `{file}` is absent");
    }
    bytes
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    text.trim().to_lowercase().parse::<Hex>().unwrap().as_slice().to_vec()
}

pub(crate) fn pem(bytes: &[u8]) -> Vec<Bytes> {
    x509::blocks(bytes, "CERTIFICATE").unwrap().into_iter().map(Bytes::new).collect()
}

pub(crate) fn claims() -> Claims {
    Claims {
        inputs: Digest::of(b"inputs"),
        nonce: Hex::new(b"a nonce of the reader's".to_vec()),
        trace_root: Digest::of(b"trace"),
        worker: Digest::of(b"worker"),
    }
}

/// Every flipped bit of the bytes at those places is refused; answers the codes.
#[track_caller]
pub(crate) fn refused_when_flipped(
    bytes: &[u8],
    places: impl Iterator<Item = usize>,
    check: impl Fn(Vec<u8>) -> Result<(), Error>,
) -> std::collections::BTreeSet<&'static str> {
    let mut codes = std::collections::BTreeSet::new();
    check(bytes.to_vec()).unwrap();
    let mut count = 0;
    for place in places {
        let mut twin = bytes.to_vec();
        twin[place] ^= 1 << (place % 8);
        match check(twin) {
            Ok(()) => panic!("a flipped bit in byte {place} of {} is accepted", bytes.len()),
            Err(error) => codes.insert(error.code()),
        };
        count += 1;
    }
    assert!(count > 0);
    codes
}
