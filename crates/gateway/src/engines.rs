//! Engines behind the gateway, and the connections to them.
//!
//! An engine is reached at its address, which is the operator's word and nothing more, or over the channel of a launcher:
//! then only while the record ties the key of that channel to the state, and only if whoever answers proves the key.

mod way;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Uri};
use statement::PublicKey;
use statement::kind::BindingLevel;

use self::way::Channel;
pub(crate) use self::way::{Client, Way};
use crate::binding::Bound;
use crate::config::StateEntry;
use crate::{Error, Limits};

/// Bytes of a file with an engine's key.
const KEY_BYTES_MAX: u64 = 4096;
/// How an address begins that an engine listens at itself.
const PLAIN: &str = "http://";
/// How an address begins that a launcher stands at.
const CHANNEL: &str = "channel://";

/// The engines of a state.
#[derive(Debug)]
pub(crate) struct Engines {
    at: Vec<Engine>,
    next: AtomicUsize,
    /// The model's name there.
    pub(crate) model: String,
    authorization: Option<HeaderValue>,
}

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) at: Authority,
    tie: Tie,
}

/// What says that it serves its state.
#[derive(Debug)]
enum Tie {
    /// The operator.
    Declared,
    /// The record, where it does: a binding whose channel key was proven there.
    Channel(ArcSwapOption<Believed>),
}

/// A binding that is believed, and connections to the holder of its key.
#[derive(Debug)]
struct Believed {
    bound: Bound,
    key: PublicKey,
    channel: Channel,
}

impl Engine {
    fn new(text: &str) -> Result<Self, Error> {
        let wrong =
            |reason: &str| Error::Config { what: format!("engine `{text}`"), reason: reason.to_owned() };
        let (rest, tie) = match (text.strip_prefix(PLAIN), text.strip_prefix(CHANNEL)) {
            (Some(rest), _) => (rest, Tie::Declared),
            (None, Some(rest)) => (rest, Tie::Channel(ArcSwapOption::empty())),
            (None, None) => return Err(wrong("it begins neither with `http://` nor with `channel://`")),
        };
        let form = "it is not `http://HOST:PORT` or `channel://HOST:PORT`";
        let at: Authority = rest.trim_end_matches('/').parse().map_err(|_| wrong(form))?;
        if at.port_u16().is_none() || at.as_str().contains('@') {
            return Err(wrong(form));
        }
        Ok(Self { at, tie })
    }

    /// Whether a launcher stands before it.
    pub(crate) const fn is_channel(&self) -> bool {
        matches!(self.tie, Tie::Channel(_))
    }

    /// Whether it is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        let host = self.at.host().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// How strongly it is tied to its state now; none where a launcher's channel is not believed.
    pub(crate) fn level(&self) -> Option<BindingLevel> {
        match &self.tie {
            Tie::Declared => Some(BindingLevel::Declared),
            Tie::Channel(believed) => believed.load().as_ref().map(|believed| believed.bound.level),
        }
    }

    /// The binding that is believed.
    pub(crate) fn bound(&self) -> Option<Bound> {
        match &self.tie {
            Tie::Declared => None,
            Tie::Channel(believed) => believed.load().as_ref().map(|believed| believed.bound.clone()),
        }
    }

