//! Secret keys in memory.

use std::fmt;

use serde::{Deserialize, Serialize};
use statement::{Bytes, PublicKey, Scheme};
use zeroize::Zeroizing;

use crate::error::SignerError;

/// How many characters the base64 of a seed has.
pub(crate) const SEED_BASE64: usize = ::secret::KEY_BASE64;
const SEED_BYTES: usize = ::secret::KEY_BYTES;

/// The schemes a file key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileScheme {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5), nonces by RFC 6979, signatures in DER.
    EcdsaP256Sha256,
}

impl FileScheme {
    /// The scheme of the public key.
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Ed25519 => Scheme::Ed25519,
            Self::EcdsaP256Sha256 => Scheme::EcdsaP256Sha256,
        }
    }
}

/// The 32 bytes a secret key is made of: an RFC 8032 seed or a big-endian P-256 scalar. Wiped when dropped.
pub(crate) struct Seed(Zeroizing<[u8; SEED_BYTES]>);

impl Seed {
    pub(crate) fn zero() -> Self {
        Self(Zeroizing::new([0; SEED_BYTES]))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8; SEED_BYTES] {
        &mut self.0
    }

    pub(crate) fn copy(&self) -> Self {
        let mut seed = Self::zero();
        seed.as_mut().copy_from_slice(self.as_bytes());
        seed
    }

    /// A seed from its base64, through memory that is wiped.
    pub(crate) fn from_base64(text: &[u8]) -> Option<Self> {
        let (bytes, is_one) = ::secret::from_base64(text.try_into().ok()?);
        is_one.then_some(Self(bytes))
    }

    /// The base64, in memory that is wiped.
    pub(crate) fn to_base64(&self) -> Zeroizing<[u8; SEED_BASE64]> {
        ::secret::to_base64(self.as_bytes())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// A secret key ready to sign. Both libraries wipe theirs when dropped.
pub(crate) enum SecretKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

impl SecretKey {
    /// The key a seed gives; none where the seed is no scalar of P-256.
    pub(crate) fn from_seed(scheme: FileScheme, seed: &Seed) -> Option<Self> {
        match scheme {
            FileScheme::Ed25519 => {
                Some(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed.as_bytes()))))
            }
            FileScheme::EcdsaP256Sha256 => {
                p256::ecdsa::SigningKey::from_slice(seed.as_bytes()).ok().map(|key| Self::P256(Box::new(key)))
            }
        }
    }

    /// A new key and its seed, from the system's randomness.
    pub(crate) fn generate(scheme: FileScheme) -> Result<(Seed, Self), SignerError> {
        let mut seed = Seed::zero();
        // Rejection sampling (FIPS 186-5, A.2.2): a draw is no scalar of P-256 once in 2^32.
        for _ in 0..16 {
            crate::key_file::random(seed.as_mut())?;
            if let Some(key) = Self::from_seed(scheme, &seed) {
                return Ok((seed, key));
            }
        }
        Err(SignerError::Randomness("sixteen draws in a row are no key".into()))
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey {
                public: Bytes::new(key.verifying_key().as_bytes().to_vec()),
                scheme: Scheme::Ed25519,
            },
            Self::P256(key) => PublicKey {
                public: Bytes::new(key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
                scheme: Scheme::EcdsaP256Sha256,
            },
        }
    }

    /// The signature in the form the scheme says; none where the library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signer::try_sign(&**key, message)
                .ok()
                .map(|signature| signature.to_bytes().to_vec()),
            Self::P256(key) => {
                let signed: Result<p256::ecdsa::Signature, _> =
                    p256::ecdsa::signature::Signer::try_sign(&**key, message);
                signed.ok().map(|signature| signature.to_der().as_bytes().to_vec())
            }
        }
    }
}
