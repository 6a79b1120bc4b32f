//! Keys that cosign checkpoints.

use std::fmt;

use ed25519_dalek::Signer as _;
use ml_dsa::{Keypair as _, MlDsa44};

use super::{ed25519_message, ml_dsa_44_message, signature_line};
use crate::error::{MerkleError, SignerFailure};
use crate::note::{KeyKind, NoteSignature, VerifierKey};

/// Something that cosigns checkpoints at a time that the caller gives.
pub trait Cosigner {
    /// The public half: a key of a cosignature kind.
    fn verifier(&self) -> &VerifierKey;

    /// The cosignature line for a checkpoint's text.
    ///
    /// The caller has checked the checkpoint's consistency with all that it saw before ([`crate::witness`]).
    fn cosign(&self, checkpoint_text: &str, timestamp: u64) -> Result<NoteSignature, MerkleError>;
}

/// An Ed25519 cosigner (signature type `0x04`) held in memory; `Debug` does not show the secret, and it is
/// wiped on drop.
pub struct Ed25519Cosigner {
    verifier: VerifierKey,
    key: ed25519_dalek::SigningKey,
}

impl Ed25519Cosigner {
    /// The key that a 32-byte RFC 8032 seed gives.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, MerkleError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, KeyKind::Ed25519Cosignature, key.verifying_key().as_bytes())?;
        Ok(Self { verifier, key })
    }
}

impl Cosigner for Ed25519Cosigner {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn cosign(&self, checkpoint_text: &str, timestamp: u64) -> Result<NoteSignature, MerkleError> {
        let message = ed25519_message(checkpoint_text, timestamp)?;
        let signature =
            self.key.try_sign(&message).map_err(|source| failed(&self.verifier, source.into()))?;
        signature_line(self.verifier.name(), self.verifier.id(), timestamp, &signature.to_bytes())
    }
}

impl fmt::Debug for Ed25519Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Cosigner({}, secret redacted)", self.verifier)
    }
}

/// An ML-DSA-44 cosigner (signature type `0x06`) held in memory, signing deterministically (FIPS 204,
/// algorithm 2 with `rnd` = 0); `Debug` does not show the secret, and it is wiped on drop.
pub struct MlDsa44Cosigner {
    verifier: VerifierKey,
    key: ml_dsa::SigningKey<MlDsa44>,
}

impl MlDsa44Cosigner {
    /// The key that a 32-byte FIPS 204 seed gives.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, MerkleError> {
        let key = ml_dsa::SigningKey::<MlDsa44>::from_seed(&(*seed).into());
        let verifier = VerifierKey::new(name, KeyKind::MlDsa44Cosignature, &key.verifying_key().encode())?;
        Ok(Self { verifier, key })
    }
}

impl Cosigner for MlDsa44Cosigner {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn cosign(&self, checkpoint_text: &str, timestamp: u64) -> Result<NoteSignature, MerkleError> {
        use ml_dsa::Signer as _;
        let message = ml_dsa_44_message(self.verifier.name(), checkpoint_text, timestamp)?;
        let signature =
            self.key.try_sign(&message).map_err(|source| failed(&self.verifier, source.into()))?;
        signature_line(self.verifier.name(), self.verifier.id(), timestamp, &signature.encode())
    }
}

impl fmt::Debug for MlDsa44Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MlDsa44Cosigner({}+{}, secret redacted)", self.verifier.name(), self.verifier.id())
    }
}

fn failed(verifier: &VerifierKey, source: SignerFailure) -> MerkleError {
    MerkleError::SigningFailed { name: verifier.name().to_owned(), source }
}
