//! What clients are refused with: OpenAI's shape, our codes.

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::body::Answer;

/// A refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No key, or one that nobody has.
    #[error("no known key was sent")]
    Unauthorised,
    /// There is nothing at this address.
    #[error("there is nothing at `{path}`")]
    NotFound {
        /// The path, shortened.
        path: String,
    },
    /// The address takes another method.
    #[error("`{path}` does not take `{method}`")]
    Method {
        /// The path.
        path: String,
        /// The method.
        method: String,
    },
    /// The body is not said to be JSON.
    #[error("the body is not said to be JSON")]
    MediaType,
    /// How long the body is, is not said in exactly one way.
    #[error("the body's length is not said by one `content-length`")]
    Framing,
    /// The body is too long.
    #[error("the body is longer than {limit} bytes")]
    BodyTooLong {
        /// The limit.
        limit: usize,
    },
    /// The body did not come.
    #[error("the body did not come within {ms} ms")]
    BodyTime {
        /// The limit.
        ms: u64,
    },
    /// The connection broke in the body.
    #[error("the body broke off")]
    BodyBroken,
    /// The body is no JSON object.
    #[error("the body is no JSON object: {reason}")]
    NotJson {
        /// What is wrong, with the place.
        reason: String,
    },
    /// A member that has another type.
    #[error("`{member}` is not {expected}")]
    Member {
        /// The member.
        member: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A member that would change what was approved.
    #[error("`{member}` would change the served state: {reason}")]
    AltersState {
        /// The member.
        member: String,
        /// What it would do.
        reason: &'static str,
    },
    /// A system prompt where the slot has its own.
    #[error("this model's system prompt is part of what was approved")]
    SystemPrompt,
    /// No such model.
    #[error("there is no model `{name}`")]
    UnknownModel {
        /// The name, shortened.
        name: String,
    },
    /// The key has too many requests under way.
    #[error("this key has {limit} requests under way")]
    Concurrency {
        /// The limit.
        limit: u32,
    },
    /// The key asks too often.
    #[error("this key may ask {limit} times a minute")]
    Rate {
        /// The limit.
        limit: u32,
    },
    /// Nothing may be served.
    #[error("`{model}` is not served: {reasons}")]
    NotServed {
        /// The model.
        model: String,
        /// The codes of the reasons.
        reasons: String,
    },
    /// No engine can be reached.
    #[error("no engine of `{model}` can be reached")]
    NoEngine {
        /// The model.
        model: String,
    },
    /// The engines refuse or fail.
    #[error("the engine of `{model}` fails with status {status}")]
    EngineFailed {
        /// The model.
        model: String,
        /// Its status.
        status: u16,
    },
    /// The engine says nothing.
    #[error("the engine of `{model}` did not answer within {ms} ms")]
    EngineSlow {
        /// The model.
        model: String,
        /// The limit.
        ms: u64,
    },
    /// What the engine answers is nothing that is passed on.
    #[error("the engine of `{model}` answers what is not passed on: {reason}")]
    EngineAnswer {
        /// The model.
        model: String,
        /// What.
        reason: &'static str,
    },
    /// An answer that had begun has broken off.
    #[error("the engine's answer broke off: {reason}")]
    BrokenOff {
        /// Why.
        reason: &'static str,
    },
    /// The gateway ends.
    #[error("this gateway is stopping")]
    Draining,
}

