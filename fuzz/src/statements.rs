//! `statement`: canonical JSON, envelopes, payloads, log entries, passkey assertions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use statement::example::passkey;
use statement::json::{self, Limits, Numbers};
use statement::{Content, Digest, Envelope, Leaf, Scheme};

pub(crate) fn json(data: &[u8]) {
    let limits = Limits { bytes: 1 << 20, depth: 64, numbers: Numbers::Any };
    match json::parse(data, limits) {
        Ok(value) => {
            let canonical = json::encode(&value);
            let again = json::parse(&canonical, limits).expect("what is encoded is read");
            assert_eq!(json::encode(&again), canonical, "the canonical form is a fixed point");
        }
        Err(error) => assert!(error.offset <= data.len()),
    }
    // An independent reader takes it as well. Not so with any number: `serde_json` refuses 1.7976931348623158e308,
    // which rounds to the largest double.
    if json::parse(data, Limits { numbers: Numbers::IntegersOnly, ..limits }).is_ok() {
        let _: serde_json::Value = serde_json::from_slice(data).expect("stricter than another reader");
    }
    if let Ok(value) = json::parse_canonical(data, data.len()) {
        assert_eq!(json::encode(&value), data);
        let theirs: serde_json::Value = serde_json::from_slice(data).expect("another reader");
        assert_eq!(json::to_value(&theirs).expect("integers only"), value);
    }
}

pub(crate) fn envelope(data: &[u8]) {
    if let Ok(envelope) = Envelope::parse(data) {
        assert_eq!(envelope.to_bytes().expect("it was read"), data, "one spelling");
        assert!(envelope.signatures.is_sorted_by(|a, b| a.keyid < b.keyid));
    }
}

pub(crate) fn statement(data: &[u8]) {
    match Content::parse(data) {
        Ok(Content::Known(statement)) => {
            assert_eq!(statement.to_payload().expect("it was read"), data, "one spelling");
            assert_eq!(statement.header.predicate_type(), statement.body.kind().predicate_type());
        }
        Ok(Content::Opaque(opaque)) => assert!(!opaque.header.critical),
        Err(error) => assert!(!error.code().is_empty()),
    }
}

pub(crate) fn leaf(data: &[u8]) {
    if let Ok(leaf) = Leaf::parse(7, data) {
        assert_eq!(leaf.to_entry().expect("it was read"), data, "one spelling");
        assert_eq!(leaf.id, leaf.envelope.id());
    }
}

/// Bytes that begin with `{` are an assertion. Others are client data, a zero byte and authenticator data, which are
/// then well signed, so that what stands before the signature is reached.
pub(crate) fn webauthn_assertion(data: &[u8]) {
    const MESSAGE: &[u8] = b"message";
    let site = passkey::site();
    let schemes = [Scheme::WebauthnEd25519(site.clone()), Scheme::WebauthnEs256(site.clone())];
    if data.first() == Some(&b'{') {
        for scheme in &schemes {
            if passkey::public_key(scheme).verify(MESSAGE, data).is_ok() {
                let value = json::parse_canonical(data, data.len()).expect("an assertion is canonical");
                let read: statement::key::Assertion = json::from_value(&value).expect("an assertion");
                check_accepted(read.client_data.as_slice(), read.authenticator_data.as_slice());
            }
        }
        return;
    }
    let (client_data, rest) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let authenticator_data = rest.get(1..).unwrap_or_default();
    for scheme in &schemes {
        let assertion = passkey::assertion(scheme, authenticator_data.to_vec(), client_data.to_vec());
        let signature = json::to_canonical(&assertion).expect("an assertion has an encoding");
        if passkey::public_key(scheme).verify(MESSAGE, &signature).is_ok() {
            check_accepted(client_data, authenticator_data);
        }
    }
}

/// The same rules, by another reader.
fn check_accepted(client_data: &[u8], authenticator_data: &[u8]) {
    let site = passkey::site();
    let client: serde_json::Value = serde_json::from_slice(client_data).expect("client data is JSON");
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(b"message").as_bytes());
    assert_eq!(client["type"], "webauthn.get");
    assert_eq!(client["challenge"], challenge.as_str());
    assert_eq!(client["origin"], site.origin.as_str());
    assert!(matches!(client.get("crossOrigin"), None | Some(serde_json::Value::Bool(false))));
    assert_eq!(&authenticator_data[..32], Digest::of(site.id.as_bytes()).as_bytes());
    assert_eq!(authenticator_data[32] & 0x05, 0x05, "present and verified");
    assert!(authenticator_data.len() >= 37);
}
