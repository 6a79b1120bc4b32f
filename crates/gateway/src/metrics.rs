//! What the gateway counts and measures, in the text format of Prometheus (OpenMetrics).

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Labels<const N: usize> = [(&'static str, String); N];

/// Bounds in seconds: of the gateway's own work, and of whole requests.
const OVERHEAD_BOUNDS: [f64; 12] =
    [0.000_02, 0.000_05, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1];
const REQUEST_BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// The counts of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// By model, arm and outcome: `ok`, `cancelled`, or a code.
    pub(crate) requests: Family<Labels<3>, Counter>,
    /// Requests that another engine, or what is served to everybody else, answered in the place of the first.
    pub(crate) elsewhere: Family<Labels<1>, Counter>,
    /// Copies of requests that were sent in shadow stages.
    pub(crate) shadows: Counter,
    pub(crate) overhead: Histogram,
    pub(crate) request: Histogram,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    pub(crate) under_way: Gauge<i64, AtomicI64>,
    pub(crate) log_size: Gauge<i64, AtomicI64>,
    pub(crate) log_failures: Counter<u64, AtomicU64>,
    /// Batches of spans that the collector did not take.
    pub(crate) trace_failures: Counter<u64, AtomicU64>,
    pub(crate) checkpoint: Gauge<f64, AtomicU64>,
    /// By model: parts per million of units that get the candidate.
    pub(crate) share: Family<Labels<1>, Gauge>,
    pub(crate) rollbacks: Family<Labels<1>, Counter>,
    /// By model, state and engine: how strongly the engine is tied to the state.
    pub(crate) binding: Family<Labels<3>, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("countersign_gateway");
        let (overhead, request) = (Histogram::new(OVERHEAD_BOUNDS), Histogram::new(REQUEST_BOUNDS));
        let metrics = Self {
            requests: Family::default(),
            elsewhere: Family::default(),
            shadows: Counter::default(),
            overhead,
            request,
            connections: Gauge::default(),
            under_way: Gauge::default(),
            log_size: Gauge::default(),
            log_failures: Counter::default(),
            trace_failures: Counter::default(),
            checkpoint: Gauge::default(),
            share: Family::default(),
            rollbacks: Family::default(),
            binding: Family::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests, by model, arm and outcome", metrics.requests.clone());
        registry.register(
            "elsewhere",
            "Requests that were answered by another engine than the first",
            metrics.elsewhere.clone(),
        );
        registry.register(
            "shadows",
            "Copies of requests that were sent to what is tried, and served to nobody",
            metrics.shadows.clone(),
        );
        registry.register_with_unit(
            "overhead",
            "The gateway's own work on a request until its answer begins",
            Unit::Seconds,
            metrics.overhead.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From a request's head to its answer's end",
            Unit::Seconds,
            metrics.request.clone(),
        );
        registry.register("connections", "Open connections of clients", metrics.connections.clone());
        registry.register(
            "requests_under_way",
            "Requests that have not been answered in full",
            metrics.under_way.clone(),
        );
        registry.register(
            "log_size",
            "Leaves of the log that were verified and folded",
            metrics.log_size.clone(),
        );
        registry.register(
            "log_failures",
            "Looks at the log that did not succeed",
            metrics.log_failures.clone(),
        );
        registry.register(
            "trace_failures",
            "Batches of traces that the collector did not take, each attempt",
            metrics.trace_failures.clone(),
        );
        registry.register_with_unit(
            "checkpoint_witnessed",
            "When the checkpoint that is judged by was witnessed, Unix time",
            Unit::Seconds,
            metrics.checkpoint.clone(),
        );
        registry.register(
            "candidate_share_ppm",
            "Share of units that get what is being released",
            metrics.share.clone(),
        );
        registry.register("rollbacks", "Releases that the gateway took back", metrics.rollbacks.clone());
        registry.register(
            "engine_binding",
            "How strongly an engine is tied to its state: 0 not at all, 1 declared, 2 file-checked, 3 launched, 4 attested",
            metrics.binding.clone(),
        );
        Self { registry, ..metrics }
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
