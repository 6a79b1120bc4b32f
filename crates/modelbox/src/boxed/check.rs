//! What a worker says about a model, checked before it is believed.
//!
//! Nothing here can tell a wrong score or text from a right one: the model's code runs in the worker. What is checked is
//! that an answer is one to what was asked, of the size that it can have, and in order.

use super::About;
use crate::error::NotOpened;
use crate::task::{Broken, Echo, Event, Likely, Prompt, Purpose, Score, Sequence, Task, Vector};

/// Most of the likeliest tokens at one place.
const TOP_MAX: usize = 1000;
/// Longest text of one event beyond what was sent.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Longest message or hint, in characters.
const WORDS_MAX: usize = 2000;
/// Longest token.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// How far above 0 the logarithm of a probability may come to stand by rounding.
const ROUNDING: f32 = 1e-3;

/// The turns of one generation.
#[derive(Debug)]
pub(super) struct Turnwise {
    about: About,
    top: Option<usize>,
    echoes: bool,
    steps_max: usize,
    begun: Option<usize>,
    reused: bool,
    steps: usize,
    echo_bytes: usize,
}

impl Turnwise {
    pub(super) fn new(about: About, task: &Task) -> Self {
        let echo_bytes = match &task.prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Tokens(tokens) => tokens.len().saturating_mul(TOKEN_BYTES_MAX),
            Prompt::Chat(_) => 0,
        };
        Self {
            about,
            top: task.top,
            echoes: task.echo == Echo::PromptToo,
            steps_max: task.tokens_max.unwrap_or(usize::MAX).min(about.context),
            begun: None,
            reused: false,
            steps: 0,
            echo_bytes,
        }
    }

    /// Checks the next event.
    pub(super) fn check(&mut self, event: &Event) -> Result<(), String> {
        let wrong = |what: &str| Err(what.to_owned());
        match event {
            Event::Begun { prompt } => {
                if self.begun.is_some() || *prompt == 0 || *prompt > self.about.context {
                    return wrong("a generation begins out of turn");
                }
                self.begun = Some(*prompt);
            }
            Event::Reused { tokens } => {
                if self.reused || self.begun.is_none_or(|prompt| *tokens >= prompt) {
                    return wrong("more of a prompt is known than there is");
                }
                self.reused = true;
            }
            Event::Step => {
                self.steps += 1;
                if !self.reused || self.steps > self.steps_max {
                    return wrong("more tokens than were asked for");
                }
            }
            Event::Text { text, tokens } => {
                let allowed = if self.echoes { self.echo_bytes } else { 0 };
                if self.begun.is_none() || text.len() > TEXT_BYTES_MAX.max(allowed) {
                    return wrong("a text out of turn, or too long");
                }
                if tokens.len() > self.about.context || !tokens.iter().all(|likely| self.likely(likely)) {
                    return wrong("tokens that were not asked for");
                }
            }
            Event::Ended { generated, .. } => {
                if self.begun.is_none() || *generated > self.steps {
                    return wrong("an end out of turn");
                }
            }
        }
        Ok(())
    }

    fn likely(&self, likely: &Likely) -> bool {
        let short = |token: &crate::Token| {
            token.text.len() <= TOKEN_BYTES_MAX
                && token.bytes.as_ref().is_none_or(|bytes| bytes.len() <= TOKEN_BYTES_MAX)
                && token.len <= TOKEN_BYTES_MAX
        };
        self.top.is_some_and(|top| likely.top.len() <= top.min(TOP_MAX))
            && short(&likely.token)
            && likely.top.iter().all(|(token, _)| short(token))
    }
}

/// Whether these can be the scores of these sequences.
pub(super) fn scores(sequences: &[Sequence], scores: &[Vec<Score>], vocabulary: usize) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_owned());
    if scores.len() != sequences.len() {
        return wrong("scores of other sequences");
    }
    let logarithm = |value: f32| !value.is_nan() && value <= ROUNDING;
    for (sequence, scores) in sequences.iter().zip(scores) {
        let tokens = sequence.tokens.get(sequence.from..).unwrap_or_default();
        if !tokens.iter().eq(scores.iter().map(|score| &score.token)) {
            return wrong("scores of other tokens");
        }
        for score in scores {
            let top = &score.top;
            if top.len() > sequence.top || !top.iter().all(|(_, logprob)| logarithm(*logprob)) {
                return wrong("more tokens than were asked for");
            }
            if !top.iter().all(|(token, _)| usize::try_from(*token).is_ok_and(|token| token < vocabulary)) {
                return wrong("tokens that there are not");
            }
            if !logarithm(score.logprob) {
                return wrong("a probability that is none");
            }
        }
    }
    Ok(())
}

/// Whether these can be the vectors of so many texts.
pub(super) fn vectors(texts: usize, vectors: &[Vector], about: About) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_owned());
    let Purpose::Vectors { width } = about.purpose else {
        return wrong("vectors of a model that makes none");
    };
    if vectors.len() != texts {
        return wrong("vectors of other texts");
    }
    if vectors.iter().any(|vector| vector.values.len() != width) {
        return wrong("vectors of another width");
    }
    if vectors.iter().any(|vector| vector.tokens == 0 || vector.tokens > about.context) {
        return wrong("texts of more tokens than there can be");
    }
    if !vectors.iter().flat_map(|vector| &vector.values).all(|x| x.is_finite()) {
        return wrong("vectors that are not finite");
    }
    Ok(())
}

/// A refusal whose words may be shown. A code that is not one of the model's own is not taken over.
pub(super) fn broken(broken: Broken) -> Broken {
    match broken {
        Broken::Model { code, message, hint, fault } => {
            let known = code.strip_prefix("CS-MDL-").is_some_and(|number| {
                number.len() == 3 && number.bytes().all(|digit| digit.is_ascii_digit())
            });
            if known {
                Broken::Model { code, message: plain(&message), hint: plain(&hint), fault }
            } else {
                Broken::Failed
            }
        }
        Broken::Prompt { expected } => Broken::Prompt { expected: plain(&expected) },
        Broken::Gone { .. } => Broken::Failed,
        other @ (Broken::TooLong { .. } | Broken::Stopped | Broken::Failed) => other,
    }
}

/// A refusal to open whose words may be shown.
pub(super) fn not_opened(why: NotOpened) -> NotOpened {
    NotOpened {
        adapter: why.adapter.map(|name| plain(&name)),
        message: plain(&why.message),
        hint: plain(&why.hint),
    }
}

/// A stranger's words, fit for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests;
