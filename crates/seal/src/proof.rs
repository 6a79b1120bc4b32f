//! That one block belongs to a seal: all that a run-time check needs beside the root and the rule.

use crate::Error;
use crate::error::shown;
use crate::fingerprint::Seal;
use crate::hash::{Keys, Mark};
use crate::rule::Rule;

/// A block's place in a seal and the hashes beside its way to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockProof {
    /// The tensor's canonical name.
    pub tensor: String,
    /// The tensor's dimensions.
    pub shape: Vec<u64>,
    /// Which block of the tensor.
    pub block: u64,
    /// Beside the way from the block to its tensor.
    pub in_tensor: Vec<Mark>,
    /// Which tensor of the model, by name.
    pub index: u64,
    /// How many tensors the model has.
    pub tensors: u64,
    /// Beside the way from the tensor to the root.
    pub in_model: Vec<Mark>,
}

impl Seal {
    /// The proof for a block.
    ///
    /// # Errors
    /// [`Error::Block`] where there is no such block.
    pub fn prove(&self, tensor: &str, block: u64) -> Result<BlockProof, Error> {
        let absent = || Error::Block { tensor: shown(tensor), block };
        let index = self.place(tensor).ok_or_else(absent)?;
        let sealed = self.tensors().get(index).ok_or_else(absent)?;
        let keys = Keys::of(self.rule().digest());
        let at = usize::try_from(block).map_err(|_| absent())?;
        let in_tensor = keys.over_blocks().path(sealed.blocks(), at).ok_or_else(absent)?;
        let marks: Vec<Mark> = self.tensors().iter().map(|tensor| *tensor.mark()).collect();
        let in_model = keys.over_tensors().path(&marks, index).ok_or_else(absent)?;
        Ok(BlockProof {
            tensor: tensor.to_owned(),
            shape: sealed.shape().to_vec(),
            block,
            in_tensor,
            index: index as u64,
            tensors: marks.len() as u64,
            in_model,
        })
    }
}

impl BlockProof {
    /// Checks that a block with this hash (see [`block_mark`](crate::fingerprint::block_mark)) stands at this place
    /// of the model with this root.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it does not.
    pub fn verify(&self, rule: &Rule, block: Mark, root: &Mark) -> Result<(), Error> {
        let differs = || Error::Mismatch { tensor: shown(&self.tensor), block: self.block };
        let keys = Keys::of(rule.digest());
        let length = crate::source::product(&self.shape).ok_or_else(differs)?;
        let blocks = length.div_ceil(rule.block());
        let tree =
            keys.over_blocks().climb(block, self.block, blocks, &self.in_tensor).ok_or_else(differs)?;
        let mark = keys.tensor(&self.tensor, &self.shape, blocks, &tree);
        let over =
            keys.over_tensors().climb(mark, self.index, self.tensors, &self.in_model).ok_or_else(differs)?;
        if keys.root(self.tensors, &over) == *root { Ok(()) } else { Err(differs()) }
    }
}

#[cfg(test)]
mod tests;
