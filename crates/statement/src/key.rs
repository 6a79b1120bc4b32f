//! Public keys and the rule by which a signature counts.
//!
//! The scheme belongs to the key, never to the signature. There is one Ed25519 rule: [`verify_strict`]
//! (canonical encodings, no small-order points, no cofactor), one signature at a time; batch verification never
//! decides. ECDSA P-256 signatures are strict DER over SHA-256 of the message.
//!
//! [`verify_strict`]: ed25519_dalek::VerifyingKey::verify_strict

mod webauthn;

use p256::ecdsa::signature::Verifier as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::id::KeyId;
use crate::json;

pub use webauthn::{Assertion, RelyingParty};

/// How signatures of a key are made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Ed25519 (RFC 8032), strict verification. Public key: 32 bytes. Signature: 64 bytes.
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5). Public key: SEC1 uncompressed, 65 bytes. Signature: DER.
    EcdsaP256Sha256,
    /// A passkey with an Ed25519 key; the challenge is the statement id. Signature: an [`Assertion`] as canonical JSON.
    WebauthnEd25519(RelyingParty),
    /// A passkey with a P-256 key; the challenge is the statement id. Signature: an [`Assertion`] as canonical JSON.
    WebauthnEs256(RelyingParty),
}

/// A public key and its scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// The key's bytes, in the form its scheme says.
    pub public: Bytes,
    /// How it signs.
    pub scheme: Scheme,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The public key's bytes are no key of its scheme.
    #[error("the public key's bytes are no key of its scheme")]
    Key,
    /// The signature's bytes have not the form the scheme says.
    #[error("the signature's bytes have not the form its key's scheme says")]
    Form,
    /// The signature is not one of this message by this key.
    #[error("the signature is not of this message by this key")]
    Mismatch,
    /// A passkey's assertion is for another challenge, relying party or origin, or without user verification.
    #[error("the passkey's assertion is for another challenge, site or origin, or lacks user verification")]
    Assertion,
}

impl PublicKey {
    /// The key's id: SHA-256 of its canonical JSON.
    pub fn id(&self) -> KeyId {
        // A key holds only strings, so it always has a canonical encoding; were that to change, the empty encoding
        // would name no key that verifies anything.
        let bytes = json::to_canonical(self).unwrap_or_default();
        KeyId::from_digest(Digest::of(&bytes))
    }

    /// Whether the bytes are a key of the scheme.
    pub fn check(&self) -> Result<(), SignatureError> {
        match &self.scheme {
            Scheme::Ed25519 | Scheme::WebauthnEd25519(_) => ed25519(self.public.as_slice()).map(drop),
            Scheme::EcdsaP256Sha256 | Scheme::WebauthnEs256(_) => p256_key(self.public.as_slice()).map(drop),
        }
    }

    /// Whether `signature` is this key's over `message` (for a statement, its pre-authentication encoding).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.scheme {
            Scheme::Ed25519 => verify_ed25519(self.public.as_slice(), message, signature),
            Scheme::EcdsaP256Sha256 => verify_p256(self.public.as_slice(), message, signature),
            Scheme::WebauthnEd25519(site) => {
                let signed = Assertion::open(signature, site, &Digest::of(message))?;
                verify_ed25519(self.public.as_slice(), &signed.message, &signed.signature)
            }
            Scheme::WebauthnEs256(site) => {
                let signed = Assertion::open(signature, site, &Digest::of(message))?;
                verify_p256(self.public.as_slice(), &signed.message, &signed.signature)
            }
        }
    }
}

fn ed25519(public: &[u8]) -> Result<ed25519_dalek::VerifyingKey, SignatureError> {
    let bytes: &[u8; 32] = public.try_into().map_err(|_| SignatureError::Key)?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| SignatureError::Key)?;
    // The key keeps the bytes it was read from, whatever they are; only the point encoded anew is canonical.
    let canonical = key.to_edwards().compress().to_bytes();
    if key.is_weak() || canonical != *bytes { Err(SignatureError::Key) } else { Ok(key) }
}

fn verify_ed25519(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let key = ed25519(public)?;
    let bytes: &[u8; 64] = signature.try_into().map_err(|_| SignatureError::Form)?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(bytes))
        .map_err(|_| SignatureError::Mismatch)
}

fn p256_key(public: &[u8]) -> Result<p256::ecdsa::VerifyingKey, SignatureError> {
    if public.len() != 65 {
        return Err(SignatureError::Key);
    }
    p256::ecdsa::VerifyingKey::from_sec1_bytes(public).map_err(|_| SignatureError::Key)
}

fn verify_p256(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let key = p256_key(public)?;
    let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Form)?;
    key.verify(message, &signature).map_err(|_| SignatureError::Mismatch)
}

#[cfg(test)]
mod tests;
