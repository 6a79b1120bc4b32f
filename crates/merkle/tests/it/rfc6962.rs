//! RFC 6962 probes of transparency-dev/merkle, most of them wrong on purpose.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use merkle::{Hash, verify_consistency, verify_inclusion};
use serde_json::Value;

use crate::peers::{files, json, vectors};

/// A hash of the probe. A value that is not 32 bytes long is hashed under a label of its own: equal stays equal
/// and unequal stays unequal, which is all that the verifiers ask.
fn hash(value: &Value) -> Hash {
    match exact_hash(value) {
        Ok(hash) => hash,
        Err(bytes) => Hash::of_parts(&[b"not a hash: ", &bytes]),
    }
}

/// A hash of the probe, or its bytes where they are none: such a leaf is refused by the type.
fn exact_hash(value: &Value) -> Result<Hash, Vec<u8>> {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    <[u8; 32]>::try_from(bytes).map(Hash::from_bytes)
}

fn proof(probe: &Value) -> Vec<Hash> {
    probe["proof"].as_array().map(|hashes| hashes.iter().map(hash).collect()).unwrap_or_default()
}

#[test]
fn every_probe_is_judged_as_its_author_says() {
    let Some(folder) = vectors("every_probe_is_judged_as_its_author_says", "merkle") else { return };
    let (mut good, mut bad) = (0, 0);
    for path in files(&folder).iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let probe = json(path);
        let outcome = if probe.get("leafIdx").is_some() {
            exact_hash(&probe["leafHash"]).map_err(|_| "the leaf is no hash".to_owned()).and_then(|leaf| {
                verify_inclusion(
                    probe["leafIdx"].as_u64().unwrap(),
                    probe["treeSize"].as_u64().unwrap(),
                    &leaf,
                    &proof(&probe),
                    &hash(&probe["root"]),
                )
                .map_err(|error| error.to_string())
            })
        } else {
            verify_consistency(
                probe["size1"].as_u64().unwrap(),
                probe["size2"].as_u64().unwrap(),
                &proof(&probe),
                &hash(&probe["root1"]),
                &hash(&probe["root2"]),
            )
            .map_err(|error| error.to_string())
        };
        let want_error = probe["wantErr"].as_bool().unwrap();
        assert_eq!(outcome.is_err(), want_error, "{}: {outcome:?}", path.display());
        if want_error { bad += 1 } else { good += 1 }
    }
    println!("{good} good and {bad} bad probes");
    assert!(good >= 8 && bad >= 100, "the probes are not all there");
}
