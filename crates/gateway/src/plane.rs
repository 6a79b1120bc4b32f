//! One request from its head to its answer.

mod asking;
mod shadow;
mod tapped;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use statement::kind::BindingLevel;
use statement::{Digest, SlotId, StateId};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use self::asking::{Question, ask, form};
use crate::binding;
use crate::body::{Answer, Bounds, Cutter, Form};
use crate::callers::{Caller, Callers, Turn};
use crate::config::{SystemPrompts, Unit};
use crate::engines::Client;
use crate::members::{self, Asked};
use crate::metrics::Metrics;
use crate::refusal::shown;
use crate::routes::{Choice, Lane, Routes, Target};
use crate::sessions::Sessions;
use crate::tap::{Seen, Tap};
use crate::traces::{RequestSpan, Tracing};
use crate::{Clock, Error, Limits, Refusal};

/// What all requests share.
pub(crate) struct Plane {
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) callers: Callers,
    pub(crate) sessions: Sessions,
    pub(crate) client: Client,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    /// A clock that never goes back, for rates.
    pub(crate) started: Instant,
    /// What the warden says of itself, as `/healthz` shows it.
    pub(crate) health: ArcSwap<Health>,
    pub(crate) under_way: watch::Sender<usize>,
    /// Room for copies of requests.
    pub(crate) shadows: Arc<Semaphore>,
    /// What monitors see.
    pub(crate) tap: Tap,
    /// What a collector of traces sees.
    pub(crate) traces: Tracing,
    /// Versions of slots whose answers are cut off, whatever is under way.
    pub(crate) cut: watch::Sender<BTreeSet<(SlotId, StateId)>>,
}

impl std::fmt::Debug for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plane").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What `/healthz` answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    /// Whether every slot is served.
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) text: String,
}

/// Counts a request until it has been answered in full, or left.
#[derive(Debug)]
pub(crate) struct Tracked {
    plane: Arc<Plane>,
    came: Instant,
    model: String,
    arm: &'static str,
    outcome: &'static str,
    /// What monitors are told of it.
    seen: Option<Box<Seen>>,
    span: Option<Box<RequestSpan>>,
}

impl Tracked {
    fn new(plane: &Arc<Plane>, span: Option<Box<RequestSpan>>) -> Self {
        plane.metrics.under_way.inc();
        plane.under_way.send_modify(|count| *count += 1);
        Self {
            plane: Arc::clone(plane),
            came: Instant::now(),
            model: String::new(),
            arm: "none",
            outcome: "cancelled",
            seen: None,
            span,
        }
    }

