//! PEFT adapter folders: what a LoRA adapter changes in its base model.
//!
//! Source of the names and the arithmetic: huggingface/peft, `tuners/lora/` (`config.py`, `layer.py`, `dora.py`)
//! and `utils/save_and_load.py`. An adapter is `adapter_config.json` and `adapter_model.safetensors`. A LoRA
//! module adds `ΔW = s·B·A` to the weight of its base module, `A` being `rank × in`, `B` `out × rank`, and
//! `s = alpha / rank`, or `alpha / √rank` for rank-stabilised adapters.
//!
//! A file that reads well may still describe something that engines disagree about (a factor without its
//! partner, a rank that the shapes contradict). Such things are *findings*: they never stop the reading, and a
//! scope check counts each against the adapter.
//!
//! What this module does not do: read base models, merge, or evaluate the regular expressions that some
//! configurations hold.

mod config;
mod folder;
mod names;

use std::collections::BTreeMap;

pub use config::{Bias, Config, Targets};
pub use folder::{Folder, PeftError};
use names::{Part, is_embedding, parse_name};

use crate::safetensors::{SafeTensors, View};
use crate::scope::{Rule, Violation};

/// An adapter: its configuration's meaning joined with its tensors.
#[derive(Debug, Clone)]
pub struct Adapter<'a> {
    /// The configuration.
    pub config: Config,
    /// The low-rank modules, in the order of their paths.
    pub modules: Vec<LoraModule<'a>>,
    /// Tensors that replace a tensor of the base model whole, in the order of their names.
    pub full: Vec<FullTensor<'a>>,
    /// Tensors that fit nothing this reader knows, in the order of their names.
    pub unknown: Vec<View<'a>>,
    /// What is wrong or doubtful, in the order of places.
    pub findings: Vec<Violation>,
}

/// Which kind of layer a low-rank pair belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `lora_A`, `lora_B`: a linear layer or a convolution (whose trailing dimensions are taken as one).
    Linear,
    /// `lora_embedding_A`, `lora_embedding_B`: the base weight is the transposed `(B·A)ᵀ`.
    Embedding,
}

/// One low-rank change.
#[derive(Debug, Clone, Copy)]
pub struct LoraModule<'a> {
    /// Path of the base module, without the adapter's `base_model.model.` in front.
    pub path: &'a str,
    /// Kind of layer.
    pub layer: Layer,
    /// `rank × in`.
    pub a: View<'a>,
    /// `out × rank`.
    pub b: View<'a>,
    /// Length of a new magnitude per output row, for weight-decomposed adapters (DoRA).
    pub magnitude: Option<View<'a>>,
    /// The rank, by the shapes.
    pub rank: usize,
    /// Input width: all dimensions of `A` but the first.
    pub columns: usize,
    /// Output width: the first dimension of `B`.
    pub rows: usize,
    /// The factor `s`, by the configuration. Not finite where it cannot be told; then there is a finding.
    pub scaling: f64,
}

/// Why a tensor may replace one of the base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullKind {
    /// Its module is listed under `modules_to_save`, or its name says so.
    ModuleToSave,
    /// An input or output embedding, saved because the vocabulary was changed.
    Embedding,
    /// A bias, saved because `bias` is not `none`.
    Bias,
}

/// A tensor that replaces one of the base model.
#[derive(Debug, Clone, Copy)]
pub struct FullTensor<'a> {
    /// Path of the base module.
    pub path: &'a str,
    /// The parameter: `weight` or `bias`, as a rule.
    pub parameter: &'a str,
    /// Why it is there.
    pub kind: FullKind,
    /// Whether the module is an embedding or output head by its name, whatever `kind` says.
    pub embedding: Embedding,
    /// The new tensor.
    pub view: View<'a>,
}

/// Whether a module is an input embedding or an output head, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedding {
    /// It is.
    Yes,
    /// Its name is not one of those in use for embeddings.
    No,
}

/// Whether a module path ends in a name in use for embeddings and output heads.
pub fn embedding_of(path: &str) -> Embedding {
    if is_embedding(path) { Embedding::Yes } else { Embedding::No }
}

/// The tensors seen so far for one module.
#[derive(Debug, Default)]
struct Parts<'a> {
    a: Option<View<'a>>,
    b: Option<View<'a>>,
    magnitude: Option<View<'a>>,
}

impl LoraModule<'_> {
    /// The name of the base tensor that the module changes.
    pub fn weight_name(&self) -> String {
        [self.path, ".weight"].concat()
    }

    /// How the change is put together with the base weight.
    pub const fn method(&self) -> Method {
        match self.magnitude {
            Some(_) => Method::Dora,
            None => Method::Lora,
        }
    }
}

/// How a low-rank change is put together with its base weight `W`, with `ΔW = s·B·A` (for an embedding, and where
/// `fan_in_fan_out` says that `W` is stored `in × out`, its transpose).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `W + ΔW`: LoRA, rank-stabilised LoRA, and QLoRA, whose `W` is the quantised weight as it is decoded.
    Lora,
    /// Every output row of `W + ΔW` scaled to the length that the magnitude vector gives (Liu et al. 2024).
    Dora,
}

