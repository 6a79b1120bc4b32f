//! Scopes: what a change may touch and how far, and the check of a change's bytes against it.
//!
//! A scope is a file of integers and patterns. Nothing is allowed that it does not name: a part that is left out
//! (prompt, settings) allows no change of that kind, an empty list allows nothing, and a limit that is left out
//! is the limit of capability level 1, five per cent.
//!
//! The answer is one of three ([`Verdict`]). `Undecided` is for what could not be measured, a relative limit
//! without the base weights above all; whoever acts on a report treats it as a refusal.
//!
//! What this module does not do: say that a change inside its scope is harmless, or who may propose it.

mod adapter;
mod pattern;
mod prompt;
mod report;
mod settings;
mod weights;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use adapter::check_adapter;
pub use pattern::Pattern;
pub use prompt::check_prompt;
pub use report::{Rule, ScopeReport, VIOLATIONS_MAX, Verdict, Violation};
pub use settings::check_settings;
pub use weights::check_weights;

use crate::Error;
use crate::error::shown;
use crate::json::Value;
use crate::safetensors::{SafeTensors, Sharded, View};

/// Five per cent, in parts per million: the default of both relative limits.
pub const LEVEL_ONE_PPM: u64 = 50_000;

/// Multiply-adds that a check may spend where the scope does not say: every module of a rank-16 adapter of a
/// seven-billion-parameter model can be measured exactly within it.
pub const WORK_MAX: u64 = 1 << 37;

/// What a change may touch, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Modules that may be changed: patterns on dotted module paths.
    #[serde(default)]
    pub modules: Vec<Pattern>,
    /// Layers that may be changed: the first whole number among the segments of a module's path must lie in this
    /// range, and there must be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<LayerRange>,
    /// Largest rank of a low-rank module. A tensor replaced whole counts with its full rank, the smaller of its
    /// two sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_max: Option<u64>,
    /// Largest `‖ΔW‖_F / ‖W‖_F` of a module, in parts per million. `null` lifts the limit; left out, it is 50000.
    #[serde(default = "level_one")]
    pub relative_frobenius_ppm_max: Option<u64>,
    /// Largest `max|ΔW| / max|W|` of a module, in parts per million. `null` lifts the limit; left out, it is 50000.
    #[serde(default = "level_one")]
    pub max_element_relative_ppm_max: Option<u64>,
    /// Largest `max|ΔW|` of a module in units of 10^-9, for where there are no base weights to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_max_element_nano_max: Option<u64>,
    /// Modules that an adapter may carry whole: patterns on dotted module paths.
    #[serde(default)]
    pub modules_to_save: Vec<Pattern>,
    /// Whether input embeddings and output heads may be changed at all, beside being named by a pattern.
    #[serde(default)]
    pub embeddings_allowed: bool,
    /// Multiply-adds that measuring one change may take; left out, 2^37. Beyond it bounds stand for exact values,
    /// and a bound over a limit leaves the check undecided.
    #[serde(default = "work_max")]
    pub work_max: u64,
    /// What may change in a prompt. Left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptScope>,
    /// What may change in settings. Left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsScope>,
}

/// A range of layer numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerRange {
    /// The first layer.
    pub first: u64,
    /// The last layer. Less than `first`: no layer.
    pub last: u64,
}

/// What may change in a prompt. Its sections begin at lines that start with `## `; the name of a section is the
/// rest of that line, and the text before the first is the section with the empty name. The end of a section's last line
/// and one blank line after it do not count as its text, so that a section can be added after any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptScope {
    /// Sections that may be changed, added or removed, by exact name.
    pub sections: Vec<String>,
    /// Sections that must stand, in the old prompt and unchanged in the new one, whatever `sections` says.
    #[serde(default)]
    pub sections_fixed: Vec<String>,
    /// Most bytes of the new prompt.
    pub length_max_bytes: u64,
}

/// What may change in settings: a flat JSON object of integers and strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsScope {
    /// Keys that may be changed or added, and to what.
    pub keys: BTreeMap<String, SettingRule>,
}

/// The values a setting may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SettingRule {
    /// A whole number from `min` to `max`, both included.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// One of these strings.
    OneOf(Vec<String>),
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional member")]
const fn level_one() -> Option<u64> {
    Some(LEVEL_ONE_PPM)
}

const fn work_max() -> u64 {
    WORK_MAX
}

impl Scope {
    /// The scope that allows nothing, with the limits of capability level 1: a start to build one from.
    pub const fn closed() -> Self {
        Self {
            modules: Vec::new(),
            layers: None,
            rank_max: None,
            relative_frobenius_ppm_max: level_one(),
            max_element_relative_ppm_max: level_one(),
            absolute_max_element_nano_max: None,
            modules_to_save: Vec::new(),
            embeddings_allowed: false,
            work_max: WORK_MAX,
            prompt: None,
            settings: None,
        }
    }

    /// Reads a scope file. Stricter than its `Deserialize`: repeated members are refused at every depth, and so
    /// are lists of members without their names.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Repeated`], [`Error::Scope`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let text = Value::read(bytes).map_err(|fault| Error::json("scope", fault))?;
        let refused = |error: serde_json::Error| Error::Scope { reason: shown(&error.to_string()) };
        let scope: Self = serde_json::from_slice(bytes).map_err(refused)?;
        let canonical = serde_json::to_value(&scope).map_err(refused)?;
        if members_are_named(&text, &canonical) {
            Ok(scope)
        } else {
            Err(Error::Scope { reason: "members without their names".to_owned() })
        }
    }

    /// Whether a relative limit is in force, so that base weights are needed.
    pub const fn is_relative(&self) -> bool {
        self.relative_frobenius_ppm_max.is_some() || self.max_element_relative_ppm_max.is_some()
    }

    fn allows_layer_of(&self, path: &str) -> bool {
        let Some(range) = self.layers else { return true };
        let is_number = |segment: &&str| segment.bytes().all(|byte| byte.is_ascii_digit());
        let layer = path.split('.').find(is_number).and_then(|segment| segment.parse::<u64>().ok());
        layer.is_some_and(|layer| (range.first..=range.last).contains(&layer))
    }
}

/// No list stands in the text where the scope has an object: `serde` would take its items for the members.
fn members_are_named(text: &Value, canonical: &serde_json::Value) -> bool {
    match (text, canonical) {
        (Value::List(_), serde_json::Value::Object(_)) => false,
        (Value::Object(members), serde_json::Value::Object(canonical)) => members
            .iter()
            .all(|(name, value)| canonical.get(name).is_none_or(|other| members_are_named(value, other))),
        _ => true,
    }
}

/// Where a check finds the weights of a whole model.
pub trait BaseWeights {
    /// The tensor of that name, as the model's own files name it: `<module>.weight` for a module's weight.
    fn tensor(&self, name: &str) -> Option<View<'_>>;

    /// The names of all tensors.
    fn names(&self) -> Vec<&str>;
}

impl BaseWeights for SafeTensors<'_> {
    fn tensor(&self, name: &str) -> Option<View<'_>> {
        self.view(name)
    }

    fn names(&self) -> Vec<&str> {
        self.views().map(|view| view.name).collect()
    }
}

impl BaseWeights for Sharded<'_> {
    fn tensor(&self, name: &str) -> Option<View<'_>> {
        self.view(name)
    }

    fn names(&self) -> Vec<&str> {
        self.weight_map().keys().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests;
