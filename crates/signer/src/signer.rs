//! The seam: what can sign, wherever its key lives.

use std::fmt;

use statement::{Name, PublicKey};

use crate::error::{DeviceFailure, SignerError};

/// The most rounds that a signer may ask for before it must answer. Known threshold schemes need two or three.
pub const ROUNDS_MAX: u32 = 8;

/// A whole message to be signed: a statement's pre-authentication encoding, a checkpoint or a cosignature.
///
/// Only this crate makes one, from a [`Reviewed`](crate::Reviewed) statement or a parsed checkpoint, so a signer
/// cannot be asked to sign bytes that nobody has read.
///
/// INVARIANT: messages of different uses cannot be mistaken for each other. A statement's begins `DSSEv1 ` and has
/// no line feed (canonical JSON has none); a checkpoint has line feeds and its second line is a number; a
/// cosignature's second line begins `time `.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to sign, all of them; a signer that needs a digest takes it itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", statement::Digest::of(&self.0))
    }
}

/// A key that signs whole messages, at once or in rounds.
///
/// How keys that do not live in a file fit:
///
/// - **PKCS#11.** `start` runs `C_SignInit` and `C_Sign` over the whole message on a session that the signer keeps
///   (`CKM_EDDSA`, or `CKM_ECDSA_SHA256`, whose raw `r || s` it writes as DER) and answers [`Progress::Signed`].
/// - **Passkeys.** `start` answers [`Progress::Awaiting`] with one [`Parcel`] to the browser: the request options,
///   whose challenge is the SHA-256 of the message, which for a statement is its id. [`Round::answer`] takes the
///   browser's parcel and gives the [`Assertion`](statement::key::Assertion) in canonical JSON. Rounds are owned
///   and `Send`, because the answer arrives in another request of the browser.
/// - **Threshold keys.** `start` answers with a parcel to every party asking for its commitment; the first
///   [`Round::answer`] gives a round whose parcels carry the message and all commitments; the second collects the
///   shares and gives the signature. The parties' secrets never meet.
///
/// Whoever drives a signer checks the result against [`Signer::public_key`] before it leaves the process;
/// [`begin`](crate::begin), [`countersign`](crate::countersign), [`LogKey`](crate::LogKey) and
/// [`WitnessKey`](crate::WitnessKey) do.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The key that the signatures will verify with.
    fn public_key(&self) -> &PublicKey;

    /// Begins to sign `message`.
    ///
    /// # Errors
    /// Whatever the device or library says. Whoever drives the signer makes a [`SignerError::Device`] of it, with the
    /// key's name.
    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure>;
}

impl<S: Signer + ?Sized> Signer for &S {
    fn public_key(&self) -> &PublicKey {
        (**self).public_key()
    }

    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure> {
        (**self).start(message)
    }
}

impl<S: Signer + ?Sized> Signer for Box<S> {
    fn public_key(&self) -> &PublicKey {
        (**self).public_key()
    }

    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure> {
        (**self).start(message)
    }
}

impl<S: Signer + ?Sized> Signer for std::sync::Arc<S> {
    fn public_key(&self) -> &PublicKey {
        (**self).public_key()
    }

    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure> {
        (**self).start(message)
    }
}

/// How far a signer has got.
#[derive(Debug)]
pub enum Progress {
    /// The signature, in the form the key's scheme says.
    Signed(Vec<u8>),
    /// Others have to answer first.
    Awaiting(Box<dyn Round>),
}

/// One exchange with others: parcels go out, parcels come back.
pub trait Round: fmt::Debug + Send {
    /// What has to be carried to whom. How it travels is the caller's matter.
    fn requests(&self) -> &[Parcel];

    /// Takes what came back, at most one parcel of each party asked, in any order.
    ///
    /// # Errors
    /// As [`Signer::start`].
    fn answer(self: Box<Self>, answers: &[Parcel]) -> Result<Progress, DeviceFailure>;
}

/// Bytes for, or from, a party to a signature: a browser, a holder of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The party.
    pub party: Name,
    /// The bytes, in the form the signer's protocol says. Never secret key material.
    pub bytes: Vec<u8>,
}

/// A signature made at once and checked against the signer's key.
pub(crate) fn sign_at_once(signer: &dyn Signer, message: &Message) -> Result<Vec<u8>, SignerError> {
    match progress(signer.public_key(), signer.start(message))? {
        Progress::Signed(signature) => checked(signer.public_key(), message, signature),
        Progress::Awaiting(_) => Err(SignerError::Awaiting { key: signer.public_key().id() }),
    }
}

/// How far the signer got, or which key did not sign.
pub(crate) fn progress(
    key: &PublicKey,
    answer: Result<Progress, DeviceFailure>,
) -> Result<Progress, SignerError> {
    answer.map_err(|source| SignerError::Device { key: key.id(), source })
}

/// The signature, if it is `key`'s over `message`: a faulty device's signature could give its key away.
pub(crate) fn checked(
    key: &PublicKey,
    message: &Message,
    signature: Vec<u8>,
) -> Result<Vec<u8>, SignerError> {
    match key.verify(message.as_bytes(), &signature) {
        Ok(()) => Ok(signature),
        Err(source) => Err(SignerError::BadSignature { key: key.id(), source }),
    }
}

#[cfg(test)]
mod tests;
