//! Answers as OpenAI's interface writes them, whole or as events of a stream.
//!
//! Source: OpenAI's API reference, "Chat" and "Completions"; of what is optional there, what its official clients
//! read.

use model::Finish;
use modelbox::Token;
use serde_json::{Map, Value, json};

use crate::job::Likely;
use crate::request::{Form, Usage};

/// How one answer is written.
pub(crate) struct Writer {
    pub(crate) form: Form,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) model: String,
    pub(crate) fingerprint: String,
    pub(crate) usage: Usage,
    /// Whether log-probabilities are told.
    pub(crate) logprobs: bool,
}

/// A whole answer.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) prompt: usize,
    pub(crate) generated: usize,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Likely>,
}

const fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::End | Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn usage(prompt: usize, generated: usize) -> Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated })
}

impl Writer {
    fn envelope(&self, object: &str, choices: Value) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("id".to_owned(), json!(self.id));
        members.insert("object".to_owned(), json!(object));
        members.insert("created".to_owned(), json!(self.created));
        members.insert("model".to_owned(), json!(self.model));
        members.insert("system_fingerprint".to_owned(), json!(self.fingerprint));
        members.insert("choices".to_owned(), choices);
        members
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self, whole: &Whole, finish: Finish) -> Value {
        let logprobs = self.logprobs(&whole.tokens);
        let (object, choice) = match self.form {
            Form::Chat => {
                let message = json!({ "role": "assistant", "content": whole.text, "refusal": null });
                ("chat.completion", json!({ "index": 0, "message": message, "logprobs": logprobs }))
            }
            Form::Text => {
                ("text_completion", json!({ "index": 0, "text": whole.text, "logprobs": logprobs }))
            }
        };
        let mut members = self.envelope(object, json!([with_reason(choice, Some(finish))]));
        members.insert("usage".to_owned(), usage(whole.prompt, whole.generated));
        Value::Object(members)
    }

    /// The event that opens a stream, where the interface has one.
    pub(crate) fn opening(&self) -> Option<Value> {
        let delta = json!({ "role": "assistant", "content": "", "refusal": null });
        (self.form == Form::Chat)
            .then(|| self.event(json!({ "index": 0, "delta": delta, "logprobs": null }), None))
    }

    /// An event with more text.
    pub(crate) fn text(&self, text: &str, tokens: &[Likely]) -> Value {
        let logprobs = self.logprobs(tokens);
        let choice = match self.form {
            Form::Chat => json!({ "index": 0, "delta": { "content": text }, "logprobs": logprobs }),
            Form::Text => json!({ "index": 0, "text": text, "logprobs": logprobs }),
        };
        self.event(choice, None)
    }

    /// The event that closes the text.
    pub(crate) fn closing(&self, finish: Finish) -> Value {
        let choice = match self.form {
            Form::Chat => json!({ "index": 0, "delta": {}, "logprobs": null }),
            Form::Text => json!({ "index": 0, "text": "", "logprobs": null }),
        };
        self.event(choice, Some(finish))
    }

    /// The event that tells how many tokens there were, where that was asked for.
    pub(crate) fn counts(&self, prompt: usize, generated: usize) -> Option<Value> {
        if self.usage == Usage::Untold {
            return None;
        }
        let mut members = self.envelope(self.object(), json!([]));
        members.insert("usage".to_owned(), usage(prompt, generated));
        Some(Value::Object(members))
    }

    const fn object(&self) -> &'static str {
        match self.form {
            Form::Chat => "chat.completion.chunk",
            Form::Text => "text_completion",
        }
    }

    fn event(&self, choice: Value, finish: Option<Finish>) -> Value {
        let mut members = self.envelope(self.object(), json!([with_reason(choice, finish)]));
        if self.usage == Usage::Told {
            members.insert("usage".to_owned(), Value::Null);
        }
        Value::Object(members)
    }

    fn logprobs(&self, tokens: &[Likely]) -> Value {
        if !self.logprobs {
            return Value::Null;
        }
        match self.form {
            Form::Chat => {
                let content: Vec<Value> = tokens.iter().map(chat_entry).collect();
                json!({ "content": content, "refusal": null })
            }
            Form::Text => json!({
                "tokens": tokens.iter().map(|likely| likely.token.text.as_str()).collect::<Vec<_>>(),
                "token_logprobs": tokens.iter().map(|likely| likely.logprob).collect::<Vec<_>>(),
                "top_logprobs": tokens.iter().map(text_top).collect::<Vec<_>>(),
                "text_offset": tokens.iter().map(|likely| likely.offset).collect::<Vec<_>>(),
            }),
        }
    }
}

fn with_reason(mut choice: Value, finish: Option<Finish>) -> Value {
    if let Value::Object(members) = &mut choice {
        members
            .insert("finish_reason".to_owned(), finish.map_or(Value::Null, |finish| json!(reason(finish))));
    }
    choice
}

fn chat_entry(likely: &Likely) -> Value {
    let entry = |token: &Token, logprob: Option<f32>| {
        let mut members = Map::new();
        members.insert("token".to_owned(), json!(token.text));
        members.insert("logprob".to_owned(), json!(logprob));
        members.insert("bytes".to_owned(), json!(token.bytes));
        members
    };
    let mut members = entry(&likely.token, likely.logprob);
    let top: Vec<Value> =
        likely.top.iter().map(|(token, logprob)| Value::Object(entry(token, Some(*logprob)))).collect();
    members.insert("top_logprobs".to_owned(), Value::Array(top));
    Value::Object(members)
}

/// The likeliest tokens by their text, the chosen one among them.
fn text_top(likely: &Likely) -> Value {
    let Some(logprob) = likely.logprob else { return Value::Null };
    let mut members = Map::new();
    for (token, logprob) in &likely.top {
        members.entry(token.text.clone()).or_insert_with(|| json!(logprob));
    }
    members.entry(likely.token.text.clone()).or_insert_with(|| json!(logprob));
    Value::Object(members)
}
