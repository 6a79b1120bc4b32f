//! Why a request is refused or its answer breaks off: in OpenAI's form, with a stable code.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use modelbox::{Broken, Fault};
use serde_json::{Value, json};

use crate::members::wrong;

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is not a JSON object.
    #[error("the request's body is not a JSON object: {reason}")]
    NotJson {
        /// Why.
        reason: String,
    },
    /// A member that is missing, of the wrong type or out of range.
    #[error("`{member}` must be {expected}")]
    Member {
        /// Where in the request.
        member: String,
        /// What it must be.
        expected: String,
    },
    /// A member that asks for what this engine does not do.
    #[error("`{member}` is not supported here: {reason}")]
    Unsupported {
        /// Where in the request.
        member: String,
        /// What is not done.
        reason: &'static str,
    },
    /// No model or adapter of that name.
    #[error("there is no model `{name}`; there are {known}")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The body is longer than the limit.
    #[error("the request's body has more than {limit} bytes")]
    BodyTooLong {
        /// The limit.
        limit: usize,
    },
    /// The prompt is longer than the context.
    #[error("the prompt has {tokens} tokens, and the context {limit}")]
    PromptTooLong {
        /// How many it has.
        tokens: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many requests wait.
    #[error("{waiting} requests are waiting already")]
    Overloaded {
        /// How many.
        waiting: usize,
    },
    /// No generating thread became free in time.
    #[error("no answer could be begun within {seconds} s")]
    QueueWait {
        /// The limit.
        seconds: u64,
    },
    /// The engine is being stopped.
    #[error("this engine is being stopped")]
    Draining,
    /// No key, or not one that is known.
    #[error("the request has no API key that is known here")]
    Unauthorised,
    /// No such address.
    #[error("there is nothing at `{path}`")]
    NotFound {
        /// The path.
        path: String,
    },
    /// The address is there, the method is not.
    #[error("`{path}` does not take `{method}`")]
    Method {
        /// The path.
        path: String,
        /// The method.
        method: String,
    },
    /// The body is not said to be JSON.
    #[error("the request's `content-type` is not `application/json`")]
    MediaType,
    /// The `Host` header names another machine, so a web page may be behind the request.
    #[error("the request is for the host `{host}`, and this engine serves its own machine alone")]
    Host {
        /// The header's value.
        host: String,
    },
    /// The client sends its body too slowly.
    #[error("the request's body did not come within {seconds} s")]
    BodyTime {
        /// The limit.
        seconds: u64,
    },
    /// The body broke off.
    #[error("the request's body broke off")]
    BodyBroken,
    /// The answer takes longer than a request may.
    #[error("the answer took longer than {seconds} s")]
    RequestTime {
        /// The limit.
        seconds: u64,
    },
    /// The client does not read its answer.
    #[error("the client did not read its answer for {seconds} s")]
    Reader {
        /// The limit.
        seconds: u64,
    },
    /// The model cannot be run on this request.
    #[error("{message}")]
    Model {
        /// The model's own code.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// Whose fault it is.
        fault: Fault,
    },
    /// The model is of the other kind.
    #[error("`{name}` is not a model for {asked}")]
    Purpose {
        /// The model's name.
        name: String,
        /// What was asked for.
        asked: &'static str,
    },
    /// The generation ended without a word.
    #[error("the generation failed")]
    Failed,
    /// The worker that ran the model ended, or was ended.
    #[error("the worker that runs the model ended: {why}")]
    WorkerGone {
        /// What was seen of its end.
        why: String,
    },
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::NotJson { .. } => "CS-ENG-020",
            Self::Member { .. } => "CS-ENG-021",
            Self::Unsupported { .. } => "CS-ENG-022",
            Self::UnknownModel { .. } => "CS-ENG-023",
            Self::BodyTooLong { .. } => "CS-ENG-024",
            Self::PromptTooLong { .. } => "CS-ENG-025",
            Self::Overloaded { .. } => "CS-ENG-026",
            Self::QueueWait { .. } => "CS-ENG-027",
            Self::Draining => "CS-ENG-028",
            Self::Unauthorised => "CS-ENG-029",
            Self::NotFound { .. } => "CS-ENG-030",
            Self::Method { .. } => "CS-ENG-031",
            Self::MediaType => "CS-ENG-032",
            Self::Host { .. } => "CS-ENG-033",
            Self::BodyTime { .. } => "CS-ENG-034",
            Self::BodyBroken => "CS-ENG-035",
            Self::RequestTime { .. } => "CS-ENG-036",
            Self::Reader { .. } => "CS-ENG-037",
            Self::Failed => "CS-ENG-038",
            Self::WorkerGone { .. } => "CS-ENG-039",
            Self::Purpose { .. } => "CS-ENG-040",
            Self::Model { code, .. } => code,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::NotJson { .. } => "send one JSON object",
            Self::Member { .. } => "correct the member",
            Self::Unsupported { .. } => "leave the member out",
            Self::UnknownModel { .. } => "`GET /v1/models` lists the names",
            Self::BodyTooLong { .. } => "shorten the request",
            Self::PromptTooLong { .. } => {
                "shorten the prompt; --context makes room up to what the model was made for, and no further"
            }
            Self::Overloaded { .. } | Self::QueueWait { .. } => "ask again later, and more slowly",
            Self::Draining => "ask another engine, or this one when it is back",
            Self::Unauthorised => "send `Authorization: Bearer KEY`",
            Self::NotFound { .. } => {
                "there are /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models, /health and /metrics"
            }
            Self::Method { .. } => "generations are asked for with POST, all else with GET",
            Self::MediaType => "send the header `content-type: application/json`",
            Self::Host { .. } => {
                "ask for `localhost` or `127.0.0.1`; for other names start the engine with --api-key-file"
            }
            Self::BodyTime { .. } | Self::BodyBroken => "send the whole body at once",
            Self::RequestTime { .. } => "ask for fewer tokens",
            Self::Reader { .. } => "read answers as they come",
            Self::Failed => "look into the engine's log",
            Self::WorkerGone { .. } => "ask again when `/health` says `ready`: the worker is started again",
            Self::Purpose { .. } => {
                "encoders answer at /v1/embeddings, models that continue texts at the other addresses"
            }
            Self::Model { hint, .. } => hint,
        }
    }

    /// The status of HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotJson { .. }
            | Self::Member { .. }
            | Self::Unsupported { .. }
            | Self::PromptTooLong { .. }
            | Self::Purpose { .. }
            | Self::BodyBroken
            | Self::Model { fault: Fault::Client, .. } => StatusCode::BAD_REQUEST,
            Self::UnknownModel { .. } | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::QueueWait { .. } | Self::Draining | Self::WorkerGone { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Host { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::BodyTime { .. } | Self::Reader { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::RequestTime { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Model { fault: Fault::Server, .. } | Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
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

    /// The member of the request that is at fault, where one is.
    fn param(&self) -> Option<&str> {
        match self {
            Self::Member { member, .. } | Self::Unsupported { member, .. } => Some(member),
            Self::UnknownModel { .. } | Self::Purpose { .. } => Some("model"),
            _ => None,
        }
    }

    /// Whole seconds after which the same request may succeed.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Overloaded { .. } => Some("1"),
            Self::QueueWait { .. } | Self::Draining | Self::WorkerGone { .. } => Some("5"),
            _ => None,
        }
    }

    /// The error as OpenAI's interface writes it.
    pub fn body(&self) -> Value {
        let message = format!("{self}; {}", self.hint());
        let error =
            json!({ "message": message, "type": self.kind(), "param": self.param(), "code": self.code() });
        json!({ "error": error })
    }

    /// The whole answer.
    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body().to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if *self == Self::Unauthorised {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Prompt { expected } => wrong("prompt", &expected),
            Broken::TooLong { tokens, limit } => Self::PromptTooLong { tokens, limit },
            Broken::Model { code, message, hint, fault } => Self::Model { code, message, hint, fault },
            Broken::Gone { why } => Self::WorkerGone { why },
            Broken::Stopped | Broken::Failed => Self::Failed,
        }
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
