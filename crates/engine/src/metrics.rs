//! What the engine counts and measures, in the text format of Prometheus (OpenMetrics).

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The counts of one engine.
pub(crate) struct Metrics {
    registry: Registry,
    /// By outcome: `ok`, `cancelled`, or the code of a refusal.
    pub(crate) requests: Family<[(&'static str, String); 2], Counter>,
    pub(crate) prompt_tokens: Counter,
    pub(crate) reused_tokens: Counter,
    pub(crate) generated_tokens: Counter,
    pub(crate) first_token: Histogram,
    pub(crate) token: Histogram,
    pub(crate) request: Histogram,
    pub(crate) wait: Histogram,
    pub(crate) queue: Gauge<i64, std::sync::atomic::AtomicI64>,
    pub(crate) running: Gauge<i64, std::sync::atomic::AtomicI64>,
    pub(crate) connections: Gauge<i64, std::sync::atomic::AtomicI64>,
    pub(crate) ready: Gauge<i64, std::sync::atomic::AtomicI64>,
}

/// Bounds in seconds, of what takes a token's time and what takes a request's.
const TOKEN_BOUNDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 1.0, 3.0];
const REQUEST_BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("countersign_engine");
        let requests = Family::default();
        let counter = Counter::<u64, AtomicU64>::default;
        let (prompt_tokens, reused_tokens, generated_tokens) = (counter(), counter(), counter());
        let long = || Histogram::new(REQUEST_BOUNDS);
        let (first_token, request, wait) = (long(), long(), long());
        let token = Histogram::new(TOKEN_BOUNDS);
        let (queue, running, connections, ready) =
            (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
        registry.register(
            "requests",
            "Requests to generate, by interface and outcome",
            Family::clone(&requests),
        );
        registry.register("prompt_tokens", "Tokens of prompts", prompt_tokens.clone());
        registry.register("reused_tokens", "Tokens of prompts that were remembered", reused_tokens.clone());
        registry.register("generated_tokens", "Tokens generated", generated_tokens.clone());
        registry.register(
            "time_to_first_token_seconds",
            "From a request's arrival to its first token",
            first_token.clone(),
        );
        registry.register("time_per_output_token_seconds", "From one token to the next", token.clone());
        registry.register("request_duration_seconds", "From a request's arrival to its end", request.clone());
        registry.register("queue_time_seconds", "From a request's arrival to its begin", wait.clone());
        registry.register("queue_length", "Requests that wait", queue.clone());
        registry.register("running", "Generations under way", running.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register("ready", "1 while requests are taken, 0 while the engine stops", ready.clone());
        Self {
            registry,
            requests,
            prompt_tokens,
            reused_tokens,
            generated_tokens,
            first_token,
            token,
            request,
            wait,
            queue,
            running,
            connections,
            ready,
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}
