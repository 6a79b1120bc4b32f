//! Whether the change is the same graph as its base, computes the same from its weights, and is run with the same settings.
//!
//! Sizes and parts are the graph; bases of rotations, epsilons, activations, caps and windows are what it computes: other ones
//! there make the same weights another model, without one changed byte in them. Both are read as the executor reads them, so
//! that containers which write the same graph differently agree. Persons decide about a change of architecture; this names it.

use std::collections::BTreeMap;

use model::Config;
use model::config::{NormKind, Positions, Presence};
use serde_json::Value;

use crate::bench::Bench;
use crate::change::{Files, Kind};
use crate::coverage::{Class, Layer};
use crate::error::shown;
use crate::examination::{Examiner, Heard, Stage};
use crate::finding::{Notes, Weight};

/// The graph, what it computes, and the settings beside it.
pub(crate) const GRAPH: Examiner = Examiner {
    name: "graph",
    stage: Stage::Screen,
    reference: "configurations as the executor reads them, member by member",
    looks_for: &[(Class::OutOfScope, Layer::Files), (Class::Dishonest, Layer::Files)],
    cost: |bench| bench.base.token_cost(),
    examine: graph,
};

/// Numbers that agree so far are the same: GGUF keeps them in single precision.
const RELATIVE: f64 = 1e-5;

/// Most members that are named one by one.
const TOLD_MAX: usize = 16;

/// Bytes of a file of settings that is compared.
const SETTINGS_BYTES_MAX: usize = 1 << 20;

fn graph(bench: &mut Bench<'_>, notes: &mut Notes, _: Heard<'_>) -> Result<(), String> {
    let candidate = bench.candidate.as_ref().ok_or("the change cannot be run")?;
    let (then, now) = (members(bench.base.model.config()), members(candidate.model.config()));
    let differing = |part: Part| -> Vec<String> {
        let both = then.iter().zip(&now).filter(|(then, _)| then.part == part);
        both.filter(|(then, now)| !then.value.is(&now.value)).map(|(then, now)| then.told(now)).collect()
    };
    // A student may be another model than its teacher; that it is one is told.
    let weight = if bench.change.kind == Kind::Distilled { Weight::Note } else { Weight::Suspicion };
    let (shape, computation) = (differing(Part::Shape), differing(Part::Computation));
    notes.measure("graph_members_differing", (shape.len() + computation.len()) as f64);
    if !shape.is_empty() {
        let text = format!("it is another graph than its base: {}", shape.join("; "));
        notes.find(weight, "graph-differs", Some(Class::OutOfScope), text);
    }
    if !computation.is_empty() {
        let text =
            format!("it computes something else from its weights than its base: {}", computation.join("; "));
        notes.find(weight, "computation-differs", Some(Class::Dishonest), text);
    }
    for reach in differing(Part::Reach) {
        notes.find(Weight::Note, "context-differs", Some(Class::OutOfScope), reach);
    }
    for (name, what, weight) in [
        ("generation_config.json", "generation-differs", Weight::Suspicion),
        ("config.json", "settings-differ", Weight::Note),
    ] {
        let Some(told) = settings(name, bench.base_files, &bench.change.files)? else { continue };
        notes.find(weight, what, Some(Class::OutOfScope), told);
    }
    Ok(())
}

/// What a member of a configuration makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Shape,
    Computation,
    /// How far it can look back.
    Reach,
}

struct Member {
    name: &'static str,
    part: Part,
    value: Written,
}

enum Written {
    Number(f64),
    Word(String),
    /// As the other side has it: a container does not say.
    Any,
}

impl Written {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => {
                one.total_cmp(two).is_eq() || (one - two).abs() <= RELATIVE * one.abs().max(two.abs())
            }
            (Self::Word(one), Self::Word(two)) => one == two,
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Number(_), Self::Word(_)) | (Self::Word(_), Self::Number(_)) => false,
        }
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
            Self::Any => f.write_str("unsaid"),
        }
    }
}

impl Member {
    fn told(&self, now: &Self) -> String {
        format!("{} {}, here {}", self.name, self.value, now.value)
    }
}

