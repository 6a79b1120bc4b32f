//! An engine that serves a made model, for as long as a test needs it.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use engine::{Engine, Error, Keys, Limits, Server, sample};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::{Answer, Connection};

/// A running engine.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<u32>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

/// The made model with its adapter `other`.
pub(crate) fn engine(limits: Limits) -> Engine {
    let files = sample::model(7).unwrap();
    let adapters = [("other".to_owned(), sample::adapter(8).unwrap())];
    Engine::load("made", &files, &adapters, limits, &|_| {}).unwrap()
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(Limits::ORDINARY, None)
    }

    pub(crate) fn with(limits: Limits, keys: Option<&str>) -> Self {
        let keys = keys.map(|keys| Keys::read(keys.as_bytes()).unwrap());
        Self::serving(engine(limits), keys)
    }

    pub(crate) fn serving(engine: Engine, keys: Option<Keys>) -> Self {
        let server = Server::bind(engine, "127.0.0.1:0".parse().unwrap(), keys).unwrap();
        let engine::Place::Address(address) = *server.place() else { panic!("it listens on an address") };
        let stop = watch::Sender::new(0);
        let stopped = stop.subscribe();
        let stops = move || {
            let mut stopped = stopped.clone();
            let seen = *stopped.borrow_and_update();
            async move {
                if stopped.wait_for(|count| *count > seen).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let thread = std::thread::spawn(move || server.run(stops));
        Self { address, stop, thread: Some(thread) }
    }

    /// Tells the engine to stop.
    pub(crate) fn stop(&self) {
        self.stop.send_modify(|count| *count += 1);
    }

    /// Waits until it has stopped.
    pub(crate) fn stopped(mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut connection = self.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes());
        connection.answer()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let mut connection = self.connect();
        connection.post(path, "", body.to_string().as_bytes());
        connection.answer()
    }

    /// A completion of the made model with members added.
    pub(crate) fn completion(&self, members: &Value) -> Answer {
        let base =
            json!({ "model": "made", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 24 });
        self.post("/v1/completions", &with(base, members))
    }

    /// A chat with the made model with members added.
    pub(crate) fn chat(&self, members: &Value) -> Answer {
        let messages = json!([{ "role": "user", "content": "Hello" }]);
        let base = json!({ "model": "made", "messages": messages, "temperature": 0, "max_tokens": 24 });
        self.post("/v1/chat/completions", &with(base, members))
    }

    /// The value of a line of `/metrics`.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").text();
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Asks until a line of `/metrics` has a value: what is awaited happens on another thread.
    pub(crate) fn until(&self, line: &str, value: f64) {
        while (self.metric(line) - value).abs() > 0.1 {
            std::thread::yield_now();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop();
        self.stop();
    }
}

/// An object with members added or replaced.
pub(crate) fn with(mut base: Value, members: &Value) -> Value {
    let base_members = base.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        base_members.insert(name.clone(), value.clone());
    }
    base
}
