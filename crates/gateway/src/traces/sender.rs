//! Batches of spans on their way to the collector, on the thread that gathers them.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use prometheus_client::metrics::counter::Counter;
use ureq::Agent;

use crate::metrics::Metrics;

/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of its answer at most.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Sends batches, and says once when they are no longer taken.
#[derive(Debug)]
pub(super) struct Sender {
    agent: Agent,
    failing: AtomicBool,
    failures: Counter<u64, AtomicU64>,
}

impl Sender {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None);
        Self {
            agent: config.build().new_agent(),
            failing: AtomicBool::new(false),
            failures: metrics.trace_failures.clone(),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let response = self.agent.run(Request::from_parts(parts, &*body))?;
        let status = response.status();
        let mut text = Vec::new();
        response.into_body().into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut text)?;
        let mut answer = Response::new(Bytes::from(text));
        *answer.status_mut() = status;
        Ok(answer)
    }

    /// Counts what was not taken, and tells people when it begins and ends.
    fn note(&self, trouble: Option<String>) {
        let failing = trouble.is_some();
        let before = self.failing.swap(failing, Ordering::Relaxed);
        if failing {
            self.failures.inc();
        }
        match trouble {
            Some(reason) if !before => tracing::warn!(%reason, "traces are not taken, and dropped"),
            None if before => tracing::info!("traces are taken again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    // The thread that gathers batches has nothing else to do meanwhile.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = self.send(request);
        self.note(match &answered {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        });
        answered
    }
}
