//! `/tap`: where monitors read what was counted, and say what they make of it.
//!
//! Who may is told by a token of its own: a monitor's says nothing to models, and a client's reads no counts. What is said
//! has its own signatures, which the warden verifies; here it is only bounded and read.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response};
use statement::Envelope;
use watch::window::Said;

use super::{Plane, check_head, whole};
use crate::Refusal;
use crate::body::Answer;
use crate::refusal::shown;

/// Statements in one message at most.
const SAID_MAX: usize = 32;

/// Answers a monitor.
pub(super) async fn answer(plane: &Plane, request: Request<Incoming>) -> Response<Answer> {
    match hear(plane, request).await {
        Ok(text) => {
            let mut response = Response::new(Answer::whole(Bytes::from(text)));
            let kind = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(refusal) => refusal.response(),
    }
}

async fn hear(plane: &Plane, request: Request<Incoming>) -> Result<String, Refusal> {
    let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    let known = plane.tap.knows(first.map(HeaderValue::as_bytes)).filter(|_| second.is_none());
    let Some(monitor) = known else { return Err(Refusal::Unauthorised) };
    let now_ms = (plane.clock)();
    if !plane.tap.may_ask(monitor, now_ms) {
        return Err(Refusal::Rate { limit: 60 });
    }
    match *request.method() {
        Method::GET => {
            let after = request.uri().query().and_then(|query| query.strip_prefix("after="));
            let after = match after.map(str::parse) {
                None => 0,
                Some(Ok(after)) => after,
                Some(Err(_)) => {
                    return Err(Refusal::Member { member: "after".to_owned(), expected: "a second" });
                }
            };
            let unreadable = |reason: String| Refusal::NotJson { reason: shown(&reason) };
            let tapped = plane.tap.tapped(after, now_ms).map_err(|error| unreadable(error.to_string()))?;
            serde_json::to_string(&tapped).map_err(|error| unreadable(error.to_string()))
        }
        Method::POST => {
            check_head(request.headers())?;
            let bytes = whole(plane, request.into_body()).await?;
            let said = read(&bytes)?;
            if !plane.tap.hear(monitor, said, now_ms) {
                return Err(Refusal::Rate { limit: 60 });
            }
            Ok("{}".to_owned())
        }
        _ => {
            let method = shown(request.method().as_str());
            Err(Refusal::Method { path: "/tap".to_owned(), method })
        }
    }
}

/// The statements of a message, in the one form that envelopes have.
fn read(bytes: &[u8]) -> Result<Vec<Envelope>, Refusal> {
    let unreadable = |reason: String| Refusal::NotJson { reason: shown(&reason) };
    let said: Said = serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    if said.say.len() > SAID_MAX {
        return Err(Refusal::Member { member: "say".to_owned(), expected: "at most 32 statements" });
    }
    said.say
        .iter()
        .map(|envelope| Envelope::parse(&envelope.to_bytes()?))
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(error.to_string()))
}
