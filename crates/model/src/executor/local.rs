//! A model that runs in this process.

use std::ops::ControlFlow;

use super::{Ability, Answer, Capabilities, Executor, Piece, Prompt, Request};
use crate::Error;
use crate::generate::Generate;
use crate::model::Model;
use crate::score::{Scored, TokenScore};
use crate::template::{Context, Ending, Limits, Message, Template};
use crate::tokenizer::{Controls, Tokenizer};

/// A model, its tokenizer and its chat template.
#[derive(Debug)]
pub struct Local {
    model: Model,
    tokenizer: Tokenizer,
    template: Option<Template>,
}

impl Local {
    /// An executor of a model. The chat template is the tokenizer's, where it has one.
    ///
    /// # Errors
    /// [`Error::Template`] where the template cannot be parsed; [`Error::Tokenizer`] where the tokenizer has more
    /// tokens than the model.
    pub fn new(model: Model, tokenizer: Tokenizer) -> Result<Self, Error> {
        if tokenizer.vocabulary() > model.config().vocabulary {
            let reason = "it has more tokens than the model".to_owned();
            return Err(Error::Tokenizer { reason });
        }
        let template =
            tokenizer.template().map(|source| Template::parse(source, Limits::ORDINARY)).transpose()?;
        Ok(Self { model, tokenizer, template })
    }

    /// The model, for taps and gradients.
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The model, for loading adapters.
    pub const fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// The tokenizer.
    pub const fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::TemplateBounds`], [`Error::Tokenizer`]; [`Error::Capability`] for a chat where
    /// there is no template.
    pub fn tokens(&self, prompt: &Prompt, now_s: i64) -> Result<Vec<u32>, Error> {
        match prompt {
            Prompt::Text(text) => self.tokenizer.encode(text, Controls::Parsed),
            Prompt::Chat(messages) => {
                let text = self.render(messages, now_s)?;
                // Templates write the token at the beginning themselves.
                self.tokenizer.encode_bare(&text, Controls::Parsed)
            }
        }
    }

    fn render(&self, messages: &[Message], now_s: i64) -> Result<String, Error> {
        let template =
            self.template.as_ref().ok_or(Error::Capability { asked: "chats: the model has no template" })?;
        let name =
            |token: Option<u32>| token.and_then(|token| self.tokenizer.name(token)).unwrap_or_default();
        let context = Context {
            begin_token: name(self.tokenizer.begin()),
            end_token: name(self.tokenizer.ends().first().copied()),
            now_s,
            ..Context::default()
        };
        template.render(messages, Ending::Prompt, &context)
    }

    /// A score with tokens as text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn piece(&self, score: &TokenScore) -> Result<Piece, Error> {
        let top = score.top.iter().map(|&(token, logprob)| Ok((self.tokenizer.decode(&[token])?, logprob)));
        Ok(Piece {
            text: self.tokenizer.decode(&[score.token])?,
            logprob: Some(score.logprob),
            top: top.collect::<Result<_, Error>>()?,
        })
    }
}

impl Executor for Local {
    fn capabilities(&self) -> Capabilities {
        let able = Ability::Able;
        Capabilities { logprobs: able, scores: able, taps: able, gradients: able }
    }

    fn generate(
        &self,
        request: &Request,
        listener: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Error> {
        let generate = Generate {
            prompt: self.tokens(&request.prompt, request.now_s)?,
            tokens_max: request.tokens_max,
            sampling: request.sampling.clone(),
            stop: request.stop.clone(),
            top: request.top,
            adapter: request.adapter.clone(),
        };
        let mut generation = self.model.generate(&self.tokenizer, generate, None)?;
        let mut answer = Answer { text: String::new(), pieces: Vec::new(), finish: None, usage: None };
        for step in generation.by_ref() {
            let step = step?;
            answer.text.push_str(&step.text);
            answer.pieces.push(self.piece(&step.score)?);
            answer.finish = step.finish;
            if !step.text.is_empty() && listener(&step.text).is_break() {
                break;
            }
        }
        answer.usage = Some(generation.usage());
        Ok(answer)
    }

    fn score(&self, texts: &[(String, String)], adapter: Option<&str>) -> Result<Vec<Vec<Piece>>, Error> {
        let mut sequences = Vec::with_capacity(texts.len());
        for (given, scored) in texts {
            let mut tokens = self.tokenizer.encode(given, Controls::Parsed)?;
            if tokens.is_empty() {
                // A first token is needed for the next to be judged by.
                tokens.extend(self.tokenizer.begin().or_else(|| self.tokenizer.ends().first().copied()));
            }
            let from = tokens.len();
            tokens.extend(self.tokenizer.encode_bare(scored, Controls::Parsed)?);
            sequences.push(Scored { tokens, from, top: 0, adapter: adapter.map(str::to_owned) });
        }
        let scores = self.model.score(&sequences)?;
        scores.iter().map(|scores| scores.iter().map(|score| self.piece(score)).collect()).collect()
    }
}
