//! Low-rank adapters: prepared for a model, applied while it runs, or merged into its weights.
//!
//! Source of the arithmetic: huggingface/peft, `tuners/lora/layer.py` and `dora.py`. A module's output becomes
//! `W·x + s·B·(A·x)`; with DoRA each output row of that sum is scaled by `m / ‖W + s·B·A‖`.
//!
//! Rows of queries and keys that GGUF files of the Llama family hold in another order are reordered in the adapter
//! too (llama.cpp, `convert_hf_to_gguf.py`, `permute`).

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "numerics over slices whose lengths the shapes checked first give"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use tensor::peft;
use tensor::safetensors::{SafeTensors, View};

use crate::Error;
use crate::config::{Config, Pairing};
use crate::decoder::{Layer, Linear, Stored};
use crate::error::shown;
use crate::matrix::Matrix;

/// The head's path, whether or not it has a weight of its own.
pub(crate) const HEAD: &str = "lm_head";

/// What an adapter does to one linear layer.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Its weight is another one.
    Replaced(Matrix),
    /// A low-rank product is added.
    LowRank {
        /// `rank × in`.
        a: Matrix,
        /// `out × rank`, times the scaling.
        b: Matrix,
        /// What each output is then multiplied with (DoRA).
        row_scales: Option<Vec<f32>>,
    },
}

/// An adapter that fits a model.
#[derive(Debug, Clone, Default)]
pub struct Adapter {
    changes: BTreeMap<String, BTreeMap<usize, Change>>,
}

impl Adapter {
    pub(crate) fn change(&self, path: &str, first_row: usize) -> Option<&Change> {
        self.changes.get(path)?.get(&first_row)
    }

    /// The paths of the modules it changes.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.changes.keys().map(String::as_str)
    }

    /// Reads an adapter folder's two files and fits them to a model.
    ///
    /// # Errors
    /// [`Error::Container`] where a file cannot be read; [`Error::AdapterMisfit`] where engines would disagree
    /// about it, or where it changes something that this model does not have or that cannot be changed here.
    pub(crate) fn fit(decoder: &Stored, config: &Config, json: &[u8], file: &Bytes) -> Result<Self, Error> {
        let settings = peft::Config::read(json)?;
        let tensors = SafeTensors::read(file)?;
        let adapter = peft::Adapter::join(settings, &tensors);
        if let Some(finding) = adapter.findings.first() {
            return misfit(&shown(&finding.place), "its file is doubtful; a scope check names what is wrong");
        }
        if let Some(view) = adapter.unknown.first() {
            return misfit(&shown(view.name), "the tensor fits no module");
        }
        let tied = tied_head(decoder);
        let linears: Vec<_> = linears(decoder).into_iter().chain(&tied).collect();
        let mut fitted = Self::default();
        for module in &adapter.modules {
            if module.layer == peft::Layer::Embedding {
                return misfit(&shown(module.path), "changes to embeddings can only be run merged elsewhere");
            }
            let targets: Vec<_> = linears.iter().filter(|linear| linear.path == module.path).collect();
            let rows: usize = targets.iter().map(|linear| linear.weight.rows()).sum();
            let fits = targets.iter().all(|linear| linear.weight.columns() == module.columns);
            if targets.is_empty() || !fits || rows != module.rows {
                return misfit(&shown(module.path), "the model has no such module of these sizes");
            }
            let a = Matrix::from_values("lora_A", module.rank, module.columns, &values(&module.a))?;
            let b = values(&module.b);
            let magnitude = module.magnitude.as_ref().map(values);
            for linear in targets {
                let change = low_rank(config, linear, &a, &b, module.scaling, magnitude.as_deref())?;
                fitted.insert(linear, change);
            }
        }
        for full in &adapter.full {
            let target = linears.iter().find(|linear| linear.path == full.path && linear.first_row == 0);
            let (Some(linear), "weight", [rows, columns]) = (target, full.parameter, full.view.shape) else {
                return misfit(&shown(full.path), "only whole weights of linear layers can be replaced");
            };
            let same = linear.weight.rows() == *rows && linear.weight.columns() == *columns;
            if !same || linear.pairing == Pairing::Neighbours {
                return misfit(
                    &shown(full.path),
                    "the weight that replaces it has other sizes or another order",
                );
            }
            let weight = Matrix::from_values(full.path, *rows, *columns, &values(&full.view))?;
            fitted.insert(linear, Change::Replaced(weight));
        }
        Ok(fitted)
    }

    /// An adapter from factors in the transformers library's order: for each module's path, `A` (`rank × in`),
    /// `B` (`out × rank`) and the scaling.
    pub(crate) fn from_factors(
        decoder: &Stored,
        config: &Config,
        factors: &[(String, Matrix, Matrix, f64)],
    ) -> Result<Self, Error> {
        let linears = linears(decoder);
        let mut fitted = Self::default();
        for (path, a, b, scaling) in factors {
            for linear in linears.iter().filter(|linear| linear.path == *path) {
                let change = low_rank(config, linear, a, &b.dense(), *scaling, None)?;
                fitted.insert(linear, change);
            }
        }
        Ok(fitted)
    }

    fn insert(&mut self, linear: &Linear<Matrix, Vec<f32>>, change: Change) {
        self.changes.entry(linear.path.clone()).or_default().insert(linear.first_row, change);
    }

    /// The model with the adapter's changes in its weights, which become single precision where they change.
    pub(crate) fn merge(&self, decoder: &Stored) -> Result<Stored, Error> {
        let mut merged = decoder.clone();
        if self.changes.contains_key(HEAD) && merged.output.is_none() {
            // Its head is no longer its embedding.
            merged.output = tied_head(decoder);
        }
        for linear in linears_mut(&mut merged) {
            let Some(change) = self.change(&linear.path, linear.first_row) else { continue };
            linear.weight = match change {
                Change::Replaced(weight) => weight.clone(),
                Change::LowRank { a, b, row_scales } => {
                    let mut weight = linear.weight.dense();
                    add_product(&mut weight, a, b);
                    if let Some(scales) = row_scales {
                        for (row, scale) in weight.chunks_exact_mut(a.columns()).zip(scales) {
                            for w in row {
                                *w *= scale;
                            }
                        }
                    }
                    Matrix::from_values(&linear.path, b.rows(), a.columns(), &weight)?
                }
            };
        }
        Ok(merged)
    }
}

