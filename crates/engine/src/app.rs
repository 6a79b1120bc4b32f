//! The addresses of the interface, and how requests become answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State as Sharing};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use futures::StreamExt as _;
use modelbox::Purpose;
use modelbox::boxed::State;
use modelbox::files::hex;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::answer::{Whole, Writer};
use crate::clock::unix_s;
use crate::job::{Engine, Event, Job, Prompt, Work};
use crate::keys::{Caller, Keys};
use crate::metrics::Metrics;
use crate::queue::{Full, Queue};
use crate::refusal::shown;
use crate::request::{self, Delivery, Form, Usage};
use crate::{Refusal, embedding, host, listing};

/// Where an engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It takes requests.
    Serving,
    /// It finishes what has begun.
    Draining,
    /// It ends, whatever is under way.
    Ending,
}

/// What all requests share.
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) keys: Option<Keys>,
    pub(crate) queue: Queue<Job>,
    pub(crate) metrics: Metrics,
    pub(crate) phase: watch::Sender<Phase>,
    /// Requests to generate that have not been answered in full.
    pub(crate) under_way: watch::Sender<usize>,
    pub(crate) started: i64,
}

/// Events of a generation that wait for their client.
const EVENTS: usize = 64;
/// A body that is too long is read on, so that the client hears why, up to so many times its limit.
const OVERLONG: usize = 16;
/// How much later than a generation its answer is given up.
const GRACE: Duration = Duration::from_secs(15);

type Shared = Sharing<Arc<App>>;

/// The routes.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let guarded =
        Router::new()
            .route(
                "/v1/chat/completions",
                post(|Sharing(app): Shared, request: Request| async move {
                    generate(app, Form::Chat, request).await
                }),
            )
            .route(
                "/v1/completions",
                post(|Sharing(app): Shared, request: Request| async move {
                    generate(app, Form::Text, request).await
                }),
            )
            .route(
                "/v1/embeddings",
                post(
                    |Sharing(app): Shared, request: Request| async move { embedding::embed(app, request).await },
                ),
            )
            .route("/v1/models", get(models))
            .route("/v1/models/{*name}", get(model))
            .route("/metrics", get(metrics))
            .method_not_allowed_fallback(wrong_method)
            .fallback(nothing)
            .layer(middleware::from_fn_with_state(Arc::clone(app), guard));
    Router::new().route("/health", get(health)).merge(guarded).with_state(Arc::clone(app))
}

/// Lets through who may ask.
async fn guard(Sharing(app): Shared, mut request: Request, next: Next) -> Response<Body> {
    match caller(&app, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.response(),
    }
}

fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match &app.keys {
        Some(keys) => {
            let key = text(header::AUTHORIZATION).and_then(|value| {
                let (scheme, key) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
            });
            key.and_then(|key| keys.caller(key)).ok_or(Refusal::Unauthorised)
        }
        None => match text(header::HOST) {
            Some(host) if !host::is_local(host) => Err(Refusal::Host { host: shown(host) }),
            _ => Ok(Caller(None)),
        },
    }
}

async fn nothing(request: Request) -> Response<Body> {
    Refusal::NotFound { path: shown(request.uri().path()) }.response()
}

async fn wrong_method(request: Request) -> Response<Body> {
    let method = shown(request.method().as_str());
    Refusal::Method { path: shown(request.uri().path()), method }.response()
}

