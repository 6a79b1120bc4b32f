//! A model that can be asked: weights, tokenizer, template, system prompt.

use std::sync::Arc;

use model::template::{Context, Ending, Limits, Message, Template};
use model::{Controls, Model, Tokenizer};
use tensor::gguf::Gguf;
use tensor::weights::folder::two_models;

use crate::change::{Files, Form};
use crate::error::shown;
use crate::passages::{Passages, Place};
use crate::suite::{Case, Framing};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) model: Model,
    pub(crate) tokenizer: Tokenizer,
    /// The chat template, where there is one.
    template: Option<String>,
    /// What the operator says first.
    system: Option<String>,
    /// What is retrieved for what is asked, where something is.
    pub(crate) passages: Option<Arc<Passages>>,
}

/// Why a side cannot be asked.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// Its files hold nothing that can be run.
    Files(String),
    /// It cannot be loaded or run.
    Model(model::Error),
}

impl From<model::Error> for Unfit {
    fn from(error: model::Error) -> Self {
        Self::Model(error)
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(reason) => f.write_str(reason),
            Self::Model(error) => {
                write!(f, "[{}] {error}", error.code())?;
                let mut source = std::error::Error::source(error);
                while let Some(cause) = source {
                    write!(f, ": {}", shown(&cause.to_string()))?;
                    source = cause.source();
                }
                Ok(())
            }
        }
    }
}

/// A prompt in tokens, with the place of what the user says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) tokens: Vec<u32>,
    /// Where the user's words begin and end.
    pub(crate) words: std::ops::Range<usize>,
}

/// Stands for the user's words while a template is rendered.
const PLACE: &str = "\u{f8ff}words\u{f8ff}";

impl Subject {
    /// A model from its files; an adapter or a prompt is applied to `base`.
    pub(crate) fn load(files: &Files, base: Option<&Self>) -> Result<Self, Unfit> {
        if let Some([first, second]) = two_models(|name| files.bytes(name).is_some()) {
            let why =
                format!("it holds `{first}` and `{second}`: programs differ in which of them they read");
            return Err(Unfit::Files(why));
        }
        let lacks_base = || Unfit::Files("it is applied to a base, and there is none".to_owned());
        let mut subject = match files.form() {
            Form::Gguf => Self::gguf(files)?,
            Form::Safetensors => Self::safetensors(files, base)?,
            Form::Adapter => Self::adapter(files, base.ok_or_else(lacks_base)?)?,
            Form::Prompt => base.ok_or_else(lacks_base)?.clone(),
            Form::Passages => {
                let passages = Some(Arc::new(Passages::read(files).map_err(Unfit::Files)?));
                Self { passages, ..base.ok_or_else(lacks_base)?.clone() }
            }
            Form::Template => {
                let bytes = files.bytes("chat_template.jinja").map(AsRef::as_ref).unwrap_or_default();
                let text = std::str::from_utf8(bytes);
                let text = text.map_err(|_| Unfit::Files("its chat template is no text".to_owned()))?;
                Self { template: Some(text.to_owned()), ..base.ok_or_else(lacks_base)?.clone() }
            }
            Form::Unknown => {
                return Err(Unfit::Files("there are no weights in a form that can be run".to_owned()));
            }
        };
        // A side's own index, beside its weights.
        if files.bytes("retrieval.json").is_some() && subject.passages.is_none() {
            subject.passages = Some(Arc::new(Passages::read(files).map_err(Unfit::Files)?));
        }
        if let Some(prompt) = files.prompt() {
            subject.system = Some(prompt.trim_end().to_owned());
        }
        Ok(subject)
    }

    fn gguf(files: &Files) -> Result<Self, Unfit> {
        let none = || Unfit::Files("there is no GGUF file".to_owned());
        let file = files.gguf().ok_or_else(none)?;
        let model = Model::from_gguf(file)?;
        let read = Gguf::read(file).map_err(model::Error::from)?;
        let tokenizer = Tokenizer::from_gguf(&read)?;
        let template = tokenizer.template().map(str::to_owned);
        Ok(Self { model, tokenizer, template, system: None, passages: None })
    }

    fn safetensors(files: &Files, base: Option<&Self>) -> Result<Self, Unfit> {
        let none = || Unfit::Files("there is no `config.json` beside the weights".to_owned());
        let config = files.bytes("config.json").ok_or_else(none)?;
        let weights: Vec<_> = files.safetensors().cloned().collect();
        let model = Model::from_safetensors(config, &weights)?;
        let (tokenizer, template) = match (Self::words(files)?, base) {
            (Some(own), _) => own,
            (None, Some(base)) => (base.tokenizer.clone(), base.template.clone()),
            (None, None) => return Err(Unfit::Files("there is no `tokenizer.json`".to_owned())),
        };
        Ok(Self {
            model,
            tokenizer,
            template,
            system: None,
            passages: base.and_then(|base| base.passages.clone()),
        })
    }

