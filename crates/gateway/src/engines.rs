//! Engines behind the gateway, and the connections to them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::config::StateEntry;
use crate::{Error, Limits};

/// Bytes of a file with an engine's key.
const KEY_BYTES_MAX: u64 = 4096;
/// How long an unused connection to an engine is kept. Shorter than engines keep it, so that requests rarely meet a
/// connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Connections to all engines.
pub(crate) type Client = Pooled<HttpConnector, Full<Bytes>>;

/// Makes the client that all requests share.
pub(crate) fn client(limits: &Limits) -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_millis(limits.connect_ms)));
    Pooled::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE).build(connector)
}

/// The engines that are declared to serve a state.
#[derive(Debug)]
pub(crate) struct Engines {
    at: Vec<Authority>,
    next: AtomicUsize,
    /// The model's name there.
    pub(crate) model: String,
    authorization: Option<HeaderValue>,
}

impl Engines {
    pub(crate) fn new(entry: &StateEntry) -> Result<Self, Error> {
        let at = entry.engines.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        let authorization = entry.key_file.as_ref().map(|path| {
            let failed = Error::file(path, "read");
            let too_long =
                |length: u64| (length > KEY_BYTES_MAX).then(|| std::io::Error::other("it is too long"));
            let length = std::fs::metadata(path).map(|found| found.len());
            let read =
                length.and_then(|length| too_long(length).map_or_else(|| std::fs::read_to_string(path), Err));
            let key = read.map_err(failed)?;
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| Error::Config {
                    what: format!("key file `{}`", path.display()),
                    reason: "it holds no key of printable characters".to_owned(),
                })?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        });
        let authorization = authorization.transpose()?;
        Ok(Self { at, next: AtomicUsize::new(0), model: entry.model.clone(), authorization })
    }

    /// The engines in the order in which one request tries them: each request begins with another.
    pub(crate) fn order(&self) -> impl Iterator<Item = &Authority> {
        let from = self.next.fetch_add(1, Ordering::Relaxed) % self.at.len().max(1);
        let (tail, head) = self.at.split_at_checked(from).unwrap_or((&[], &self.at));
        head.iter().chain(tail)
    }

    /// What the engines ask for, where they ask for a key.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// A request to one of them. Nothing of the client's head is passed on but what is named here.
    pub(crate) fn request(
        &self,
        at: &Authority,
        path: &'static str,
        body: Bytes,
        from: &HeaderMap,
    ) -> Option<Request<Full<Bytes>>> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(at.clone())
            .path_and_query(PathAndQuery::from_static(path))
            .build()
            .ok()?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        for name in ["traceparent", "tracestate", "x-request-id"] {
            if let Some(value) = from.get(name) {
                headers.insert(name, value.clone());
            }
        }
        Some(request)
    }
}

fn address(text: &str) -> Result<Authority, Error> {
    let wrong = |reason: &str| Error::Config { what: format!("engine `{text}`"), reason: reason.to_owned() };
    let rest = text.strip_prefix("http://").ok_or_else(|| wrong("it does not begin with `http://`"))?;
    let authority: Authority =
        rest.trim_end_matches('/').parse().map_err(|_| wrong("it is not `http://HOST:PORT`"))?;
    if authority.port_u16().is_none() || authority.as_str().contains('@') {
        return Err(wrong("it is not `http://HOST:PORT`"));
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_take_turns() {
        let entry = StateEntry {
            engines: vec!["http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2/".to_owned()],
            key_file: None,
            model: "m".to_owned(),
            state: statement::StateId::from_digest(statement::Digest::of(b"state")),
        };
        let engines = Engines::new(&entry).unwrap();
        let ports = |engines: &Engines| engines.order().map(|at| at.port_u16().unwrap()).collect::<Vec<_>>();
        assert_eq!(ports(&engines), [1, 2]);
        assert_eq!(ports(&engines), [2, 1]);
        assert_eq!(ports(&engines), [1, 2]);
    }

    #[test]
    fn addresses_are_hosts_and_ports() {
        for wrong in
            ["https://a:1", "a:1", "http://a", "http://u@a:1", "http://a:1/path", "http://a:1?x", "http://"]
        {
            assert_eq!(address(wrong).unwrap_err().code(), "CS-GWY-001", "{wrong}");
        }
        address("http://[::1]:80").unwrap();
    }
}
