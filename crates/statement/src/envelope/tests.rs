use p256::ecdsa::signature::Verifier as _;

use super::{
    ENVELOPE_BYTES_MAX, Envelope, PAYLOAD_TYPE, SIGNATURES_MAX, Signature, pre_authentication_encoding,
};
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::example;
use crate::id::KeyId;
use crate::key::{PublicKey, Scheme};
use crate::kind::Kind;

/// The example of the DSSE specification (protocol.md, "Test Vectors").
mod specification {
    pub(super) const TYPE: &str = "http://example.com/HelloWorld";
    pub(super) const PAYLOAD: &[u8] = b"hello world";
    pub(super) const X: &str =
        "46950820868899156662930047687818585632848591499744589407958293238635476079160";
    pub(super) const Y: &str = "5640078356564379163099075877009565129882514886557779369047442380624545832820";
    pub(super) const SIG: &str =
        "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
}

/// A decimal number as 32 bytes, big end first.
fn decimal(text: &str) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    for digit in text.bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            let product = u16::from(*byte) * 10 + carry;
            *byte = product.to_le_bytes()[0];
            carry = product >> 8;
        }
        assert_eq!(carry, 0);
    }
    bytes
}

#[test]
fn the_example_of_the_specification() {
    use specification::{PAYLOAD, SIG, TYPE, X, Y};
    let message = pre_authentication_encoding(TYPE, PAYLOAD);
    assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    let public = [vec![4], decimal(X).to_vec(), decimal(Y).to_vec()].concat();
    // The specification writes r and s end to end; the scheme of our keys is the same signature in DER.
    let raw = Bytes::from_base64(SIG).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(raw.as_slice()).unwrap();
    let key = PublicKey { public: Bytes::new(public.clone()), scheme: Scheme::EcdsaP256Sha256 };
    assert_eq!(key.verify(&message, signature.to_der().as_bytes()), Ok(()));
    assert!(key.verify(&message, raw.as_slice()).is_err());
    let library = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public).unwrap();
    assert!(library.verify(&message, &signature).is_ok());
    for twin in [
        pre_authentication_encoding(TYPE, b"hello worle"),
        pre_authentication_encoding("http://example.com/HelloWorle", PAYLOAD),
        PAYLOAD.to_vec(),
    ] {
        assert!(key.verify(&twin, signature.to_der().as_bytes()).is_err());
    }
}

#[test]
fn lengths_are_of_bytes_and_keep_type_and_payload_apart() {
    assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
    assert_eq!(pre_authentication_encoding("é", "ü".as_bytes()), "DSSEv1 2 é 2 ü".as_bytes());
    assert_ne!(pre_authentication_encoding("a", b"b 1 c"), pre_authentication_encoding("a 5 b", b"c"));
}

fn good() -> Envelope {
    example::envelope(Kind::Approval).unwrap()
}

fn text() -> String {
    String::from_utf8(good().to_bytes().unwrap()).unwrap()
}

#[test]
fn an_envelope_round_trips() {
    let envelope = good();
    let bytes = envelope.to_bytes().unwrap();
    assert_eq!(Envelope::parse(&bytes).unwrap(), envelope);
    assert_eq!(envelope.payload_type, PAYLOAD_TYPE);
    assert_eq!(envelope.id().digest(), &Digest::of(&envelope.message()));
    let signature = &envelope.signatures[0];
    assert_eq!(signature.keyid, example::public_key().id());
    assert_eq!(example::public_key().verify(&envelope.message(), signature.sig.as_slice()), Ok(()));
}

