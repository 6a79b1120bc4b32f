//! Requests for chats and completions, read from JSON.

use model::Sampling;
use serde_json::Value;

use crate::Refusal;
use crate::job::{Echo, Prompt, Task};
use crate::members::{Members, unsupported, wrong};
use crate::speech;

/// Which of the two interfaces is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// How the answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// In one piece.
    Whole,
    /// As server-sent events.
    Stream {
        /// Whether a last event tells how many tokens there were.
        usage: Usage,
    },
}

/// Whether the number of tokens is told at a stream's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It is.
    Told,
    /// It is not.
    Untold,
}

/// A request that was read.
#[derive(Debug)]
pub(crate) struct Request {
    /// The name of the model or adapter.
    pub(crate) model: String,
    pub(crate) task: Task,
    pub(crate) delivery: Delivery,
}

/// Texts that stop, beyond what OpenAI's interface takes: as many as the executor does.
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 1024;
/// Likeliest tokens that may be asked for.
const TOP_MAX: usize = 20;
/// Tokens of an answer that are given where a completion says nothing, as OpenAI's.
const COMPLETION_TOKENS: usize = 16;
/// More tokens than any context holds.
const TOKENS_MAX: usize = 1 << 30;

/// Reads a request. `seed` is used where it names none.
pub(crate) fn read(body: &[u8], form: Form, seed: impl FnOnce() -> u64) -> Result<Request, Refusal> {
    let value: Value =
        serde_json::from_slice(body).map_err(|cause| Refusal::NotJson { reason: cause.to_string() })?;
    let object =
        value.as_object().ok_or_else(|| Refusal::NotJson { reason: "it is another value".to_owned() })?;
    let members = Members(object);
    members.refuse_unsupported()?;
    let model = members.text("model")?.filter(|name| !name.is_empty());
    let model = model.ok_or_else(|| wrong("model", "the name of a model"))?.to_owned();
    let delivery = delivery(&members)?;
    let seed = match members.value("seed") {
        None => seed(),
        Some(value) => {
            // Negative seeds are taken as their bits.
            let bits = value.as_u64().or_else(|| Some(value.as_i64()?.cast_unsigned()));
            bits.ok_or_else(|| wrong("seed", "a whole number of 64 bits"))?
        }
    };
    let sampling = sampling(&members, seed)?;
    let stop = stop(members.value("stop"))?;
    let task = match form {
        Form::Chat => {
            let top = members.count("top_logprobs", 0, TOP_MAX)?;
            let told = members.truth("logprobs")?;
            if top.is_some() && !told {
                return Err(wrong("logprobs", "true where `top_logprobs` is given"));
            }
            let tokens_max = match members.count("max_completion_tokens", 1, TOKENS_MAX)? {
                Some(tokens) => Some(tokens),
                None => members.count("max_tokens", 1, TOKENS_MAX)?,
            };
            let prompt = Prompt::Chat(speech::messages(members.value("messages"))?);
            let top = told.then(|| top.unwrap_or(0));
            Task { prompt, tokens_max, sampling, stop, top, echo: Echo::Answer, adapter: None }
        }
        Form::Text => {
            let tokens_max = Some(members.count("max_tokens", 0, TOKENS_MAX)?.unwrap_or(COMPLETION_TOKENS));
            let top = match members.value("logprobs") {
                Some(Value::Bool(false)) => None,
                _ => members.count("logprobs", 0, TOP_MAX)?,
            };
            let echo = if members.truth("echo")? { Echo::PromptToo } else { Echo::Answer };
            let prompt = prompt(members.value("prompt"))?;
            Task { prompt, tokens_max, sampling, stop, top, echo, adapter: None }
        }
    };
    Ok(Request { model, task, delivery })
}

fn delivery(members: &Members<'_>) -> Result<Delivery, Refusal> {
    if !members.truth("stream")? {
        return Ok(Delivery::Whole);
    }
    let usage = match members.value("stream_options") {
        None => Usage::Untold,
        Some(Value::Object(options)) => {
            if Members(options).truth("include_usage")? {
                Usage::Told
            } else {
                Usage::Untold
            }
        }
        Some(_) => return Err(wrong("stream_options", "an object")),
    };
    Ok(Delivery::Stream { usage })
}

#[allow(clippy::cast_possible_truncation, reason = "settings of sampling are single precision")]
fn sampling(members: &Members<'_>, seed: u64) -> Result<Sampling, Refusal> {
    let temperature = members.number("temperature", 0.0, 2.0)?.unwrap_or(1.0) as f32;
    let top_p = members.number("top_p", 0.0, 1.0)?.unwrap_or(1.0) as f32;
    // No probability at all still leaves the likeliest token.
    let top_p = if top_p > 0.0 { top_p } else { f32::MIN_POSITIVE };
    let top_k = match members.value("top_k") {
        // What llama.cpp and vLLM take for "all".
        Some(value) if matches!(value.as_i64(), Some(-1 | 0)) => None,
        _ => members.count("top_k", 1, TOKENS_MAX)?,
    };
    Ok(Sampling { temperature, top_k, top_p, seed })
}

fn stop(value: Option<&Value>) -> Result<Vec<String>, Refusal> {
    let expected = "a string or an array of at most 16 strings, each of 1 to 1024 bytes";
    let texts: Vec<&Value> = match value {
        None => Vec::new(),
        Some(Value::Array(texts)) => texts.iter().collect(),
        Some(text) => vec![text],
    };
    if texts.len() > STOPS_MAX {
        return Err(wrong("stop", expected));
    }
    let text = |value: &Value| {
        let text = value.as_str().filter(|text| (1..=STOP_BYTES_MAX).contains(&text.len()));
        text.map(str::to_owned).ok_or_else(|| wrong("stop", expected))
    };
    texts.into_iter().map(text).collect()
}

fn prompt(value: Option<&Value>) -> Result<Prompt, Refusal> {
    let expected = "a string or an array of tokens";
    match value {
        Some(Value::String(text)) => Ok(Prompt::Text(text.clone())),
        Some(Value::Array(parts)) => match parts.as_slice() {
            [one @ (Value::String(_) | Value::Array(_))] => prompt(Some(one)),
            [Value::String(_) | Value::Array(_), ..] => {
                Err(unsupported("prompt", "one prompt is continued for a request"))
            }
            tokens => {
                let token = |value: &Value| value.as_u64().and_then(|token| u32::try_from(token).ok());
                let tokens: Option<Vec<u32>> = tokens.iter().map(token).collect();
                tokens.map(Prompt::Tokens).ok_or_else(|| wrong("prompt", expected))
            }
        },
        _ => Err(wrong("prompt", expected)),
    }
}

#[cfg(test)]
mod tests;
