//! The engine's only entrance: what comes over the channel is passed on, if it is a request that leaves the served state as
//! it is; everything else is refused here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel::TlsAcceptor;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, client, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Entrance, Error};

/// Connections at the same time.
const CONNECTIONS_MAX: usize = 4096;
/// How long a handshake and a request's head may take.
const HEAD: Duration = Duration::from_secs(10);
/// Most header lines of a request, and the size of a connection's buffer.
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;
/// How long nothing is accepted after accepting failed.
const PAUSE: Duration = Duration::from_millis(50);
/// What may be asked of an engine: nothing that loads, unloads or tunes.
const PASSED: [(&str, bool); 6] = [
    ("/v1/chat/completions", true),
    ("/v1/completions", true),
    ("/v1/embeddings", true),
    ("/v1/models", false),
    ("/health", false),
    ("/metrics", false),
];
/// Of one hop, or the launcher's own matter (RFC 9110, section 7.6.1).
const NOT_PASSED: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Bytes of a file of keys at most, and the least length of a key.
const KEYS_BYTES_MAX: usize = 64 << 10;
const KEY_MIN: usize = 16;

/// Who may ask: the SHA-256 of each key, compared in constant time. Nobody is asked for a key where there is none.
#[derive(Clone, Default)]
pub struct Callers(Vec<[u8; 32]>);

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

impl Callers {
    /// Reads a file of keys, one a line; empty lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`Error::Keys`] names the line; a file without a key is refused too.
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        let whole = |reason| Error::Keys { line: 0, reason };
        if file.len() > KEYS_BYTES_MAX {
            return Err(whole("is beyond 64 KiB"));
        }
        let text = std::str::from_utf8(file).map_err(|_| whole("is not text"))?;
        let mut hashes = Vec::new();
        for (line, key) in (1..).zip(text.lines().map(str::trim)) {
            if key.is_empty() || key.starts_with('#') {
                continue;
            }
            if key.len() < KEY_MIN {
                return Err(Error::Keys { line, reason: "has fewer than 16 characters" });
            }
            hashes.push(Sha256::digest(key.as_bytes()).into());
        }
        if hashes.is_empty() {
            return Err(whole("holds no key"));
        }
        Ok(Self(hashes))
    }

    /// Whether anybody who reaches the channel may ask.
    pub const fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    fn allow(&self, headers: &HeaderMap) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        let Some(key) = given.as_bytes().strip_prefix(b"Bearer ") else { return false };
        let hash: [u8; 32] = Sha256::digest(key).into();
        // All are compared, so that the time does not say which one it was.
        self.0.iter().fold(false, |found, known| secret::equal(known, &hash) | found)
    }
}

/// What all connections share.
pub(crate) struct Front {
    pub(crate) entrance: Entrance,
    pub(crate) callers: Callers,
}

/// What goes out: an engine's answer as it comes, or a refusal.
type Answer = BoxBody<Bytes, hyper::Error>;
/// Requests to the engine over one connection.
type Sender = client::conn::http1::SendRequest<Incoming>;