    /// A piece of its answer.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        if let Some(seen) = self.seen() {
            seen.feed(piece);
        }
        if let Some(span) = &mut self.span {
            span.feed(piece);
        }
    }

    /// What monitors are told of it.
    fn seen(&mut self) -> Option<&mut Seen> {
        self.seen.as_deref_mut()
    }

    /// Tells which versions are cut off.
    pub(crate) fn cut(&self) -> watch::Receiver<BTreeSet<(SlotId, StateId)>> {
        self.plane.cut.subscribe()
    }

    /// The version that was chosen is at fault.
    pub(crate) fn fail(&mut self) {
        if let Some(seen) = self.seen() {
            seen.fail();
        }
    }

    pub(crate) const fn outcome(&mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(mut seen) = self.seen.take() {
            self.plane.tap.settle(&mut seen, (self.plane.clock)());
        }
        if let Some(span) = self.span.take() {
            span.end(self.outcome);
        }
        let metrics = &self.plane.metrics;
        let model = std::mem::take(&mut self.model);
        let labels = [("model", model), ("arm", self.arm.to_owned()), ("outcome", self.outcome.to_owned())];
        metrics.requests.get_or_create(&labels).inc();
        metrics.request.observe(self.came.elapsed().as_secs_f64());
        metrics.under_way.dec();
        self.plane.under_way.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Answers a request.
pub(crate) async fn answer(plane: Arc<Plane>, request: Request<Incoming>) -> Response<Answer> {
    let path = match request.uri().path() {
        "/healthz" if request.method() == Method::GET => return health(&plane),
        "/v1/chat/completions" => "/v1/chat/completions",
        "/v1/completions" => "/v1/completions",
        "/v1/embeddings" => "/v1/embeddings",
        "/tap" if plane.tap.is_on() => return tapped::answer(&plane, request).await,
        _ => return other(&plane, &request),
    };
    let mut tracked = Tracked::new(&plane, plane.traces.begin(path, request.headers()));
    match pass(&plane, &mut tracked, request, path).await {
        Ok(passing) => passing.response(tracked),
        Err(refusal) => {
            tracked.outcome(refusal.code());
            refusal.response()
        }
    }
}

fn health(plane: &Plane) -> Response<Answer> {
    let health = plane.health.load();
    let mut response = Response::new(Answer::whole(Bytes::from(health.text.clone())));
    if !health.ready || health.draining {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The list of models, the metrics, and what is not there.
fn other(plane: &Plane, request: &Request<Incoming>) -> Response<Answer> {
    let path = request.uri().path();
    if caller(plane, request.headers()).is_none() {
        return Refusal::Unauthorised.response();
    }
    let model = path.strip_prefix("/v1/models/");
    if path != "/v1/models" && path != "/metrics" && model.is_none() {
        return Refusal::NotFound { path: shown(path) }.response();
    }
    if request.method() != Method::GET {
        return Refusal::Method { path: shown(path), method: shown(request.method().as_str()) }.response();
    }
    let (kind, text) = match model {
        _ if path == "/metrics" => {
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", plane.metrics.text())
        }
        None => {
            let routes = plane.routes.load();
            let data: Vec<_> = routes.lanes.iter().map(|(name, lane)| entry(name, lane)).collect();
            ("application/json", json!({ "object": "list", "data": data }).to_string())
        }
        Some(name) => match plane.routes.load().lanes.get(name) {
            Some(lane) => ("application/json", entry(name, lane).to_string()),
            None => return Refusal::UnknownModel { name: shown(name) }.response(),
        },
    };
    let mut response = Response::new(Answer::whole(Bytes::from(text)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn entry(name: &str, lane: &Lane) -> serde_json::Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": lane.slot.as_str() })
}

fn caller<'p>(plane: &'p Plane, headers: &HeaderMap) -> Option<&'p Arc<Caller>> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    // Two of them are read differently by different programs.
    if second.is_some() { None } else { plane.callers.find(first.map(HeaderValue::as_bytes)) }
}

/// An answer that is about to be passed on.
struct Passing {
    response: Response<Incoming>,
    form: Form,
    slot: SlotId,
    target: Arc<Target>,
    choice: Choice,
    turn: Turn,
    bounds: Bounds,
}

/// Checks a request, chooses its way, and asks engines until one answers.
async fn pass(
    plane: &Arc<Plane>,
    tracked: &mut Tracked,
    request: Request<Incoming>,
    path: &'static str,
) -> Result<Passing, Refusal> {
    let (parts, body) = request.into_parts();
    let Some(caller) = caller(plane, &parts.headers) else { return Err(Refusal::Unauthorised) };
    if parts.method != Method::POST {
        return Err(Refusal::Method { path: path.to_owned(), method: shown(parts.method.as_str()) });
    }
    check_head(&parts.headers)?;
    let now_us = u64::try_from(plane.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let turn = caller.turn(now_us)?;
    let bytes = whole(plane, body).await?;
    let read = Instant::now();
    let asked = members::read(&bytes)?;
    let routes = plane.routes.load();
    if !routes.is_good(&plane.limits) {
        let reasons = Error::Unverified.code().to_owned();
        return Err(Refusal::NotServed { model: shown(&asked.model), reasons });
    }
    let unknown = || Refusal::UnknownModel { name: shown(&asked.model) };
    let lane = routes.lanes.get(asked.model.as_ref()).ok_or_else(unknown)?;
    tracked.model = asked.model.clone().into_owned();
    // A completion's prompt is the template's text itself, and so it can hold any system prompt.
    let is_raw = path == "/v1/completions";
    if lane.system_prompts == SystemPrompts::Refused && (asked.system || is_raw) {
        return Err(Refusal::SystemPrompt);
    }
    let unit = unit(lane, caller, &parts.headers, &asked);
    let not_served = || Refusal::NotServed { model: shown(&asked.model), reasons: lane.reasons.join(", ") };
    let mut choice =
        lane.choose(&unit, caller.context, (plane.clock)(), &plane.sessions).ok_or_else(not_served)?;
    tracked.arm = choice.arm;
    let slot = lane.slot.clone();
    if let Some(span) = &mut tracked.span {
        span.chosen(&asked.model, &slot, &choice);
    }
    let place = (slot.clone(), choice.target.state, choice.arm);
    tracked.seen = plane.tap.see(place, tracked.came, &bytes, &caller.hash);
    drop(routes);
    let question = Question { path, bytes: &bytes, asked: &asked, headers: &parts.headers };
    if let Some(mirror) = choice.mirror.take() {
        shadow::send(plane, mirror, &question);
    }
    let until = tracked.came + Duration::from_millis(plane.limits.request_ms);
    let before = read.elapsed();
    let answered = ask(plane, &mut choice, &question, &mut tracked.span).await;
    let (response, target) = answered.inspect_err(|_| tracked.fail())?;
    let back = Instant::now();
    let form = form(&response, &asked.model).inspect_err(|_| {
        choice.fail();
        tracked.fail();
    })?;
    if let Some(seen) = tracked.seen() {
        if !Arc::ptr_eq(&target, &choice.target) && response.status().is_success() {
            seen.answered_elsewhere();
        }
        if !response.status().is_success() {
            seen.excuse();
        }
    }
    if let Some(sample) = choice.sample.as_mut().filter(|_| !response.status().is_success()) {
        sample.refuse();
    }
    let bounds = Bounds {
        bytes: plane.limits.answer_bytes,
        between: Duration::from_millis(plane.limits.between_ms),
        until: until.into(),
    };
    plane.metrics.overhead.observe((before + back.elapsed()).as_secs_f64());
    Ok(Passing { response, form, slot, target, choice, turn, bounds })
}

/// Framing that two programs may read differently is refused; what is passed on has a head of the gateway's own.
fn check_head(headers: &HeaderMap) -> Result<(), Refusal> {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if headers.contains_key(header::TRANSFER_ENCODING)
        || lengths != 1
        || headers.contains_key(header::UPGRADE)
    {
        return Err(Refusal::Framing);
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::MediaType);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    // A web page can send other types without asking whether it may.
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        Ok(())
    } else {
        Err(Refusal::MediaType)
    }
}

/// The body, if it is short enough and comes soon enough.
async fn whole(plane: &Plane, body: Incoming) -> Result<Bytes, Refusal> {
    let limits = &plane.limits;
    let limit = limits.body_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::BodyTooLong { limit });
    }
    let read = Limited::new(body, limit).collect();
    let read = timeout(Duration::from_millis(limits.body_ms), read).await;
    match read {
        Err(_) => Err(Refusal::BodyTime { ms: limits.body_ms }),
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLong { limit }),
        Ok(Err(_)) => Err(Refusal::BodyBroken),
    }
}

