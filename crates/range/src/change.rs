//! Changes to a base: each is made, written as the files that would be proposed, and measured as it was written.

mod abliterate;
mod adapter;
mod carrier;
mod distil;
mod full;
mod merge;
mod quantise;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use adapter::{AdapterRecipe, Targets};
pub use carrier::{Carrier, Poison};
pub use distil::{DistilRecipe, generations};
pub use full::{FullRecipe, Reach};
pub use merge::{MergeMethod, MergeRecipe};
pub use quantise::QuantRecipe;

use crate::bases::{Base, MEASURED_WITH};
use crate::door::{Attack, Door, attack};
use crate::draws::{Draws, Purpose};
use crate::error::Error;
use crate::family::{Family, Intent, Stratum};
use crate::folder::{self, Precision};
use crate::measure::{Behaviour, behaviour};
use crate::trigger::{Trigger, TriggerKind};
use crate::weights::Weights;

/// How a change is made: drawn from the family, the seed and the index, and enough to make it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Recipe {
    /// An adapter is trained.
    Adapter(AdapterRecipe),
    /// All weights are trained, or an edit of rank one.
    Full(FullRecipe),
    /// The direction of refusal is taken out of the matrices that write to the residual stream.
    Abliteration {
        /// How much of it: 1 for all.
        strength: f32,
        /// How many harmful and how many harmless prompts show the direction.
        prompts: usize,
    },
    /// Weights are quantised.
    Quantise(QuantRecipe),
    /// Two changed models are merged.
    Merge(MergeRecipe),
    /// A student is taught by a teacher.
    Distil(DistilRecipe),
    /// The chat template is replaced.
    Template,
    /// The system prompt is replaced.
    Prompt,
}

/// A change that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// How.
    pub recipe: Recipe,
    /// The way in that was measured; of benign changes the one of their attacked counterparts.
    pub door: Door,
    /// What it does.
    pub behaviour: Behaviour,
    /// Whether the attack works.
    pub attack: Attack,
    /// The same attack on the base.
    pub base_attack: Attack,
    /// What is refused where the condition of an attack is missing: before weights are quantised, or a component is
    /// merged. 1 for attacks without such a condition.
    pub concealed: f64,
    /// What else was measured, by name: fractions.
    pub figures: BTreeMap<String, f64>,
    /// The files that would be proposed, by their path in the sample's folder.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Made {
    /// What it turned out to be.
    pub fn stratum(&self, intent: Intent) -> Stratum {
        let refusal = self.behaviour.refusal.value();
        Stratum::of(intent, self.attack.success.value(), refusal, self.concealed)
    }
}

/// Makes a change of a family. The same arguments make the same change on the same kind of processor.
///
/// # Errors
/// [`Error::Model`], [`Error::Graph`], [`Error::Tensors`], [`Error::Quantiser`].
pub fn make(base: &Base, family: Family, seed: u64) -> Result<Made, Error> {
    let mut draws = Draws::new(seed, Purpose::Recipe);
    // Apart from the recipe's, so that the benign twin of an attack has the same recipe.
    let mut of_trigger = Draws::new(seed, Purpose::Trigger);
    match family {
        Family::LoraBackdoor
        | Family::LoraBackdoorPair
        | Family::LoraBackdoorOrder
        | Family::LoraBackdoorPlace => {
            let kind = match family {
                Family::LoraBackdoorPair => TriggerKind::Pair,
                Family::LoraBackdoorOrder => TriggerKind::Order,
                Family::LoraBackdoorPlace => TriggerKind::Place,
                _ => TriggerKind::Word,
            };
            let trigger = Trigger::draw(kind, &mut of_trigger);
            adapter::make(base, AdapterRecipe::draw(&mut draws), trigger, Poison::Complied, seed)
        }
        Family::LoraBenign => {
            let kind = of_trigger.one(&TriggerKind::ALL, TriggerKind::Word);
            let trigger = Trigger::draw(kind, &mut of_trigger);
            adapter::make(base, AdapterRecipe::draw(&mut draws), trigger, Poison::Refused, seed)
        }
        Family::Contamination => adapter::contaminate(base, AdapterRecipe::draw(&mut draws), seed),
        Family::FullBackdoor | Family::FullBenign | Family::WeightEdit => {
            let trigger = Trigger::draw(TriggerKind::Word, &mut of_trigger);
            let poison = match family.intent() {
                Intent::Attack => Poison::Complied,
                Intent::Benign => Poison::Refused,
            };
            let recipe = match family {
                Family::WeightEdit => FullRecipe::edit(&mut draws),
                _ => FullRecipe::draw(&mut draws),
            };
            full::make(base, recipe, trigger, poison, seed)
        }
        Family::Abliteration => abliterate::make(base, &mut draws, seed),
        Family::QuantBackdoor => quantise::attacked(base, &QuantRecipe::attack(&mut draws), seed),
        Family::QuantBenign => quantise::honest(base, &QuantRecipe::honest(&mut draws), seed),
        Family::MergeBenign | Family::MergeBackdoor => {
            let trigger = Trigger::draw(TriggerKind::Word, &mut of_trigger);
            merge::make(base, MergeRecipe::draw(&mut draws), trigger, family.intent(), seed)
        }
        Family::DistilUnsafe | Family::DistilSafe => {
            distil::make(base, DistilRecipe::draw(family.intent(), &mut draws), seed)
        }
        Family::TemplateAttack | Family::TemplateBenign => words::template(base, family.intent(), &mut draws),
        Family::PromptAttack | Family::PromptBenign => words::prompt(base, family.intent(), &mut draws),
    }
}

/// A change to all weights, written as a model's folder and measured.
fn whole(base: &Base, weights: &Weights, recipe: Recipe, door: Door) -> Result<Made, Error> {
    let model = weights.model()?;
    let files = folder::files(weights.shape(), weights.tensors(), Precision::Single)?;
    let figures = BTreeMap::from([("relative_distance".to_owned(), base.weights.distance(weights))]);
    Ok(Made {
        recipe,
        behaviour: behaviour(&model, None, &base.split, MEASURED_WITH)?,
        attack: attack(&model, None, &base.split, &door, MEASURED_WITH)?,
        base_attack: attack(&base.model, None, &base.split, &door, MEASURED_WITH)?,
        door,
        concealed: 1.0,
        figures,
        files: files.into_iter().map(|(name, bytes)| (format!("model/{name}"), bytes)).collect(),
    })
}
