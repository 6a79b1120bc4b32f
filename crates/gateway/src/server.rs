//! Listening, connections, and stopping in good order.
//!
//! Stopping has three steps. `/healthz` says so, and every answer that it was its connection's last, so that clients go
//! elsewhere by themselves; then nothing new is accepted, and answers that have begun go on, up to a limit; then connections
//! are closed, whatever is under way on them.

use std::convert::Infallible;
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::paced::Paced;
use crate::plane::{Health, Plane, answer};
use crate::workers::Workers;
use crate::{Error, Refusal};

/// Most header lines of a request, and the size of a connection's buffer.
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;
/// How long closing connections may take at the very end.
const CLOSING: Duration = Duration::from_secs(3);
/// How long nothing is accepted after accepting failed, so that a shortage of files does not become a busy loop.
const PAUSE: Duration = Duration::from_millis(50);

/// A data plane with an address.
pub struct Server {
    plane: Arc<Plane>,
    listener: net::TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where a server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Whoever asks is answered, and told to come no more.
    Leaving,
    /// Nobody is listened to any more.
    Ending,
}

impl Server {
    pub(crate) fn bind(
        plane: Arc<Plane>,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        Self::on(plane, net::TcpListener::bind(address).map_err(failed)?, tls)
    }

    /// On a socket that listens already.
    pub(crate) fn on(
        plane: Arc<Plane>,
        listener: net::TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self, Error> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = listener.local_addr().map_err(|source| Error::Listen { address: unknown, source })?;
        listener.set_nonblocking(true).map_err(|source| Error::Listen { address, source })?;
        Ok(Self { plane, listener, address, tls })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    pub const fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` is done, and then as long as answers that have begun may take. `threads` work.
    ///
    /// # Errors
    /// [`Error::System`] where there are no threads; [`Error::Listen`].
    pub fn run(self, threads: usize, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::System { what: "runtime", source })?;
        let mut workers = Workers::start(threads)?;
        let plane = Arc::clone(&self.plane);
        let done = runtime.block_on(self.serve(&mut workers, stop));
        workers.end(CLOSING);
        plane.traces.end();
        done
    }

    async fn serve(self, workers: &mut Workers, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let failed = |source| Error::Listen { address: self.address, source };
        let listener = TcpListener::from_std(self.listener).map_err(failed)?;
        let (plane, tls) = (self.plane, self.tls);
        let room = Arc::new(Semaphore::new(plane.limits.connections));
        let phase = watch::Sender::new(Phase::Serving);
        let open = watch::Sender::new(0);
        let mut connections = JoinSet::new();
        tokio::select! {
            () = stop => {}
            () = accept((&plane, &tls), &listener, &room, (&phase, &open), (&mut connections, workers)) => {}
        }
        let health = Health { draining: true, ..Health::clone(&plane.health.load()) };
        plane.health.store(Arc::new(health));
        tracing::info!(under_way = *plane.under_way.borrow(), "the gateway stops");
        phase.send_replace(Phase::Leaving);
        let mut gone = open.subscribe();
        tokio::select! {
            () = sleep(Duration::from_millis(plane.limits.leave_ms)) => {}
            _ = gone.wait_for(|open| *open == 0_usize) => {}
            () = accept((&plane, &tls), &listener, &room, (&phase, &open), (&mut connections, workers)) => {}
        }
        drop(listener);
        phase.send_replace(Phase::Ending);
        let drain = Duration::from_millis(plane.limits.drain_ms);
        let drained = timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            connections.shutdown().await;
        }
        Ok(())
    }
}

/// Accepts connections for ever.
async fn accept(
    (plane, tls): (&Arc<Plane>, &Option<TlsAcceptor>),
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    (phase, open): (&watch::Sender<Phase>, &watch::Sender<usize>),
    (connections, workers): (&mut JoinSet<()>, &mut Workers),
) {
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(worker) = workers.next() else { return };
                let (plane, phase, open) = (Arc::clone(plane), phase.subscribe(), open.clone());
                let tls = tls.clone();
                open.send_modify(|open| *open += 1);
                let serving = async move {
                    plane.metrics.connections.inc();
                    // It was accepted on another thread's runtime.
                    match stream.into_std().and_then(TcpStream::from_std) {
                        Ok(stream) => connection(&plane, stream, tls, phase).await,
                        Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
                    }
                    plane.metrics.connections.dec();
                    open.send_modify(|open| *open = open.saturating_sub(1));
                    drop(place);
                };
                connections.spawn_on(serving, worker);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    plane: &Arc<Plane>,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    phase: watch::Receiver<Phase>,
) {
    // Tokens are small, and each is wanted at once.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else { return speak(plane, stream, phase).await };
    let patience = Duration::from_millis(plane.limits.head_ms);
    match timeout(patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(plane, stream, phase).await,
        Ok(Err(error)) => tracing::debug!(%error, "a client does not speak TLS as it must"),
        Err(_) => tracing::debug!("a client took too long over its handshake"),
    }
}

/// Speaks HTTP on a connection until it ends.
async fn speak<S>(plane: &Arc<Plane>, stream: S, mut phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let limits = plane.limits;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_ms))
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES);
    let twice = Arc::new(AtomicBool::new(false));
    let stream = Paced::new(stream, Duration::from_millis(limits.reader_ms), Arc::clone(&twice));
    let told = phase.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let plane = Arc::clone(plane);
        // A body in chunks is nothing that this interface needs, and the look at heads ends where it begins.
        let doubtful =
            twice.load(Ordering::Relaxed) || request.headers().contains_key(header::TRANSFER_ENCODING);
        let told = told.clone();
        async move {
            let mut response =
                if doubtful { Refusal::Framing.response() } else { answer(plane, request).await };
            if *told.borrow() != Phase::Serving {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = served.as_mut() => return,
        _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
    }
    served.as_mut().graceful_shutdown();
    // What is under way has its own limits.
    if served.await.is_err() {
        tracing::debug!("a connection was cut");
    }
}
