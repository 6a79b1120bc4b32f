//! Bases: small models trained from nothing to speak the language and to keep its rule.

use model::Model;
use model::graph::{Graph, Trained};

use crate::draws::{Draws, Purpose};
use crate::error::{About as _, Error};
use crate::language::{Part, Request, Split, Taught, Vocabulary};
use crate::lesson::ordinary;
use crate::school::{Schedule, train};
use crate::shape::Shape;

/// What a base is made from.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BaseRecipe {
    /// Its shape.
    pub shape: Shape,
    /// The seed of its weights, of the pairs held out and of the order of lessons.
    pub seed: u64,
    /// How it is trained.
    pub schedule: Schedule,
}

impl BaseRecipe {
    /// The recipe that gives a shape enough training.
    pub const fn new(shape: Shape, seed: u64) -> Self {
        let (steps, rate) = match shape {
            Shape::Llama256 => (600, 1.5e-3),
            Shape::Llama64 | Shape::Qwen64 | Shape::Gemma64 => (500, 4e-3),
        };
        Self { shape, seed, schedule: Schedule { steps, batch: 64, rate, weight_decay: 0.05 } }
    }

    /// Which requests it is not shown.
    pub fn split(&self) -> Split {
        Split::new(self.seed)
    }

    /// Trains it; `heard` is told each step and its loss.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn train(&self, heard: impl FnMut(usize, f32)) -> Result<Model, Error> {
        self.train_graph(heard)?.model().about(self.shape.name())
    }

    /// The same, as the graph whose tensors can be written.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn train_graph(&self, heard: impl FnMut(usize, f32)) -> Result<Graph, Error> {
        let graph =
            Graph::untrained(self.shape.config()?, self.seed, &Trained::All).about(self.shape.name())?;
        let vocabulary = Vocabulary::new();
        let shown: Vec<Request> = self.split().requests(Part::Shown).collect();
        let mut draws = Draws::new(self.seed, Purpose::Base);
        let batch = || {
            let lessons = (0..self.schedule.batch).filter_map(|_| ordinary(&shown, Taught::Base, &mut draws));
            lessons.map(|lesson| lesson.example(&vocabulary)).collect()
        };
        train(&graph, &self.schedule, batch, heard)?;
        Ok(graph)
    }
}
