//! The body of `add-checkpoint`.

use crate::checkpoint::SignedCheckpoint;
use crate::encoding::{decimal, hash_from_base64, to_base64};
use crate::error::MerkleError;
use crate::note::MAX_NOTE;
use crate::tree::{Hash, MAX_PROOF};

/// The longest request, in bytes.
pub const MAX_REQUEST: usize = MAX_NOTE + 4096;

/// A request to cosign a checkpoint, with the proof from the one that the witness cosigned last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old_size: u64,
    proof: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// A request; the proof has at most 63 hashes.
    pub fn new(old_size: u64, proof: Vec<Hash>, checkpoint: SignedCheckpoint) -> Result<Self, MerkleError> {
        if proof.len() > MAX_PROOF {
            return Err(MerkleError::RequestForm { reason: "more than 63 consistency proof lines" });
        }
        Ok(Self { old_size, proof, checkpoint })
    }

    /// Reads a request's body; strict, and bounded by [`MAX_REQUEST`]. A failure is answered with status 400.
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::RequestForm { reason };
        if bytes.len() > MAX_REQUEST {
            return Err(MerkleError::TooLong { what: "request", length: bytes.len(), limit: MAX_REQUEST });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(form("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(decimal)
            .ok_or(form("the first line is not `old` and a decimal number without leading zeros"))?;
        let proof = lines
            .take(MAX_PROOF + 1)
            .map(|line| {
                hash_from_base64(line).ok_or(form("a proof line is not 32 bytes in canonical base64"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(old_size, proof, SignedCheckpoint::parse(note.as_bytes())?)
    }

    /// The size of the checkpoint that the witness is thought to have cosigned last.
    pub const fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The consistency proof from there to the new checkpoint.
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The new checkpoint; its signatures are not yet checked.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The log's name, by which the witness finds its key and its state.
    pub fn origin(&self) -> &str {
        self.checkpoint.claims().origin()
    }

    /// The request's body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            text.push_str(&to_base64(hash.as_bytes()));
            text.push('\n');
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend(self.checkpoint.to_bytes());
        bytes
    }
}
