//! C2SP tlog-proofs: one file that shows, offline, that an entry is in a witnessed log.

#[cfg(test)]
mod tests;

use crate::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use crate::cosignature::{Cosigned, WitnessPolicy};
use crate::encoding::{decimal, from_base64, hash_from_base64, to_base64};
use crate::error::MerkleError;
use crate::note::{MAX_NOTE, VerifierKey};
use crate::tree::{Hash, MAX_PROOF, verify_inclusion};

/// The most extra data that a proof may carry, in bytes.
pub const MAX_EXTRA: usize = 65_536;
/// The longest proof file, in bytes.
pub const MAX_PROOF_FILE: usize = MAX_NOTE + 2 * MAX_EXTRA;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// An inclusion proof with its checkpoint; nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

/// Token: this leaf is entry `index` of a log that enough witnesses vouch for. Only [`LogProof::verify`]
/// makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Included {
    leaf: Hash,
    index: u64,
    checkpoint: VerifiedCheckpoint,
    cosigned: Cosigned,
}

impl Included {
    /// The leaf's hash.
    pub const fn leaf(&self) -> &Hash {
        &self.leaf
    }

    /// The entry's index.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The checkpoint that it was proven against.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// Who cosigned that checkpoint.
    pub const fn cosigned(&self) -> &Cosigned {
        &self.cosigned
    }
}

impl LogProof {
    /// A proof that entry `index` is in the checkpoint's tree; `path` from the leaf's sibling up.
    pub fn new(index: u64, path: Vec<Hash>, checkpoint: SignedCheckpoint) -> Result<Self, MerkleError> {
        if path.len() > MAX_PROOF {
            return Err(MerkleError::ProofForm { reason: "more than 63 inclusion proof lines" });
        }
        Ok(Self { extra: None, index, path, checkpoint })
    }

    /// The same with extra data (1 to [`MAX_EXTRA`] bytes) that no signature covers.
    pub fn with_extra(self, extra: Vec<u8>) -> Result<Self, MerkleError> {
        if extra.is_empty() || extra.len() > MAX_EXTRA {
            return Err(MerkleError::ProofForm { reason: "the extra data is not 1 to 65536 bytes" });
        }
        Ok(Self { extra: Some(extra), ..self })
    }

    /// Reads a proof file; strict, and bounded by [`MAX_PROOF_FILE`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::ProofForm { reason };
        if bytes.len() > MAX_PROOF_FILE {
            let (what, limit) = ("log proof", MAX_PROOF_FILE);
            return Err(MerkleError::TooLong { what, length: bytes.len(), limit });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(form("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(form("the first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra ")).map(|line| {
            let encoded = line.strip_prefix("extra ").and_then(from_base64);
            encoded.ok_or(form("the extra data is not in canonical base64"))
        });
        let extra = extra.transpose()?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal)
            .ok_or(form("no line with `index` and a decimal number without leading zeros"))?;
        let path = lines
            .take(MAX_PROOF + 1)
            .map(|line| {
                hash_from_base64(line).ok_or(form("a proof line is not 32 bytes in canonical base64"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let proof = Self::new(index, path, SignedCheckpoint::parse(note.as_bytes())?)?;
        match extra {
            Some(extra) => proof.with_extra(extra),
            None => Ok(proof),
        }
    }

    /// The extra data, which is not authenticated.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The entry's index, as claimed.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, from the leaf's sibling up.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The checkpoint; its signatures are not yet checked.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text.push_str("extra ");
            text.push_str(&to_base64(extra));
            text.push('\n');
        }
        text.push_str("index ");
        text.push_str(&self.index.to_string());
        text.push('\n');
        for hash in &self.path {
            text.push_str(&to_base64(hash.as_bytes()));
            text.push('\n');
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend(self.checkpoint.to_bytes());
        bytes
    }

    /// Checks the log's signature, the witnesses and the inclusion of `leaf`, in that order.
    pub fn verify(
        self,
        leaf: &Hash,
        origin: &str,
        log_keys: &[VerifierKey],
        witnesses: &WitnessPolicy,
    ) -> Result<Included, MerkleError> {
        let checkpoint = self.checkpoint.open(origin, log_keys)?;
        let cosigned = witnesses.check(&checkpoint)?;
        let (index, size) = (self.index, checkpoint.size());
        verify_inclusion(index, size, leaf, &self.path, checkpoint.root())
            .map_err(|source| MerkleError::NotIncluded { leaf: *leaf, index, size, source })?;
        Ok(Included { leaf: *leaf, index, checkpoint, cosigned })
    }
}
