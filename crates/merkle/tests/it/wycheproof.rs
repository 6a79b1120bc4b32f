//! Wycheproof's signatures through the verifiers that notes and cosignatures use.

use merkle::note::{verify_ed25519, verify_ml_dsa_44};
use serde_json::Value;

use crate::peers::{hex, json, vectors};

fn bytes(value: &Value) -> Vec<u8> {
    hex(value.as_str().unwrap())
}

/// Runs every test of the file and returns how many were valid and invalid.
fn replay(file: &str, verify: impl Fn(&Value, &Value) -> bool) -> Option<(usize, usize)> {
    let path = vectors(file, "wycheproof")?.join("testvectors_v1").join(file);
    let suite = json(&path);
    let (mut valid, mut invalid) = (0, 0);
    for group in suite["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("no rule for result `{other}`"),
            };
            assert_eq!(verify(group, test), expected, "{file} {}: {}", test["tcId"], test["comment"]);
            if expected { valid += 1 } else { invalid += 1 }
        }
    }
    assert_eq!(valid + invalid, suite["numberOfTests"]);
    println!("{file}: {valid} valid, {invalid} invalid");
    Some((valid, invalid))
}

#[test]
fn ed25519() {
    let counts = replay("ed25519_test.json", |group, test| {
        verify_ed25519(&bytes(&group["publicKey"]["pk"]), &bytes(&test["msg"]), &bytes(&test["sig"]))
    });
    assert!(counts.is_none_or(|(valid, invalid)| valid > 0 && invalid > 0));
}

#[test]
fn ml_dsa_44() {
    let counts = replay("mldsa_44_verify_test.json", |group, test| {
        let context = test.get("ctx").map(bytes).unwrap_or_default();
        let (key, signature) = (bytes(&group["publicKey"]), bytes(&test["sig"]));
        verify_ml_dsa_44(&key, &bytes(&test["msg"]), &context, &signature)
    });
    assert!(counts.is_none_or(|(valid, invalid)| valid > 0 && invalid > 0));
}
