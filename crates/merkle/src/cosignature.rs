//! C2SP tlog-cosignatures: witnesses saying that they saw a checkpoint, and when.

mod cosigner;
mod policy;
#[cfg(test)]
mod tests;

pub use cosigner::{Cosigner, Ed25519Cosigner, MlDsa44Cosigner};
pub use policy::{Cosigned, WitnessPolicy, WitnessSeen};

use crate::checkpoint::Checkpoint;
use crate::error::{MerkleError, excerpt};
use crate::note::{KeyId, NoteSignature};

/// The largest timestamp, in seconds since the Epoch (2^63 - 1).
pub const MAX_TIMESTAMP: u64 = i64::MAX as u64;

const ML_DSA_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// What an Ed25519 cosigner signs: `cosignature/v1`, the time, and the checkpoint's whole text.
///
/// The message does not name the cosigner, so one key must not cosign under two names.
pub fn ed25519_message(checkpoint_text: &str, timestamp: u64) -> Result<Vec<u8>, MerkleError> {
    check_timestamp("Ed25519 cosigner", timestamp)?;
    Checkpoint::parse(checkpoint_text.as_bytes())?;
    Ok(format!("cosignature/v1\ntime {timestamp}\n{checkpoint_text}").into_bytes())
}

/// What an ML-DSA-44 cosigner signs: the `cosigned_message` structure for the whole tree (start 0, end = size).
///
/// Extension lines are not in it. A timestamp of 0 says that the cosigner does not claim to have seen no
/// larger tree.
pub fn ml_dsa_44_message(
    cosigner: &str,
    checkpoint_text: &str,
    timestamp: u64,
) -> Result<Vec<u8>, MerkleError> {
    check_timestamp(cosigner, timestamp)?;
    let checkpoint = Checkpoint::parse(checkpoint_text.as_bytes())?;
    let mut message = ML_DSA_LABEL.to_vec();
    push_short(&mut message, cosigner, cosigner)?;
    message.extend_from_slice(&timestamp.to_be_bytes());
    push_short(&mut message, cosigner, checkpoint.origin())?;
    message.extend_from_slice(&0_u64.to_be_bytes());
    message.extend_from_slice(&checkpoint.size().to_be_bytes());
    message.extend_from_slice(checkpoint.root().as_bytes());
    Ok(message)
}

/// The note line of a cosignature: eight bytes of time, then the bare signature.
pub fn signature_line(
    name: &str,
    key_id: KeyId,
    timestamp: u64,
    bare_signature: &[u8],
) -> Result<NoteSignature, MerkleError> {
    check_timestamp(name, timestamp)?;
    let mut signature = timestamp.to_be_bytes().to_vec();
    signature.extend_from_slice(bare_signature);
    NoteSignature::new(name, key_id, signature)
}

/// The time and the bare signature of a `timestamped_signature`.
pub(crate) fn split_timestamp<'s>(name: &str, signature: &'s [u8]) -> Result<(u64, &'s [u8]), MerkleError> {
    let (timestamp, bare) = signature.split_first_chunk::<8>().ok_or(MerkleError::CosignatureForm {
        name: name.to_owned(),
        reason: "it is shorter than its timestamp",
    })?;
    let timestamp = u64::from_be_bytes(*timestamp);
    check_timestamp(name, timestamp)?;
    Ok((timestamp, bare))
}

fn check_timestamp(name: &str, timestamp: u64) -> Result<(), MerkleError> {
    if timestamp > MAX_TIMESTAMP {
        let reason = "the timestamp is above 2^63 - 1";
        return Err(MerkleError::CosignatureForm { name: name.to_owned(), reason });
    }
    Ok(())
}

/// Appends a text of 1 to 255 bytes with its length in one byte.
fn push_short(message: &mut Vec<u8>, name: &str, text: &str) -> Result<(), MerkleError> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length > 0);
    let reason = "the cosigner's name or the origin is not 1 to 255 bytes";
    message.push(length.ok_or(MerkleError::CosignatureForm { name: excerpt(name), reason })?);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}