impl<'a> Adapter<'a> {
    /// Joins a configuration and its tensors. All that is wrong with them becomes a finding.
    pub fn join(config: Config, file: &'a SafeTensors<'_>) -> Self {
        let mut adapter =
            Self { config, modules: Vec::new(), full: Vec::new(), unknown: Vec::new(), findings: Vec::new() };
        let mut linear: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        let mut embedding: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        let mut magnitudes: BTreeMap<&str, View<'_>> = BTreeMap::new();

        for view in file.views() {
            if let Err(crate::Error::Element { index, .. }) = view.check_elements() {
                adapter.find(Rule::ElementNotMeasurable, view.name, index, 0);
            }
            let twice = match parse_name(view.name) {
                Some((path, Part::A)) => linear.entry(path).or_default().a.replace(view),
                Some((path, Part::B)) => linear.entry(path).or_default().b.replace(view),
                Some((path, Part::EmbeddingA)) => embedding.entry(path).or_default().a.replace(view),
                Some((path, Part::EmbeddingB)) => embedding.entry(path).or_default().b.replace(view),
                Some((path, Part::Magnitude)) => magnitudes.insert(path, view),
                Some((path, Part::Saved(parameter))) => {
                    adapter.add_full(path, parameter, FullKind::ModuleToSave, view);
                    None
                }
                Some((path, Part::Plain(parameter))) => {
                    match adapter.config.kind_of_full(path, parameter) {
                        Some(kind) => adapter.add_full(path, parameter, kind, view),
                        None => adapter.unknown.push(view),
                    }
                    None
                }
                None => {
                    adapter.unknown.push(view);
                    None
                }
            };
            if twice.is_some() {
                adapter.find(Rule::TensorTwice, view.name, 2, 1);
            }
        }
        for (path, magnitude) in magnitudes {
            let in_linear = linear.contains_key(path);
            let place = if in_linear { linear.get_mut(path) } else { embedding.get_mut(path) };
            match place {
                Some(parts) => parts.magnitude = Some(magnitude),
                None => adapter.find(Rule::MagnitudeAlone, magnitude.name, 1, 0),
            }
        }
        for (layer, parts) in [(Layer::Linear, linear), (Layer::Embedding, embedding)] {
            for (path, parts) in parts {
                adapter.add_module(path, layer, &parts);
            }
        }
        adapter.find_paths_twice();
        adapter.modules.sort_by_key(|module| module.path);
        adapter.findings.sort_by(|a, b| (&a.place, a.rule.code()).cmp(&(&b.place, b.rule.code())));
        adapter
    }

    fn find(&mut self, rule: Rule, place: &str, measured: u64, limit: u64) {
        self.findings.push(Violation { rule, place: place.to_owned(), measured, limit });
    }

    fn add_full(&mut self, path: &'a str, parameter: &'a str, kind: FullKind, view: View<'a>) {
        self.full.push(FullTensor { path, parameter, kind, embedding: embedding_of(path), view });
    }

    fn add_module(&mut self, path: &'a str, layer: Layer, parts: &Parts<'a>) {
        let (Some(a), Some(b)) = (parts.a, parts.b) else {
            let alone = parts.a.or(parts.b).map_or(path, |view| view.name);
            return self.find(Rule::FactorAlone, alone, 1, 2);
        };
        if !self.config.targets_module(path) {
            self.find(Rule::NotTargeted, path, 1, 0);
        }
        let Some((rank, columns, rows)) = factor_shapes(&a, &b) else {
            return self.find(Rule::FactorShapes, path, 1, 0);
        };
        for factor in [a, b] {
            if !factor.dtype.is_plain_float() {
                self.find(Rule::FactorDtype, factor.name, 1, 0);
            }
        }
        if rank == 0 {
            return self.find(Rule::RankZero, path, 0, 1);
        }
        let declared = self.config.rank_of(path);
        if declared != Some(rank as u64) {
            self.find(Rule::RankDiffers, path, rank as u64, declared.unwrap_or(0));
        }
        let scaling = self.config.scaling_of(path).unwrap_or(f64::NAN);
        if !(scaling == 0.0 || (1e-30..1e30).contains(&scaling.abs())) {
            self.find(Rule::ScalingUnknown, path, 1, 0);
        }
        match (parts.magnitude, self.config.use_dora) {
            (Some(magnitude), _) if magnitude.elements_len() != rows => {
                self.find(Rule::FactorShapes, magnitude.name, magnitude.elements_len() as u64, rows as u64);
            }
            (Some(magnitude), false) => self.find(Rule::MagnitudeUndeclared, magnitude.name, 1, 0),
            (None, true) => self.find(Rule::MagnitudeMissing, path, 0, 1),
            (Some(_), true) | (None, false) => {}
        }
        let magnitude = parts.magnitude;
        self.modules.push(LoraModule { path, layer, a, b, magnitude, rank, columns, rows, scaling });
    }

    /// The same module changed in two ways at once.
    fn find_paths_twice(&mut self) {
        let modules = self.modules.iter().map(|module| (module.path, "weight"));
        let mut targets: Vec<_> = modules.chain(self.full.iter().map(|f| (f.path, f.parameter))).collect();
        targets.sort_unstable();
        let twice: Vec<String> = targets
            .array_windows::<2>()
            .filter(|[first, second]| first == second)
            .map(|[(path, parameter), _]| format!("{path}.{parameter}"))
            .collect();
        for place in twice {
            self.find(Rule::TensorTwice, &place, 2, 1);
        }
    }
}

/// `(rank, columns, rows)` where `a` is `rank × columns…` and `b` is `rows × rank × 1…`.
fn factor_shapes(a: &View<'_>, b: &View<'_>) -> Option<(usize, usize, usize)> {
    let ([rank, inner @ ..], [rows, inner_rank, ones @ ..]) = (a.shape, b.shape) else {
        return None;
    };
    if inner.is_empty() || rank != inner_rank || ones.iter().any(|&one| one != 1) {
        return None;
    }
    let columns = inner.iter().try_fold(1_usize, |product, &next| product.checked_mul(next))?;
    (columns > 0 && *rows > 0).then_some((*rank, columns, *rows))
}

#[cfg(test)]
mod tests;
