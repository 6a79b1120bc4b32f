//! An engine that can be told to fail: a process, so that it can crash.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::Outcome;

/// How an engine fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    /// Not at all.
    None,
    /// Every other answer is an error.
    Errors,
    /// Answers take ten times as long.
    Slow,
    /// Answers run on to their length.
    Drifted,
    /// Its process is killed, with SIGKILL, in the middle of whatever it does.
    Crash,
    /// It refuses everything.
    Refuses,
}

impl Fault {
    const ALL: [Self; 6] = [Self::None, Self::Errors, Self::Slow, Self::Drifted, Self::Crash, Self::Refuses];
}

/// How long an answer takes.
const USUAL: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_millis(200);

/// An engine's process.
pub(crate) struct Engine {
    child: Child,
    address: SocketAddr,
}

impl Engine {
    pub(crate) fn start() -> Outcome<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Self::start_at(free)
    }

    fn start_at(address: SocketAddr) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["engine", &address.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()? })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets it fail so from now on. One that had crashed is started again first.
    pub(crate) fn fault(&mut self, fault: Fault) -> Outcome<()> {
        if self.child.try_wait()?.is_some() {
            *self = Self::start_at(self.address)?;
        }
        if fault == Fault::Crash {
            self.child.kill()?;
            self.child.wait()?;
            return Ok(());
        }
        Ok(ureq::post(format!("{}/fault/{}", self.url(), fault as u8)).send_empty().map(drop)?)
    }

    pub(crate) fn end(&mut self) {
        // It is this program's own child; that it has ended already is no matter.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves until it is ended.
pub(crate) fn serve(address: SocketAddr) -> Outcome<()> {
    let fault = Arc::new(AtomicU8::new(Fault::None as u8));
    let count = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (fault, count) = (Arc::clone(&fault), Arc::clone(&count));
            let service = service_fn(move |request| answer(request, Arc::clone(&fault), Arc::clone(&count)));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    fault: Arc<AtomicU8>,
    count: Arc<AtomicU64>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    request.into_body().collect().await?;
    if let Some(number) = path.strip_prefix("/fault/") {
        fault.store(number.parse().unwrap_or(0), Ordering::SeqCst);
        return Ok(Response::new(Full::new(Bytes::new())));
    }
    let number = usize::from(fault.load(Ordering::SeqCst));
    let fault = Fault::ALL.get(number).copied().unwrap_or(Fault::None);
    tokio::time::sleep(if fault == Fault::Slow { SLOW } else { USUAL }).await;
    let other = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    let finish = if fault == Fault::Drifted { "length" } else { "stop" };
    let refusal = (fault == Fault::Refuses).then_some("I cannot help with that");
    let message = json!({ "role": "assistant", "content": "attic", "refusal": refusal });
    let text = json!({ "id": "x", "choices": [{ "index": 0, "finish_reason": finish, "message": message }] });
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    if fault == Fault::Errors && other {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
