//! A model behind an OpenAI-compatible HTTP interface (vLLM, llama.cpp's server, `countersign engine`).
//!
//! Source of the protocol: OpenAI's API reference, "Completions" and "Chat"; vLLM's and llama.cpp's servers answer
//! the same. It has no taps and no gradients. Given text is scored through `echo` with `logprobs`, which vLLM has
//! and others refuse; their refusal is passed on.
//!
//! Only plain HTTP is spoken: put a proxy that ends TLS beside this program where the engine is not on this machine.

use std::io::Read;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Ability, Answer, Capabilities, Executor, Piece, Prompt, Request};
use crate::Error;
use crate::error::shown;
use crate::generate::Finish;

/// Where an engine is and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Address up to and with the version: `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole request may take.
    pub timeout: Duration,
    /// Most bytes of an answer.
    pub answer_bytes: u64,
}

impl RemoteSettings {
    /// An engine with ordinary limits: five seconds to connect, two minutes and 16 MiB for an answer.
    pub fn new(url: &str, model: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            model: model.to_owned(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_mins(2),
            answer_bytes: 16 << 20,
        }
    }
}

/// An engine elsewhere.
#[derive(Debug, Clone)]
pub struct Remote {
    settings: RemoteSettings,
    agent: ureq::Agent,
}

impl Remote {
    /// An executor that asks an engine. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Request`] where the address is not plain HTTP.
    pub fn new(settings: RemoteSettings) -> Result<Self, Error> {
        if !settings.url.starts_with("http://") {
            return Err(Error::Request { member: "url", expected: "an address that begins with http://" });
        }
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Ok(Self { settings, agent: config.into() })
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let url = format!("{}/{path}", self.settings.url);
        let transport =
            |source: ureq::Error| Error::RemoteTransport { url: url.clone(), source: Box::new(source) };
        let request = self.agent.post(&url).header("content-type", "application/json");
        let mut response = request.send(body.to_string().as_bytes()).map_err(transport)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let limit = self.settings.answer_bytes;
        let reader = response.body_mut().as_reader();
        let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|cause| transport(ureq::Error::Io(cause)))?;
        if bytes.len() as u64 > limit {
            return Err(unusable(&url, "it is longer than the limit"));
        }
        if !(200..300).contains(&status) {
            let answer = shown(&String::from_utf8_lossy(&bytes));
            return Err(Error::RemoteStatus { url, status, answer });
        }
        serde_json::from_slice(&bytes).map_err(|cause| unusable(&url, &cause.to_string()))
    }

    fn refused(&self, reason: &str) -> Error {
        unusable(&self.settings.url, reason)
    }

    fn model<'a>(&'a self, adapter: Option<&'a str>) -> &'a str {
        adapter.unwrap_or(&self.settings.model)
    }
}

impl Executor for Remote {
    fn capabilities(&self) -> Capabilities {
        let (able, unable) = (Ability::Able, Ability::Unable);
        Capabilities { logprobs: able, scores: able, taps: unable, gradients: unable }
    }

