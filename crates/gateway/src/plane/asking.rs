//! Asking engines, and what of their answers is passed on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use super::Plane;
use crate::body::Form;
use crate::members::{self, Asked};
use crate::refusal::shown;
use crate::routes::{Choice, Target};
use crate::traces::RequestSpan;
use crate::{Refusal, binding};

/// Engines of a state that are tried for one request.
const TRIES: usize = 3;

/// What is asked of engines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) path: &'static str,
    pub(super) bytes: &'q Bytes,
    pub(super) asked: &'q Asked<'q>,
    pub(super) headers: &'q HeaderMap,
}

/// Asks engines until one answers: those of the chosen state, then, where that is being released, those of what everybody
/// else has. No engine is asked once another's answer has begun.
///
/// A request that the new version refuses is asked of the old one too: where that answers, the new one is at fault, and
/// where it refuses as well, the client is, and nothing is counted.
pub(super) async fn ask(
    plane: &Plane,
    choice: &mut Choice,
    question: &Question<'_>,
    span: &mut Option<Box<RequestSpan>>,
) -> Result<(Response<Incoming>, Arc<Target>), Refusal> {
    let own = Arc::clone(&choice.target);
    let Some(spare) = choice.spare.clone() else {
        let found = one_of(plane, &own, question, span, Some(choice)).await?;
        return Ok((found, own));
    };
    let first = one_of(plane, &own, question, span, Some(choice)).await;
    if first.as_ref().is_ok_and(|response| response.status().is_success()) {
        return first.map(|response| (response, own));
    }
    plane.metrics.elsewhere.get_or_create(&[("model", shown(&question.asked.model))]).inc();
    match (one_of(plane, &spare, question, span, None).await, first) {
        (Ok(response), first) => {
            if first.is_ok() && response.status().is_success() {
                choice.fail();
            }
            Ok((response, spare))
        }
        (Err(_), Ok(response)) => Ok((response, own)),
        (Err(_), Err(refusal)) => Err(refusal),
    }
}

/// Asks the engines of a state until one answers. An engine that does not is counted against `judged`, whoever answers in its
/// place: retries hide from users what a version does, and must not hide it from its gate.
async fn one_of(
    plane: &Plane,
    target: &Target,
    question: &Question<'_>,
    span: &mut Option<Box<RequestSpan>>,
    mut judged: Option<&mut Choice>,
) -> Result<Response<Incoming>, Refusal> {
    let Question { path, bytes, asked, headers } = *question;
    let patience = Duration::from_millis(plane.limits.first_byte_ms);
    let model = || shown(&asked.model);
    let body = members::renamed(bytes, &asked.model, &target.engines.model);
    let mut last = Refusal::NoEngine { model: model() };
    let tied =
        target.engines.order().filter_map(|engine| Some((engine, engine.way(&plane.client, target.needed)?)));
    for (tried, (engine, (way, level))) in tied.take(TRIES).enumerate() {
        let at = &engine.at;
        let Some(mut request) = target.engines.request(engine, path, body.clone(), headers) else { continue };
        let asking = span.as_ref().map(|span| {
            span.ask(at, &target.engines.model, binding::shown(Some(level)), request.headers_mut())
        });
        if tried > 0 {
            plane.metrics.elsewhere.get_or_create(&[("model", model())]).inc();
        }
        last = match timeout(patience, way.send(request)).await {
            Err(_) => Refusal::EngineSlow { model: model(), ms: plane.limits.first_byte_ms },
            Ok(Err(error)) => {
                tracing::debug!(%at, %error, "an engine does not answer");
                Refusal::NoEngine { model: model() }
            }
            Ok(Ok(response)) if is_engines_fault(response.status()) => {
                Refusal::EngineFailed { model: model(), status: response.status().as_u16() }
            }
            Ok(Ok(mut response)) => {
                // What the answer's head says of it.
                response.extensions_mut().insert(level);
                if let Some((span, asking)) = span.as_mut().zip(asking) {
                    span.answered(asking, response.status().as_u16());
                }
                return Ok(response);
            }
        };
        if let Some(asking) = asking {
            asking.fail(last.code());
        }
        if let Some(choice) = &mut judged {
            choice.fail();
        }
    }
    if let Some(choice) = judged {
        choice.fail();
    }
    Err(last)
}

/// Whether another engine may do better: this one fails, is overloaded, or is not what the operator declares.
fn is_engines_fault(status: StatusCode) -> bool {
    let declared_wrongly = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || declared_wrongly.contains(&status)
}

/// How an engine's answer is written; others than two ways are not passed on.
pub(super) fn form(response: &Response<Incoming>, model: &str) -> Result<Form, Refusal> {
    let refuse = |reason| Err(Refusal::EngineAnswer { model: shown(model), reason });
    let status = response.status();
    if !status.is_success() && !status.is_client_error() {
        return refuse("its status is no answer");
    }
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return refuse("it is packed, and nobody asked for that");
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match kind.and_then(|kind| kind.split(';').next()).map(str::trim) {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(Form::Json),
        Some(kind) if kind.eq_ignore_ascii_case("text/event-stream") => Ok(Form::Events),
        _ => refuse("it is neither JSON nor a stream of events"),
    }
}
