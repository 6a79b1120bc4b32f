//! A signature of each scheme, made from the published seed. The passkey assertions are synthesised: made here, byte
//! for byte as an authenticator and a browser would, by no authenticator and no browser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;

use super::SEED;
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::json::{self, EncodeError};
use crate::key::{Assertion, PublicKey, RelyingParty, Scheme};

/// The relying party of the examples.
pub fn site() -> RelyingParty {
    RelyingParty { id: "example.com".to_owned(), origin: "https://console.example.com".to_owned() }
}

/// For each scheme the public key of [`SEED`] and its signature over `message`.
pub fn every_scheme(message: &[u8]) -> Result<Vec<(PublicKey, Vec<u8>)>, EncodeError> {
    let schemes = [
        Scheme::Ed25519,
        Scheme::EcdsaP256Sha256,
        Scheme::WebauthnEd25519(site()),
        Scheme::WebauthnEs256(site()),
    ];
    schemes.into_iter().map(|scheme| Ok((public_key(&scheme), sign(&scheme, message)?))).collect()
}

/// The public key of [`SEED`] in a scheme.
pub fn public_key(scheme: &Scheme) -> PublicKey {
    let public = match scheme {
        Scheme::Ed25519 | Scheme::WebauthnEd25519(_) => {
            ed25519_dalek::SigningKey::from_bytes(SEED).verifying_key().to_bytes().to_vec()
        }
        Scheme::EcdsaP256Sha256 | Scheme::WebauthnEs256(_) => {
            p256_key().verifying_key().to_sec1_point(false).as_bytes().to_vec()
        }
    };
    PublicKey { public: Bytes::new(public), scheme: scheme.clone() }
}

/// The signature of [`SEED`]'s key in a scheme.
pub fn sign(scheme: &Scheme, message: &[u8]) -> Result<Vec<u8>, EncodeError> {
    match scheme {
        Scheme::Ed25519 | Scheme::EcdsaP256Sha256 => Ok(sign_bytes(scheme, message)),
        Scheme::WebauthnEd25519(site) | Scheme::WebauthnEs256(site) => {
            let client_data = client_data(site, &Digest::of(message));
            let authenticator_data = authenticator_data(site, 0x05);
            json::to_canonical(&assertion(scheme, authenticator_data, client_data.into_bytes()))
        }
    }
}

/// The client data a browser makes for a challenge, in the member order of the specification.
pub fn client_data(site: &RelyingParty, challenge: &Digest) -> String {
    format!(
        "{{\"type\":\"webauthn.get\",\"challenge\":\"{}\",\"origin\":\"{}\",\"crossOrigin\":false}}",
        URL_SAFE_NO_PAD.encode(challenge.as_bytes()),
        site.origin
    )
}

/// Authenticator data with these flags, a counter of 7 and nothing after it.
pub fn authenticator_data(site: &RelyingParty, flags: u8) -> Vec<u8> {
    let mut data = Digest::of(site.id.as_bytes()).as_bytes().to_vec();
    data.extend_from_slice(&[flags, 0, 0, 0, 7]);
    data
}

/// An assertion over any authenticator data and client data, well signed.
pub fn assertion(scheme: &Scheme, authenticator_data: Vec<u8>, client_data: Vec<u8>) -> Assertion {
    let mut message = authenticator_data.clone();
    message.extend_from_slice(Digest::of(&client_data).as_bytes());
    let signature = sign_bytes(scheme, &message);
    Assertion {
        authenticator_data: Bytes::new(authenticator_data),
        client_data: Bytes::new(client_data),
        signature: Bytes::new(signature),
    }
}

fn sign_bytes(scheme: &Scheme, message: &[u8]) -> Vec<u8> {
    match scheme {
        Scheme::Ed25519 | Scheme::WebauthnEd25519(_) => {
            ed25519_dalek::SigningKey::from_bytes(SEED).sign(message).to_bytes().to_vec()
        }
        Scheme::EcdsaP256Sha256 | Scheme::WebauthnEs256(_) => {
            // Deterministic (RFC 6979), so that the published vectors stay the same.
            let signature: p256::ecdsa::Signature = p256_key().sign(message);
            signature.to_der().as_bytes().to_vec()
        }
    }
}

fn p256_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(SEED).expect("the seed is a scalar of the group")
}
