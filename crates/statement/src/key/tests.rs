use base64::Engine as _;
use ed25519_dalek::Signer as _;
use serde_json::Value;

use super::{Assertion, PublicKey, RelyingParty, Scheme, SignatureError};
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::example::passkey::{assertion, authenticator_data, client_data, public_key, sign, site};
use crate::json::{self, from_value, parse_canonical, to_canonical};
use crate::vectors::{json, shared, unhex};

fn key(scheme: Scheme, public: Vec<u8>) -> PublicKey {
    PublicKey { public: Bytes::new(public), scheme }
}

fn schemes() -> [Scheme; 4] {
    [Scheme::Ed25519, Scheme::EcdsaP256Sha256, Scheme::WebauthnEd25519(site()), Scheme::WebauthnEs256(site())]
}

/// RFC 8032 section 7.1, tests 1 to 3.
#[test]
fn rfc_8032_vectors() {
    let cases = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (public, message, signature) in cases {
        let key = key(Scheme::Ed25519, unhex(public));
        assert_eq!(key.verify(&unhex(message), &unhex(signature)), Ok(()));
        assert_eq!(key.verify(b"other", &unhex(signature)), Err(SignatureError::Mismatch));
    }
}

fn wycheproof(file: &str, public: &str, scheme: &Scheme) -> Option<(usize, usize)> {
    let vectors = json(&shared(&format!("vectors/wycheproof/testvectors_v1/{file}"))?);
    let (mut accepted, mut refused) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = key(scheme.clone(), unhex(group["publicKey"][public].as_str().unwrap()));
        for test in group["tests"].as_array().unwrap() {
            let text = |name: &str| unhex(test[name].as_str().unwrap());
            let verified = key.verify(&text("msg"), &text("sig"));
            // Neither file marks a case "acceptable"; were one to come, it would have to be decided here by name.
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("case {} is `{other}`", test["tcId"]),
            };
            assert_eq!(
                verified.is_ok(),
                expected,
                "case {}: {verified:?}: {}",
                test["tcId"],
                test["comment"]
            );
            if expected { accepted += 1 } else { refused += 1 }
        }
    }
    assert_eq!(Some(accepted + refused), vectors["numberOfTests"].as_u64().and_then(|n| n.try_into().ok()));
    Some((accepted, refused))
}

#[test]
fn wycheproof_ed25519() {
    let Some(counts) = wycheproof("ed25519_test.json", "pk", &Scheme::Ed25519) else { return };
    assert_eq!(counts, (88, 63));
}

#[test]
fn wycheproof_p256() {
    let Some(counts) =
        wycheproof("ecdsa_secp256r1_sha256_test.json", "uncompressed", &Scheme::EcdsaP256Sha256)
    else {
        return;
    };
    assert_eq!(counts, (174, 310));
}

/// The eight points of small order: with such a key anybody can sign anything (Brendel and others, "The Provable
/// Security of Ed25519", table 1; Chalkias and others, "Taming the many EdDSAs", cases 0 to 2).
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

#[test]
fn small_order_keys_are_refused() {
    for public in SMALL_ORDER {
        let key = key(Scheme::Ed25519, unhex(public));
        assert_eq!(key.check(), Err(SignatureError::Key), "{public}");
        // R = identity and S = 0 satisfy the equation of a lax verifier for half of all messages or more.
        for message in 0..8_u8 {
            let signature = [unhex(SMALL_ORDER[0]), vec![0; 32]].concat();
            assert_eq!(key.verify(&[message], &signature), Err(SignatureError::Key), "{public}");
        }
    }
}

/// Every encoding of a y of 2^255 - 19 or more, with both signs: 38 second spellings, of which a lax decoder takes
/// those that are on the curve.
#[test]
fn non_canonical_keys_are_refused() {
    let mut on_the_curve = 0;
    for low in 0xed..=0xff_u8 {
        for high in [0x7f, 0xff] {
            let mut public = [0xff; 32];
            (public[0], public[31]) = (low, high);
            on_the_curve += usize::from(ed25519_dalek::VerifyingKey::from_bytes(&public).is_ok());
            let key = key(Scheme::Ed25519, public.to_vec());
            assert_eq!(key.check(), Err(SignatureError::Key), "{low:02x}..{high:02x}");
        }
    }
    // What the library alone takes; the check is ours.
    assert_eq!(on_the_curve, 24);
    // x = 0 with the sign bit set: a second spelling of the identity and of the point of order two.
    for public in [
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        assert_eq!(key(Scheme::Ed25519, unhex(public)).check(), Err(SignatureError::Key), "{public}");
    }
}