async fn health(Sharing(app): Shared) -> Response<Body> {
    let ready = *app.phase.borrow() == Phase::Serving;
    let state = app.engine.model_box().map_or(State::Up, modelbox::Boxed::state);
    let (status, word) = match state {
        _ if !ready => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        State::Up => (StatusCode::OK, "ready"),
        State::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        State::Down => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    answer(status, &json!({ "status": word }))
}

async fn metrics(Sharing(app): Shared) -> Response<Body> {
    app.metrics.queue.set(i64::try_from(app.queue.len()).unwrap_or(i64::MAX));
    let mut response = Response::new(Body::from(app.metrics.text()));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn models(Sharing(app): Shared) -> Response<Body> {
    answer(StatusCode::OK, &listing::all(&app.engine, app.started))
}

async fn model(Sharing(app): Shared, Path(name): Path<String>) -> Response<Body> {
    match app.engine.adapter(&name) {
        Ok(_) => answer(StatusCode::OK, &listing::entry(&app.engine, &name, app.started)),
        Err(refusal) => refusal.response(),
    }
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = whole(value.to_string());
    *response.status_mut() = status;
    response
}

/// An answer of JSON.
pub(crate) fn whole(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Counts a request until it has been answered in full, or left.
pub(crate) struct Tally {
    app: Arc<App>,
    endpoint: &'static str,
    came: Instant,
    pub(crate) outcome: String,
}

impl Tally {
    pub(crate) fn new(app: Arc<App>, endpoint: &'static str) -> Self {
        app.under_way.send_modify(|count| *count += 1);
        Self { app, endpoint, came: Instant::now(), outcome: "cancelled".to_owned() }
    }

    /// When the request came.
    pub(crate) const fn came(&self) -> Instant {
        self.came
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let metrics = &self.app.metrics;
        let outcome = std::mem::take(&mut self.outcome);
        metrics.requests.get_or_create(&[("endpoint", self.endpoint.to_owned()), ("outcome", outcome)]).inc();
        metrics.request.observe(self.came.elapsed().as_secs_f64());
        self.app.under_way.send_modify(|count| *count -= 1);
    }
}

async fn generate(app: Arc<App>, form: Form, request: Request) -> Response<Body> {
    let endpoint = match form {
        Form::Chat => "chat",
        Form::Text => "completions",
    };
    let mut tally = Tally::new(Arc::clone(&app), endpoint);
    match begin(&app, &tally, form, request).await {
        Ok((begun, Delivery::Stream { .. })) => begun.stream(tally),
        Ok((begun, Delivery::Whole)) => match begun.whole().await {
            Ok(value) => {
                "ok".clone_into(&mut tally.outcome);
                answer(StatusCode::OK, &value)
            }
            Err(refusal) => refused(tally, &refusal),
        },
        Err(refusal) => refused(tally, &refusal),
    }
}

pub(crate) fn refused(mut tally: Tally, refusal: &Refusal) -> Response<Body> {
    refusal.code().clone_into(&mut tally.outcome);
    refusal.response()
}

/// The body of a request, and who sent it.
pub(crate) async fn received(app: &App, request: Request) -> Result<(Caller, Bytes), Refusal> {
    if *app.phase.borrow() != Phase::Serving {
        return Err(Refusal::Draining);
    }
    let limits = app.engine.limits();
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    // A web page can send other types without asking whether it may.
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Err(Refusal::MediaType);
    }
    let caller = parts.extensions.get::<Caller>().copied().ok_or(Refusal::Unauthorised)?;
    let slow = |_| Refusal::BodyTime { seconds: limits.body.as_secs() };
    let bytes = timeout(limits.body, whole_body(body, limits.body_bytes)).await.map_err(slow)??;
    Ok((caller, bytes.into()))
}

/// Reads a request, queues it, and waits until it is begun.
async fn begin(
    app: &Arc<App>,
    tally: &Tally,
    form: Form,
    request: Request,
) -> Result<(Begun, Delivery), Refusal> {
    let (caller, bytes) = received(app, request).await?;
    let request = request::read(&bytes, form, seed)?;
    drop(bytes);
    let mut task = request.task;
    task.adapter = app.engine.adapter(&request.model)?;
    if app.engine.purpose() != Purpose::Texts {
        return Err(Refusal::Purpose { name: request.model, asked: "chats and completions" });
    }
    if let Prompt::Chat(turns) = &mut task.prompt {
        app.engine.begin(turns);
    }
    let usage = match request.delivery {
        Delivery::Stream { usage } => usage,
        Delivery::Whole => Usage::Told,
    };
    let prefix = match form {
        Form::Chat => "chatcmpl",
        Form::Text => "cmpl",
    };
    let writer = Writer {
        form,
        id: format!("{prefix}-{}", hex(&seed().to_be_bytes())),
        created: unix_s(),
        model: request.model,
        fingerprint: app.engine.fingerprint.clone(),
        usage,
        logprobs: task.top.is_some(),
    };
    let answering = queued(app, Work::Generate(task), caller, tally.came).await?;
    Ok((Begun { answering, writer }, request.delivery))
}

/// Queues work, and waits until it is begun.
pub(crate) async fn queued(
    app: &App,
    work: Work,
    caller: Caller,
    came: Instant,
) -> Result<Answering, Refusal> {
    let limits = app.engine.limits();
    let (sender, mut events) = mpsc::channel(EVENTS);
    let job = Job { work, caller, events: sender, came, deadline: came + limits.request };
    app.queue.push(job).map_err(|(_, full)| match full {
        Full::Waiting(waiting) => Refusal::Overloaded { waiting },
        Full::Closed => Refusal::Draining,
    })?;
    let late = |_| Refusal::QueueWait { seconds: limits.queue_wait.as_secs() };
    match timeout(limits.queue_wait, events.recv()).await.map_err(late)? {
        Some(Event::Begun { prompt }) => Ok(Answering { events, prompt, patience: limits.request + GRACE }),
        Some(Event::Failed(refusal)) => Err(refusal),
        // The queue was closed with this in it.
        None if *app.phase.borrow() != Phase::Serving => Err(Refusal::Draining),
        Some(Event::Text { .. } | Event::Vectors(_) | Event::Ended { .. }) | None => Err(Refusal::Failed),
    }
}

/// Random where no seed is named; where the system has no randomness, the clock's nanoseconds.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::from(since.subsec_nanos())
    })
}