/// Takes connections until `leaving` says so; answers that have begun end, for `drain` at most.
pub(crate) async fn serve(
    front: Arc<Front>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    leaving: watch::Receiver<bool>,
    drain: Duration,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut left = leaving.clone();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            _ = left.wait_for(|left| *left) => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (front, acceptor, leaving) = (Arc::clone(&front), acceptor.clone(), leaving.clone());
                connections.spawn(async move {
                    connection(front, stream, acceptor, leaving, drain).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(drain, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    front: Arc<Front>,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    mut leaving: watch::Receiver<bool>,
    drain: Duration,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // Whoever does not speak the channel's protocol goes without an answer.
    let Ok(Ok(stream)) = timeout(HEAD, acceptor.accept(stream)).await else { return };
    let behind: Arc<Mutex<Option<Sender>>> = Arc::default();
    let service = service_fn(move |request| {
        let (front, behind) = (Arc::clone(&front), Arc::clone(&behind));
        async move { Ok::<_, std::convert::Infallible>(answer(&front, &behind, request).await) }
    });
    let mut builder = server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = served.as_mut() => return,
        _ = leaving.wait_for(|leaving| *leaving) => {}
    }
    served.as_mut().graceful_shutdown();
    if timeout(drain, served).await.is_err() {
        tracing::debug!("a connection was cut");
    }
}

/// Passes a request on, or refuses it.
async fn answer(
    front: &Front,
    behind: &Mutex<Option<Sender>>,
    request: Request<Incoming>,
) -> Response<Answer> {
    if !front.callers.allow(request.headers()) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "the launcher asks for a key that this request does not have",
        );
    }
    let method = request.method();
    let passed = PASSED.iter().find(|(path, _)| *path == request.uri().path());
    let wanted = |posted| if posted { Method::POST } else { Method::GET };
    match passed {
        None => return refusal(StatusCode::NOT_FOUND, "nothing else passes a launcher"),
        Some((_, posted)) if *method != wanted(*posted) => {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "this path has another method");
        }
        Some(_) => {}
    }
    match pass(front, behind, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(%error, "the engine does not answer");
            refusal(StatusCode::BAD_GATEWAY, "the engine does not answer")
        }
    }
}

async fn pass(
    front: &Front,
    behind: &Mutex<Option<Sender>>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut parts, body) = request.into_parts();
    own_headers(&mut parts.headers);
    parts.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    let path = parts.uri.path_and_query().cloned().ok_or("there is no path")?;
    parts.uri = path.into();
    // One connection to the engine for each of the channel's: the gateway keeps a few, and each is used in turn.
    let mut kept = behind.lock().await;
    let mut sender = match kept.take().filter(|sender| sender.is_ready() && !sender.is_closed()) {
        Some(sender) => sender,
        None => connect(&front.entrance).await?,
    };
    let response = sender.send_request(Request::from_parts(parts, body)).await?;
    *kept = Some(sender);
    drop(kept);
    let (mut parts, body) = response.into_parts();
    own_headers(&mut parts.headers);
    Ok(Response::from_parts(parts, body.boxed()))
}

fn own_headers(headers: &mut HeaderMap) {
    for name in NOT_PASSED {
        headers.remove(name);
    }
}

async fn connect(entrance: &Entrance) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
    match entrance {
        Entrance::Socket(path) => shake(UnixStream::connect(path).await?).await,
        Entrance::Port(port) => shake(TcpStream::connect(("127.0.0.1", *port)).await?).await,
    }
}

async fn shake<S>(stream: S) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the engine ended");
        }
    });
    Ok(sender)
}

fn refusal(status: StatusCode, message: &'static str) -> Response<Answer> {
    let text =
        format!(r#"{{"error":{{"message":"{message}","type":"launcher","code":{}}}}}"#, status.as_u16());
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether the engine says that it is healthy.
pub(crate) async fn is_healthy(entrance: &Entrance, path: &str) -> bool {
    let asked = async {
        let mut sender = match entrance {
            Entrance::Socket(path) => shake_empty(UnixStream::connect(path).await.ok()?).await?,
            Entrance::Port(port) => shake_empty(TcpStream::connect(("127.0.0.1", *port)).await.ok()?).await?,
        };
        let request =
            Request::get(path).header(header::HOST, "localhost").body(Full::<Bytes>::default()).ok()?;
        let response = sender.send_request(request).await.ok()?;
        Some(response.status().is_success())
    };
    timeout(HEAD, asked).await.ok().flatten().unwrap_or(false)
}

async fn shake_empty<S>(stream: S) -> Option<client::conn::http1::SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(async move { drop(connection.await) });
    Some(sender)
}

/// Where a Unix socket may be at most, in bytes (`sun_path`).
pub(crate) const SOCKET_BYTES_MAX: usize = 107;

/// Where the engine's socket is made: a short path, whatever the folder of the files is called.
pub(crate) fn socket_in(folder: &std::path::Path) -> PathBuf {
    folder.join("engine.sock")
}

#[cfg(test)]
mod tests;