impl Refusal {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorised => "CS-GWY-040",
            Self::NotFound { .. } => "CS-GWY-041",
            Self::Method { .. } => "CS-GWY-042",
            Self::MediaType => "CS-GWY-043",
            Self::Framing => "CS-GWY-044",
            Self::BodyTooLong { .. } => "CS-GWY-045",
            Self::BodyTime { .. } => "CS-GWY-046",
            Self::BodyBroken => "CS-GWY-047",
            Self::NotJson { .. } => "CS-GWY-048",
            Self::Member { .. } => "CS-GWY-049",
            Self::AltersState { .. } => "CS-GWY-050",
            Self::SystemPrompt => "CS-GWY-051",
            Self::UnknownModel { .. } => "CS-GWY-052",
            Self::Concurrency { .. } => "CS-GWY-053",
            Self::Rate { .. } => "CS-GWY-054",
            Self::NotServed { .. } => "CS-GWY-055",
            Self::NoEngine { .. } => "CS-GWY-056",
            Self::EngineFailed { .. } => "CS-GWY-057",
            Self::EngineSlow { .. } => "CS-GWY-058",
            Self::EngineAnswer { .. } => "CS-GWY-059",
            Self::BrokenOff { .. } => "CS-GWY-060",
            Self::Draining => "CS-GWY-061",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unauthorised => "send `Authorization: Bearer KEY`",
            Self::NotFound { .. } => {
                "there are /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models, /healthz and /metrics"
            }
            Self::Method { .. } => "generations are asked for with POST, all else with GET",
            Self::MediaType => "send the header `content-type: application/json`",
            Self::Framing => "send one `content-length` and no `transfer-encoding`",
            Self::BodyTooLong { .. } => "shorten the request",
            Self::BodyTime { .. } | Self::BodyBroken => "send the whole body at once",
            Self::NotJson { .. } => "send one JSON object",
            Self::Member { .. } => "correct the member",
            Self::AltersState { .. } => {
                "leave the member out; what is served changes by a release order alone"
            }
            Self::SystemPrompt => {
                "ask for a chat, with messages of the roles `user`, `assistant`, `tool` and `function` alone"
            }
            Self::UnknownModel { .. } => "`GET /v1/models` lists the names",
            Self::Concurrency { .. } | Self::Rate { .. } => "ask again later, and more slowly",
            Self::NotServed { .. } => "`GET /healthz` and the gateway's log say what it could not verify",
            Self::NoEngine { .. } | Self::EngineFailed { .. } | Self::EngineAnswer { .. } => {
                "look into the engine's log"
            }
            Self::EngineSlow { .. } | Self::BrokenOff { .. } => "ask again, or for less",
            Self::Draining => "ask another gateway, or this one when it is back",
        }
    }

    /// The status of HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::NotFound { .. } | Self::UnknownModel { .. } => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Framing => StatusCode::LENGTH_REQUIRED,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTime { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken
            | Self::NotJson { .. }
            | Self::Member { .. }
            | Self::AltersState { .. }
            | Self::SystemPrompt => StatusCode::BAD_REQUEST,
            Self::Concurrency { .. } | Self::Rate { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotServed { .. } | Self::NoEngine { .. } | Self::Draining => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::EngineFailed { .. } | Self::EngineAnswer { .. } | Self::BrokenOff { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Self::EngineSlow { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// OpenAI's word for what kind of error this is.
    fn kind(&self) -> &'static str {
        match self.status() {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Member { member, .. } | Self::AltersState { member, .. } => Some(member),
            Self::UnknownModel { .. } => Some("model"),
            Self::SystemPrompt => Some("messages"),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Concurrency { .. } | Self::Rate { .. } => Some("1"),
            Self::NotServed { .. } | Self::NoEngine { .. } | Self::Draining => Some("5"),
            _ => None,
        }
    }

    /// The error as OpenAI's interface writes it.
    pub fn body(&self) -> Value {
        let message = format!("{self}; {}", self.hint());
        json!({ "error": { "message": message, "type": self.kind(), "param": self.param(), "code": self.code() } })
    }

    /// The whole answer.
    pub(crate) fn response(&self) -> Response<Answer> {
        let mut response = Response::new(Answer::whole(Bytes::from(self.body().to_string())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if *self == Self::Unauthorised {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self, Self::Framing | Self::BodyTooLong { .. } | Self::BodyTime { .. } | Self::BodyBroken)
        {
            // What is left of the body must not be taken for another request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A stranger's text, escaped and shortened, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('\u{2026}');
    }
    shown
}
