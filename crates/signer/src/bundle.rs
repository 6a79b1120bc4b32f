//! Signing the header of a bundle, which names every byte that goes with it.
//!
//! Its payload type is none of a statement's, so no reader takes a header for a statement or a statement for a header.

use bundle::{SignedHeader, Unsigned};

use crate::error::SignerError;
use crate::signer::{Message, Signer, sign_at_once};

/// The header with the signature of a key that answers at once.
///
/// # Errors
/// What the signer says; [`SignerError::Awaiting`] where others have to answer first; [`SignerError::PublicKey`] where
/// the header names another sender than this key.
pub fn sign_bundle(signer: &dyn Signer, header: Unsigned) -> Result<SignedHeader, SignerError> {
    let key = signer.public_key().clone();
    let signature = sign_at_once(signer, &Message::new(header.message()))?;
    let id = key.id();
    header.finish(key, signature).map_err(|_| SignerError::PublicKey { key: id })
}
