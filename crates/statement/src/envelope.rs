//! DSSE envelopes (Dead Simple Signing Envelope v1.0.2): a payload and who signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::error::StatementError;
use crate::id::{KeyId, StatementId};
use crate::json;

/// The payload type of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The largest envelope: an entry of the log, with its stamp, is at most 65,535 bytes.
pub const ENVELOPE_BYTES_MAX: usize = 65_400;

/// The most signatures an envelope may carry.
pub const SIGNATURES_MAX: usize = 32;

/// One signature and the key it says it is by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The key's id.
    pub keyid: KeyId,
    /// The signature, in the form the key's scheme says.
    pub sig: Bytes,
}

/// A payload and its signatures, sorted by key id, one per key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The statement's canonical JSON.
    pub payload: Bytes,
    /// Always [`PAYLOAD_TYPE`].
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Who signed.
    pub signatures: Vec<Signature>,
}

/// The pre-authentication encoding: what is signed.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

impl Envelope {
    /// An envelope without signatures around a statement's canonical bytes.
    pub fn unsigned(payload: Vec<u8>) -> Self {
        Self { payload: Bytes::new(payload), payload_type: PAYLOAD_TYPE.to_owned(), signatures: Vec::new() }
    }

    /// What signers sign.
    pub fn message(&self) -> Vec<u8> {
        pre_authentication_encoding(&self.payload_type, self.payload.as_slice())
    }

    /// The statement's id: SHA-256 of what is signed.
    pub fn id(&self) -> StatementId {
        StatementId::from_digest(Digest::of(&self.message()))
    }

    /// Adds a signature, keeping the order by key id; a second one by the same key is refused.
    pub fn add(&mut self, signature: Signature) -> Result<(), StatementError> {
        match self.signatures.binary_search_by(|present| present.keyid.cmp(&signature.keyid)) {
            Ok(_) => Err(StatementError::RepeatedSigner(signature.keyid)),
            Err(_) if self.signatures.len() >= SIGNATURES_MAX => Err(StatementError::TooManySignatures),
            Err(place) => {
                self.signatures.insert(place, signature);
                Ok(())
            }
        }
    }

    /// Reads an envelope: canonical JSON, our payload type, signatures sorted with one per key.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let value = json::parse_canonical(bytes, ENVELOPE_BYTES_MAX).map_err(StatementError::Json)?;
        let envelope: Self = json::from_value(&value).map_err(StatementError::Shape)?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType);
        }
        if envelope.signatures.len() > SIGNATURES_MAX {
            return Err(StatementError::TooManySignatures);
        }
        for (left, right) in envelope.signatures.iter().zip(envelope.signatures.iter().skip(1)) {
            match left.keyid.cmp(&right.keyid) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(StatementError::RepeatedSigner(left.keyid)),
                std::cmp::Ordering::Greater => return Err(StatementError::SignatureOrder),
            }
        }
        Ok(envelope)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StatementError> {
        let bytes = json::to_canonical(self).map_err(StatementError::Encode)?;
        if bytes.len() > ENVELOPE_BYTES_MAX { Err(StatementError::Oversize(bytes.len())) } else { Ok(bytes) }
    }
}

#[cfg(test)]
mod tests;
