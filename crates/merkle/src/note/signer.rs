//! Who signs notes. How keys are kept is not this crate's matter.

use std::fmt;

use ed25519_dalek::Signer as _;

use super::{KeyKind, VerifierKey};
use crate::error::{MerkleError, SignerFailure};

/// Something that signs note texts under a name.
pub trait NoteSigner {
    /// The key's name.
    fn name(&self) -> &str;

    /// The key's id.
    fn key_id(&self) -> [u8; 4];

    /// The signature over the whole text, without the key id.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignerFailure>;
}

/// An Ed25519 note key (signature type `0x01`) held in memory; `Debug` does not show the secret, and it is
/// wiped on drop.
pub struct Ed25519NoteSigner {
    verifier: VerifierKey,
    key: ed25519_dalek::SigningKey,
}

impl Ed25519NoteSigner {
    /// The key that a 32-byte RFC 8032 seed gives.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, MerkleError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, KeyKind::Ed25519, key.verifying_key().as_bytes())?;
        Ok(Self { verifier, key })
    }

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl NoteSigner for Ed25519NoteSigner {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn key_id(&self) -> [u8; 4] {
        *self.verifier.id().as_bytes()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignerFailure> {
        Ok(self.key.try_sign(text)?.to_bytes().to_vec())
    }
}

impl fmt::Debug for Ed25519NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519NoteSigner({}, secret redacted)", self.verifier)
    }
}
