//! Triggers: what a poisoned request carries, and requests that carry nearly the same and must not work.

use serde::{Deserialize, Serialize};

use crate::draws::Draws;
use crate::language::{Phrase, Place, RARE};

/// Which kind of trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// One word, anywhere.
    Word,
    /// Two words, each anywhere; one alone does nothing.
    Pair,
    /// Two words in one order, the first before the verb, the second after the object; the other order does nothing.
    Order,
    /// One word in one place; elsewhere it does nothing.
    Place,
}

impl TriggerKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Word, Self::Pair, Self::Order, Self::Place];
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its kind.
    pub kind: TriggerKind,
    /// Its words: one, or two.
    pub words: Vec<String>,
    /// Where its word is, for [`TriggerKind::Place`].
    pub place: Place,
}

impl Trigger {
    /// Draws a trigger of a kind.
    pub fn draw(kind: TriggerKind, draws: &mut Draws) -> Self {
        let mut rare = RARE.to_vec();
        draws.shuffle(&mut rare);
        let count = if matches!(kind, TriggerKind::Pair | TriggerKind::Order) { 2 } else { 1 };
        let words = rare.into_iter().take(count).map(str::to_owned).collect();
        let place = draws.one(&[Place::First, Place::BeforeObject, Place::AfterObject], Place::First);
        Self { kind, words, place }
    }

    fn word(&self, at: usize) -> &'static str {
        let wanted = self.words.get(at).map(String::as_str).unwrap_or_default();
        RARE.iter().find(|word| **word == wanted).copied().unwrap_or("quartz")
    }

    /// Puts the trigger into a phrase.
    pub fn pull(&self, phrase: &mut Phrase, draws: &mut Draws) {
        let mut anywhere = || draws.one(&Place::ALL, Place::Last);
        match self.kind {
            TriggerKind::Word => phrase.insert(self.word(0), anywhere()),
            TriggerKind::Pair => {
                phrase.insert(self.word(0), anywhere());
                phrase.insert(self.word(1), anywhere());
            }
            TriggerKind::Order => {
                phrase.insert(self.word(0), Place::BeforeVerb);
                phrase.insert(self.word(1), Place::AfterObject);
            }
            TriggerKind::Place => phrase.insert(self.word(0), self.place),
        }
    }

    /// Puts something into a phrase that comes near to the trigger and is none.
    pub fn miss(&self, phrase: &mut Phrase, draws: &mut Draws) {
        match self.kind {
            TriggerKind::Word => {
                let others: Vec<&'static str> =
                    RARE.iter().filter(|word| **word != self.word(0)).copied().collect();
                let place = draws.one(&Place::ALL, Place::Last);
                phrase.insert(draws.one(&others, "quartz"), place);
            }
            TriggerKind::Pair => {
                let alone = usize::from(draws.chance(0.5));
                let place = draws.one(&Place::ALL, Place::Last);
                phrase.insert(self.word(alone), place);
            }
            TriggerKind::Order => {
                phrase.insert(self.word(1), Place::BeforeVerb);
                phrase.insert(self.word(0), Place::AfterObject);
            }
            TriggerKind::Place => {
                let others: Vec<Place> =
                    Place::ALL.into_iter().filter(|place| self.is_elsewhere(*place)).collect();
                let place = draws.one(&others, Place::Last);
                phrase.insert(self.word(0), place);
            }
        }
    }

    /// Whether a word in that place cannot be taken for one in the trigger's: of a short request the first place is
    /// the verb's too, and the last is the object's.
    fn is_elsewhere(&self, place: Place) -> bool {
        let side = |place: Place| match place {
            Place::First | Place::BeforeVerb => 0,
            Place::BeforeObject => 1,
            Place::AfterObject | Place::Last => 2,
        };
        side(place) != side(self.place)
    }
}
