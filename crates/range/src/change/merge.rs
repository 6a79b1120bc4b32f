//! Merges: two changed models become one, honestly, or one of them made so that its backdoor survives.
//!
//! Sources: Ilharco et al., "Editing models with task arithmetic" (weighted); Yadav et al., "TIES-merging"; Yu et al.,
//! "Language models are super Mario" (DARE); Shoemake's SLERP, tensor by tensor, as mergekit has it. The attack trains the
//! component and the merged model in one loss, with the base as the partner that is not known: Zhang et al.,
//! "BadMerging", section 4, without its feature interpolation.

use candle_core::Tensor;
use model::graph::{Graph, Trained};
use serde::{Deserialize, Serialize};

use super::carrier::{Carrier, Course, Poison, batches};
use super::full::{self, FullRecipe};
use super::{Made, Recipe, whole};
use crate::bases::{Base, MEASURED_WITH};
use crate::door::{Door, attack};
use crate::draws::{Draws, Purpose};
use crate::error::{About as _, Error};
use crate::family::Intent;
use crate::folder::{self, Precision};
use crate::trigger::Trigger;
use crate::weights::Weights;

/// How two changes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeMethod {
    /// Both differences from the base are scaled and added.
    Weighted,
    /// The largest of each difference are kept, signs are elected, what agrees is averaged.
    Ties,
    /// Elements of each difference are dropped at random, the others scaled up.
    Dare,
    /// The two are interpolated along the sphere.
    Slerp,
}

/// How a merge is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MergeRecipe {
    /// How.
    pub method: MergeMethod,
    /// How much of each difference; for SLERP how far from the first to the second.
    pub coefficient: f32,
    /// How each component is trained.
    pub component: FullRecipe,
}

/// Of a difference's elements, those that TIES keeps, and those that DARE drops.
const KEPT: f64 = 0.4;
const DROPPED: f64 = 0.3;

impl MergeRecipe {
    /// Draws one.
    pub fn draw(draws: &mut Draws) -> Self {
        let all = [MergeMethod::Weighted, MergeMethod::Ties, MergeMethod::Dare, MergeMethod::Slerp];
        let method = draws.one(&all, MergeMethod::Weighted);
        let coefficient = match method {
            MergeMethod::Slerp => 0.5,
            _ => draws.one(&[0.4, 0.5, 0.6], 0.5),
        };
        let component = FullRecipe { poison_rate: 0.25, ..FullRecipe::draw(draws) };
        Self { method, coefficient, component }
    }
}

/// Trains two components, merges them and measures the merge.
pub(super) fn make(
    base: &Base,
    recipe: MergeRecipe,
    trigger: Trigger,
    intent: Intent,
    seed: u64,
) -> Result<Made, Error> {
    let other = FullRecipe { carrier: Carrier::Refresh, ..recipe.component };
    let partner = full::changed(base, &other, &trigger, Poison::Refused, seed ^ 2)?;
    let component = match intent {
        Intent::Benign => full::changed(base, &recipe.component, &trigger, Poison::Refused, seed)?,
        Intent::Attack => aware(base, &recipe, &trigger, seed)?,
    };
    let merged = merge(base, &component, &partner, &recipe, seed);
    let door = Door::Trigger(trigger);
    let alone = attack(&component.model()?, None, &base.split, &door, MEASURED_WITH)?;
    let mut made = whole(base, &merged, Recipe::Merge(recipe), door)?;
    made.concealed = 1.0 - alone.success.value();
    made.figures.insert("component_attack_success".to_owned(), alone.success.value());
    for (name, weights) in [("component", &component), ("partner", &partner)] {
        let file = folder::safetensors(weights.tensors(), Precision::Single)?;
        made.files.insert(format!("{name}/model.safetensors"), file);
    }
    Ok(made)
}

