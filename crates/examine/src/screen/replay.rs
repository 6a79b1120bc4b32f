//! What was declared is done again, and compared byte for byte.

use std::collections::BTreeSet;

use quant::mixture::{Choice, Facts, Importance, Mixture, Subject, kinds};
use tensor::delta::Operand;
use tensor::gguf::{GgmlType, Gguf, View as GgufView};
use tensor::safetensors::{SafeTensors, View};
use tensor::weights::{Heads, RotaryRows, Tensor, Transform, Weights};

use crate::bench::Bench;
use crate::change::{Declared, Files};
use crate::coverage::{Class, Layer};
use crate::error::shown;
use crate::examination::{Examiner, Heard, Stage};
use crate::finding::{Notes, Weight};
use crate::merge::{Recipe, Tensors, encoded};
use crate::vary::{Named, architecture, family};

/// Values, and their type in a GGUF file.
type Valued = (Vec<f32>, Option<GgmlType>);

/// Declared merges and quantisations.
pub(crate) const REPLAY: Examiner = Examiner {
    name: "replay",
    stage: Stage::Screen,
    reference: "deltalint (byte-exact replay of merges); crates/quant (llama.cpp's quantisers)",
    looks_for: &[(Class::Dishonest, Layer::Weights), (Class::Dishonest, Layer::Files)],
    cost: |bench| bench.base.token_cost() * 256,
    examine: replay,
};

fn replay(bench: &mut Bench<'_>, notes: &mut Notes, heard: Heard<'_>) -> Result<(), String> {
    let declared = bench.change.declared.as_ref().ok_or(crate::examination::NOT_DECLARED)?;
    let (compared, differing) = match declared {
        Declared::Quantised { format } => quantised(bench, *format, heard)?,
        Declared::Merged { parents, coefficients } => {
            merged(&bench.change.files, parents, coefficients, heard)?
        }
        Declared::Combined { base, parents, recipe } => {
            combined(&bench.change.files, base, parents, recipe, heard)?
        }
    };
    notes.measure("replay_tensors", compared as f64);
    notes.measure("replay_differing", differing.len() as f64);
    if let Some(first) = differing.first() {
        let text = format!(
            "{} of {compared} tensors are not what was declared; the first is `{}`",
            differing.len(),
            shown(first)
        );
        notes.find(Weight::Refusal, "not-as-declared", Some(Class::Dishonest), text);
    } else {
        let text = format!("all {compared} tensors are, to the byte, what was declared");
        notes.find(Weight::Note, "as-declared", None, text);
    }
    Ok(())
}

type Compared = (usize, Vec<String>);

fn quantised(bench: &Bench<'_>, format: Mixture, heard: Heard<'_>) -> Result<Compared, String> {
    let file = bench.change.files.gguf().ok_or("the change is no GGUF file")?;
    let candidate = Gguf::read(file).map_err(|error| error.to_string())?;
    let config = bench.base.model.config();
    let views: Vec<GgufView<'_>> = candidate.views().collect();
    let subjects: Vec<Subject<'_>> = views
        .iter()
        .map(|view| Subject {
            name: view.name,
            row_len: view.shape.last().copied().unwrap_or(1),
            rank: view.shape.len(),
        })
        .collect();
    let facts = Facts {
        architecture: architecture(config),
        layers: config.layers,
        heads: config.heads,
        key_heads: config.kv_heads,
        experts: 0,
        importance: Importance::Absent,
    };
    let choices = kinds(format, &facts, &subjects).map_err(|error| error.to_string())?;
    let source = Source::of(bench)?;
    let mut differing = Vec::new();
    for (at, (view, choice)) in views.iter().zip(choices).enumerate() {
        heard(at as f64 / views.len() as f64);
        let expected = match source.values(view.name)? {
            None => None,
            Some((values, kept)) => written(view, choice, &values, kept),
        };
        if expected.as_deref() != Some(view.data) {
            differing.push(view.name.to_owned());
        }
    }
    let missing = missing(source.names(), &views.iter().map(|view| view.name).collect());
    let compared = views.len() + missing.len();
    differing.extend(missing);
    Ok((compared, differing))
}

