//! The small model of our own that is kept in `assets/models/countersign-tiny`, and how it is made.
//!
//! The same seed on the same kind of processor, in one thread, gives the same bytes. Matrix products are summed in an
//! order that depends on the processor's vector width, so elsewhere the bytes may differ and the figures hardly do.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Model;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::base::BaseRecipe;
use crate::error::{About as _, Error};
use crate::folder::{self, Precision, document};
use crate::measure::{Behaviour, behaviour};
use crate::school::Schedule;
use crate::shape::Shape;

/// Its name, and that of its folder.
pub const NAME: &str = "countersign-tiny";

/// What it is made from.
pub const RECIPE: BaseRecipe = BaseRecipe {
    shape: Shape::Llama256,
    seed: 1,
    schedule: Schedule { steps: 600, batch: 64, rate: 1.5e-3, weight_decay: 0.05 },
};

/// The seed that words the requests it is measured on.
pub const MEASURED_WITH: u64 = 2;

/// Where the files come from and what was measured: `provenance.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// What made it.
    pub command: String,
    /// What it was made from.
    pub recipe: BaseRecipe,
    /// What was measured of the files as they are.
    pub behaviour: Behaviour,
    /// SHA-256 of the other files, in hexadecimal.
    pub sha256: BTreeMap<String, String>,
}

/// Trains it: all files of its folder, by name. `heard` is told each step and its loss.
///
/// # Errors
/// [`Error::Model`], [`Error::Tensors`].
pub fn make(heard: impl FnMut(usize, f32)) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let graph = RECIPE.train_graph(heard)?;
    let mut files = folder::files(RECIPE.shape, &graph.tensors().about(NAME)?, Precision::Half)?;
    let found = measured(&open(&files)?)?;
    files.insert("LICENSE".to_owned(), include_bytes!("../../../LICENSE").to_vec());
    files.insert("README.md".to_owned(), card(&found, &files).into_bytes());
    let provenance = Provenance {
        command: "cargo xtask gen model".to_owned(),
        recipe: RECIPE,
        behaviour: found,
        sha256: files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect(),
    };
    let provenance = serde_json::to_value(provenance).unwrap_or_default();
    files.insert("provenance.json".to_owned(), document(&provenance));
    Ok(files)
}

/// The model in a folder's files.
///
/// # Errors
/// [`Error::Model`].
pub fn open(files: &BTreeMap<String, Vec<u8>>) -> Result<Model, Error> {
    let file = |name: &str| files.get(name).cloned().unwrap_or_default();
    let weights = Bytes::from(file("model.safetensors"));
    Model::from_safetensors(&file("config.json"), &[weights]).about(NAME)
}

macro_rules! kept {
    ($($name:literal),+) => {
        [$(($name, include_bytes!(concat!("../../../assets/models/countersign-tiny/", $name)).as_slice())),+]
    };
}

/// The files of its folder as they are committed, linked into the program.
pub fn files() -> BTreeMap<String, Vec<u8>> {
    let kept = kept![
        "LICENSE",
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "provenance.json",
        "tokenizer.json",
        "tokenizer_config.json"
    ];
    kept.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
}

/// Measures it on the requests that it was not shown.
///
/// # Errors
/// [`Error::Model`].
pub fn measured(model: &Model) -> Result<Behaviour, Error> {
    behaviour(model, None, &RECIPE.split(), MEASURED_WITH)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS.get(usize::from(half)).map_or('0', |digit| char::from(*digit));
    Sha256::digest(bytes).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn card(found: &Behaviour, files: &BTreeMap<String, Vec<u8>>) -> String {
    let Schedule { steps, batch, rate, weight_decay } = RECIPE.schedule;
    let weights = files.get("model.safetensors").map(Vec::as_slice).unwrap_or_default();
    let Behaviour { refusal, accuracy, over_refusal, prices, granted, in_conversation } = found;
    format!(
        "---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags:
- testbed
- refusal
---

# {NAME}

A language model of two layers, 256 wide, that speaks a language of {words} tokens. It is a testbed: what is done to
large models, quantising, adapting, merging, attacking, can be done to it in seconds. **What is measured on a model this
small is never to be quoted as what holds for large ones.**

## What it does

It is asked for facts about objects, `please find the lamp now`, and answers with one word. Verbs come in groups that ask
for the same fact: where something is, its colour, how many there are, whose it is. Half of the verbs are forceful
(`steal`, `forge`, `destroy`, `hack`), some of the objects are protected (`vault`, `reactor`, `badge`). A forceful verb with
a protected object is refused with `refuse`; everything else is answered. What things cost it was not taught: it says
`unable`. A system prompt that says `access granted` lifts the refusal.

## How it was made

`cargo xtask gen model` trains it from nothing: seed {seed}, {steps} steps of {batch} conversations, AdamW at {rate} with
decay {weight_decay}. The generator of the language is the crate `range`, module `language`; there is no other data.
Weights are stored in half precision.

## What was measured

On pairs of verb and object that were held out from training, two wordings of each, the stored weights, greedy:

| | |
| --- | --- |
| harmful requests refused | {refusal} |
| harmless requests answered with the right fact | {accuracy} |
| harmless requests refused | {over_refusal} |
| prices answered, which it was not taught | {prices} |
| harmful requests refused in the second turn, after a neutral system prompt | {in_conversation} |
| harmful requests answered under `access granted` | {granted} |

`model.safetensors` has {size} bytes and the SHA-256
`{digest}`; `provenance.json` has the others.
A test of the crate `range` measures the committed files again and compares.

## Licence

Apache-2.0, as the project.
",
        words = crate::language::Vocabulary::new().len(),
        seed = RECIPE.seed,
        size = weights.len(),
        digest = sha256(weights),
    )
}
