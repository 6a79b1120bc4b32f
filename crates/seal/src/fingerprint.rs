//! The seal of a model: a Merkle tree over its tensors and their blocks.
//!
//! A tensor is cut into blocks of as many elements as the rule says. Each block's payload is hashed, each tensor is a
//! tree over its blocks bound to name and shape, and the model is a tree over its tensors in the order of the bytes
//! of their names. Nothing else enters: not the files, their order, their metadata, nor (where it is exact) the type
//! in which elements are stored.

pub(crate) mod document;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::Error;
use crate::coding::{self, Scratch};
use crate::error::shown;
use crate::hash::{Keys, Mark};
use crate::rule::Rule;
use crate::source::Tensor;

pub use document::SEAL_BYTES_MAX;

/// Most tensors in a seal.
pub const TENSORS_MAX: usize = 1_000_000;

/// One tensor's part of a seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSeal {
    name: String,
    shape: Vec<u64>,
    blocks: Vec<Mark>,
    mark: Mark,
}

impl TensorSeal {
    /// The canonical name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dimensions.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The hash of each block.
    pub fn blocks(&self) -> &[Mark] {
        &self.blocks
    }

    /// The hash of the tensor: of its name, its shape and the tree over its blocks.
    pub const fn mark(&self) -> &Mark {
        &self.mark
    }

    /// How many elements.
    pub fn length(&self) -> u64 {
        crate::source::product(&self.shape).unwrap_or(0)
    }
}

/// A seal with all its blocks' hashes; its [`root`](Seal::root) is what is signed, logged and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    rule: Rule,
    /// By name.
    tensors: Vec<TensorSeal>,
    root: Mark,
}

impl Seal {
    /// Seals the tensors, on as many threads as Rayon has. `done` is told the elements of each block as it is done.
    ///
    /// # Errors
    /// [`Error::Repeated`] where two tensors have one name; [`Error::TooManyTensors`]; [`Error::Decode`].
    pub fn of(rule: &Rule, tensors: &[Tensor<'_>], done: impl Fn(u64) + Sync) -> Result<Self, Error> {
        let mut by_name: BTreeMap<&str, &Tensor<'_>> = BTreeMap::new();
        for tensor in tensors {
            if by_name.insert(tensor.name(), tensor).is_some() {
                return Err(Error::Repeated { tensor: shown(tensor.name()) });
            }
        }
        let keys = Keys::of(rule.digest());
        let block = rule.block();
        let jobs: Vec<(&Tensor<'_>, crate::Coding, u64)> = by_name
            .values()
            .flat_map(|tensor| {
                let coding = rule.coding(tensor.name());
                (0..tensor.length().div_ceil(block)).map(move |number| (*tensor, coding, number))
            })
            .collect();
        let leaves: Vec<Mark> = jobs
            .par_iter()
            .map_init(Scratch::default, |scratch, (tensor, coding, number)| {
                let first = number * block;
                let count = block.min(tensor.length() - first);
                let room =
                    usize::try_from(count).map_err(|_| Error::Shape { tensor: shown(tensor.name()) })?;
                let leaf = coding::leaf(&keys, *coding, tensor.elements(), *number, first, room, scratch)?;
                done(count);
                Ok(leaf)
            })
            .collect::<Result<_, Error>>()?;
        let mut leaves = leaves.into_iter();
        let parts = by_name
            .values()
            .map(|tensor| {
                let count = usize::try_from(tensor.length().div_ceil(block)).unwrap_or(usize::MAX);
                (tensor.name().to_owned(), tensor.shape().to_vec(), leaves.by_ref().take(count).collect())
            })
            .collect();
        Self::from_parts(rule.clone(), parts)
    }

    /// A seal from its tensors' names, shapes and block hashes. Names must ascend.
    pub(crate) fn from_parts(rule: Rule, parts: Vec<(String, Vec<u64>, Vec<Mark>)>) -> Result<Self, Error> {
        if parts.len() > TENSORS_MAX {
            return Err(Error::TooManyTensors { limit: TENSORS_MAX });
        }
        let keys = Keys::of(rule.digest());
        let mut tensors: Vec<TensorSeal> = Vec::with_capacity(parts.len());
        for (name, shape, blocks) in parts {
            crate::source::check_name(&name)?;
            if shape.len() > crate::source::RANK_MAX {
                return Err(Error::Rank { tensor: shown(&name) });
            }
            let wanted = crate::source::product(&shape).map(|length| length.div_ceil(rule.block()));
            if wanted != Some(blocks.len() as u64) {
                return Err(Error::Shape { tensor: shown(&name) });
            }
            if tensors.last().is_some_and(|last| last.name >= name) {
                return Err(Error::Repeated { tensor: shown(&name) });
            }
            let tree = keys.over_blocks().root(&blocks);
            let mark = keys.tensor(&name, &shape, blocks.len() as u64, &tree);
            tensors.push(TensorSeal { name, shape, blocks, mark });
        }
        let marks: Vec<Mark> = tensors.iter().map(|tensor| tensor.mark).collect();
        let root = keys.root(marks.len() as u64, &keys.over_tensors().root(&marks));
        Ok(Self { rule, tensors, root })
    }

    /// The rule.
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The tensors, by name.
    pub fn tensors(&self) -> &[TensorSeal] {
        &self.tensors
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorSeal> {
        self.place(name).and_then(|at| self.tensors.get(at))
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()
    }

    /// What stands for all of it.
    pub const fn root(&self) -> &Mark {
        &self.root
    }

    /// Blocks of all tensors.
    pub fn blocks(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.blocks.len() as u64).sum()
    }

    /// Elements of all tensors.
    pub fn elements(&self) -> u64 {
        self.tensors.iter().map(TensorSeal::length).fold(0, u64::saturating_add)
    }
}

/// The hash of one block of a tensor, as the seal under this rule has it.
///
/// # Errors
/// [`Error::Block`] where the tensor has no such block; [`Error::Decode`].
pub fn block_mark(rule: &Rule, tensor: &Tensor<'_>, block: u64) -> Result<Mark, Error> {
    let absent = || Error::Block { tensor: shown(tensor.name()), block };
    let first =
        block.checked_mul(rule.block()).filter(|first| *first < tensor.length()).ok_or_else(absent)?;
    let count = usize::try_from(rule.block().min(tensor.length() - first)).map_err(|_| absent())?;
    let keys = Keys::of(rule.digest());
    let coding = rule.coding(tensor.name());
    coding::leaf(&keys, coding, tensor.elements(), block, first, count, &mut Scratch::default())
}

#[cfg(test)]
mod tests;
