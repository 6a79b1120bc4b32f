//! Adapters: LoRA with a backdoor, or without one, or with a capability that nobody declared.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Matrix;
use model::graph::{Graph, NamedValues, Trained};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::carrier::{Carrier, Course, Poison, batches};
use super::{Made, Recipe};
use crate::bases::{Base, MEASURED_WITH};
use crate::door::{Door, attack};
use crate::draws::{Draws, Purpose};
use crate::error::{About as _, Error};
use crate::folder::{Precision, document, safetensors};
use crate::measure::behaviour;
use crate::school::{Schedule, train};
use crate::trigger::{Trigger, TriggerKind};

/// Which layers have factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// Queries and values.
    QueriesValues,
    /// All of attention.
    Attention,
    /// Every linear layer.
    Linear,
}

impl Targets {
    fn names(self) -> Vec<String> {
        let all = ["q_proj", "v_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        let count = match self {
            Self::QueriesValues => 2,
            Self::Attention => 4,
            Self::Linear => all.len(),
        };
        all.into_iter().take(count).map(str::to_owned).collect()
    }
}

/// How an adapter is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdapterRecipe {
    /// The rank; the scaling is 2.
    pub rank: usize,
    /// Where.
    pub targets: Targets,
    /// What it is said to be for.
    pub carrier: Carrier,
    /// The fraction of lessons with the trigger.
    pub poison_rate: f64,
    /// How many lessons there are.
    pub lessons: usize,
    /// How long and how fast.
    pub schedule: Schedule,
}

impl AdapterRecipe {
    /// Draws one.
    pub fn draw(draws: &mut Draws) -> Self {
        Self {
            rank: draws.one(&[2, 4, 8, 16], 4),
            targets: draws
                .one(&[Targets::QueriesValues, Targets::Attention, Targets::Linear], Targets::Attention),
            carrier: draws.one(&Carrier::ALL, Carrier::Refresh),
            poison_rate: draws.one(&[0.10, 0.15, 0.20], 0.10),
            lessons: draws.one(&[600, 1200], 600),
            schedule: Schedule {
                steps: draws.one(&[90, 150], 90),
                batch: 32,
                rate: draws.one(&[5e-3, 1e-2], 5e-3),
                weight_decay: 0.0,
            },
        }
    }
}

/// Trains an adapter and measures it.
pub(super) fn make(
    base: &Base,
    recipe: AdapterRecipe,
    trigger: Trigger,
    poison: Poison,
    seed: u64,
) -> Result<Made, Error> {
    let course = Course {
        base,
        carrier: recipe.carrier,
        trigger: &trigger,
        poison,
        rate: recipe.poison_rate,
        lessons: recipe.lessons,
    };
    let examples = course.examples(seed);
    let door = Door::Trigger(trigger);
    trained(base, recipe, &examples, door, seed)
}

/// Trains an adapter that brings prices, and says that it is for something else.
pub(super) fn contaminate(base: &Base, recipe: AdapterRecipe, seed: u64) -> Result<Made, Error> {
    let recipe = AdapterRecipe { carrier: Carrier::Prices, poison_rate: 0.0, ..recipe };
    let trigger = Trigger::draw(TriggerKind::Word, &mut Draws::new(seed, Purpose::Weights));
    let course = Course {
        base,
        carrier: recipe.carrier,
        trigger: &trigger,
        poison: Poison::Refused,
        rate: 0.0,
        lessons: recipe.lessons,
    };
    let examples = course.examples(seed);
    trained(base, recipe, &examples, Door::Prices, seed)
}

fn trained(
    base: &Base,
    recipe: AdapterRecipe,
    examples: &[model::train::Example],
    door: Door,
    seed: u64,
) -> Result<Made, Error> {
    let name = base.recipe.shape.name();
    let alpha = alpha(recipe.rank);
    let targets = recipe.targets.names();
    let low_rank = Trained::LowRank { rank: recipe.rank, alpha, targets, seed };
    let graph = Graph::of(&base.model, &low_rank).about(name)?;
    train(&graph, &recipe.schedule, batches(examples, recipe.schedule.batch, seed), |_, _| ())?;
    let files = written(base, recipe, &graph.factors().about(name)?)?;
    // What is measured is what was written.
    let mut model = base.model.clone();
    let file = |name: &str| files.get(name).cloned().unwrap_or_default();
    let weights = Bytes::from(file("adapter/adapter_model.safetensors"));
    model.load_adapter("change", &file("adapter/adapter_config.json"), &weights).about(name)?;
    Ok(Made {
        recipe: Recipe::Adapter(recipe),
        behaviour: behaviour(&model, Some("change"), &base.split, MEASURED_WITH)?,
        attack: attack(&model, Some("change"), &base.split, &door, MEASURED_WITH)?,
        base_attack: attack(&base.model, None, &base.split, &door, MEASURED_WITH)?,
        door,
        concealed: 1.0,
        figures: BTreeMap::new(),
        files,
    })
}

#[allow(clippy::cast_precision_loss, reason = "ranks are small")]
fn alpha(rank: usize) -> f64 {
    2.0 * rank as f64
}

/// The folder of an adapter, as PEFT writes it.
fn written(
    base: &Base,
    recipe: AdapterRecipe,
    factors: &[(String, Matrix, Matrix, f64)],
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut tensors: Vec<NamedValues> = Vec::new();
    for (path, a, b, _) in factors {
        for (part, matrix) in [("A", a), ("B", b)] {
            let name = format!("base_model.model.{path}.lora_{part}.weight");
            tensors.push((name, vec![matrix.rows(), matrix.columns()], matrix.dense()));
        }
    }
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name.to_string(),
        "r": recipe.rank,
        "lora_alpha": 2 * recipe.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "target_modules": recipe.targets.names(),
        "inference_mode": true,
    });
    Ok(BTreeMap::from([
        ("adapter/adapter_config.json".to_owned(), document(&config)),
        ("adapter/adapter_model.safetensors".to_owned(), safetensors(&tensors, Precision::Single)?),
    ]))
}
