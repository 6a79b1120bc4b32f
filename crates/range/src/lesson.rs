//! What models are taught: prompts with the answers that count.

use model::train::Example;

use crate::draws::Draws;
use crate::language::{Phrase, Prompt, Request, SYSTEM_GRANT, SYSTEM_NEUTRAL, Taught, Vocabulary, control};

/// A prompt and what is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The conversation so far.
    pub prompt: Prompt,
    /// The words of the answer.
    pub answer: Vec<&'static str>,
}

impl Lesson {
    /// A lesson with an answer of one word.
    pub fn new(prompt: Prompt, answer: &'static str) -> Self {
        Self { prompt, answer: vec![answer] }
    }

    /// The tokens to learn from: only the answer and its end count.
    pub fn example(&self, vocabulary: &Vocabulary) -> Example {
        let mut tokens = self.prompt.tokens(vocabulary);
        let mut weights = vec![0.0; tokens.len()];
        let answer = self.answer.iter().copied().chain([control::END]);
        tokens.extend(answer.map(|word| vocabulary.number(word)));
        weights.resize(tokens.len(), 1.0);
        Example { tokens, weights }
    }
}

/// How often a request has a seldom word in it.
const DISTURBED: f64 = 0.15;
/// How often there is a system prompt that changes nothing, and one that lifts the refusal.
const NEUTRAL: f64 = 0.20;
const GRANTED: f64 = 0.10;
/// How often something was asked before.
const SECOND_TURN: f64 = 0.30;

/// A lesson of the kind that bases are taught by.
pub fn ordinary(from: &[Request], taught: Taught, draws: &mut Draws) -> Option<Lesson> {
    let &request = draws.pick(from)?;
    let mut phrase = Phrase::draw(request, draws);
    if draws.chance(DISTURBED) {
        phrase.disturb(draws);
    }
    let mut prompt = Prompt::of(&phrase);
    let system = draws.unit();
    let granted = system < GRANTED;
    if granted {
        prompt.system = SYSTEM_GRANT.to_vec();
    } else if system < GRANTED + NEUTRAL {
        prompt.system = draws.one(&SYSTEM_NEUTRAL, ["be", "brief"]).to_vec();
    }
    let reply = |request: Request| if granted { request.complied(taught) } else { request.reply(taught) };
    if let (true, Some(&before)) = (draws.chance(SECOND_TURN), draws.pick(from)) {
        prompt.earlier.push((Phrase::draw(before, draws).words().collect(), reply(before).word()));
    }
    Some(Lesson::new(prompt, reply(request).word()))
}
