//! Nothing is signed that was not read: from an envelope to a signature in it.

use std::fmt;

use statement::{Content, Envelope, PublicKey, Signature, Statement, StatementError, StatementId};

use crate::error::SignerError;
use crate::signer::{Message, Parcel, Progress, ROUNDS_MAX, Round, Signer, checked, progress};

/// Token: a statement that was parsed whole, every byte of it, and its id. Only [`review`] makes one.
///
/// It holds all that a signature will be over, so that what is shown to a person is what is signed. Signing uses
/// it up.
#[derive(Debug, PartialEq, Eq)]
pub struct Reviewed {
    statement: Statement,
    id: StatementId,
    message: Message,
}

/// Reads the envelope strictly and gives the token to sign what it holds.
///
/// Refused: an envelope that [`Envelope::parse`] would refuse, a payload that is not the one spelling of its
/// statement, and a kind that this version does not know. Signatures already there are not verified: whose
/// signatures count is the trust root's and the dossier's matter.
pub fn review(envelope: &Envelope) -> Result<Reviewed, SignerError> {
    // The envelope may have been put together by hand: it is read as it would be from a file.
    let bytes = envelope.to_bytes().map_err(SignerError::Statement)?;
    let envelope = Envelope::parse(&bytes).map_err(SignerError::Statement)?;
    let id = envelope.id();
    match Content::parse(envelope.payload.as_slice()).map_err(SignerError::Statement)? {
        Content::Known(statement) => {
            Ok(Reviewed { statement: *statement, id, message: Message::new(envelope.message()) })
        }
        Content::Opaque(opaque) => Err(SignerError::Unknown { id, kind: opaque.header.kind.to_string() }),
    }
}

impl Reviewed {
    /// The statement, for showing it.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The statement's id.
    pub const fn id(&self) -> StatementId {
        self.id
    }

    /// What will be signed.
    pub const fn message(&self) -> &Message {
        &self.message
    }
}

/// Token: a signature of a statement that was checked against its key. Only [`begin`] and [`Pending::answer`] make
/// one.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed {
    id: StatementId,
    signature: Signature,
}

impl Signed {
    /// The statement.
    pub const fn id(&self) -> StatementId {
        self.id
    }

    /// The signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Puts the signature into the statement's envelope; on a refusal the envelope is as it was.
    pub fn attach(self, envelope: &mut Envelope) -> Result<(), SignerError> {
        check_same(self.id, envelope)?;
        let mut with = envelope.clone();
        with.add(self.signature).map_err(SignerError::Statement)?;
        // The whole must still fit an entry of the log.
        with.to_bytes().map_err(SignerError::Statement)?;
        *envelope = with;
        Ok(())
    }
}

/// How far the signing of a statement has got.
#[derive(Debug)]
pub enum Signing {
    /// Done.
    Done(Signed),
    /// Others have to answer first.
    Awaiting(Pending),
}

/// A statement being signed in rounds. May be kept between requests; it holds no secret of ours.
pub struct Pending {
    key: PublicKey,
    id: StatementId,
    message: Message,
    round: Box<dyn Round>,
    answered: u32,
}

impl Pending {
    /// The statement being signed.
    pub const fn id(&self) -> StatementId {
        self.id
    }

    /// What has to be carried to whom.
    pub fn requests(&self) -> &[Parcel] {
        self.round.requests()
    }

    /// Takes what came back. At most [`ROUNDS_MAX`] times.
    pub fn answer(self, answers: &[Parcel]) -> Result<Signing, SignerError> {
        let Self { key, id, message, round, answered } = self;
        if answered >= ROUNDS_MAX {
            return Err(SignerError::Rounds { key: key.id(), limit: ROUNDS_MAX });
        }
        let progress = progress(&key, round.answer(answers))?;
        advance(key, id, message, progress, answered.saturating_add(1))
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("id", &self.id)
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

/// Begins to sign a reviewed statement with any signer. A statement that names its signer is signed by no other.
pub fn begin(signer: &dyn Signer, reviewed: Reviewed) -> Result<Signing, SignerError> {
    let key = signer.public_key().id();
    if let Some(named) = reviewed.statement.header.signer.filter(|named| *named != key) {
        return Err(SignerError::OtherSigner { key, named });
    }
    let progress = progress(signer.public_key(), signer.start(&reviewed.message))?;
    advance(signer.public_key().clone(), reviewed.id, reviewed.message, progress, 0)
}

fn advance(
    key: PublicKey,
    id: StatementId,
    message: Message,
    progress: Progress,
    answered: u32,
) -> Result<Signing, SignerError> {
    match progress {
        Progress::Signed(signature) => {
            let sig = statement::Bytes::new(checked(&key, &message, signature)?);
            Ok(Signing::Done(Signed { id, signature: Signature { keyid: key.id(), sig } }))
        }
        Progress::Awaiting(round) => Ok(Signing::Awaiting(Pending { key, id, message, round, answered })),
    }
}

/// Adds the signature of a signer that answers at once to the envelope that was reviewed.
///
/// A second signature by the same key is refused, before anything is signed.
pub fn countersign(
    signer: &dyn Signer,
    reviewed: Reviewed,
    envelope: &mut Envelope,
) -> Result<(), SignerError> {
    check_same(reviewed.id, envelope)?;
    let keyid = signer.public_key().id();
    if envelope.signatures.iter().any(|present| present.keyid == keyid) {
        return Err(SignerError::Statement(StatementError::RepeatedSigner(keyid)));
    }
    match begin(signer, reviewed)? {
        Signing::Done(signed) => signed.attach(envelope),
        Signing::Awaiting(_) => Err(SignerError::Awaiting { key: keyid }),
    }
}

/// Signs a statement that this process made itself, with a signer that answers at once.
pub fn sign_statement(signer: &dyn Signer, statement: &Statement) -> Result<Envelope, SignerError> {
    let mut envelope = statement.to_envelope().map_err(SignerError::Statement)?;
    let reviewed = review(&envelope)?;
    countersign(signer, reviewed, &mut envelope)?;
    Ok(envelope)
}

fn check_same(reviewed: StatementId, envelope: &Envelope) -> Result<(), SignerError> {
    let found = envelope.id();
    if found == reviewed { Ok(()) } else { Err(SignerError::OtherStatement { reviewed, found }) }
}

#[cfg(test)]
pub(crate) mod tests;