    fn generate(
        &self,
        request: &Request,
        listener: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Error> {
        request.sampling.check()?;
        let mut body = json!({
            "model": self.model(request.adapter.as_deref()),
            "max_tokens": request.tokens_max,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "seed": request.sampling.seed,
            "stream": false,
        });
        let chat = matches!(request.prompt, Prompt::Chat(_));
        let added = match &request.prompt {
            Prompt::Text(text) => json!({"prompt": text, "logprobs": request.top}),
            Prompt::Chat(messages) => {
                json!({"messages": messages, "logprobs": true, "top_logprobs": request.top})
            }
        };
        if let (Value::Object(body), Value::Object(added)) = (&mut body, added) {
            body.extend(added);
            if !request.stop.is_empty() {
                body.insert("stop".to_owned(), json!(request.stop));
            }
            if let Some(top_k) = request.sampling.top_k {
                body.insert("top_k".to_owned(), json!(top_k));
            }
        }
        let answer = self.post(if chat { "chat/completions" } else { "completions" }, &body)?;
        let choice = answer.pointer("/choices/0").ok_or_else(|| self.refused("it has no choice"))?;
        let text = if chat { choice.pointer("/message/content") } else { choice.get("text") };
        let text = text.and_then(Value::as_str).ok_or_else(|| self.refused("its choice has no text"))?;
        let finish = match choice.get("finish_reason").and_then(Value::as_str) {
            Some("stop") => Some(Finish::End),
            Some("length") => Some(Finish::Length),
            _ => None,
        };
        let count = |name: &str| {
            let value = answer.pointer(&format!("/usage/{name}")).and_then(Value::as_u64);
            value.and_then(|value| usize::try_from(value).ok())
        };
        let usage = count("prompt_tokens").zip(count("completion_tokens"));
        let logprobs = choice.get("logprobs").unwrap_or(&Value::Null);
        let pieces = if chat { chat_pieces(logprobs) } else { text_pieces(logprobs) };
        // The whole text has come; that the listener would have ended it earlier changes nothing.
        let finish = if listener(text).is_break() { None } else { finish };
        Ok(Answer { text: text.to_owned(), pieces, finish, usage })
    }

    fn score(&self, texts: &[(String, String)], adapter: Option<&str>) -> Result<Vec<Vec<Piece>>, Error> {
        let score = |(given, scored): &(String, String)| {
            let body = json!({
                "model": self.model(adapter), "prompt": format!("{given}{scored}"), "max_tokens": 1,
                "temperature": 0, "echo": true, "logprobs": 1,
            });
            let answer = self.post("completions", &body)?;
            let logprobs = answer.pointer("/choices/0/logprobs").unwrap_or(&Value::Null);
            let offsets = logprobs.get("text_offset").and_then(Value::as_array);
            let offsets =
                offsets.ok_or_else(|| self.refused("it does not echo log-probabilities of the prompt"))?;
            // Offsets count characters.
            let (from, to) = (given.chars().count(), given.chars().count() + scored.chars().count());
            let within = |offset: &Value| {
                offset.as_u64().is_some_and(|offset| offset >= from as u64 && offset < to as u64)
            };
            let pieces = text_pieces(logprobs);
            let chosen: Vec<Piece> = pieces
                .into_iter()
                .zip(offsets)
                .filter(|(_, offset)| within(offset))
                .map(|(piece, _)| piece)
                .collect();
            if chosen.is_empty() || chosen.iter().any(|piece| piece.logprob.is_none()) {
                return Err(self.refused("it lacks log-probabilities of the scored text"));
            }
            Ok(chosen)
        };
        texts.iter().map(score).collect()
    }
}

fn unusable(url: &str, reason: &str) -> Error {
    Error::RemoteAnswer { url: url.to_owned(), reason: shown(reason) }
}

#[allow(clippy::cast_possible_truncation, reason = "log-probabilities are single precision")]
fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|value| value as f32).filter(|value| value.is_finite())
}

fn chat_pieces(logprobs: &Value) -> Vec<Piece> {
    let text = |entry: &Value| entry.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
    let entries = logprobs.get("content").and_then(Value::as_array);
    let piece = |entry: &Value| Piece {
        text: text(entry),
        logprob: entry.get("logprob").and_then(number),
        top: entry
            .get("top_logprobs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|other| Some((text(other), other.get("logprob").and_then(number)?)))
            .collect(),
    };
    entries.into_iter().flatten().map(piece).collect()
}

fn text_pieces(logprobs: &Value) -> Vec<Piece> {
    let list = |name: &str| logprobs.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (tokens, values, tops) = (list("tokens"), list("token_logprobs"), list("top_logprobs"));
    let piece = |(at, token): (usize, &Value)| {
        let top = tops.get(at).and_then(Value::as_object).into_iter().flatten();
        let mut top: Vec<(String, f32)> =
            top.filter_map(|(text, value)| Some((text.clone(), number(value)?))).collect();
        top.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let logprob = values.get(at).and_then(number);
        Piece { text: token.as_str().unwrap_or_default().to_owned(), logprob, top }
    };
    tokens.iter().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests;