/// The head of a model whose head is its embedding, as a layer of its own: what an adapter changes of the one stays as it is in
/// the other.
fn tied_head(decoder: &Stored) -> Option<Linear<Matrix, Vec<f32>>> {
    decoder.output.is_none().then(|| Linear {
        path: HEAD.to_owned(),
        first_row: 0,
        pairing: Pairing::Halves,
        head_len: None,
        weight: decoder.embedding.clone(),
        bias: None,
    })
}

fn misfit<T>(module: &str, reason: &'static str) -> Result<T, Error> {
    Err(Error::AdapterMisfit { module: module.to_owned(), reason })
}

fn values(view: &View<'_>) -> Vec<f32> {
    view.elements().into_iter().flatten().map(|value| value as f32).collect()
}

/// `W += B·A`, in double precision.
fn add_product(weight: &mut [f32], a: &Matrix, b: &Matrix) {
    let (a_values, b_values) = (a.dense(), b.dense());
    let mut sums = vec![0.0_f64; a.columns()];
    for (row, b) in weight.chunks_exact_mut(a.columns()).zip(b_values.chunks_exact(b.columns())) {
        sums.iter_mut().zip(row.iter()).for_each(|(sum, w)| *sum = f64::from(*w));
        for (b, a) in b.iter().zip(a_values.chunks_exact(a.columns())) {
            sums.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*a) * f64::from(*b));
        }
        row.iter_mut().zip(&sums).for_each(|(w, sum)| *w = *sum as f32);
    }
}

fn low_rank(
    config: &Config,
    linear: &Linear<Matrix, Vec<f32>>,
    a: &Matrix,
    b: &[f32],
    scaling: f64,
    magnitude: Option<&[f32]>,
) -> Result<Change, Error> {
    let (rows, rank) = (linear.weight.rows(), a.rows());
    let fits = a.columns() == linear.weight.columns() && b.len() >= (linear.first_row + rows) * rank;
    if !fits {
        return misfit(&linear.path, "the factors have other sizes");
    }
    let mut scaled = Vec::with_capacity(rows * rank);
    let order: Vec<usize> = (0..rows).map(|row| linear.first_row + hf_row(config, linear, row)).collect();
    for &row in &order {
        scaled.extend(b[row * rank..(row + 1) * rank].iter().map(|b| (f64::from(*b) * scaling) as f32));
    }
    let b = Matrix::from_values("lora_B", rows, rank, &scaled)?;
    let row_scales = match magnitude {
        None => None,
        Some(magnitude) => {
            let mut weight = linear.weight.dense();
            add_product(&mut weight, a, &b);
            let norms = weight
                .chunks_exact(a.columns())
                .map(|row| row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt());
            Some(norms.zip(&order).map(|(norm, &row)| (f64::from(magnitude[row]) / norm) as f32).collect())
        }
    };
    Ok(Change::LowRank { a: a.clone(), b, row_scales })
}

/// The row, in the transformers library's order, of a row in the file's order.
pub(crate) fn hf_row(config: &Config, linear: &Linear<Matrix, Vec<f32>>, row: usize) -> usize {
    match linear.pairing {
        Pairing::Halves => row,
        Pairing::Neighbours => {
            let (head, element) = (row / config.head_len, row % config.head_len);
            head * config.head_len + element % 2 * (config.head_len / 2) + element / 2
        }
    }
}

fn layer_linears<M, V>(layer: &Layer<M, V>) -> impl Iterator<Item = &Linear<M, V>> {
    let always = [&layer.queries, &layer.keys, &layer.values, &layer.output, &layer.up, &layer.down];
    always.into_iter().chain(&layer.gate)
}

/// Every linear layer, the output's among them where it has its own weight.
pub(crate) fn linears<M, V>(decoder: &crate::decoder::Decoder<M, V>) -> Vec<&Linear<M, V>> {
    decoder.layers.iter().flat_map(layer_linears).chain(&decoder.output).collect()
}

pub(crate) fn linears_mut(decoder: &mut Stored) -> impl Iterator<Item = &mut Linear<Matrix, Vec<f32>>> {
    let layers = decoder.layers.iter_mut().flat_map(|layer| {
        let Layer { queries, keys, values, output, up, down, gate, .. } = layer;
        [queries, keys, values, output, up, down].into_iter().chain(gate)
    });
    layers.chain(&mut decoder.output)
}