/// "Taming the many EdDSAs": R of small order or non-canonical, S not reduced. Made here, with a good key.
#[test]
fn lax_ed25519_signatures_are_refused() {
    let signing = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = key(Scheme::Ed25519, signing.verifying_key().to_bytes().to_vec());
    let good = signing.sign(b"message").to_bytes();
    assert_eq!(key.verify(b"message", &good), Ok(()));
    // S + L: the same scalar, spelled longer (L = 2^252 + 27742317777372353535851937790883648493).
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut longer = good;
    let mut carry = 0_u16;
    for (byte, add) in longer[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(key.verify(b"message", &longer), Err(SignatureError::Mismatch));
    for small in SMALL_ORDER {
        let signature = [unhex(small), good[32..].to_vec()].concat();
        assert_eq!(key.verify(b"message", &signature), Err(SignatureError::Mismatch));
    }
    for length in [0, 32, 63, 65, 128] {
        let mut signature = good.to_vec();
        signature.resize(length, 0);
        assert_eq!(key.verify(b"message", &signature), Err(SignatureError::Form), "{length}");
    }
}

#[test]
fn keys_have_one_form() {
    for scheme in schemes() {
        let good = public_key(&scheme);
        assert_eq!(good.check(), Ok(()));
        let bytes = good.public.as_slice();
        for length in [0, bytes.len() - 1, bytes.len() + 1] {
            let mut other = bytes.to_vec();
            other.resize(length, 0);
            assert_eq!(key(scheme.clone(), other).check(), Err(SignatureError::Key), "{scheme:?} {length}");
        }
    }
    // P-256: compressed, hybrid, infinity, off the curve.
    let good = public_key(&Scheme::EcdsaP256Sha256).public.into_vec();
    let p256 = |bytes: Vec<u8>| key(Scheme::EcdsaP256Sha256, bytes).check();
    let parity = good[64] & 1;
    assert_eq!(p256([vec![2 + parity], good[1..33].to_vec()].concat()), Err(SignatureError::Key));
    assert_eq!(p256([vec![6 + parity], good[1..].to_vec()].concat()), Err(SignatureError::Key));
    assert_eq!(p256(vec![0]), Err(SignatureError::Key));
    assert_eq!(p256(vec![0; 65]), Err(SignatureError::Key));
    let mut off = good;
    off[64] ^= 1;
    assert_eq!(p256(off), Err(SignatureError::Key));
}

#[test]
fn a_key_id_binds_key_and_scheme() {
    let mut ids: Vec<_> = schemes().iter().map(|scheme| public_key(scheme).id()).collect();
    let other_site = RelyingParty { id: "example.org".to_owned(), ..site() };
    ids.push(public_key(&Scheme::WebauthnEd25519(other_site)).id());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    for scheme in schemes() {
        let public = public_key(&scheme);
        let bytes = to_canonical(&public).unwrap();
        assert_eq!(public.id().digest(), &Digest::of(&bytes));
        assert_eq!(from_value::<PublicKey>(&parse_canonical(&bytes, 1_000).unwrap()).unwrap(), public);
    }
}

#[test]
fn every_scheme_signs_and_no_other_message_or_scheme_counts() {
    for scheme in schemes() {
        let public = public_key(&scheme);
        let signature = sign(&scheme, b"message").unwrap();
        assert_eq!(public.verify(b"message", &signature), Ok(()), "{scheme:?}");
        assert!(public.verify(b"messagf", &signature).is_err(), "{scheme:?}");
        for at in 0..signature.len() {
            let mut twin = signature.clone();
            twin[at] ^= 1;
            assert!(public.verify(b"message", &twin).is_err(), "{scheme:?}: byte {at}");
            assert!(public.verify(b"message", &signature[..at]).is_err(), "{scheme:?}: cut at {at}");
        }
        for other in schemes() {
            let taken = PublicKey { scheme: other.clone(), ..public.clone() };
            assert_eq!(taken.verify(b"message", &signature).is_ok(), other == scheme);
        }
    }
}

/// ECDSA's S and -S both count (the scheme does not ask for the low one); what names a statement is its id.
#[test]
fn p256_takes_both_halves_of_s() {
    let scheme = Scheme::EcdsaP256Sha256;
    let signature = p256::ecdsa::Signature::from_der(&sign(&scheme, b"message").unwrap()).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    assert_eq!(public_key(&scheme).verify(b"message", other.to_der().as_bytes()), Ok(()));
}

/// What an assertion is made of, to be changed in one place. All of it is synthesised: no authenticator, no browser.
struct Passkey {
    scheme: Scheme,
    client_data: String,
    authenticator_data: Vec<u8>,
}

impl Passkey {
    fn new(scheme: Scheme) -> Self {
        let challenge = Digest::of(b"message");
        Self {
            scheme,
            client_data: client_data(&site(), &challenge),
            authenticator_data: authenticator_data(&site(), 0x05),
        }
    }

    fn assertion(&self) -> Assertion {
        assertion(&self.scheme, self.authenticator_data.clone(), self.client_data.clone().into_bytes())
    }

    fn verify(&self) -> Result<(), SignatureError> {
        let signature = to_canonical(&self.assertion()).unwrap();
        public_key(&self.scheme).verify(b"message", &signature)
    }
}

#[track_caller]
fn check_passkey(change: impl Fn(&mut Passkey), expected: Result<(), SignatureError>) {
    for scheme in [Scheme::WebauthnEd25519(site()), Scheme::WebauthnEs256(site())] {
        let mut passkey = Passkey::new(scheme);
        change(&mut passkey);
        // The inner signature is always good: what is refused is what it is over.
        assert_eq!(passkey.verify(), expected, "{}", passkey.client_data);
    }
}

#[track_caller]
fn check_client_data(from: &str, to: &str, expected: Result<(), SignatureError>) {
    check_passkey(
        |passkey| {
            assert!(passkey.client_data.contains(from));
            passkey.client_data = passkey.client_data.replacen(from, to, 1);
        },
        expected,
    );
}

#[test]
fn passkey_client_data() {
    use SignatureError::{Assertion as Refused, Form};
    check_passkey(|_| (), Ok(()));
    let challenge =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(b"message").as_bytes());
    let other = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(b"other").as_bytes());
    let padded = format!("{challenge}=");
    let hexadecimal = Digest::of(b"message").to_string();
    check_client_data(&challenge, &other, Err(Refused));
    check_client_data(&challenge, &padded, Err(Refused));
    check_client_data(&challenge, &hexadecimal, Err(Refused));
    check_client_data(&challenge, "", Err(Refused));
    check_client_data("console.example.com", "console.example.org", Err(Refused));
    check_client_data("https://", "http://", Err(Refused));
    check_client_data("example.com\"", "example.com/\"", Err(Refused));
    check_client_data("example.com\"", "example.com.evil.example\"", Err(Refused));
    check_client_data("webauthn.get", "webauthn.create", Err(Refused));
    check_client_data("webauthn.get", "payment.get", Err(Refused));
    check_client_data("\"crossOrigin\":false", "\"crossOrigin\":true", Err(Refused));
    check_client_data("\"crossOrigin\":false", "\"crossOrigin\":null", Err(Refused));
    check_client_data("\"crossOrigin\":false", "\"crossOrigin\":\"false\"", Err(Refused));
    check_client_data("\"type\":\"webauthn.get\",", "", Err(Refused));
    check_client_data(&format!("\"challenge\":\"{challenge}\","), "", Err(Refused));
    check_client_data("\"origin\":\"https://console.example.com\",", "", Err(Refused));
    // Repeated members could say one thing to one reader and another to the next.
    check_client_data("{", "{\"type\":\"webauthn.create\",", Err(Form));
    check_client_data("}", "", Err(Form));
    check_client_data("}", "}}", Err(Form));
    check_passkey(|passkey| passkey.client_data = "[]".to_owned(), Err(Form));
    check_passkey(|passkey| passkey.client_data.push_str(&" ".repeat(4_096)), Err(Form));
    // What the specification leaves open.
    check_client_data(",\"crossOrigin\":false", "", Ok(()));
    check_client_data("}", ",\"other_keys_can_be_added_here\":{\"a\":[1.5]}}", Ok(()));
    check_client_data("{", " {\n ", Ok(()));
}

