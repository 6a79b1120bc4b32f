//! One interface to models that run here and models that run elsewhere.

mod local;
mod remote;

pub use local::Local;
pub use remote::{Remote, RemoteSettings};

use std::ops::ControlFlow;

use crate::Error;
use crate::generate::Finish;
use crate::sampling::Sampling;
use crate::template::Message;

/// What an executor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It tells log-probabilities of generated tokens.
    pub logprobs: Ability,
    /// It scores given text.
    pub scores: Ability,
    /// It shows activations and attention.
    pub taps: Ability,
    /// It differentiates.
    pub gradients: Ability,
}

/// Whether something can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Able,
    /// It cannot.
    Unable,
}

/// What a model is asked to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// Text as it stands; control tokens in it count as such.
    Text(String),
    /// A conversation, through the model's chat template. Control tokens in its messages do too, as in the
    /// engines in use: do not pass strangers' text without looking at it.
    Chat(Vec<Message>),
}

/// A request to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to continue.
    pub prompt: Prompt,
    /// Most tokens to generate.
    pub tokens_max: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts at which the generation ends.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens are reported at each place.
    pub top: usize,
    /// The name of an adapter.
    pub adapter: Option<String>,
    /// Seconds since 1970, for chat templates that write the date.
    pub now_s: i64,
}

/// A piece of a token sequence and how likely it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The token's text.
    pub text: String,
    /// The natural logarithm of its probability, where it is told.
    pub logprob: Option<f32>,
    /// The likeliest pieces at this place with their logarithms, likeliest first.
    pub top: Vec<(String, f32)>,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Its tokens, as far as the executor tells them.
    pub pieces: Vec<Piece>,
    /// Why it ended; nothing where the listener ended it.
    pub finish: Option<Finish>,
    /// Tokens of the prompt and tokens generated, as far as the executor tells them.
    pub usage: Option<(usize, usize)>,
}

/// Something that runs a model.
pub trait Executor {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Generates; each new part of the text goes to `listener`, which may end the generation.
    ///
    /// # Errors
    /// Whatever keeps the model from being run.
    fn generate(
        &self,
        request: &Request,
        listener: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Error>;

    /// How likely each of the texts' tokens is after what precedes it, for each `(given, scored)`: the tokens of
    /// `scored` after `given`.
    ///
    /// # Errors
    /// [`Error::Capability`] where it cannot; whatever keeps the model from being run.
    fn score(&self, texts: &[(String, String)], adapter: Option<&str>) -> Result<Vec<Vec<Piece>>, Error>;
}