#[track_caller]
fn refuse(twin: &str, code: &str) {
    assert_ne!(twin, text());
    let error = Envelope::parse(twin.as_bytes()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn tampered_envelopes_are_refused() {
    let text = text();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    refuse(&text[..text.len() - 1], "CS-STM-003");
    refuse(&format!("{text}\n"), "CS-STM-008");
    refuse(&format!("{text}x"), "CS-STM-007");
    refuse(&text.replace(":[", ": ["), "CS-STM-008");
    refuse(&text.replace("\"payload\"", "\"paylaod\""), "CS-STM-009");
    refuse(&text.replace(",\"payloadType\":\"application/vnd.in-toto+json\"", ""), "CS-STM-010");
    refuse(&text.replace("in-toto+json", "in-toto+cbor"), "CS-STM-013");
    refuse(&text.replace("in-toto+json", "in-toto\\u002bjson"), "CS-STM-008");
    refuse(&text.replace("\"payloadType\":", "\"payloadType\":\"a\",\"payloadType\":"), "CS-STM-005");
    refuse(&text.replace("\"signatures\":[", "\"signatures\":[null,"), "CS-STM-011");
    refuse(&text.replace("\"signatures\":[", "\"signatures\":[1.5,"), "CS-STM-006");
    refuse(&text.replace("\"sig\":", "\"Sig\":"), "CS-STM-008");
    refuse(&text.replace("\"keyid\":\"", "\"keyid\":\"0"), "CS-STM-011");
    refuse(&text.replace("==\"", "\""), "CS-STM-011");
    // URL-safe base64 and unused bits that are not zero: other spellings of the same bytes.
    let sig = value["signatures"][0]["sig"].as_str().unwrap();
    let safe = sig.replace('+', "-").replace('/', "_");
    if safe != sig {
        refuse(&text.replace(sig, &safe), "CS-STM-011");
    }
    let mut unused = sig.as_bytes().to_vec();
    let at = unused.len() - 3;
    unused[at] += 1;
    refuse(&text.replace(sig, std::str::from_utf8(&unused).unwrap()), "CS-STM-011");
    // Arrays in place of objects.
    let signature = format!("[{},{}]", value["signatures"][0]["keyid"], value["signatures"][0]["sig"]);
    refuse(&text.replace(&value["signatures"][0].to_string(), &signature), "CS-STM-011");
    refuse(&format!("[{},{},[]]", value["payload"], value["payloadType"]), "CS-STM-011");
    refuse(&format!("{{\"a\":{}}}", "[".repeat(1_000)), "CS-STM-002");
    refuse(&text.replace("signatures", "signatur\\udc00"), "CS-STM-004");
    refuse(&format!("{text}{}", " ".repeat(ENVELOPE_BYTES_MAX)), "CS-STM-001");
}

fn signature(label: u8) -> Signature {
    Signature { keyid: KeyId::from_digest(Digest::of(&[label])), sig: Bytes::new(vec![label]) }
}

#[test]
fn signatures_are_sorted_and_one_per_key() {
    let mut envelope = good();
    for label in 0..5 {
        envelope.add(signature(label)).unwrap();
    }
    assert!(envelope.signatures.is_sorted_by(|a, b| a.keyid < b.keyid));
    assert_eq!(Envelope::parse(&envelope.to_bytes().unwrap()).unwrap(), envelope);
    let id = good().id();
    assert_eq!(envelope.id(), id, "who signed does not change what is said");

    assert_eq!(envelope.add(signature(3)).unwrap_err().code(), "CS-STM-018");
    let mut swapped = envelope.clone();
    swapped.signatures.swap(0, 1);
    assert_eq!(Envelope::parse(&swapped.to_bytes().unwrap()).unwrap_err().code(), "CS-STM-019");
    let mut twice = envelope.clone();
    let mut again = twice.signatures[2].clone();
    again.sig = Bytes::new(vec![9]);
    twice.signatures.insert(3, again);
    assert_eq!(Envelope::parse(&twice.to_bytes().unwrap()).unwrap_err().code(), "CS-STM-018");
}

#[test]
fn signatures_are_bounded() {
    let mut envelope = Envelope::unsigned(b"{}".to_vec());
    for label in 0..32 {
        envelope.add(signature(label)).unwrap();
    }
    assert_eq!(SIGNATURES_MAX, 32);
    assert!(Envelope::parse(&envelope.to_bytes().unwrap()).is_ok());
    assert_eq!(envelope.add(signature(32)).unwrap_err().code(), "CS-STM-020");
    envelope.signatures.push(signature(32));
    envelope.signatures.sort();
    assert_eq!(Envelope::parse(&envelope.to_bytes().unwrap()).unwrap_err().code(), "CS-STM-020");
}

#[test]
fn oversize_envelopes_are_not_made() {
    let envelope = Envelope::unsigned(vec![b' '; ENVELOPE_BYTES_MAX]);
    assert_eq!(envelope.to_bytes().unwrap_err().code(), "CS-STM-021");
}