    fn adapter(files: &Files, base: &Self) -> Result<Self, Unfit> {
        let lacks = |name: &str| Unfit::Files(format!("there is no `{name}`"));
        let config = files.bytes("adapter_config.json").ok_or_else(|| lacks("adapter_config.json"))?;
        let name = "adapter_model.safetensors";
        let weights = files.bytes(name).ok_or_else(|| lacks(name))?;
        let mut model = base.model.clone();
        model.load_adapter("change", config, weights)?;
        let model = model.merged("change")?;
        let (tokenizer, template) =
            Self::words(files)?.unwrap_or_else(|| (base.tokenizer.clone(), base.template.clone()));
        Ok(Self { model, tokenizer, template, system: base.system.clone(), passages: base.passages.clone() })
    }

    /// The tokenizer of a folder, and the template beside it.
    fn words(files: &Files) -> Result<Option<(Tokenizer, Option<String>)>, Unfit> {
        let Some(tokenizer) = files.bytes("tokenizer.json") else { return Ok(None) };
        let settings = files.bytes("tokenizer_config.json").map(AsRef::as_ref);
        let tokenizer = Tokenizer::from_json(tokenizer, settings)?;
        let beside = files.bytes("chat_template.jinja").and_then(|bytes| std::str::from_utf8(bytes).ok());
        let template = beside.or_else(|| tokenizer.template()).map(str::to_owned);
        Ok(Some((tokenizer, template)))
    }

    pub(crate) fn with(&self, model: Model) -> Self {
        Self { model, ..self.clone() }
    }

    /// The tokens of a case. The user's words are encoded by themselves, so that others can be put beside them.
    pub(crate) fn prompt(&self, case: &Case, framing: Framing) -> Result<Prompt, model::Error> {
        let system = case.system.as_deref().or(self.system.as_deref());
        let found = self.passages.as_ref().map(|index| (index.place(), index.before(&case.prompt)));
        let told;
        let (system, retrieved) = match &found {
            Some((Place::System, found)) if !found.is_empty() => {
                told = format!("{}\n\n{found}", system.unwrap_or_default());
                (Some(told.trim()), "")
            }
            Some((_, found)) => (system, found.as_str()),
            None => (system, ""),
        };
        let [before, words, after] = match (framing, &self.template) {
            (Framing::Chat, Some(template)) => self.framed(template, system, retrieved, &case.prompt)?,
            (Framing::Chat | Framing::Plain, _) => {
                let begin = self.tokenizer.begin().and_then(|token| self.tokenizer.name(token));
                let mut before = begin.unwrap_or_default();
                before.extend(system.map(|system| format!("{system}\n\n")));
                before.push_str(retrieved);
                [before, case.prompt.clone(), String::new()]
            }
        };
        let mut tokens = self.tokenizer.encode_bare(&before, Controls::Parsed)?;
        let begin = tokens.len();
        tokens.extend(self.tokenizer.encode_bare(&words, Controls::Text)?);
        let end = tokens.len();
        tokens.extend(self.tokenizer.encode_bare(&after, Controls::Parsed)?);
        if tokens.is_empty() {
            return Err(model::Error::Template { reason: "nothing is left to be read".to_owned() });
        }
        Ok(Prompt { tokens, words: begin..end })
    }

    /// What a template writes before the user's words, what it makes of them, and what it writes after them.
    fn framed(
        &self,
        template: &str,
        system: Option<&str>,
        retrieved: &str,
        asked: &str,
    ) -> Result<[String; 3], model::Error> {
        let name =
            |token: Option<u32>| token.and_then(|token| self.tokenizer.name(token)).unwrap_or_default();
        let context = Context {
            begin_token: name(self.tokenizer.begin()),
            end_token: name(self.tokenizer.ends().first().copied()),
            ..Context::default()
        };
        let message =
            |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        let parsed = Template::parse(template, Limits::ORDINARY)?;
        let rendered = |words: &str| {
            let mut messages: Vec<Message> =
                system.map(|system| message("system", system)).into_iter().collect();
            messages.push(message("user", &format!("{retrieved}{words}")));
            parsed.render(&messages, Ending::Prompt, &context)
        };
        let (text, placed) = (rendered(asked)?, rendered(PLACE)?);
        // A template may change what is said: what it makes of it stands where the placeholder stood.
        let parts = placed.split_once(PLACE).and_then(|(before, after)| {
            let words = text.strip_prefix(before)?.strip_suffix(after)?;
            Some([before.to_owned(), words.to_owned(), after.to_owned()])
        });
        Ok(parts.unwrap_or_else(|| [text, String::new(), String::new()]))
    }

    /// Multiply-adds of one token.
    pub(crate) fn token_cost(&self) -> u64 {
        let config = self.model.config();
        let attention = 2 * config.hidden * (config.heads + config.kv_heads) * config.head_len;
        let layer = attention + 3 * config.hidden * config.inner;
        (config.layers * layer + config.vocabulary * config.hidden) as u64
    }
}