/// What stays the same from request to request. Units of one key are never those of another.
fn unit(lane: &Lane, caller: &Caller, headers: &HeaderMap, asked: &Asked<'_>) -> Digest {
    let found = lane.unit.iter().find_map(|unit| match unit {
        Unit::Header(name) => {
            let value = headers.get(name).filter(|value| !value.is_empty())?;
            Some((name.as_bytes(), value.as_bytes()))
        }
        Unit::User => {
            let user = asked.user.as_ref().filter(|user| !user.is_empty())?;
            Some((&b"user"[..], user.as_bytes()))
        }
    });
    let (kind, value) = found.unwrap_or_default();
    let slot = lane.slot.as_str().as_bytes();
    let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
    Digest::of_parts(&[
        b"countersign gateway unit v1\0",
        &length(slot),
        slot,
        &caller.hash,
        &length(kind),
        kind,
        value,
    ])
}

impl Passing {
    fn response(self, tracked: Tracked) -> Response<Answer> {
        let (parts, incoming) = self.response.into_parts();
        let cut = Cutter::of(self.slot, self.target.state, &tracked);
        let turn = self.turn;
        let answer =
            Answer::passed(incoming, self.form, self.bounds, self.choice.sample, (tracked, cut), turn);
        let mut response = Response::new(answer);
        *response.status_mut() = parts.status;
        // A head of the gateway's own: an engine sets no cookies and no framing for the gateway's clients.
        let headers = response.headers_mut();
        match self.form {
            Form::Json => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Form::Events => {
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/event-stream; charset=utf-8"),
                );
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                // Proxies that gather answers would hold a stream back.
                headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            }
        }
        for name in ["x-request-id", "retry-after"] {
            if let Some(value) = parts.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        headers.insert("x-countersign-change", self.target.change_header.clone());
        headers.insert("x-countersign-state", self.target.state_header.clone());
        // How strongly the engine that answers is tied to the state.
        let level = parts.extensions.get::<BindingLevel>().copied();
        headers.insert("x-countersign-binding", HeaderValue::from_static(binding::shown(level)));
        response
    }
}