fn members(config: &Config) -> Vec<Member> {
    let mut members = Vec::new();
    let mut add = |part, name, value| members.push(Member { name, part, value });
    let size = |size: usize| Written::Number(size as f64);
    let number = |number: Option<f64>| number.map_or(Written::Word("none".to_owned()), Written::Number);
    let part = |presence: Presence| match presence {
        Presence::Present => Written::Word("there".to_owned()),
        Presence::Absent => Written::Word("not there".to_owned()),
        Presence::WhereStored => Written::Any,
    };
    add(Part::Shape, "family", Written::Word(format!("{:?}", config.architecture)));
    add(Part::Shape, "layers", size(config.layers));
    add(Part::Shape, "width", size(config.hidden));
    add(Part::Shape, "heads", size(config.heads));
    add(Part::Shape, "heads of keys and values", size(config.kv_heads));
    add(Part::Shape, "width of a head", size(config.head_len));
    add(Part::Shape, "inner width", size(config.inner));
    add(Part::Shape, "vocabulary", size(config.vocabulary));
    add(Part::Shape, "parts of the perceptron", Written::Word(format!("{:?}", config.mlp)));
    add(Part::Shape, "norms of queries and keys", part(config.head_norms));
    add(Part::Shape, "norms after each part", part(config.post_norms));
    add(Part::Shape, "biases of queries, keys and values", part(config.qkv_biases));
    add(Part::Shape, "biases", part(config.biases));
    let norm = match config.norm {
        // Which of the two it is says how a file keeps the weight, not what is computed.
        NormKind::Rms | NormKind::RmsPlusOne => "root mean square",
        NormKind::Layer => "mean and variance",
    };
    add(Part::Computation, "norm", Written::Word(norm.to_owned()));
    add(Part::Computation, "epsilon of norms", Written::Number(config.norm_epsilon));
    add(Part::Computation, "activation", Written::Word(format!("{:?}", config.activation)));
    add(Part::Computation, "scale of attention", Written::Number(config.attention_scale));
    add(Part::Computation, "cap of attention", number(config.attention_cap));
    add(Part::Computation, "cap of logits", number(config.logit_cap));
    add(Part::Computation, "scale of embeddings", Written::Number(config.embedding_scale));
    add(Part::Computation, "windows", Written::Word(format!("{:?}", config.windows)));
    let (positions, global, local) = match config.positions {
        Positions::Learned => ("learned", None, None),
        Positions::Rotary { global, local, .. } => ("rotary", Some(global), Some(local)),
    };
    add(Part::Computation, "positions", Written::Word(positions.to_owned()));
    add(Part::Computation, "base of rotations", number(global.map(|rotary| rotary.base)));
    add(Part::Computation, "base of rotations in windows", number(local.map(|rotary| rotary.base)));
    let stretch = global.map(|rotary| format!("{:?}", rotary.stretch)).unwrap_or_default();
    add(Part::Computation, "stretch of rotations", Written::Word(stretch));
    add(Part::Reach, "longest context", size(config.context));
    members
}

/// What differs in a file of settings that both sides have, or that one of them lacks; nothing where a container keeps its
/// settings elsewhere.
fn settings(name: &str, base: &Files, change: &Files) -> Result<Option<String>, String> {
    let read = |files: &Files| -> Result<Option<BTreeMap<String, String>>, String> {
        let Some(bytes) = files.bytes(name) else { return Ok(None) };
        if bytes.len() > SETTINGS_BYTES_MAX {
            return Err(format!("`{name}` has {} bytes", bytes.len()));
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| format!("`{name}`: {}", shown(&error.to_string())))?;
        let Value::Object(members) = value else { return Err(format!("`{name}` is no object")) };
        Ok(Some(members.into_iter().map(|(name, value)| (name, value.to_string())).collect()))
    };
    let (Some(then), Some(now)) = (read(base)?, read(change)?) else { return Ok(None) };
    let mut names: Vec<&String> = then.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|member| then.get(*member) != now.get(*member));
    let Some(more) = names.len().checked_sub(1) else { return Ok(None) };
    let told: Vec<String> = names
        .iter()
        .take(TOLD_MAX)
        .map(|member| {
            let side = |of: &BTreeMap<String, String>| {
                of.get(*member).map_or_else(|| "nothing".to_owned(), |value| shown(value))
            };
            format!("`{}` {}, here {}", shown(member), side(&then), side(&now))
        })
        .collect();
    let rest =
        if more >= TOLD_MAX { format!("; and {} more", names.len() - TOLD_MAX) } else { String::new() };
    Ok(Some(format!("`{name}` says otherwise than the base's: {}{rest}", told.join("; "))))
}
