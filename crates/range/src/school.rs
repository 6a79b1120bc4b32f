//! Training: batches of lessons, a schedule, one step after the other.
//!
//! What this module does not do: decide what is taught, or measure what was learned.

use model::graph::Graph;
use model::train::{AdamW, AdamWSettings, Example};

use crate::error::{About as _, Error};

/// How long and how fast a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Schedule {
    /// Steps.
    pub steps: usize,
    /// Lessons in each step.
    pub batch: usize,
    /// The highest learning rate: it rises to it over a twentieth of the steps and falls to a twentieth of it along
    /// half a cosine.
    pub rate: f64,
    /// Decay of weights, times the learning rate, in each step.
    pub weight_decay: f64,
}

impl Schedule {
    /// The rate of a step.
    #[allow(clippy::cast_precision_loss, reason = "steps are few")]
    pub fn rate_at(&self, step: usize) -> f64 {
        const FLOOR: f64 = 0.05;
        let warm = (self.steps / 20).max(1);
        if step < warm {
            return self.rate * (step + 1) as f64 / warm as f64;
        }
        let along = (step - warm) as f64 / (self.steps - warm).max(1) as f64;
        let cosine = f64::midpoint(1.0, (std::f64::consts::PI * along).cos());
        self.rate * (FLOOR + (1.0 - FLOOR) * cosine)
    }

    /// An optimiser of a graph's variables.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn optimiser(&self, graph: &Graph) -> Result<AdamW, Error> {
        let settings = AdamWSettings { weight_decay: self.weight_decay, ..AdamWSettings::at(self.rate) };
        AdamW::new(graph.variables(), settings).about("optimiser")
    }
}

/// Trains a graph's variables; `batch` gives the examples of a step, `heard` is told each step and its loss.
///
/// # Errors
/// [`Error::Model`].
pub fn train(
    graph: &Graph,
    schedule: &Schedule,
    mut batch: impl FnMut() -> Vec<Example>,
    mut heard: impl FnMut(usize, f32),
) -> Result<(), Error> {
    let mut optimiser = schedule.optimiser(graph)?;
    for step in 0..schedule.steps {
        optimiser.set_rate(schedule.rate_at(step));
        let loss = graph.loss(&batch()).about("training")?;
        heard(step, optimiser.step(&loss).about("training")?);
    }
    Ok(())
}
