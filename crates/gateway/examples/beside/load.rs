//! The load: requests at a fixed rate, or one after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::{KEY, Outcome};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A whole answer.
    Whole,
    /// A stream of events.
    Events,
}

/// What a load met.
pub(crate) struct Found {
    pub(crate) latencies_us: Vec<u64>,
    pub(crate) failed: u64,
}

impl Found {
    /// The latency below which a part of the requests lie; they are sorted.
    pub(crate) fn at(&self, part: f64) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (part * last as f64) as usize;
        self.latencies_us.get(rank).copied().unwrap_or(0)
    }
}

type Asking = Client<HttpConnector, Full<Bytes>>;

fn client() -> Asking {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

fn body(form: Form) -> Bytes {
    let messages = json!([{ "role": "user", "content": "b".repeat(900) }]);
    let body = match form {
        Form::Whole => json!({ "model": "support", "messages": messages }),
        Form::Events => json!({ "model": "support", "messages": messages, "stream": true }),
    };
    Bytes::from(body.to_string())
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct To {
    pub(crate) address: SocketAddr,
    /// The engine, where requests say it.
    pub(crate) engine: Option<SocketAddr>,
}

fn request(to: To, number: u64, body: Bytes) -> Outcome<Request<Full<Bytes>>> {
    let mut request = Request::post(format!("http://{}/v1/chat/completions", to.address))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {KEY}"))
        .header("x-session-id", format!("s{}", number % SESSIONS));
    if let Some(engine) = to.engine {
        request = request
            .header("x-portkey-provider", "openai")
            .header("x-portkey-custom-host", format!("http://{engine}/v1"));
    }
    Ok(request.body(Full::new(body))?)
}

/// Sessions that take turns: more than a measurement has requests, so that each is a user of its own.
const SESSIONS: u64 = 1 << 20;

/// Whether it was answered in full.
async fn is_answered(client: &Asking, request: Request<Full<Bytes>>) -> bool {
    match client.request(request).await {
        Ok(response) if response.status().is_success() => response.into_body().collect().await.is_ok(),
        _ => false,
    }
}

/// Requests that are due at a fixed rate; sessions are numbered from `first`.
pub(crate) fn at_rate(to: To, form: Form, rate: u64, first: u64, how_long: Duration) -> Outcome<Found> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let (client, body) = (client(), body(form));
        let failed = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let mut requests = Vec::new();
        let total = rate * how_long.as_secs();
        for number in 0..total {
            let due = began + Duration::from_nanos(1_000_000_000 / rate * number);
            tokio::time::sleep_until(due.into()).await;
            let request = request(to, first + number, body.clone())?;
            let (client, failed) = (client.clone(), Arc::clone(&failed));
            requests.push(tokio::spawn(async move {
                let good = is_answered(&client, request).await;
                failed.fetch_add(u64::from(!good), Ordering::Relaxed);
                u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX)
            }));
        }
        let mut latencies_us = Vec::with_capacity(requests.len());
        for request in requests {
            latencies_us.push(request.await?);
        }
        Ok(Found { latencies_us, failed: failed.load(Ordering::Relaxed) })
    })
}

/// Requests one after the other, all of which are answered.
pub(crate) fn one_by_one(to: To, form: Form, count: u64) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, body) = (client(), body(form));
        for number in 0..count {
            if !is_answered(&client, request(to, number, body.clone())?).await {
                return Err("a request was not answered".into());
            }
        }
        Ok(())
    })
}

/// What the gateway says of itself.
pub(crate) fn metrics(address: SocketAddr) -> Outcome<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let request = Request::get(format!("http://{address}/metrics"))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(Bytes::new()))?;
        let response = client().request(request).await?;
        Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?)
    })
}
