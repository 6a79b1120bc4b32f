use std::path::PathBuf;

use aws_lc_rs::digest::{SHA512, digest};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A file of the peers' vectors, where they are at hand.
fn vectors(name: &str) -> Option<Value> {
    let root = std::env::var_os("COUNTERSIGN_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join("vectors/wycheproof/testvectors_v1").join(name);
    let Ok(bytes) = std::fs::read(path) else {
        println!("SKIPPED {name}: shared data absent");
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn flagged(test: &Value, flag: &str) -> bool {
    test["flags"].as_array().unwrap().iter().any(|found| found == flag)
}

/// The longest prefix of whole chunks that opens, as a streaming reader would see it.
fn open_prefix(chunks: &Chunks, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    for (index, sealed) in (0..).zip(body.chunks(SEALED_CHUNK)) {
        let Some(length) = sealed.len().checked_sub(TAG) else { break };
        let mut out = vec![0; length];
        if chunks.open(index, sealed, &mut out).is_err() {
            break;
        }
        let last = length < CHUNK;
        plain.append(&mut out);
        if last {
            break;
        }
    }
    plain
}

#[test]
fn wycheproof_chunked_encryption() {
    let Some(file) = vectors("c2sp_chunked_encryption_aes_256_gcm_test.json") else { return };
    let mut run = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let id = &test["tcId"];
            let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&hex(&test["ct"])).unwrap();
            let context = hex(&test["ctx"]);
            run += 1;
            let Ok(key) = <[u8; KEY_LEN]>::try_from(hex(&test["key"])) else {
                assert!(flagged(test, "InvalidKeySize"), "{id}");
                continue;
            };
            let opened = open_message(&key, &context, &sealed);
            let hash_of = |plain: &[u8]| digest(&SHA512, plain).as_ref().to_vec();
            if test["result"] == "valid" {
                let plain = opened.unwrap();
                assert_eq!(plain.len() as u64, test["msgLength"].as_u64().unwrap(), "{id}");
                assert_eq!(hash_of(&plain), hex(&test["msgSha512"]), "{id}");
                assert_eq!(sealed.len() as u64, sealed_len(plain.len() as u64), "{id}");
                continue;
            }
            let refusal = opened.unwrap_err();
            if flagged(test, "HeaderFailure") {
                assert!(matches!(refusal, SealError::Length | SealError::Commitment), "{id}: {refusal:?}");
                continue;
            }
            let (header, body) = sealed.split_first_chunk::<HEADER>().unwrap();
            let chunks = Chunks::resume(&key, &context, header).unwrap();
            assert_eq!(chunks.base_nonce.to_vec(), hex(&test["baseNonce"]), "{id}");
            if flagged(test, "PartialPlaintext") {
                let prefix = open_prefix(&chunks, body);
                let told = usize::try_from(test["msgLength"].as_u64().unwrap()).unwrap();
                assert_eq!(hash_of(&prefix[..told]), hex(&test["msgSha512"]), "{id}");
            }
        }
    }
    assert_eq!(run, file["numberOfTests"].as_u64().unwrap());
}

/// The cipher under the construction, through the same calls; sizes that we never use are refused by type.
#[test]
fn wycheproof_aes_gcm() {
    let Some(file) = vectors("aes_gcm_test.json") else { return };
    let (mut valid, mut invalid) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        if group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128 {
            continue;
        }
        for test in group["tests"].as_array().unwrap() {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &hex(&test["key"])).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&hex(&test["iv"])).unwrap();
            let (aad, msg, ct, tag) =
                (hex(&test["aad"]), hex(&test["msg"]), hex(&test["ct"]), hex(&test["tag"]));
            let mut out = vec![0; ct.len()];
            let opened = key.open_separate_gather(nonce(), Aad::from(&aad), &ct, &tag, &mut out);
            if test["result"] == "valid" {
                opened.unwrap();
                assert_eq!(out, msg);
                let mut body = msg;
                let sealed = key.seal_in_place_separate_tag(nonce(), Aad::from(&aad), &mut body).unwrap();
                assert_eq!((body.as_slice(), sealed.as_ref()), (ct.as_slice(), tag.as_slice()));
                valid += 1;
            } else {
                opened.unwrap_err();
                invalid += 1;
            }
        }
    }
    assert!(valid > 30 && invalid > 20, "{valid} valid, {invalid} invalid");
}

/// A vector of our own, so that a change of the format is seen without the peers' vectors too.
#[test]
fn the_format_is_pinned() {
    let (chunks, commitment) = Chunks::derive(&KEY, &[9; SALT], b"countersign").unwrap();
    let mut sealed = [0; 3 + TAG];
    chunks.seal(258, b"abc", &mut sealed).unwrap();
    let expected = "c77c962d52aaf144630fc21a2d09132e15570f87e97c57b837c72ab49435c00d\
                    7a4bb0f93e15cbc1e9862aed22bdf11d7275be";
    assert_eq!([commitment.as_slice(), &sealed].concat(), hex(&Value::from(expected)));
}

const KEY: [u8; KEY_LEN] = [7; KEY_LEN];

#[test]
fn every_flipped_bit_is_refused() {
    let sealed = seal_message(&KEY, b"context", &[1; 40]).unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut bad = sealed.clone();
            bad[at] ^= 1 << bit;
            let expected = if at < HEADER { SealError::Commitment } else { SealError::Chunk(0) };
            assert_eq!(open_message(&KEY, b"context", &bad).unwrap_err(), expected, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let sealed = seal_message(&KEY, b"", &[1; CHUNK + 5]).unwrap();
    for length in
        (0..sealed.len()).filter(|length| *length < 200 || length % 97 == 0 || *length + 40 > sealed.len())
    {
        open_message(&KEY, b"", &sealed[..length]).unwrap_err();
    }
    let mut longer = sealed;
    longer.push(0);
    open_message(&KEY, b"", &longer).unwrap_err();
}

#[test]
fn chunks_cannot_be_moved_and_wrong_buffers_are_refused() {
    let (chunks, header) = Chunks::begin(&KEY, b"a").unwrap();
    let mut first = vec![0; SEALED_CHUNK];
    chunks.seal(0, &[1; CHUNK], &mut first).unwrap();
    let mut out = vec![0; CHUNK];
    chunks.open(0, &first, &mut out).unwrap();
    assert_eq!(chunks.open(1, &first, &mut out), Err(SealError::Chunk(1)));
    assert_eq!(out, vec![0; CHUNK], "what did not authenticate is not left in the buffer");
    assert_eq!(chunks.open(0, &first, &mut out[1..]), Err(SealError::Length));
    assert_eq!(chunks.seal(MAX_CHUNKS, &[], &mut [0; TAG]), Err(SealError::Length));
    assert_eq!(chunks.seal(0, &[0; CHUNK + 1], &mut [0; SEALED_CHUNK + 1]), Err(SealError::Length));
    assert_eq!(Chunks::resume(&KEY, b"b", &header).unwrap_err(), SealError::Commitment);
    assert_eq!(Chunks::resume(&[8; KEY_LEN], b"a", &header).unwrap_err(), SealError::Commitment);
    assert_eq!(format!("{chunks:?}"), "Chunks(redacted)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens(chunks in 0_usize..4, around in -2_isize..3, context in any::<[u8; 8]>()) {
        let length = (chunks * CHUNK).saturating_add_signed(around);
        let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let sealed = seal_message(&KEY, &context, &plain).unwrap();
        prop_assert_eq!(sealed.len() as u64, sealed_len(length as u64));
        prop_assert_eq!(&*open_message(&KEY, &context, &sealed).unwrap(), &plain);
    }
}
