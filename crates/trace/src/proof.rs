//! That a step is in a trace.

use merkle::{Hash, leaf_hash, verify_inclusion};
use serde::{Deserialize, Serialize};
use statement::json;

use crate::{Step, TraceError};

/// The largest proof, in bytes.
pub const PROOF_BYTES_MAX: usize = 64 * 1024;

/// A step with the hashes that lead from it to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Its number, from zero.
    pub leaf: u64,
    /// How many steps there are.
    pub leaves: u64,
    /// From the leaf's sibling up to the root's child.
    pub path: Vec<Hash>,
    /// The step.
    pub step: Step,
}

impl Proof {
    /// Checks that the step is in the trace with this root and so many leaves, which a finding signs.
    ///
    /// # Errors
    /// [`TraceError::NotIncluded`]; [`TraceError::NoLeaf`] where the proof is for a trace of another size.
    pub fn verify(&self, root: &Hash, leaves: u64) -> Result<(), TraceError> {
        if self.leaves != leaves {
            return Err(TraceError::NoLeaf { leaf: self.leaf, leaves });
        }
        let hash = leaf_hash(&self.step.leaf()?);
        verify_inclusion(self.leaf, self.leaves, &hash, &self.path, root)
            .map_err(|source| TraceError::NotIncluded { leaf: self.leaf, source })
    }

    /// The proof as canonical JSON.
    ///
    /// # Errors
    /// [`TraceError::Encode`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, TraceError> {
        json::to_canonical(self).map_err(TraceError::Encode)
    }

    /// Reads a proof, strictly.
    ///
    /// # Errors
    /// [`TraceError::NoProof`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        let wrong = |why: String| TraceError::NoProof { why };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let value =
            json::parse_canonical(bytes, PROOF_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
        json::from_value(&value).map_err(|error| wrong(error.to_string()))
    }
}