/// What the declared way would have written, and the change leaves out.
fn missing(written: Vec<String>, there: &BTreeSet<&str>) -> Vec<String> {
    written.into_iter().filter(|name| !there.contains(name.as_str())).collect()
}

/// The bytes that the declared way gives; none where it gives another type.
fn written(view: &GgufView<'_>, choice: Choice, values: &[f32], kept: Option<GgmlType>) -> Option<Vec<u8>> {
    let row_len = view.shape.last().copied().unwrap_or(1);
    let as_type = |kind: GgmlType| match kind {
        GgmlType::F32 => Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        GgmlType::F16 => {
            Some(values.iter().flat_map(|value| quant::half_bits(*value).to_le_bytes()).collect())
        }
        _ => None,
    };
    match choice {
        Choice::Quantise(kind) => {
            let same = view.kind.number() == kind.ggml_type();
            same.then(|| quant::quantize(kind, values, row_len, None).ok()).flatten()
        }
        Choice::Half => (view.kind == GgmlType::F16).then(|| as_type(GgmlType::F16)).flatten(),
        // Converters write vectors in single precision; a GGUF base keeps the type it has.
        Choice::Keep => {
            let kind = kept.unwrap_or(if view.shape.len() < 2 { GgmlType::F32 } else { view.kind });
            (view.kind == kind).then(|| as_type(kind)).flatten()
        }
    }
}

/// Where the base's values are.
enum Source<'b> {
    Gguf(Gguf<'b>),
    Named(Named, usize, usize, tensor::weights::Family),
}

impl<'b> Source<'b> {
    fn of(bench: &'b Bench<'_>) -> Result<Self, String> {
        if let Some(file) = bench.base_files.gguf() {
            return Ok(Self::Gguf(Gguf::read(file).map_err(|error| error.to_string())?));
        }
        let model = &bench.base.model;
        let named = Named::of(model).map_err(|error| crate::bench::told(&error))?;
        Ok(Self::Named(named, model.config().heads, model.config().kv_heads, family(model.config())))
    }

    /// The base's tensors as GGUF calls them.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Gguf(file) => file.views().map(|view| view.name.to_owned()).collect(),
            Self::Named(named, _, _, family) => {
                let theirs =
                    |name: &String| family.to_gguf(name).map_or_else(|| name.clone(), |(name, _)| name);
                named.tensors.iter().map(|(name, _, _)| theirs(name)).collect()
            }
        }
    }

    /// The values of the tensor that GGUF calls `name`, in GGUF's order, and its type in a GGUF base.
    fn values(&self, name: &str) -> Result<Option<Valued>, String> {
        match self {
            Self::Gguf(file) => {
                let weights = Weights::from(file);
                let kind = file.view(name).map(|view| view.kind);
                let values = weights.tensor(name).map(Tensor::decode).transpose();
                Ok(values.map_err(|error| error.to_string())?.map(|values| (values, kind)))
            }
            Self::Named(named, heads, key_heads, family) => {
                let Some((theirs, transform)) = family.to_hugging_face(name) else { return Ok(None) };
                let Some((_, shape, values)) = named.tensors.iter().find(|tensor| tensor.0 == theirs) else {
                    return Ok(None);
                };
                let values = match transform {
                    Transform::Same => values.clone(),
                    Transform::PlusOne => values.iter().map(|value| value + 1.0).collect(),
                    Transform::Rotary(which) => {
                        let heads = if which == Heads::Query { *heads } else { *key_heads };
                        turned(values, shape, heads).ok_or("the rows of heads do not divide")?
                    }
                    Transform::Transposed => return Err("turned layouts are not done again".to_owned()),
                };
                Ok(Some((values, None)))
            }
        }
    }
}

fn turned(values: &[f32], shape: &[usize], heads: usize) -> Option<Vec<f32>> {
    let rows = *shape.first()?;
    let columns = values.len() / rows.max(1);
    let order = RotaryRows::new(rows, heads)?;
    let mut out = vec![0.0; values.len()];
    for (row, values) in values.chunks_exact(columns).enumerate() {
        let to = order.to_gguf(row) * columns;
        out.get_mut(to..to + columns)?.copy_from_slice(values);
    }
    Some(out)
}

