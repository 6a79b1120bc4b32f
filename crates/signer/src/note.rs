//! Signing the log's checkpoints, as the log and as a witness.

use merkle::cosignature::{ed25519_message, signature_line};
use merkle::{
    Checkpoint, Cosigner, KeyKind, MerkleError, NoteSignature, NoteSigner, SignerFailure, VerifierKey,
};
use statement::Scheme;

use crate::error::SignerError;
use crate::signer::{Message, Signer, sign_at_once};

/// The log's key: any Ed25519 [`Signer`] that answers at once, under the log's name (C2SP signed-note, type `0x01`).
///
/// It signs checkpoints and no other note.
#[derive(Debug)]
pub struct LogKey<S> {
    signer: S,
    verifier: VerifierKey,
}

impl<S: Signer> LogKey<S> {
    /// The signer under the name `name`, which by C2SP tlog-checkpoint should be the log's origin.
    pub fn new(name: &str, signer: S) -> Result<Self, SignerError> {
        let verifier = verifier(name, KeyKind::Ed25519, &signer)?;
        Ok(Self { signer, verifier })
    }

    /// The public half, as logs publish it.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl<S: Signer> NoteSigner for LogKey<S> {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn key_id(&self) -> [u8; 4] {
        *self.verifier.id().as_bytes()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignerFailure> {
        // Reading it first keeps this key from signing anything but a checkpoint.
        Checkpoint::parse(text).map_err(SignerError::Note)?;
        Ok(sign_at_once(&self.signer, &Message::new(text.to_vec()))?)
    }
}

/// A witness's key: any Ed25519 [`Signer`] that answers at once, under the witness's name (C2SP cosignature/v1,
/// type `0x04`).
///
/// One key must not cosign under two names: the message does not say which.
#[derive(Debug)]
pub struct WitnessKey<S> {
    signer: S,
    verifier: VerifierKey,
}

impl<S: Signer> WitnessKey<S> {
    /// The signer under the witness's name.
    pub fn new(name: &str, signer: S) -> Result<Self, SignerError> {
        let verifier = verifier(name, KeyKind::Ed25519Cosignature, &signer)?;
        Ok(Self { signer, verifier })
    }
}

impl<S: Signer> Cosigner for WitnessKey<S> {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn cosign(&self, checkpoint_text: &str, timestamp: u64) -> Result<NoteSignature, MerkleError> {
        let message = Message::new(ed25519_message(checkpoint_text, timestamp)?);
        let signature = sign_at_once(&self.signer, &message).map_err(|failure| {
            MerkleError::SigningFailed { name: self.verifier.name().to_owned(), source: failure.into() }
        })?;
        signature_line(self.verifier.name(), self.verifier.id(), timestamp, &signature)
    }
}

fn verifier(name: &str, kind: KeyKind, signer: &impl Signer) -> Result<VerifierKey, SignerError> {
    let key = signer.public_key();
    if key.scheme != Scheme::Ed25519 {
        return Err(SignerError::NotEd25519 { key: key.id() });
    }
    VerifierKey::new(name, kind, key.public.as_slice()).map_err(SignerError::Note)
}

#[cfg(test)]
mod tests;
