//! A realm, its log's tiles in a folder, and a gateway that follows them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use audit::fixture::{BEGIN_MS, Plan as Change, Realm, SLOT, Who};
use gateway::{Config, ControlRequest, Error, Warden};
use merkle::tile::{bundles_between, encode_bundle};
use serde_json::{Value, json};
use signer::{FileScheme, KeyFile, Protection};
use statement::kind::{Assurance, DirectoryEntry, Role};
use statement::{ChangeId, Digest, StateId, Tracking};
use tokio::sync::oneshot;

use crate::client::{Answer, Connection};

/// The key that tests ask with.
pub(crate) const KEY: &str = "a-key-for-these-tests";
/// The other key, of a critical context.
pub(crate) const CRITICAL: &str = "a-critical-key-for-tests";

/// What a test needs.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) realm: Realm,
    pub(crate) clock: Arc<AtomicU64>,
    gate: Option<Open>,
}

/// An open gateway.
pub(crate) struct Open {
    pub(crate) warden: Warden,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

/// Which engines serve which state.
pub(crate) type States<'a> = &'a [(StateId, &'a [String])];

impl House {
    /// A realm with a slot in its first state, whose log is published.
    pub(crate) fn new() -> Self {
        let mut realm = Realm::new();
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed).unwrap();
        file.write_new(&folder.path().join("rollout.key")).unwrap();
        let entry = DirectoryEntry {
            assurance: Assurance::Unsealed,
            key: file.public_key().clone(),
            person: "p-rollout".parse().unwrap(),
            roles: [Role::Rollout].into(),
            ..Who::Rollout.entry()
        };
        realm.establish(&Tracking::Realm, entry, &[Who::OfficerOne, Who::OfficerTwo]);
        let house = Self { folder, realm, clock: Arc::new(AtomicU64::new(BEGIN_MS)), gate: None };
        house.publish();
        house
    }

    /// As [`House::new`], with the default policy: it asks for engines that are bound.
    pub(crate) fn strict() -> Self {
        let mut house = Self::new();
        house.realm.ask_for_bound_engines();
        house.publish();
        house
    }

    pub(crate) fn tiles(&self) -> PathBuf {
        self.folder.path().join("tiles")
    }

    /// Publishes the log as it stands, cosigned by both witnesses.
    pub(crate) fn publish(&self) {
        let size = self.realm.entries().len() as u64;
        publish(&self.tiles(), self.realm.entries(), &self.realm.checkpoint(size, 2).to_bytes());
    }

    /// Publishes, and has the gateway look.
    pub(crate) fn look(&mut self) {
        self.publish();
        // After a look that failed, some are left out.
        for _ in 0..6 {
            self.gate().warden.tick();
        }
    }

    /// The state that the slot begins with.
    pub(crate) fn first_state(&self) -> StateId {
        self.realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap().definition.body.baseline
    }

    /// The state that a change leads to.
    pub(crate) fn state_of(&self, change: &ChangeId) -> StateId {
        self.realm.dossier(change).proposal.body.target_state
    }

    /// Orders a change.
    pub(crate) fn order(&mut self, label: &str) -> ChangeId {
        self.realm.release(Change::tuning(label))
    }

    /// Lets time pass, for the realm and for the gateway.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.realm.advance_ms(ms);
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// The configuration, with members replaced.
    pub(crate) fn config(&self, states: States<'_>, members: &Value, slot: &Value) -> Config {
        Config::parse(self.text(states, members, slot).as_bytes()).unwrap()
    }

    /// Its text.
    pub(crate) fn text(&self, states: States<'_>, members: &Value, slot: &Value) -> String {
        let key = |name: &str, key: &str, context: &str| json!({ "concurrent": 64, "context": context, "name": name, "per_minute": 1_000_000, "sha256": Digest::of(key.as_bytes()) });
        let states: Vec<Value> = states
            .iter()
            .map(|(state, engines)| json!({ "engines": engines, "model": "made", "state": state }))
            .collect();
        let slot = with(
            json!({ "model": "support", "release": "at-once", "slot": SLOT, "states": states,
                    "system_prompts": "allowed", "unit": [{ "header": "x-session-id" }, "user"] }),
            slot,
        );
        let base = json!({
            "keys": [key("app", KEY, "non-critical"), key("ward", CRITICAL, "critical")],
            "listen": "127.0.0.1:0",
            "log": { "folder": self.tiles() },
            "realm": { "log_key": self.realm.log_signer().verifier().to_string(), "name": self.realm.id(),
                       "origin": self.realm.origin(), "root": self.realm.ledger().world().roots()[0] },
            "rollout_key": self.folder.path().join("rollout.key"),
            "slots": [slot],
            "state": self.folder.path().join("gateway"),
        });
        with(base, members).to_string()
    }

    /// Opens a gateway, and has it look once.
    pub(crate) fn open(&mut self, config: Config) {
        let clock = Arc::clone(&self.clock);
        let (mut warden, server) =
            Warden::open(config, Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
        let address = server.address();
        warden.tick();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            server.run(2, async {
                if stopped.await.is_err() {
                    eprintln!("the test ended without stopping its gateway");
                }
            })
        });
        self.gate = Some(Open { warden, address, stop: Some(stop), thread: Some(thread) });
    }

    /// Opens a gateway on engines for the first state, with everything else as usual.
    pub(crate) fn simple(&mut self, engines: &[String]) {
        self.with_limits(engines, &json!({}));
    }

    pub(crate) fn with_limits(&mut self, engines: &[String], limits: &Value) {
        let first = self.first_state();
        let limits = json!({ "limits": limits });
        let config = self.config(&[(first, engines)], &limits, &json!({}));
        self.open(config);
    }

    pub(crate) fn gate(&mut self) -> &mut Open {
        self.gate.as_mut().unwrap()
    }

    /// Ends the gateway, and waits until it has ended.
    pub(crate) fn close(&mut self) {
        drop(self.gate.take());
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.gate.as_ref().unwrap().address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut connection = self.connect();
        connection.send(
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n").as_bytes(),
        );
        connection.answer()
    }

    /// The bytes of a chat.
    pub(crate) fn request(headers: &str, body: &str) -> Vec<u8> {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Asks for a chat with members added.
    pub(crate) fn chat(&self, headers: &str, members: &Value) -> Answer {
        let body = chat(members);
        let mut connection = self.connect();
        connection.send(&Self::request(headers, &body));
        connection.answer()
    }

    /// Asks the gateway as an operator does.
    pub(crate) fn ask(&mut self, asked: &ControlRequest) -> Result<Value, Error> {
        self.gate().warden.ask(asked)
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

    /// The reports that the gateway has signed, submitted to the log in order.
    pub(crate) fn submit_reports(&mut self) -> usize {
        let outbox = self.folder.path().join("gateway/outbox");
        let mut paths: Vec<_> =
            std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in &paths {
            let envelope = statement::Envelope::parse(&std::fs::read(path).unwrap()).unwrap();
            let index = self.realm.submit(&envelope);
            let refused = self.realm.ledger().noops().get(&index).map(ToString::to_string);
            assert!(refused.is_none(), "{path:?} has no effect: {refused:?}");
            std::fs::remove_file(path).unwrap();
        }
        paths.len()
    }
}

impl Open {
    /// Tells the server to stop, as a system does.
    pub(crate) fn tell(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that has failed is found when its thread is joined.
            let _sent = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

/// Writes the tiles that a reader of entries needs.
pub(crate) fn publish(tiles: &Path, entries: &[Vec<u8>], checkpoint: &[u8]) {
    for path in bundles_between(0, entries.len() as u64) {
        let from = usize::try_from(path.index()).unwrap() * 256;
        let bundle = encode_bundle(&entries[from..from + usize::from(path.width())]).unwrap();
        let full = tiles.join(path.to_string());
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, bundle).unwrap();
    }
    std::fs::write(tiles.join("checkpoint"), checkpoint).unwrap();
}

/// The text of a chat with members added.
pub(crate) fn chat(members: &Value) -> String {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    with(json!({ "model": "support", "messages": messages }), members).to_string()
}

/// An object with members added or replaced.
pub(crate) fn with(mut base: Value, members: &Value) -> Value {
    let base_members = base.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        base_members.insert(name.clone(), value.clone());
    }
    base
}