    /// The key whose holder is believed.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        match &self.tie {
            Tie::Declared => None,
            Tie::Channel(believed) => believed.load().as_ref().map(|believed| believed.key.clone()),
        }
    }

    /// Believes nothing of a launcher any more; what was believed. Requests under way end where they began.
    pub(crate) fn forget(&self) -> Option<Bound> {
        let Tie::Channel(believed) = &self.tie else { return None };
        believed.swap(None).map(|believed| believed.bound.clone())
    }

    /// Believes that who holds the key serves the state so. Requests under way end where they began.
    pub(crate) fn believe(&self, key: &PublicKey, bound: Bound, limits: &Limits) -> Result<(), Error> {
        let Tie::Channel(believed) = &self.tie else { return Ok(()) };
        let same = |before: &Arc<Believed>| before.bound == bound && before.key == *key;
        if !believed.load().as_ref().is_some_and(same) {
            let channel = Channel::to(key, limits)?;
            believed.store(Some(Arc::new(Believed { bound, key: key.clone(), channel })));
        }
        Ok(())
    }

    /// The way to it, where it is tied at least so strongly, and how strongly it is.
    pub(crate) fn way(&self, plain: &Client, needed: BindingLevel) -> Option<(Way, BindingLevel)> {
        match &self.tie {
            Tie::Declared => {
                (needed <= BindingLevel::Declared).then(|| (plain.way(), BindingLevel::Declared))
            }
            Tie::Channel(believed) => {
                let believed = believed.load_full().filter(|believed| believed.bound.level >= needed)?;
                Some((believed.channel.way(), believed.bound.level))
            }
        }
    }

    /// As [`Engine::way`], with connections of its own: those of another runtime end with it.
    pub(crate) fn own_way(&self, needed: BindingLevel, limits: &Limits) -> Option<Way> {
        match &self.tie {
            Tie::Declared => (needed <= BindingLevel::Declared).then(|| Client::plain(limits).way()),
            Tie::Channel(believed) => {
                let believed = believed.load_full().filter(|believed| believed.bound.level >= needed)?;
                Channel::to(&believed.key, limits).ok().map(|channel| channel.way())
            }
        }
    }
}

impl Engines {
    pub(crate) fn new(entry: &StateEntry) -> Result<Self, Error> {
        let at = entry.engines.iter().map(|text| Engine::new(text)).collect::<Result<_, _>>()?;
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

    /// All of them, as the configuration has them.
    pub(crate) fn all(&self) -> &[Engine] {
        &self.at
    }

    /// The strongest tie that any of them has now.
    pub(crate) fn level(&self) -> Option<BindingLevel> {
        self.at.iter().filter_map(Engine::level).max()
    }

    /// The engines in the order in which one request tries them: each request begins with another.
    pub(crate) fn order(&self) -> impl Iterator<Item = &Engine> {
        let from = self.next.fetch_add(1, Ordering::Relaxed) % self.at.len().max(1);
        let (tail, head) = self.at.split_at_checked(from).unwrap_or((&[], &self.at));
        head.iter().chain(tail)
    }

    /// A request to one of them. Nothing of the client's head is passed on but what is named here.
    pub(crate) fn request(
        &self,
        engine: &Engine,
        path: &'static str,
        body: Bytes,
        from: &HeaderMap,
    ) -> Option<Request<Full<Bytes>>> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(engine.at.clone())
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
        let ports = |engines: &Engines| {
            engines.order().map(|engine| engine.at.port_u16().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ports(&engines), [1, 2]);
        assert_eq!(ports(&engines), [2, 1]);
        assert_eq!(ports(&engines), [1, 2]);
    }

    #[test]
    fn addresses_are_hosts_and_ports() {
        for wrong in [
            "https://a:1",
            "a:1",
            "http://a",
            "http://u@a:1",
            "http://a:1/path",
            "http://a:1?x",
            "http://",
            "channel://a",
            "channel://a:1/v1",
        ] {
            assert_eq!(Engine::new(wrong).unwrap_err().code(), "CS-GWY-001", "{wrong}");
        }
        assert!(!Engine::new("http://[::1]:80").unwrap().is_channel());
        let channel = Engine::new("channel://[::1]:80").unwrap();
        assert!(channel.is_channel() && channel.is_here());
        assert!(!Engine::new("channel://engines.example:80").unwrap().is_here());
    }

    #[test]
    fn a_channel_that_is_not_believed_is_no_way() {
        let limits = Limits::ORDINARY;
        let engine = Engine::new("channel://127.0.0.1:1").unwrap();
        assert_eq!(engine.level(), None);
        assert!(engine.own_way(BindingLevel::Declared, &limits).is_none());
        let declared = Engine::new("http://127.0.0.1:1").unwrap();
        assert!(declared.own_way(BindingLevel::Declared, &limits).is_some());
        assert!(declared.own_way(BindingLevel::FileChecked, &limits).is_none());
    }
}
