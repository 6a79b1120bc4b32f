//! What differs between two models, tensor by tensor.
//!
//! | function | what it answers |
//! |---|---|
//! | [`pair`] | which tensors both sides have, and which only one |
//! | [`tensor()`] | how far one tensor is from another of the same shape, whatever types the two are kept in |
//! | [`adapter_change`] | how far an adapter's module goes, from its factors |
//! | [`between_adapters`] | how far the same module of two adapters lies apart, from the four factors |
//!
//! A tensor comes in as an [`Operand`]: its name, shape and bytes, and a way to decode some of its elements. So the same
//! weights in another type, shard or container compare equal ([`Relation::SameValues`]), and a file is never expanded:
//! a few thousand elements of each side are decoded at a time, and the largest thing held is a few columns of a matrix.
//!
//! # Numbers
//! The relative measures are integers in parts per million that never understate, by the same allowance for rounding as
//! in [`measure`](crate::measure). Those named `..._f64` are the same quantities without allowance, to be shown. The
//! spectrum of a change ([`Spectrum`]) is the whole of it for small matrices and its leading part, with an upper bound,
//! for large ones.
//!
//! # What it does not do
//! Open files, use several threads (tensors are independent; the caller may), or judge: [`scope`](crate::scope) does.

mod adapter;
mod leading;
mod operand;
mod walk;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use adapter::{AdapterChange, adapter_change, between_adapters};
pub use operand::Operand;
pub use walk::{Relation, TensorChange, tensor};

use crate::spectrum::family::family_of;

/// How much is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Norms, extremes and counts.
    Norms,
    /// The singular spectrum of changed matrices as well. The seed is that of the random start for large matrices.
    Spectrum {
        /// The seed.
        seed: u64,
    },
}

/// Singular values of a change, and what they say of its rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spectrum {
    /// The leading singular values, falling. Those of a large matrix are never above the true ones.
    pub values: Vec<f64>,
    /// What the true values can exceed `values` by: `σ² ≤ values² + beyond²`, and every value not listed is at most
    /// this. Zero where the spectrum is whole.
    pub beyond: f64,
    /// The largest number of singular values that there can be: the smaller side.
    pub side: usize,
    /// What storing the new weights in their type can by itself have put into any one direction: the edge of the
    /// spectrum of independent rounding errors. Zero where the type's rounding is not known.
    pub rounding: f64,
    /// The estimated rank.
    pub rank: Rank,
}

/// The rank of a change, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// This many directions stand clear of rounding, and what is left is rounding.
    Of(usize),
    /// At least this many; more than were looked at.
    AtLeast(usize),
}

impl Rank {
    /// The number itself.
    pub const fn number(self) -> usize {
        match self {
            Self::Of(number) | Self::AtLeast(number) => number,
        }
    }
}

/// Which tensors two sides have, each by its position in what was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    /// In both, as old and new, in the order of names.
    pub common: Vec<(usize, usize)>,
    /// Only in the old side.
    pub removed: Vec<usize>,
    /// Only in the new side.
    pub added: Vec<usize>,
}

/// Pairs tensors by name. Names are unique on each side, as every reader of this crate sees to; of a repeated one the
/// last is taken.
pub fn pair<'a>(old: impl IntoIterator<Item = &'a str>, new: impl IntoIterator<Item = &'a str>) -> Pairing {
    let mut names: BTreeMap<&str, (Option<usize>, Option<usize>)> = BTreeMap::new();
    for (at, name) in old.into_iter().enumerate() {
        names.entry(name).or_default().0 = Some(at);
    }
    for (at, name) in new.into_iter().enumerate() {
        names.entry(name).or_default().1 = Some(at);
    }
    let mut pairing = Pairing::default();
    for sides in names.into_values() {
        match sides {
            (Some(old), Some(new)) => pairing.common.push((old, new)),
            (Some(old), None) => pairing.removed.push(old),
            (None, Some(new)) => pairing.added.push(new),
            (None, None) => {}
        }
    }
    pairing
}

/// Where a tensor stands: the kind of module, with `*` for each number, without the parameter's name if that is
/// `weight`; and its layer.
pub fn place_of(name: &str) -> (String, Option<u64>) {
    family_of(name.strip_suffix(".weight").unwrap_or(name))
}

#[cfg(test)]
mod tests;
