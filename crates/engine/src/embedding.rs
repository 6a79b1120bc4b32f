//! `POST /v1/embeddings`: texts as vectors, by a model that is an encoder.
//!
//! What this module does not do: cut texts that are too long, or texts' vectors by models that continue texts. Both would be
//! answers to something else than was asked.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use modelbox::{Prompt, Purpose, Vector};
use serde_json::{Value, json};

use crate::Refusal;
use crate::app::{App, Tally, queued, received, refused, whole};
use crate::job::{Event, Work};
use crate::members::{Members, unsupported, wrong};

/// Most texts of a request, as OpenAI's.
const TEXTS_MAX: usize = 2048;

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// As arrays of numbers.
    Float,
    /// As the base64 of single-precision numbers, the least byte first.
    Base64,
}

/// A request that was read.
#[derive(Debug)]
struct Asked {
    model: String,
    texts: Vec<Prompt>,
    encoding: Encoding,
    dimensions: Option<usize>,
}

/// Answers a request.
pub(crate) async fn embed(app: Arc<App>, request: Request) -> Response<Body> {
    let mut tally = Tally::new(Arc::clone(&app), "embeddings");
    match vectors(&app, &tally, request).await {
        Ok(text) => {
            "ok".clone_into(&mut tally.outcome);
            whole(text)
        }
        Err(refusal) => refused(tally, &refusal),
    }
}

async fn vectors(app: &Arc<App>, tally: &Tally, request: Request) -> Result<String, Refusal> {
    let (caller, body) = received(app, request).await?;
    let asked = read(&body)?;
    drop(body);
    app.engine.adapter(&asked.model)?;
    let Purpose::Vectors { width } = app.engine.purpose() else {
        return Err(Refusal::Purpose { name: asked.model, asked: "embeddings" });
    };
    if asked.dimensions.is_some_and(|dimensions| dimensions != width) {
        return Err(unsupported("dimensions", "vectors have the width of the model"));
    }
    let count = asked.texts.len();
    let mut answering = queued(app, Work::Embed(asked.texts), caller, tally.came()).await?;
    let mut vectors = Vec::with_capacity(count);
    loop {
        match answering.next().await {
            Event::Vectors(more) => vectors.extend(more),
            Event::Ended { .. } => break,
            Event::Failed(refusal) => return Err(refusal),
            Event::Begun { .. } | Event::Text { .. } => {}
        }
    }
    if vectors.len() != count {
        return Err(Refusal::Failed);
    }
    written(&asked.model, &vectors, asked.encoding)
}

fn read(body: &Bytes) -> Result<Asked, Refusal> {
    let value: Value =
        serde_json::from_slice(body).map_err(|cause| Refusal::NotJson { reason: cause.to_string() })?;
    let object =
        value.as_object().ok_or_else(|| Refusal::NotJson { reason: "it is another value".to_owned() })?;
    let members = Members(object);
    let model = members.text("model")?.filter(|name| !name.is_empty());
    let model = model.ok_or_else(|| wrong("model", "the name of a model"))?.to_owned();
    let encoding = match members.text("encoding_format")? {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(wrong("encoding_format", "`float` or `base64`")),
    };
    let dimensions = members.count("dimensions", 1, 1 << 18)?;
    Ok(Asked { model, texts: texts(members.value("input"))?, encoding, dimensions })
}

fn texts(value: Option<&Value>) -> Result<Vec<Prompt>, Refusal> {
    let wrong = || wrong("input", "a text or tokens, or an array of 1 to 2048 of them, none of them empty");
    let one = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Ok(Prompt::Text(text.clone())),
        Value::Array(tokens) if !tokens.is_empty() => {
            let token = |value: &Value| value.as_u64().and_then(|token| u32::try_from(token).ok());
            let tokens: Option<Vec<u32>> = tokens.iter().map(token).collect();
            tokens.map(Prompt::Tokens).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    };
    match value {
        Some(Value::Array(parts)) if parts.iter().any(|part| part.is_string() || part.is_array()) => {
            if parts.len() > TEXTS_MAX {
                return Err(wrong());
            }
            parts.iter().map(one).collect()
        }
        Some(value) => Ok(vec![one(value)?]),
        None => Err(wrong()),
    }
}

/// The answer. Numbers are written with as many digits as single precision needs, which [`Value`] would not do.
fn written(model: &str, vectors: &[Vector], encoding: Encoding) -> Result<String, Refusal> {
    let mut items = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.iter().enumerate() {
        let embedding = match encoding {
            Encoding::Float => serde_json::to_string(&vector.values).map_err(|_| Refusal::Failed)?,
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.values.iter().flat_map(|x| x.to_le_bytes()).collect();
                Value::from(STANDARD.encode(bytes)).to_string()
            }
        };
        items.push(format!(r#"{{"object":"embedding","index":{index},"embedding":{embedding}}}"#));
    }
    let tokens: usize = vectors.iter().map(|vector| vector.tokens).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    let (model, items) = (Value::from(model), items.join(","));
    Ok(format!(r#"{{"object":"list","data":[{items}],"model":{model},"usage":{usage}}}"#))
}
