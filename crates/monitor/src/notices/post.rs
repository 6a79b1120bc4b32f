//! The envelope as the body of a request, over TLS where the address says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Carrier, Told, wrong};
use crate::Error;

/// A place that takes requests.
pub(super) struct Post {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    patience: Duration,
}

impl Post {
    /// The place at an `http://` or `https://` address. Over TLS the system's roots are believed.
    pub(super) fn new(url: &str, patience: Duration) -> Result<Self, Error> {
        let roots = || {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            let (taken, _) = roots.add_parsable_certificates(found.certs);
            if taken == 0 {
                let why =
                    found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
                return Err(wrong(format!("`{url}`: the system's certificates cannot be read: {why}")));
            }
            Ok(roots)
        };
        Self::believing(url, patience, roots)
    }

    /// As [`Post::new`], believing other roots.
    pub(super) fn believing(
        url: &str,
        patience: Duration,
        roots: impl FnOnce() -> Result<RootCertStore, Error>,
    ) -> Result<Self, Error> {
        let refused = |why: &str| wrong(format!("`{url}`: {why}"));
        let uri: Uri = url.parse().map_err(|_| refused("it is no address"))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let host =
            authority.map(hyper::http::uri::Authority::host).ok_or_else(|| refused("it names no host"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, usual) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name =
                    ServerName::try_from(bare.clone()).map_err(|_| refused("its host has no such name"))?;
                let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                    .with_safe_default_protocol_versions()
                    .map_err(|error| refused(&error.to_string()))?
                    .with_root_certificates(roots()?)
                    .with_no_client_auth();
                (Some((TlsConnector::from(Arc::new(config)), name)), 443)
            }
            _ => return Err(refused("it begins neither with `http://` nor with `https://`")),
        };
        let port = uri.port_u16().unwrap_or(usual);
        Ok(Self { host: bare, port, tls, patience, uri })
    }

    async fn send(&self, told: &Told) -> Result<(), String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let status = match &self.tls {
            None => self.speak(stream, told).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                self.speak(stream.map_err(|error| error.to_string())?, told).await
            }
        };
        let status = status.map_err(|error| error.to_string())?;
        // A place that sends elsewhere has taken nothing.
        if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
    }

    async fn speak<S>(&self, stream: S, told: &Told) -> Result<StatusCode, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let driven = tokio::spawn(connection);
        let mut request = Request::new(Full::new(Bytes::from(told.envelope.clone())));
        *request.method_mut() = hyper::Method::POST;
        if let Some(authority) =
            self.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok())
        {
            request.headers_mut().insert(HOST, authority);
        }
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(path) = self.uri.path_and_query() {
            *request.uri_mut() = Uri::from(path.clone());
        }
        let status = sender.send_request(request).await.map(|response| response.status());
        driven.abort();
        status
    }
}

impl Carrier for Post {
    fn carry(&self, told: &Told) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let sent = tokio::time::timeout(self.patience, self.send(told)).await;
            sent.unwrap_or_else(|_| Err(format!("it does not answer within {} s", self.patience.as_secs())))
        })
    }
}
