//! Signing a model's files: the statement of an OpenSSF Model Signing bundle.
//!
//! What is signed comes from a checked manifest, and its predicate type is none of Countersign's, so no reader takes
//! it for a statement of a realm.

use seal::oms::Unsigned;

use crate::error::SignerError;
use crate::signer::{Message, Progress, Signer, progress};

/// The signature over a model's statement, by a signer that answers at once. [`Unsigned::finish`] checks it.
///
/// # Errors
/// [`SignerError::Device`] where the signer does not sign; [`SignerError::Awaiting`] where others have to answer first.
pub fn sign_model(signer: &dyn Signer, statement: &Unsigned) -> Result<Vec<u8>, SignerError> {
    match progress(signer.public_key(), signer.start(&Message::new(statement.message())))? {
        Progress::Signed(signature) => Ok(signature),
        Progress::Awaiting(_) => Err(SignerError::Awaiting { key: signer.public_key().id() }),
    }
}