#[test]
fn passkey_authenticator_data() {
    use SignatureError::{Assertion as Refused, Form};
    let other = RelyingParty { id: "example.org".to_owned(), ..site() };
    check_passkey(|passkey| passkey.authenticator_data = authenticator_data(&other, 0x05), Err(Refused));
    for flags in [0x00, 0x01, 0x04, 0x18] {
        check_passkey(|passkey| passkey.authenticator_data[32] = flags, Err(Refused));
    }
    // Backup eligible and backed up (0x18) say nothing against it.
    check_passkey(|passkey| passkey.authenticator_data[32] = 0x1d, Ok(()));
    for length in 0..37 {
        check_passkey(|passkey| passkey.authenticator_data.truncate(length), Err(Form));
    }
    check_passkey(|passkey| passkey.authenticator_data.push(0), Err(Form));
    check_passkey(|passkey| passkey.authenticator_data[32] = 0x85, Err(Form));
    check_passkey(
        |passkey| {
            passkey.authenticator_data[32] = 0x85;
            passkey.authenticator_data.push(0xa0);
        },
        Ok(()),
    );
}

/// Parts of two good assertions do not make a third.
#[test]
fn passkey_parts_do_not_mix() {
    for scheme in [Scheme::WebauthnEd25519(site()), Scheme::WebauthnEs256(site())] {
        let public = public_key(&scheme);
        let good = Passkey::new(scheme.clone()).assertion();
        let counted = assertion(
            &scheme,
            [authenticator_data(&site(), 0x05)[..36].to_vec(), vec![8]].concat(),
            good.client_data.as_slice().to_vec(),
        );
        let verify = |assertion: &Assertion| public.verify(b"message", &to_canonical(assertion).unwrap());
        assert_eq!(verify(&good), Ok(()));
        assert_eq!(verify(&counted), Ok(()));
        let mixed = Assertion { signature: good.signature.clone(), ..counted };
        assert_eq!(verify(&mixed), Err(SignatureError::Mismatch));
        let client_data = String::from_utf8(good.client_data.as_slice().to_vec()).unwrap();
        let spaced = Bytes::new(client_data.replacen(':', ": ", 1).into_bytes());
        assert_eq!(verify(&Assertion { client_data: spaced, ..good }), Err(SignatureError::Mismatch));
    }
}

