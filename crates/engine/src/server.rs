//! Listening, connections, and stopping in good order.
//!
//! Stopping has three steps. The engine refuses new requests and those that wait, and says so in `/health`; answers
//! that have begun go on, up to a limit; then connections are closed, whatever is under way on them.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::app::{App, Phase, router};
use crate::clock::unix_s;
use crate::generate;
use crate::job::Engine;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::{Error, Keys};

/// Most header lines of a request, and the size of a connection's buffer.
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;
/// How long closing connections may take at the very end.
const CLOSING: Duration = Duration::from_secs(3);
/// How long nothing is accepted after accepting failed, so that a shortage of files does not become a busy loop.
const PAUSE: Duration = Duration::from_millis(50);

/// An engine with an address.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    keys: Option<Keys>,
    listener: Listener,
    at: Place,
}

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address of the network.
    Address(SocketAddr),
    /// A Unix socket: who may reach it is decided by its folder.
    Socket(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Server {
    /// Listens for an engine; connections wait until [`Server::run`].
    ///
    /// # Errors
    /// [`Error::Open`] for an address that other machines reach, where no keys are asked for; [`Error::Listen`].
    pub fn bind(engine: Engine, address: SocketAddr, keys: Option<Keys>) -> Result<Self, Error> {
        if keys.is_none() && !address.ip().is_loopback() {
            return Err(Error::Open { address });
        }
        let failed = |source| Error::Listen { place: Place::Address(address), source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let at = Place::Address(listener.local_addr().map_err(failed)?);
        Ok(Self { engine, keys, listener: Listener::Tcp(listener), at })
    }

    /// Listens for an engine on a Unix socket, which is made, for its owner alone.
    ///
    /// # Errors
    /// [`Error::Listen`], also where something is at the path already.
    pub fn bind_socket(engine: Engine, path: &Path, keys: Option<Keys>) -> Result<Self, Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let at = Place::Socket(path.to_owned());
        let failed = |source| Error::Listen { place: at.clone(), source };
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { engine, keys, listener: Listener::Unix(listener), at })
    }

    /// Where it listens.
    pub const fn place(&self) -> &Place {
        &self.at
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Serves until `stop` is done, and then as long as answers that have begun may take. `stop` is made and awaited
    /// where asynchronous calls can be made. A second `stop` ends the waiting.
    ///
    /// # Errors
    /// [`Error::System`] where there are no threads; [`Error::Listen`].
    pub fn run<F, S>(self, stop: F) -> Result<(), Error>
    where
        F: Fn() -> S,
        S: Future<Output = ()>,
    {
        let failed = |what| move |cause: std::io::Error| Error::System { what, reason: cause.to_string() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
        let runtime = runtime.map_err(failed("runtime"))?;
        let app = Arc::new(App {
            queue: Queue::new(self.engine.limits().queue),
            engine: self.engine,
            keys: self.keys,
            metrics: Metrics::new(),
            phase: watch::Sender::new(Phase::Serving),
            under_way: watch::Sender::new(0),
            started: unix_s(),
        });
        let threads = generate::start(&app, runtime.handle());
        let done = match &threads {
            Ok(_) => runtime.block_on(serve(&app, self.listener, &self.at, &stop)),
            Err(_) => Ok(()),
        };
        app.phase.send_replace(Phase::Ending);
        drop(app.queue.close());
        // Generating threads end after the token at hand: what they say goes nowhere any more.
        let ended = threads?.recv_timeout(CLOSING);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a generation is still under way");
        }
        runtime.shutdown_timeout(CLOSING);
        done
    }
}

async fn serve<F, S>(app: &Arc<App>, listener: Listener, at: &Place, stop: &F) -> Result<(), Error>
where
    F: Fn() -> S,
    S: Future<Output = ()>,
{
    let failed = |source| Error::Listen { place: at.clone(), source };
    let listener = match listener {
        Listener::Tcp(listener) => Door::Tcp(tokio::net::TcpListener::from_std(listener).map_err(failed)?),
        Listener::Unix(listener) => Door::Unix(tokio::net::UnixListener::from_std(listener).map_err(failed)?),
    };
    app.metrics.ready.set(1);
    let room = Arc::new(Semaphore::new(app.engine.limits().connections));
    let mut connections = JoinSet::new();
    {
        let mut stopped = pin!(stop());
        tokio::select! {
            () = &mut stopped => {}
            () = accept(app, &listener, &room, &mut connections) => {}
        }
    }
    app.metrics.ready.set(0);
    app.phase.send_replace(Phase::Draining);
    // Those that wait hear it when their channels close.
    drop(app.queue.close());
    tracing::info!(under_way = *app.under_way.borrow(), "the engine stops");
    {
        let mut under_way = app.under_way.subscribe();
        let mut again = pin!(stop());
        tokio::select! {
            () = async { if under_way.wait_for(|count| *count == 0).await.is_err() { std::future::pending::<()>().await } } => {}
            () = sleep(app.engine.limits().drain) => {}
            () = &mut again => {}
            () = accept(app, &listener, &room, &mut connections) => {}
        }
    }
    drop(listener);
    app.phase.send_replace(Phase::Ending);
    let closed = timeout(CLOSING, async { while connections.join_next().await.is_some() {} }).await;
    if closed.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// Where connections come in.
enum Door {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// A connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Door {
    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Tokens are small, and each is wanted at once.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Accepts connections for ever.
async fn accept(app: &Arc<App>, listener: &Door, room: &Arc<Semaphore>, connections: &mut JoinSet<()>) {
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok(stream) => {
                let app = Arc::clone(app);
                connections.spawn(async move {
                    app.metrics.connections.inc();
                    connection(&app, stream).await;
                    app.metrics.connections.dec();
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(app: &Arc<App>, stream: Box<dyn Stream>) {
    let limits = app.engine.limits();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES);
    let service = TowerToHyperService::new(router(app));
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut phase = app.phase.subscribe();
    let ending = async {
        tokio::select! {
            () = sleep(limits.connection) => {}
            _ = async { phase.wait_for(|phase| *phase == Phase::Ending).await.is_ok() } => {}
        }
    };
    tokio::select! {
        _ = served.as_mut() => return,
        () = ending => {}
    }
    served.as_mut().graceful_shutdown();
    // What is under way has its own limit; this one is for clients that do not read.
    if timeout(limits.request, served).await.is_err() {
        tracing::debug!("a connection was cut");
    }
}
