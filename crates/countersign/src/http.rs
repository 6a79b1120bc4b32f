//! The little HTTP that the log and witnesses need.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::failure::{Done, Failure};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Posts bytes, and answers status and body, whatever the status.
pub(crate) fn post(url: &str, body: &[u8]) -> Done<(u16, Vec<u8>)> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    let hint = "check that it is running and that the address is right";
    let failed = |error: ureq::Error| Failure::outside(format!("`{url}`: {error}"), hint);
    let mut response = agent.post(url).send(body).map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
    Ok((status, body))
}

/// What a server of this program lets others take of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Of one address: one machine does not have them all.
    pub(crate) connections_of_one: usize,
    /// Within what time a connection has sent a request's head, also while it is kept open.
    pub(crate) head_within: Duration,
    /// How long a connection lives: requests and answers are short, and who reads slowly is cut off here.
    pub(crate) connection_within: Duration,
}

/// For mirrors and logs, who ask for small files and come back.
pub(crate) const LIMITS: Limits = Limits {
    connections: 512,
    connections_of_one: 64,
    head_within: Duration::from_secs(10),
    connection_within: Duration::from_mins(1),
};

/// How long what is under way may take when the server ends.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long the server rests when the system gives it no connection.
const REST: Duration = Duration::from_millis(50);

/// Serves until it is interrupted; requests that have begun are finished.
pub(crate) fn serve(listen: SocketAddr, router: &axum::Router) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::outside(format!("no runtime: {error}"), "the system is out of threads"))?;
    runtime.block_on(async {
        let hint = "another program may use the port; give another with --listen";
        let failed = |error: std::io::Error| Failure::outside(format!("`{listen}`: {error}"), hint);
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        crate::text::print(&format!("listening on http://{address}\n"));
        serve_on(&listener, router, LIMITS, interrupted()).await;
        Ok(())
    })
}

/// Serves until `stop`.
async fn serve_on(
    listener: &TcpListener,
    router: &axum::Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let crowd = Arc::new(Crowd::default());
    let (end, _) = watch::channel(());
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            while connections.try_join_next().is_some() {}
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Who has too many already is cut off; everybody else waits for nobody.
                    let Some(one) = crowd.enter(peer.ip(), limits.connections_of_one) else { continue };
                    let (router, end) = (router.clone(), end.subscribe());
                    connections.spawn(async move {
                        connection(stream, router, limits, end).await;
                        drop((one, place));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(end);
    let ended = tokio::time::timeout(END_WITHIN, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, router: axum::Router, limits: Limits, mut end: watch::Receiver<()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_within);
    let service = TowerToHyperService::new(router);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    let whole = tokio::time::timeout(limits.connection_within, async move {
        let mut served = std::pin::pin!(served);
        tokio::select! {
            done = served.as_mut() => return done,
            // The sender is dropped when the server ends.
            _ = end.changed() => {}
        }
        served.as_mut().graceful_shutdown();
        served.await
    });
    match whole.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection was cut"),
        Err(_) => tracing::debug!("a connection has lived too long"),
    }
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct Crowd(Mutex<BTreeMap<IpAddr, usize>>);

impl Crowd {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        // Counters stay counters, whatever panicked beside them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, from: IpAddr, most: usize) -> Option<One> {
        let mut counts = self.counts();
        let count = counts.entry(from).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(One { crowd: Arc::clone(self), from })
    }
}

/// One connection of an address, until it is dropped.
#[derive(Debug)]
struct One {
    crowd: Arc<Crowd>,
    from: IpAddr,
}

impl Drop for One {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(count) = counts.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

async fn interrupted() {
    // Without the handler the signal ends the process, which is as good.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
