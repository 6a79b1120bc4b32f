//! Bases by name: our own small model, or others that are trained from a seed.

use model::Model;
use serde::{Deserialize, Serialize};

use crate::base::BaseRecipe;
use crate::error::{About as _, Error};
use crate::folder::{Precision, safetensors};
use crate::language::Split;
use crate::measure::{Behaviour, behaviour};
use crate::shape::Shape;
use crate::tiny;
use crate::weights::Weights;

/// Which base: `tiny`, or a shape and a seed, `llama-64:3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BaseName {
    /// Our own small model, as it is committed.
    Tiny,
    /// One trained from nothing.
    Trained {
        /// Its shape.
        shape: Shape,
        /// Its seed.
        seed: u64,
    },
}

impl std::fmt::Display for BaseName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tiny => f.write_str("tiny"),
            Self::Trained { shape, seed } => write!(f, "{}:{seed}", shape.name()),
        }
    }
}

impl std::str::FromStr for BaseName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "tiny" {
            return Ok(Self::Tiny);
        }
        let unknown = || Error::BaseName { name: name.to_owned() };
        let (shape, seed) = name.split_once(':').ok_or_else(unknown)?;
        let shape = Shape::ALL.into_iter().find(|known| known.name() == shape).ok_or_else(unknown)?;
        Ok(Self::Trained { shape, seed: seed.parse().map_err(|_| unknown())? })
    }
}

impl Serialize for BaseName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BaseName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A base that changes are made to.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its name.
    pub name: BaseName,
    /// What it was made from.
    pub recipe: BaseRecipe,
    /// What it was not shown.
    pub split: Split,
    /// Its weights.
    pub weights: Weights,
    /// The same, to be run.
    pub model: Model,
    /// What it does.
    pub behaviour: Behaviour,
    /// SHA-256 of its weights as a safetensors file in the precision that it is kept in.
    pub sha256: String,
}

/// The seed that words the requests which bases and changes are measured on.
pub const MEASURED_WITH: u64 = 2;

impl Base {
    /// The committed model, or one trained now; `heard` is told each step and its loss.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Tensors`].
    pub fn make(name: BaseName, heard: impl FnMut(usize, f32)) -> Result<Self, Error> {
        match name {
            BaseName::Tiny => {
                let files = tiny::files();
                let kept = files.get("model.safetensors").map(Vec::as_slice).unwrap_or_default();
                Self::of(name, tiny::RECIPE, &tiny::open(&files)?, tiny::sha256(kept))
            }
            BaseName::Trained { shape, seed } => {
                let recipe = BaseRecipe::new(shape, seed);
                let graph = recipe.train_graph(heard)?;
                let file = safetensors(&graph.tensors().about(shape.name())?, Precision::Single)?;
                Self::of(name, recipe, &graph.model().about(shape.name())?, tiny::sha256(&file))
            }
        }
    }

    /// A base from weights that were trained before.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn of(name: BaseName, recipe: BaseRecipe, model: &Model, sha256: String) -> Result<Self, Error> {
        let weights = Weights::of_model(recipe.shape, model)?;
        let model = weights.model()?;
        let split = recipe.split();
        let behaviour = behaviour(&model, None, &split, MEASURED_WITH)?;
        Ok(Self { name, recipe, split, weights, model, behaviour, sha256 })
    }
}