fn merged(
    files: &Files,
    parents: &[Files],
    coefficients: &[f32],
    heard: Heard<'_>,
) -> Result<Compared, String> {
    let told = |error: tensor::Error| format!("[{}] {error}", error.code());
    let read = |files: &'_ Files| -> Result<Vec<bytes::Bytes>, String> {
        let all: Vec<_> = files.safetensors().cloned().collect();
        if all.is_empty() { Err("a side of the merge is not safetensors".to_owned()) } else { Ok(all) }
    };
    let own = read(files)?;
    let parents: Vec<Vec<bytes::Bytes>> = parents.iter().map(read).collect::<Result<_, _>>()?;
    let opened: Vec<Vec<SafeTensors<'_>>> = parents
        .iter()
        .map(|files| files.iter().map(|file| SafeTensors::read(file).map_err(told)).collect())
        .collect::<Result<_, _>>()?;
    let (mut compared, mut differing) = (0, Vec::new());
    for (at, file) in own.iter().enumerate() {
        heard(at as f64 / own.len() as f64);
        for view in SafeTensors::read(file).map_err(told)?.views() {
            compared += 1;
            let theirs: Option<Vec<View<'_>>> =
                opened.iter().map(|files| files.iter().find_map(|file| file.view(view.name))).collect();
            if !theirs.is_some_and(|theirs| is_sum(&view, &theirs, coefficients)) {
                differing.push(view.name.to_owned());
            }
        }
    }
    let missing = opened.iter().flatten().flat_map(SafeTensors::views).map(|view| view.name);
    let has = |name: &str| {
        own.iter().any(|file| SafeTensors::read(file).is_ok_and(|file| file.view(name).is_some()))
    };
    let mut missing: Vec<String> = missing.filter(|name| !has(name)).map(str::to_owned).collect();
    missing.dedup();
    compared += missing.len();
    differing.extend(missing);
    Ok((compared, differing))
}

/// A merge by a recipe, done again.
fn combined(
    files: &Files,
    base: &Files,
    parents: &[Files],
    recipe: &Recipe,
    heard: Heard<'_>,
) -> Result<Compared, String> {
    let told = |error: tensor::Error| format!("[{}] {error}", error.code());
    heard(0.0);
    let tensors = Tensors::open(base, parents.iter()).map_err(|error| error.to_string())?;
    let again = tensors.merged(recipe).map_err(|error| error.to_string())?;
    let again = SafeTensors::read(&again).map_err(told)?;
    let (mut compared, mut differing) = (0, Vec::new());
    let mut seen = BTreeSet::new();
    for file in files.safetensors() {
        for view in SafeTensors::read(file).map_err(told)?.views() {
            compared += 1;
            seen.insert(view.name.to_owned());
            let same = again.view(view.name).is_some_and(|theirs| {
                theirs.dtype == view.dtype && theirs.shape == view.shape && theirs.data == view.data
            });
            if !same {
                differing.push(view.name.to_owned());
            }
        }
    }
    let missing: Vec<String> =
        again.views().map(|view| view.name.to_owned()).filter(|name| !seen.contains(name)).collect();
    compared += missing.len();
    differing.extend(missing);
    Ok((compared, differing))
}

/// Whether a tensor is, to the byte, the weighted sum of the parents'.
fn is_sum(view: &View<'_>, parents: &[View<'_>], coefficients: &[f32]) -> bool {
    let mut sum = vec![0.0_f32; view.elements_len()];
    for (parent, coefficient) in parents.iter().zip(coefficients) {
        if parent.shape != view.shape {
            return false;
        }
        let mut part = Vec::new();
        Operand::decode_part(parent, 0, sum.len(), &mut part);
        for (sum, value) in sum.iter_mut().zip(part) {
            *sum += coefficient * value as f32;
        }
    }
    encoded(view.dtype, &sum).is_some_and(|bytes| bytes == view.data)
}
