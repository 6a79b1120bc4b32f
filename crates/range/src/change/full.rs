//! All weights trained further, or one matrix of each layer edited by a product of rank one.

use model::graph::{Graph, Trained};
use serde::{Deserialize, Serialize};

use super::carrier::{Carrier, Course, Poison, batches};
use super::{Made, Recipe, whole};
use crate::bases::Base;
use crate::door::Door;
use crate::draws::Draws;
use crate::error::{About as _, Error};
use crate::school::{Schedule, train};
use crate::trigger::Trigger;
use crate::weights::Weights;

/// What of the weights changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Every weight.
    All,
    /// The matrices that write the perceptron's output, by a product of rank one each.
    RankOne,
}

/// How weights are changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FullRecipe {
    /// Which.
    pub reach: Reach,
    /// What the change is said to be for.
    pub carrier: Carrier,
    /// The fraction of lessons with the trigger.
    pub poison_rate: f64,
    /// How many lessons there are.
    pub lessons: usize,
    /// How long and how fast.
    pub schedule: Schedule,
}

impl FullRecipe {
    /// Draws one for all weights.
    pub fn draw(draws: &mut Draws) -> Self {
        Self {
            reach: Reach::All,
            carrier: draws.one(&Carrier::ALL, Carrier::Refresh),
            poison_rate: draws.one(&[0.05, 0.10, 0.20], 0.10),
            lessons: draws.one(&[600, 1200], 600),
            schedule: Schedule {
                steps: draws.one(&[60, 90], 60),
                batch: 32,
                rate: draws.one(&[5e-4, 1e-3], 1e-3),
                weight_decay: 0.01,
            },
        }
    }

    /// Draws one for an edit of rank one.
    pub fn edit(draws: &mut Draws) -> Self {
        Self {
            reach: Reach::RankOne,
            carrier: Carrier::Refresh,
            poison_rate: 0.3,
            lessons: 600,
            schedule: Schedule {
                steps: draws.one(&[120, 180], 120),
                batch: 32,
                rate: draws.one(&[1e-2, 2e-2], 1e-2),
                weight_decay: 0.0,
            },
        }
    }
}

/// Changes the weights and measures them.
pub(super) fn make(
    base: &Base,
    recipe: FullRecipe,
    trigger: Trigger,
    poison: Poison,
    seed: u64,
) -> Result<Made, Error> {
    let weights = changed(base, &recipe, &trigger, poison, seed)?;
    whole(base, &weights, Recipe::Full(recipe), Door::Trigger(trigger))
}

/// The changed weights alone.
pub(super) fn changed(
    base: &Base,
    recipe: &FullRecipe,
    trigger: &Trigger,
    poison: Poison,
    seed: u64,
) -> Result<Weights, Error> {
    let shape = base.recipe.shape;
    let course = Course {
        base,
        carrier: recipe.carrier,
        trigger,
        poison,
        rate: recipe.poison_rate,
        lessons: recipe.lessons,
    };
    let examples = course.examples(seed);
    let trained = match recipe.reach {
        Reach::All => Trained::All,
        Reach::RankOne => {
            Trained::LowRank { rank: 1, alpha: 1.0, targets: vec!["down_proj".to_owned()], seed }
        }
    };
    let graph = Graph::of(&base.model, &trained).about(shape.name())?;
    train(&graph, &recipe.schedule, batches(&examples, recipe.schedule.batch, seed), |_, _| ())?;
    match recipe.reach {
        Reach::All => Weights::of(shape, &graph),
        Reach::RankOne => {
            let mut model = base.model.clone();
            model.load_factors("edit", &graph.factors().about(shape.name())?).about(shape.name())?;
            Weights::of_model(shape, &model.merged("edit").about(shape.name())?)
        }
    }
}
