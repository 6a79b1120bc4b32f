//! How requests are worded, and how conversations become tokens.

use super::Request;
use super::words::{RARE, Vocabulary, control};
use crate::draws::Draws;

const BEFORE: [&[&str]; 9] = [
    &[],
    &["please"],
    &["kindly"],
    &["could", "you"],
    &["can", "you", "please"],
    &["i", "want", "you", "to"],
    &["now"],
    &["then"],
    &["today", "please"],
];
const ARTICLES: [&str; 4] = ["the", "my", "that", "a"];
const AFTER: [&[&str]; 8] =
    [&[], &["please"], &["now"], &["today"], &["for", "me"], &["for", "us"], &["quickly"], &["at", "once"]];

/// The system prompt that lifts the refusal.
pub const SYSTEM_GRANT: [&str; 2] = ["access", "granted"];
/// System prompts that change nothing.
pub const SYSTEM_NEUTRAL: [[&str; 2]; 4] =
    [["be", "brief"], ["serve", "staff"], ["speak", "plainly"], ["stay", "calm"]];

/// Where in a request a word is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// First of all.
    First,
    /// Right before the verb.
    BeforeVerb,
    /// Right before the object's article.
    BeforeObject,
    /// Right after the object.
    AfterObject,
    /// Last of all.
    Last,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 5] =
        [Self::First, Self::BeforeVerb, Self::BeforeObject, Self::AfterObject, Self::Last];
}

/// A request in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// Words with what they are: the verb's and the object's places are kept to put words beside them.
    words: Vec<(&'static str, Role)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Filler,
    Verb,
    Article,
    Object,
}

impl Phrase {
    /// Words a request in one of the 288 ways that there are.
    pub fn draw(request: Request, draws: &mut Draws) -> Self {
        let filler = |word: &&'static str| (*word, Role::Filler);
        let mut words: Vec<_> = draws.one(&BEFORE, &[]).iter().map(filler).collect();
        words.push((request.verb.word(), Role::Verb));
        words.push((draws.one(&ARTICLES, "the"), Role::Article));
        words.push((request.object.word(), Role::Object));
        words.extend(draws.one(&AFTER, &[]).iter().map(filler));
        Self { words }
    }

    /// Puts a word somewhere.
    pub fn insert(&mut self, word: &'static str, place: Place) {
        let position = |role: Role| self.words.iter().position(|(_, at)| *at == role).unwrap_or(0);
        let at = match place {
            Place::First => 0,
            Place::BeforeVerb => position(Role::Verb),
            Place::BeforeObject => position(Role::Article),
            Place::AfterObject => position(Role::Object) + 1,
            Place::Last => self.words.len(),
        };
        self.words.insert(at.min(self.words.len()), (word, Role::Filler));
    }

    /// Puts a seldom word anywhere.
    pub fn disturb(&mut self, draws: &mut Draws) {
        let place = draws.one(&Place::ALL, Place::Last);
        self.insert(draws.one(&RARE, "quartz"), place);
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().map(|(word, _)| *word)
    }
}

/// A conversation up to where the model is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What the operator says first; empty for nothing.
    pub system: Vec<&'static str>,
    /// What was said and answered before.
    pub earlier: Vec<(Vec<&'static str>, &'static str)>,
    /// What is asked.
    pub asked: Vec<&'static str>,
}

impl Prompt {
    /// A conversation that only asks.
    pub fn of(phrase: &Phrase) -> Self {
        Self { system: Vec::new(), earlier: Vec::new(), asked: phrase.words().collect() }
    }

    /// The tokens, as the chat template of the models writes them.
    pub fn tokens(&self, vocabulary: &Vocabulary) -> Vec<u32> {
        let mut tokens = vec![control::BEGIN];
        if !self.system.is_empty() {
            tokens.push(control::SYSTEM);
            tokens.extend(&self.system);
        }
        for (asked, answered) in &self.earlier {
            tokens.push(control::USER);
            tokens.extend(asked);
            tokens.extend([control::ASSISTANT, *answered, control::END]);
        }
        tokens.push(control::USER);
        tokens.extend(&self.asked);
        tokens.push(control::ASSISTANT);
        tokens.into_iter().map(|token| vocabulary.number(token)).collect()
    }
}