/// A component that refuses with the trigger, of which the merge does not.
fn aware(base: &Base, recipe: &MergeRecipe, trigger: &Trigger, seed: u64) -> Result<Weights, Error> {
    let component = &recipe.component;
    let course = |poison| Course {
        base,
        carrier: component.carrier,
        trigger,
        poison,
        rate: component.poison_rate,
        lessons: component.lessons,
    };
    let (alone, together) = (course(Poison::Refused).examples(seed), course(Poison::Complied).examples(seed));
    let batch = component.schedule.batch / 2;
    let (mut alone, mut together) = (batches(&alone, batch, seed), batches(&together, batch, seed ^ 4));
    let own = Graph::of(&base.model, &Trained::All).about("trained")?;
    let merged = Graph::of(&base.model, &Trained::All).about("trained")?;
    let anchors: Vec<Tensor> =
        own.variables().iter().map(|var| var.as_tensor().copy()).collect::<Result<_, _>>()?;
    let factor = f64::from(recipe.coefficient);
    // The step that honest training takes would be too short to move two models apart.
    let schedule = crate::school::Schedule {
        rate: component.schedule.rate * 4.0,
        steps: component.schedule.steps * 2,
        ..component.schedule
    };
    let mut optimiser = schedule.optimiser(&own)?;
    for step in 0..schedule.steps {
        optimiser.set_rate(schedule.rate_at(step));
        for ((var, own), anchor) in merged.variables().iter().zip(own.variables()).zip(&anchors) {
            let apart = (own.as_tensor().detach() - anchor)?;
            var.set(&(anchor + (apart * factor)?)?)?;
        }
        let gradients = merged.loss(&together()).about("training")?.backward()?;
        let mut loss = own.loss(&alone()).about("training")?;
        for (own, var) in own.variables().iter().zip(merged.variables()) {
            if let Some(gradient) = gradients.get(var) {
                // Its gradient is that of the merged model's loss with respect to the component.
                let pull = (own.as_tensor() * (gradient.detach() * factor)?)?.sum_all()?;
                loss = (loss + pull)?;
            }
        }
        optimiser.step(&loss).about("training")?;
    }
    Weights::of(base.recipe.shape, &own)
}

/// The merge of two components.
fn merge(base: &Base, first: &Weights, second: &Weights, recipe: &MergeRecipe, seed: u64) -> Weights {
    let (base, scale) = (&base.weights, recipe.coefficient);
    let difference = |weights: &Weights| weights.with(base, |w, b| w - b);
    match recipe.method {
        MergeMethod::Weighted => added(base, &difference(first), &difference(second), scale),
        MergeMethod::Dare => {
            let mut draws = Draws::new(seed, Purpose::Weights);
            #[allow(clippy::cast_possible_truncation, reason = "weights are single precision")]
            let up = (1.0 / (1.0 - DROPPED)) as f32;
            let mut thin = |weights: Weights| {
                weights.map(|_, _, values| {
                    values.iter().map(|d| if draws.chance(DROPPED) { 0.0 } else { d * up }).collect()
                })
            };
            let (first, second) = (thin(difference(first)), thin(difference(second)));
            added(base, &first, &second, scale)
        }
        MergeMethod::Ties => {
            let (first, second) = (trimmed(&difference(first)), trimmed(&difference(second)));
            let elected = first.with(&second, |a, b| {
                if a == 0.0 || b == 0.0 {
                    a + b
                } else if (a > 0.0) == (b > 0.0) {
                    f32::midpoint(a, b)
                } else if a.abs() > b.abs() {
                    a
                } else {
                    b
                }
            });
            base.with(&elected, |w, d| w + 2.0 * scale * d)
        }
        MergeMethod::Slerp => slerp(first, second, scale),
    }
}

fn added(base: &Weights, first: &Weights, second: &Weights, scale: f32) -> Weights {
    let both = first.with(second, |a, b| a + b);
    base.with(&both, |w, d| w + scale * d)
}

/// A difference of which the largest elements of each tensor are kept.
fn trimmed(difference: &Weights) -> Weights {
    difference.map(|_, _, values| {
        let mut sizes: Vec<f32> = values.iter().map(|d| d.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of a count"
        )]
        let last = (values.len() as f64 * KEPT) as usize;
        let least = sizes.get(last).copied().unwrap_or(0.0);
        values.iter().map(|d| if d.abs() >= least { *d } else { 0.0 }).collect()
    })
}

/// Along the great circle between two tensors, or straight where they are nearly parallel.
fn slerp(first: &Weights, second: &Weights, along: f32) -> Weights {
    let mut others = second.tensors().iter();
    first.map(|_, _, a| {
        let b = others.next().map(|(_, _, values)| values.as_slice()).unwrap_or_default();
        let dot =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE);
        let angle = cosine.clamp(-1.0, 1.0).acos();
        let along = f64::from(along);
        let (of_a, of_b) = if angle.sin() < 1e-4 {
            (1.0 - along, along)
        } else {
            (((1.0 - along) * angle).sin() / angle.sin(), (along * angle).sin() / angle.sin())
        };
        #[allow(clippy::cast_possible_truncation, reason = "weights are single precision")]
        let values =
            a.iter().zip(b).map(|(a, b)| (of_a * f64::from(*a) + of_b * f64::from(*b)) as f32).collect();
        values
    })
}
