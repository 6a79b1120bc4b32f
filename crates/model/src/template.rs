//! Chat templates: a conversation becomes the text that a model was trained on.
//!
//! Templates come with models and are programs of strangers. The parser is the one that `scan` looks at templates with
//! ([`tensor::jinja`]), so that what is run is what was looked at; the values, operators, filters and methods are those
//! of Jinja 3.1 that chat templates use. A template sees the conversation and nothing else, and its length, its
//! steps, its memory, its depth and its output are bounded: everything it makes is charged before it is made. Time is
//! an argument.
//!
//! What this module does not do: load other templates, escape for web pages, or judge what a template says; `scan` does.

mod arithmetic;
mod budget;
mod date;
mod evaluate;
mod filters;
mod json;
mod methods;
mod run;
mod value;

use serde::Serialize;
use tensor::jinja;

use self::budget::{Budget, Outcome, Stop};
use self::run::Run;
use self::value::Value;
use crate::Error;
use crate::error::shown;

/// The bounds within which a template is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the template.
    pub source_bytes: usize,
    /// Most instructions.
    pub instructions: u64,
    /// Most bytes of output.
    pub output_bytes: usize,
    /// Most bytes of memory for what the template makes, counted as if nothing were given back.
    pub memory_bytes: usize,
    /// How deep its parts nest, and its macros call each other.
    pub depth: usize,
}

impl Limits {
    /// What no known template reaches with a conversation of a megabyte.
    pub const ORDINARY: Self = Self {
        source_bytes: 256 << 10,
        instructions: 2_000_000,
        output_bytes: 8 << 20,
        memory_bytes: 256 << 20,
        depth: 64,
    };
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it: `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// Whether the text ends where the assistant begins to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The assistant's turn is opened.
    Prompt,
    /// It is not.
    Conversation,
}

/// What a template is rendered with beside the messages.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The names of the tokens at the beginning and the end of a text.
    pub begin_token: String,
    /// See `begin_token`.
    pub end_token: String,
    /// Seconds since 1970, for templates that write the date.
    pub now_s: i64,
    /// Further variables (`tools`, for one).
    pub variables: serde_json::Map<String, serde_json::Value>,
}

/// A parsed chat template.
#[derive(Debug)]
pub struct Template {
    parsed: jinja::Template,
    limits: Limits,
}

/// Most tokens of a template.
const PARTS_MAX: usize = 100_000;

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::TemplateBounds`].
    pub fn parse(source: &str, limits: Limits) -> Result<Self, Error> {
        let bounds = jinja::Limits { bytes: limits.source_bytes, depth: limits.depth, parts: PARTS_MAX };
        let parsed = jinja::Template::parse(source, &bounds).map_err(|cause| match cause {
            jinja::Error::TooLong { limit, .. } => Error::TemplateBounds { limit, unit: "bytes of source" },
            jinja::Error::TooDeep { limit, .. } => Error::TemplateBounds { limit, unit: "nested parts" },
            jinja::Error::TooMany { limit } => Error::TemplateBounds { limit, unit: "parts" },
            other => Error::Template { reason: shown(&other.to_string()) },
        })?;
        Ok(Self { parsed, limits })
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// [`Error::Template`] where the template refuses or fails, [`Error::TemplateBounds`].
    pub fn render(&self, messages: &[Message], ending: Ending, context: &Context) -> Result<String, Error> {
        let budget = Budget::new(self.limits.instructions, self.limits.memory_bytes);
        let mut run = Run::new(budget, self.limits.output_bytes, self.limits.depth, context.now_s);
        match fill(&mut run, messages, ending, context).and_then(|()| run.nodes(self.parsed.nodes())) {
            Ok(_) => Ok(run.finish()),
            Err(Stop::Bound { limit, unit }) => Err(Error::TemplateBounds { limit, unit }),
            Err(Stop::Failed(reason)) => {
                let line = self.parsed.line(run.at);
                Err(Error::Template { reason: format!("{} (line {line})", shown(&reason)) })
            }
        }
    }
}

/// Names what a template may see.
fn fill<'t>(run: &mut Run<'t>, messages: &'t [Message], ending: Ending, context: &'t Context) -> Outcome<()> {
    for (name, value) in &context.variables {
        let value = Value::of_json(value, &mut run.budget)?;
        run.name(name, value);
    }
    let mut list = Vec::with_capacity(messages.len());
    for Message { role, content } in messages {
        let members = [("role", role), ("content", content)];
        let members = members.map(|(name, text)| (Value::given(name), Value::given(text)));
        list.push(run.budget.dict(members.into())?);
    }
    let list = run.budget.list(list)?;
    run.name("messages", list);
    run.name("add_generation_prompt", Value::Bool(ending == Ending::Prompt));
    run.name("bos_token", Value::given(&context.begin_token));
    run.name("eos_token", Value::given(&context.end_token));
    Ok(())
}

#[cfg(test)]
mod tests;