/// The body, if it is no longer than the limit.
async fn whole_body(body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut read = 0_usize;
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Refusal::BodyBroken)?;
        read = read.saturating_add(part.len());
        if read <= limit {
            bytes.extend_from_slice(&part);
        } else if read > limit.saturating_mul(OVERLONG) {
            break;
        }
    }
    if read > limit { Err(Refusal::BodyTooLong { limit }) } else { Ok(bytes) }
}

/// An answer that has begun.
pub(crate) struct Answering {
    events: mpsc::Receiver<Event>,
    prompt: usize,
    /// The longest wait for an event: generating threads keep to their deadlines themselves.
    patience: Duration,
}

impl Answering {
    pub(crate) async fn next(&mut self) -> Event {
        match timeout(self.patience, self.events.recv()).await {
            Ok(Some(event)) => event,
            Ok(None) | Err(_) => Event::Failed(Refusal::Failed),
        }
    }
}

/// A generation that has begun.
struct Begun {
    answering: Answering,
    writer: Writer,
}

impl Begun {
    async fn whole(mut self) -> Result<Value, Refusal> {
        let mut whole = Whole { prompt: self.answering.prompt, ..Whole::default() };
        loop {
            match self.answering.next().await {
                Event::Begun { prompt } => whole.prompt = prompt,
                Event::Text { text, tokens } => {
                    whole.text.push_str(&text);
                    whole.tokens.extend(tokens);
                }
                Event::Ended { finish, generated } => {
                    whole.generated = generated;
                    return Ok(self.writer.whole(&whole, finish));
                }
                Event::Vectors(_) => return Err(Refusal::Failed),
                Event::Failed(refusal) => return Err(refusal),
            }
        }
    }

    fn stream(self, tally: Tally) -> Response<Body> {
        let opening = self.writer.opening();
        let first = opening.map(|value| Ok(data(&value)));
        let state = Streaming { begun: self, tally, over: false };
        let rest = futures::stream::unfold(state, |mut state| async {
            let bytes = state.next().await?;
            Some((Ok::<Bytes, Infallible>(bytes), state))
        });
        let mut response = Response::new(Body::from_stream(futures::stream::iter(first).chain(rest)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // Proxies that gather answers would hold a stream back.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

/// A stream under way. It is dropped when the client goes, which ends the generation.
struct Streaming {
    begun: Begun,
    tally: Tally,
    over: bool,
}

impl Streaming {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        loop {
            let event = self.begun.answering.next().await;
            let writer = &self.begun.writer;
            return Some(match event {
                Event::Begun { .. } | Event::Vectors(_) => continue,
                Event::Text { text, tokens } => data(&writer.text(&text, &tokens)),
                Event::Ended { finish, generated } => {
                    (self.over, self.tally.outcome) = (true, "ok".to_owned());
                    let mut bytes = data(&writer.closing(finish)).to_vec();
                    if let Some(counts) = writer.counts(self.begun.answering.prompt, generated) {
                        bytes.extend(data(&counts));
                    }
                    bytes.extend(b"data: [DONE]\n\n");
                    Bytes::from(bytes)
                }
                Event::Failed(refusal) => {
                    (self.over, self.tally.outcome) = (true, refusal.code().to_owned());
                    data(&refusal.body())
                }
            });
        }
    }
}

/// A server-sent event. JSON holds no line breaks.
fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}