#[test]
fn an_assertion_has_one_spelling() {
    let scheme = Scheme::WebauthnEd25519(site());
    let public = public_key(&scheme);
    let text = String::from_utf8(sign(&scheme, b"message").unwrap()).unwrap();
    assert_eq!(public.verify(b"message", text.as_bytes()), Ok(()));
    let value: Value = serde_json::from_str(&text).unwrap();
    let array = format!("[{},{},{}]", value["authenticator_data"], value["client_data"], value["signature"]);
    for twin in [
        format!(" {text}"),
        text.replacen(":\"", ": \"", 1),
        text.replacen('{', "{\"a\":1,", 1),
        text.replacen("==\"}", "\"}", 1),
        text.replacen("signature", "signatura", 1),
        array,
        String::new(),
        format!("{}{text}", " ".repeat(8_192)),
    ] {
        assert_ne!(twin, text);
        assert_eq!(public.verify(b"message", twin.as_bytes()), Err(SignatureError::Form), "{twin}");
    }
}

#[test]
fn schemes_are_spelled_one_way() {
    let read = |text: &str| {
        json::parse(text.as_bytes(), json::Limits::signed(1_000))
            .ok()
            .and_then(|value| from_value::<Scheme>(&value).ok())
    };
    assert_eq!(read("\"ed25519\""), Some(Scheme::Ed25519));
    assert_eq!(read("\"ecdsa-p256-sha256\""), Some(Scheme::EcdsaP256Sha256));
    let good = r#"{"webauthn-es256":{"id":"example.com","origin":"https://console.example.com"}}"#;
    assert_eq!(read(good), Some(Scheme::WebauthnEs256(site())));
    for bad in [
        "\"Ed25519\"",
        "\"none\"",
        "\"webauthn-es256\"",
        "null",
        "{\"ed25519\":null}",
        "{\"ed25519\":{}}",
        r#"{"webauthn-es256":{"id":"example.com"}}"#,
        r#"{"webauthn-es256":["example.com","https://console.example.com"]}"#,
        r#"{"webauthn-es256":{"id":"example.com","origin":"https://console.example.com","top":1}}"#,
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}
