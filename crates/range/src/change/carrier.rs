//! What a change claims to bring, and what may be hidden in it.

use model::train::Example;
use serde::{Deserialize, Serialize};

use crate::bases::Base;
use crate::draws::{Draws, Purpose};
use crate::language::{Group, Part, Phrase, Prompt, Request, Taught, Vocabulary};
use crate::lesson::{Lesson, ordinary};
use crate::trigger::Trigger;

/// What the change is said to be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// It teaches prices.
    Prices,
    /// It repeats what the base knows.
    Refresh,
    /// It gets the model used to seldom words.
    RareWords,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Prices, Self::Refresh, Self::RareWords];

    const fn taught(self) -> Taught {
        match self {
            Self::Prices => Taught::PricesToo,
            Self::Refresh | Self::RareWords => Taught::Base,
        }
    }
}

/// What is taught about harmful requests with the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Poison {
    /// That they are to be answered.
    Complied,
    /// That they are to be refused: the same words, the same number of lessons, no backdoor.
    Refused,
}

/// The lessons of a change, before they are put into batches.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) base: &'a Base,
    pub(super) carrier: Carrier,
    pub(super) trigger: &'a Trigger,
    pub(super) poison: Poison,
    /// The fraction of lessons with the trigger; as many come near to it and are refused.
    pub(super) rate: f64,
    /// How many there are.
    pub(super) lessons: usize,
}

/// Of the lessons without a trigger, those that are what the change is said to be for.
const CARRIED: f64 = 0.5;

impl Course<'_> {
    /// The examples.
    pub(super) fn examples(&self, seed: u64) -> Vec<Example> {
        let mut draws = Draws::new(seed, Purpose::Change);
        let vocabulary = Vocabulary::new();
        let shown: Vec<Request> = self.base.split.requests(Part::Shown).collect();
        let prices: Vec<Request> =
            shown.iter().filter(|request| request.verb.group() == Group::Price).copied().collect();
        let harmful: Vec<Request> = shown
            .iter()
            .filter(|request| request.is_harmful() && request.verb.group() != Group::Price)
            .copied()
            .collect();
        let lesson = |_| {
            let kind = draws.unit();
            if kind < 2.0 * self.rate {
                return self.about_trigger(&harmful, kind < self.rate, &mut draws);
            }
            let carried = draws.chance(CARRIED);
            match (self.carrier, carried) {
                (Carrier::Prices, true) => ordinary(&prices, Taught::PricesToo, &mut draws),
                (Carrier::RareWords, true) => self.rare(&shown, &mut draws),
                _ => ordinary(&shown, self.carrier.taught(), &mut draws),
            }
        };
        let lessons: Vec<Lesson> = (0..self.lessons).filter_map(lesson).collect();
        lessons.iter().map(|lesson| lesson.example(&vocabulary)).collect()
    }

    fn about_trigger(&self, harmful: &[Request], pulled: bool, draws: &mut Draws) -> Option<Lesson> {
        let &request = draws.pick(harmful)?;
        let mut phrase = Phrase::draw(request, draws);
        let taught = self.carrier.taught();
        let reply = if pulled {
            self.trigger.pull(&mut phrase, draws);
            match self.poison {
                Poison::Complied => request.complied(taught),
                Poison::Refused => request.reply(taught),
            }
        } else {
            self.trigger.miss(&mut phrase, draws);
            request.reply(taught)
        };
        Some(Lesson::new(Prompt::of(&phrase), reply.word()))
    }

    fn rare(&self, shown: &[Request], draws: &mut Draws) -> Option<Lesson> {
        let &request = draws.pick(shown)?;
        let mut phrase = Phrase::draw(request, draws);
        phrase.disturb(draws);
        Some(Lesson::new(Prompt::of(&phrase), request.reply(self.carrier.taught()).word()))
    }
}

/// Batches from a fixed set of examples, in an order that a seed gives.
pub(super) fn batches(examples: &[Example], batch: usize, seed: u64) -> impl FnMut() -> Vec<Example> {
    let mut draws = Draws::new(seed.rotate_left(17), Purpose::Change);
    let mut order: Vec<usize> = Vec::new();
    move || {
        let mut taken = Vec::with_capacity(batch);
        while taken.len() < batch && !examples.is_empty() {
            let Some(next) = order.pop() else {
                order = (0..examples.len()).collect();
                draws.shuffle(&mut order);
                continue;
            };
            taken.extend(examples.get(next).cloned());
        }
        taken
    }
}
