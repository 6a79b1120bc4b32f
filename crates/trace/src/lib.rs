//! What a worker did, step by step, as a Merkle tree whose root is signed.
//!
//! Each [`Step`] is a leaf: its canonical JSON, hashed as RFC 6962 (section 2.1) hashes entries. The root and the number of
//! leaves stand in the signed finding ([`statement::kind::TraceRoot`]); the steps themselves are an attachment. So whoever
//! has the finding can ask for any step and check, by a proof of a few hashes, that this was what was signed.
//!
//! A trace is what the worker and its supervisor *say* was done. The supervisor writes the first step (the box) and the
//! last (the output) itself and compares the inputs with what it handed over; what happened between is the worker's word,
//! and worth what its code is worth, which the digest in the first step names.
//!
//! What this crate does not do: run, read files, or sign.

mod error;
mod file;
mod proof;
mod step;

pub use error::TraceError;
pub use file::{FORM, TRACE_BYTES_MAX};
pub use proof::{PROOF_BYTES_MAX, Proof};
pub use step::{STEP_BYTES_MAX, STEPS_MAX, Step, output};

use merkle::{Hash, HashReader, inclusion_proof, leaf_hash};
use statement::Digest;
use statement::json;
use statement::kind::{Finding, TraceRoot};

/// Steps in their order, with the leaves that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    steps: Vec<Step>,
    leaves: Vec<Vec<u8>>,
    hashes: Vec<Hash>,
}

impl Trace {
    /// From steps.
    ///
    /// # Errors
    /// [`TraceError::Size`] where there are none, too many, or one is too long; [`TraceError::Encode`].
    pub fn new(steps: Vec<Step>) -> Result<Self, TraceError> {
        if steps.is_empty() || steps.len() > STEPS_MAX {
            return Err(TraceError::Size { what: "the number of steps", limit: STEPS_MAX });
        }
        let leaves = steps.iter().map(Step::leaf).collect::<Result<Vec<_>, _>>()?;
        let hashes = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        Ok(Self { steps, leaves, hashes })
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many there are.
    pub fn size(&self) -> u64 {
        u64::try_from(self.steps.len()).unwrap_or(u64::MAX)
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        merkle::root(&self.hashes)
    }

    /// What stands in the finding, where `attachment` is the digest by which the vault knows [`Trace::to_bytes`].
    pub fn signed(&self, attachment: Digest) -> TraceRoot {
        TraceRoot { attachment, leaves: self.size(), root: self.root() }
    }

    /// The step of that number, with the proof that it is in the tree.
    ///
    /// # Errors
    /// [`TraceError::NoLeaf`].
    pub fn prove(&self, leaf: u64) -> Result<Proof, TraceError> {
        let none = || TraceError::NoLeaf { leaf, leaves: self.size() };
        let step = usize::try_from(leaf).ok().and_then(|leaf| self.steps.get(leaf)).ok_or_else(none)?;
        let path = inclusion_proof(&Leaves(&self.hashes), leaf, self.size()).map_err(|_| none())?;
        Ok(Proof { leaf, leaves: self.size(), path, step: step.clone() })
    }

    /// Whether this is the trace that a finding signs, and says nothing else than the finding does: the same box and
    /// worker, no input that the finding does not list, the output that the finding holds.
    ///
    /// # Errors
    /// [`TraceError::Disagrees`] names what differs.
    pub fn agrees(&self, finding: &Finding) -> Result<(), TraceError> {
        let differs = |what| Err(TraceError::Disagrees { what });
        match &finding.trace {
            Some(signed) if signed.root == self.root() && signed.leaves == self.size() => {}
            Some(_) => return differs("its root is not the one that is signed"),
            None => return differs("the finding names none"),
        }
        match self.steps.first() {
            Some(Step::Box { isolation, worker, .. })
                if *isolation == finding.isolation && Some(*worker) == finding.worker => {}
            _ => return differs("its first step is not the finding's box and worker"),
        }
        match self.steps.last() {
            Some(Step::Output { digest }) if *digest == output(finding)? => {}
            _ => return differs("its last step is not what the finding says"),
        }
        let inner = self.steps.get(1..self.steps.len() - 1).unwrap_or_default();
        for step in inner {
            match step {
                Step::Input { digest, .. } if !finding.inputs.contains(digest) => {
                    return differs("it opens what the finding does not list");
                }
                Step::Box { .. } | Step::Output { .. } => return differs("it has two boxes or outputs"),
                _ => {}
            }
        }
        Ok(())
    }

    fn parse_step(bytes: &[u8], leaf: usize) -> Result<Step, TraceError> {
        let form = |why: String| TraceError::Form { leaf, why };
        let value = json::parse_canonical(bytes, STEP_BYTES_MAX).map_err(|error| form(error.to_string()))?;
        json::from_value(&value).map_err(|error| form(error.to_string()))
    }
}

/// The leaves of a tree, in memory.
struct Leaves<'a>(&'a [Hash]);

impl HashReader for Leaves<'_> {
    type Error = std::convert::Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let range = usize::try_from(index << level).unwrap_or(usize::MAX);
        let length = 1_usize.checked_shl(u32::from(level)).unwrap_or(usize::MAX);
        let leaves = self.0.get(range..range.saturating_add(length)).unwrap_or_default();
        Ok(merkle::root(leaves))
    }
}
