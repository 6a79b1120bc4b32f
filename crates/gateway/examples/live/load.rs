//! Users: each begins a session, asks three times, a second apart, and goes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::{KEY, Outcome};

/// Requests of a session.
const EACH: u64 = 3;
/// No answer takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What users saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) trouble: String,
    pub(crate) sessions: u64,
    /// Sessions that were moved to a version that was released later: none may be.
    pub(crate) forward: u64,
    /// Sessions that were moved to an earlier one: where theirs was taken back, or could not answer.
    pub(crate) back: u64,
    /// When each state answered last.
    pub(crate) last: BTreeMap<String, Instant>,
    /// When the latest request was sent that each state answered.
    pub(crate) asked: BTreeMap<String, Instant>,
    /// States in the order in which they first answered.
    order: Vec<String>,
    /// The state that each session under way was answered by.
    on: HashMap<u64, String>,
}

impl Seen {
    fn place(&self, state: &str) -> usize {
        self.order.iter().position(|known| known == state).unwrap_or(self.order.len())
    }

    fn answer(&mut self, (session, turn): (u64, u64), asked: Instant, state: String) {
        self.answered += 1;
        self.last.insert(state.clone(), Instant::now());
        let latest = self.asked.entry(state.clone()).or_insert(asked);
        *latest = asked.max(*latest);
        if !self.order.contains(&state) {
            self.order.push(state.clone());
        }
        if let Some(before) = self.on.remove(&session) {
            let (before, now) = (self.place(&before), self.place(&state));
            self.forward += u64::from(now > before);
            self.back += u64::from(now < before);
        }
        if turn + 1 < EACH {
            self.on.insert(session, state);
        } else {
            self.sessions += 1;
        }
    }
}

/// What users saw, and a bell that rings with every answer.
#[derive(Default)]
struct Watched {
    seen: Mutex<Seen>,
    bell: Condvar,
}

/// A load under way.
pub(crate) struct Load {
    watched: Arc<Watched>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Outcome<()>>>,
    rate: u64,
}

impl Load {
    pub(crate) fn begin(address: SocketAddr, rate: u64) -> Outcome<Self> {
        let (watched, stop) = (Arc::<Watched>::default(), Arc::new(AtomicBool::new(false)));
        let (saw, stopped) = (Arc::clone(&watched), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("load".to_owned());
        let thread = thread.spawn(move || requests(address, rate, &saw, &stopped))?;
        Ok(Self { watched, stop, thread: Some(thread), rate })
    }

    pub(crate) fn seen(&self) -> Seen {
        self.watched.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many more answers.
    pub(crate) fn more(&self, count: u64) -> Outcome<()> {
        let seen = self.watched.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = seen.answered.saturating_add(count);
        let waited = self.watched.bell.wait_timeout_while(seen, PATIENCE, |seen| seen.answered < wanted);
        let (seen, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() {
            return Err(format!("no answers any more: {}", seen.trouble).into());
        }
        Ok(())
    }

    /// Answers of a second: more than are under way at one time.
    pub(crate) const fn second(&self) -> u64 {
        self.rate
    }

    /// Lets those who have begun finish.
    pub(crate) fn end(mut self) -> Outcome<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| "the load ended unexpectedly")??;
        }
        Ok(self.seen())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Requests that are due at a fixed rate.
fn requests(address: SocketAddr, rate: u64, watched: &Arc<Watched>, stop: &AtomicBool) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let body = json!({ "model": "support", "messages": [{ "role": "user", "content": "please find the lamp" }] });
        let body = Bytes::from(body.to_string());
        let began = Instant::now();
        let mut asked = tokio::task::JoinSet::new();
        for number in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let due = began + Duration::from_nanos(1_000_000_000 / rate * number);
            tokio::time::sleep_until(due.into()).await;
            // Requests of one session are as many apart as come in a second.
            let (session, turn) = (number / (EACH * rate) * rate + number % rate, number / rate % EACH);
            let request = Request::post(format!("http://{address}/v1/chat/completions"))
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {KEY}"))
                .header("x-session-id", format!("s{session}"))
                .body(Full::new(body.clone()))?;
            let (client, watched) = (client.clone(), Arc::clone(watched));
            while asked.try_join_next().is_some() {}
            asked.spawn(async move {
                let sent = Instant::now();
                let answered = tokio::time::timeout(PATIENCE, ask(&client, request)).await;
                let mut seen = watched.seen.lock().unwrap_or_else(PoisonError::into_inner);
                match answered {
                    Ok(Ok(state)) => seen.answer((session, turn), sent, state),
                    Ok(Err(trouble)) => {
                        seen.failed += 1;
                        seen.trouble = trouble;
                    }
                    Err(_) => {
                        seen.failed += 1;
                        "no answer in time".clone_into(&mut seen.trouble);
                    }
                }
                watched.bell.notify_all();
            });
        }
        while asked.join_next().await.is_some() {}
        Ok(())
    })
}

/// The state that answered, in full.
async fn ask(
    client: &Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<String, String> {
    let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let state = response.headers().get("x-countersign-state").and_then(|value| value.to_str().ok());
    let state = state.unwrap_or_default().to_owned();
    let text = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    if status.is_success() { Ok(state) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&text))) }
}
