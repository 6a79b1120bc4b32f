//! Connections to engines: plain ones, and those over a launcher's channel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use channel::TlsConnector;
use channel::client::TlsStream;
use http_body_util::Full;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::{Connect, Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{Client as Pooled, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo};
use statement::PublicKey;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::workers::Each;
use crate::{Error, Limits};

/// How long an unused connection to an engine is kept. Shorter than engines keep it, so that requests rarely meet a
/// connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Connections to all engines that are declared.
pub(crate) type Client = Pools<HttpConnector>;

/// Connections to the holder of one key.
pub(crate) type Channel = Pools<ChannelConnector>;

/// Connections, which each serving thread has to itself.
pub(crate) struct Pools<C> {
    connector: C,
    each: Each<Pooled<C, Full<Bytes>>>,
}

/// How an engine is reached from this thread.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// At its address.
    Plain(Pooled<HttpConnector, Full<Bytes>>),
    /// Over a channel, whose key every connection proves before a byte is sent.
    Channel(Pooled<ChannelConnector, Full<Bytes>>),
}

impl Way {
    /// Sends a request.
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Plain(client) => client.request(request),
            Self::Channel(client) => client.request(request),
        }
    }
}

impl<C: Connect + Clone> Pools<C> {
    fn new(connector: C) -> Self {
        Self { connector, each: Each::new() }
    }

    fn own(&self) -> Pooled<C, Full<Bytes>> {
        self.each.own(|| {
            Pooled::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE).build(self.connector.clone())
        })
    }
}

impl<C> std::fmt::Debug for Pools<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pools").finish_non_exhaustive()
    }
}

impl Client {
    /// To all engines that are declared.
    pub(crate) fn plain(limits: &Limits) -> Self {
        Self::new(http(limits))
    }

    /// The way to them.
    pub(crate) fn way(&self) -> Way {
        Way::Plain(self.own())
    }
}

impl Channel {
    /// To the holder of a key.
    pub(crate) fn to(key: &PublicKey, limits: &Limits) -> Result<Self, Error> {
        Ok(Self::new(ChannelConnector {
            http: http(limits),
            tls: channel::connector(key)?,
            patience: Duration::from_millis(limits.connect_ms),
        }))
    }

    /// The way to it.
    pub(crate) fn way(&self) -> Way {
        Way::Channel(self.own())
    }
}

fn http(limits: &Limits) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_millis(limits.connect_ms)));
    connector
}

/// Connects to the holder of one key.
#[derive(Clone)]
pub(crate) struct ChannelConnector {
    http: HttpConnector,
    tls: TlsConnector,
    patience: Duration,
}

impl std::fmt::Debug for ChannelConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelConnector").finish_non_exhaustive()
    }
}

impl Service<Uri> for ChannelConnector {
    type Response = ChannelStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<ChannelStream>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.http.poll_ready(cx).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.http.call(uri);
        let (tls, patience) = (self.tls.clone(), self.patience);
        Box::pin(async move {
            let stream = connecting.await.map_err(io::Error::other)?.into_inner();
            let proven = timeout(patience, tls.connect(channel::server_name(), stream)).await;
            Ok(ChannelStream(TokioIo::new(proven.map_err(io::Error::other)??)))
        })
    }
}

/// A connection whose other side has proven its key.
#[derive(Debug)]
pub(crate) struct ChannelStream(TokioIo<TlsStream<TcpStream>>);

impl Connection for ChannelStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for ChannelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for ChannelStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}
