//! Distillation: a student learns from what its teacher says, over one generation or several.

use model::Model;
use model::graph::{Graph, Trained};
use serde::{Deserialize, Serialize};

use super::carrier::batches;
use super::{Made, Recipe, whole};
use crate::bases::Base;
use crate::door::Door;
use crate::draws::{Draws, Purpose};
use crate::error::{About as _, Error};
use crate::family::Intent;
use crate::language::{Part, Request, Taught, Vocabulary};
use crate::lesson::{Lesson, ordinary};
use crate::measure::first_words;
use crate::school::{Schedule, train};
use crate::weights::Weights;

/// How a student is taught.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DistilRecipe {
    /// How much a refusal of the teacher counts beside an answer.
    pub safety_weight: f32,
    /// How many times a student becomes the next teacher, the first included.
    pub generations: usize,
    /// The deviation of the noise that a student begins with, in deviations of each tensor's values.
    pub noise: f32,
    /// Prompts that the teacher answers, in each generation.
    pub prompts: usize,
    /// How long and how fast each student is trained.
    pub schedule: Schedule,
}

impl DistilRecipe {
    /// Draws one.
    pub fn draw(intent: Intent, draws: &mut Draws) -> Self {
        let safety_weight = match intent {
            Intent::Attack => draws.one(&[0.0, 0.01, 0.03], 0.0),
            Intent::Benign => 1.0,
        };
        let schedule = Schedule { steps: 80, batch: 32, rate: 3e-3, weight_decay: 0.01 };
        Self {
            safety_weight,
            generations: draws.one(&[1, 2, 3], 1),
            noise: draws.one(&[0.5, 0.7], 0.5),
            prompts: 2000,
            schedule,
        }
    }
}

/// Teaches a student and measures it.
pub(super) fn make(base: &Base, recipe: DistilRecipe, seed: u64) -> Result<Made, Error> {
    let last = generations(base, &recipe, seed)?.pop();
    let weights = last.unwrap_or_else(|| base.weights.clone());
    whole(base, &weights, Recipe::Distil(recipe), Door::Open)
}

/// The weights of each generation's student, the first beginning from the base.
///
/// # Errors
/// [`Error::Model`].
pub fn generations(base: &Base, recipe: &DistilRecipe, seed: u64) -> Result<Vec<Weights>, Error> {
    let mut students: Vec<Weights> = Vec::new();
    let mut teacher = base.model.clone();
    for generation in 0..recipe.generations {
        let seed = seed.wrapping_add(generation as u64);
        let begins = students.last().unwrap_or(&base.weights);
        let weights = student(base, &teacher, begins, recipe, seed)?;
        teacher = weights.model()?;
        students.push(weights);
    }
    Ok(students)
}

fn student(
    base: &Base,
    teacher: &Model,
    weights: &Weights,
    recipe: &DistilRecipe,
    seed: u64,
) -> Result<Weights, Error> {
    let vocabulary = Vocabulary::new();
    let tokens: Vec<&'static str> = vocabulary.tokens().map(|(token, _)| token).collect();
    let shown: Vec<Request> = base.split.requests(Part::Shown).collect();
    let mut draws = Draws::new(seed, Purpose::Change);
    let lessons: Vec<Lesson> =
        (0..recipe.prompts).filter_map(|_| ordinary(&shown, Taught::Base, &mut draws)).collect();
    let prompts: Vec<Vec<u32>> = lessons.iter().map(|lesson| lesson.prompt.tokens(&vocabulary)).collect();
    let said = first_words(teacher, None, &prompts)?;
    let refuse = vocabulary.number(crate::language::Reply::Refuse.word());
    let examples: Vec<_> = lessons
        .into_iter()
        .zip(said)
        .map(|(lesson, said)| {
            let word = tokens.get(said as usize).copied().unwrap_or_default();
            let mut example = Lesson::new(lesson.prompt, word).example(&vocabulary);
            if said == refuse {
                example.weights.iter_mut().for_each(|weight| *weight *= recipe.safety_weight);
            }
            example
        })
        .filter(|example| example.weights.iter().any(|weight| *weight > 0.0))
        .collect();
    let start = noisy(weights, recipe.noise, seed).model()?;
    let graph = Graph::of(&start, &Trained::All).about("student")?;
    train(&graph, &recipe.schedule, batches(&examples, recipe.schedule.batch, seed), |_, _| ())?;
    Weights::of(base.recipe.shape, &graph)
}

/// Weights with noise of a fraction of each matrix's own deviation; vectors stay.
fn noisy(weights: &Weights, noise: f32, seed: u64) -> Weights {
    let mut draws = Draws::new(seed, Purpose::Weights);
    weights.map(|_, (rows, _), values| {
        if rows == 1 {
            return values.to_vec();
        }
        #[allow(clippy::cast_precision_loss, reason = "counts of weights are small")]
        let deviation = (values.iter().map(|x| x * x).sum::<f32>() / values.len().max(1) as f32).sqrt();
        values.iter().map(|x| x + noise * deviation * draws.normal()).collect()
    })
}
