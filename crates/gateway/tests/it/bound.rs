//! Engines that are tied to their states by statements: what a gateway believes of a launcher, and what it does when it does
//! not. Launchers are played: a channel with a real key before a played engine, a binding signed with the fixture's keys.

use std::sync::{Arc, Mutex};

use audit::fixture::{Plan as Change, SLOT, Who};
use channel::ChannelKey;
use gateway::ControlRequest;
use serde_json::{Value, json};
use statement::kind::{
    Assurance, BindingLevel, DirectoryEntry, EngineBinding, Revocation, RevocationTarget, Role,
};
use statement::{ChangeId, Digest, PublicKey, StateId, Tracking};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::engine::Played;
use crate::house::House;

/// A launcher: whoever connects gets to the engine, over a channel of the key that it has at the time.
struct Launcher {
    runtime: Runtime,
    key: Arc<Mutex<Arc<ChannelKey>>>,
    address: String,
}

impl Launcher {
    fn before(engine: &Played) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let key = Arc::new(Mutex::new(Arc::new(ChannelKey::generate().unwrap())));
        let (held, engine) = (Arc::clone(&key), engine.address);
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = held.lock().unwrap().acceptor().unwrap();
                tokio::spawn(async move {
                    // Whoever expects another key breaks off, and whoever only asks for it goes.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut behind = TcpStream::connect(engine).await.unwrap();
                    let _ended = copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        Self { runtime, key, address }
    }

    fn public(&self) -> PublicKey {
        self.key.lock().unwrap().public().clone()
    }

    fn url(&self) -> String {
        format!("channel://{}", self.address)
    }

    /// Another program takes its place.
    fn change_key(&self) {
        *self.key.lock().unwrap() = Arc::new(ChannelKey::generate().unwrap());
    }
}

/// A house whose policy asks for bound engines, with an engine for the first state and a launcher for what comes next.
struct Bound {
    house: House,
    old: Played,
    new: Played,
    launcher: Launcher,
    change: ChangeId,
}

const CHANGE: &str = "one";

impl Bound {
    /// The change is ordered, and nothing is said about its engine.
    fn new() -> Self {
        let mut house = House::strict();
        let entry = DirectoryEntry {
            assurance: Assurance::Unsealed,
            key: Who::Stranger.public_key(),
            person: "p-engines".parse().unwrap(),
            roles: [Role::Engine].into(),
            ..Who::Rollout.entry()
        };
        house.realm.establish(&Tracking::Realm, entry, &[Who::OfficerOne, Who::OfficerTwo]);
        let (old, new) = (Played::saying(r#"{"v":"old"}"#), Played::saying(r#"{"v":"new"}"#));
        let launcher = Launcher::before(&new);
        let change = house.order(CHANGE);
        let mut bound = Self { house, old, new, launcher, change };
        bound.open();
        bound
    }

    fn open(&mut self) {
        let (first, next) = (self.house.first_state(), self.state());
        let config = self.house.config(
            &[(first, &[self.old.url()]), (next, &[self.launcher.url()])],
            &json!({}),
            &json!({}),
        );
        self.house.open(config);
        self.house.look();
    }

    fn state(&self) -> StateId {
        self.house.state_of(&self.change)
    }

    fn binding(&self) -> EngineBinding {
        EngineBinding {
            arguments: Digest::of(b"[]"),
            binary: Digest::of(b"binary"),
            boot: channel::boot().unwrap(),
            channel: self.launcher.public(),
            level: BindingLevel::Launched,
            order: self.house.realm.dossier(&self.change).order.as_ref().unwrap().id,
            state: self.state(),
        }
    }

    /// Says in the log what a launcher says, and has the gateway look.
    fn say(&mut self, binding: EngineBinding) {
        self.house.realm.establish(&Tracking::Change(self.change.clone()), binding, &[Who::Stranger]);
        self.house.look();
    }

    fn status(&mut self) -> Value {
        self.house.ask(&ControlRequest::Status).unwrap()
    }

    #[track_caller]
    fn reason(&mut self, code: &str) {
        let status = self.status();
        let reasons = status["slots"][0]["reasons"].as_array().unwrap();
        assert!(reasons.iter().any(|reason| reason["code"] == code), "no {code} in {status}");
    }

    /// What a new session is answered by, and how strongly that is tied.
    #[track_caller]
    fn serves(&self, session: &str, version: &str, level: &str) {
        let answer = self.house.chat(&format!("x-session-id: {session}\r\n"), &json!({}));
        assert_eq!(
            (answer.status, answer.json()["v"].as_str(), answer.header("x-countersign-binding")),
            (200, Some(version), Some(level)),
            "{}",
            answer.text()
        );
    }

    /// The order is not admitted: everybody gets what was served before, and nobody asked the engine anything.
    #[track_caller]
    fn is_not_admitted(&mut self, code: &str) {
        self.reason("CS-GWY-024");
        self.reason(code);
        self.serves("anybody", "old", "declared");
        assert_eq!(self.new.count(), 0);
    }
}

#[test]
fn an_order_is_admitted_once_its_engine_is_bound_and_answers_say_so() {
    let mut bound = Bound::new();
    // It proves a key, and the log knows nothing of that key.
    bound.is_not_admitted("CS-GWY-025");
    bound.say(bound.binding());
    bound.serves("a", "new", "launched");
    let status = bound.status();
    let engines = status["slots"][0]["engines"].as_array().unwrap().clone();
    let levels: Vec<_> = engines.iter().map(|engine| engine["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["declared", "launched"], "{status}");
    assert!(status["slots"][0]["reasons"].as_array().unwrap().is_empty(), "{status}");
    let (state, at) = (bound.state(), bound.launcher.address.clone());
    let line =
        format!("countersign_gateway_engine_binding{{model=\"support\",state=\"{state}\",engine=\"{at}\"}}");
    assert!((bound.house.metric(&line) - 3.0).abs() < 0.1);
}

#[test]
fn what_is_tied_less_than_its_tier_asks_for_is_not_admitted() {
    let mut bound = Bound::new();
    let binding = EngineBinding { level: BindingLevel::Declared, ..bound.binding() };
    bound.say(binding);
    bound.is_not_admitted("CS-GWY-024");
    let binding = EngineBinding { level: BindingLevel::FileChecked, ..bound.binding() };
    bound.say(binding);
    bound.serves("a", "new", "file-checked");
    // The newest binding of the key is what counts; that hardware attests it would have to be shown.
    let binding = EngineBinding { level: BindingLevel::Attested, ..bound.binding() };
    bound.say(binding);
    bound.serves("a", "new", "launched");
}

#[test]
fn a_binding_of_another_start_of_the_machine_is_none() {
    let mut bound = Bound::new();
    let binding = EngineBinding { boot: Digest::of(b"before the power failed"), ..bound.binding() };
    bound.say(binding);
    bound.is_not_admitted("CS-GWY-028");
}

#[test]
fn a_launcher_of_another_state_is_none() {
    let mut bound = Bound::new();
    // A second slot, whose change the launcher serves.
    bound.house.realm.open_slot("eu/other");
    let other = bound.house.realm.release(Change { slot: "eu/other", ..Change::tuning("elsewhere") });
    let dossier = bound.house.realm.dossier(&other);
    let (order, state) = (dossier.order.as_ref().unwrap().id, dossier.proposal.body.target_state);
    let binding = EngineBinding { order, state, ..bound.binding() };
    bound.house.realm.establish(&Tracking::Change(other), binding, &[Who::Stranger]);
    bound.house.look();
    bound.is_not_admitted("CS-GWY-027");
}

#[test]
fn a_binding_that_has_no_effect_in_the_log_is_none() {
    let mut bound = Bound::new();
    // The key has other roles than `engine`.
    let binding = bound.binding();
    let envelope = bound.house.realm.sign(&Tracking::Change(bound.change.clone()), binding, &[Who::Rollout]);
    bound.house.realm.submit(&envelope);
    bound.house.look();
    bound.is_not_admitted("CS-GWY-026");
}

#[test]
fn a_revoked_signer_takes_its_bindings_along() {
    let mut bound = Bound::new();
    bound.say(bound.binding());
    bound.serves("a", "new", "launched");
    let asked = bound.new.count();
    let revocation = |since: u64| Revocation {
        reason: "stolen".parse().unwrap(),
        target: RevocationTarget::Key { compromised_since: since, key: Who::Stranger.key_id() },
    };
    // From a leaf after the binding: the binding had effect, and nobody may say so any more.
    let now = bound.house.realm.entries().len() as u64;
    let officers = [Who::OfficerOne, Who::OfficerTwo];
    bound.house.realm.establish(&Tracking::Realm, revocation(now), &officers);
    bound.house.look();
    bound.reason("CS-GWY-029");
    // It was admitted, so it is the version that is served; no engine of it may be asked.
    let answer = bound.house.chat("x-session-id: b\r\n", &json!({}));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(bound.new.count(), asked);
}

#[test]
fn whoever_takes_the_launchers_place_gets_nothing() {
    let mut bound = Bound::new();
    bound.say(bound.binding());
    bound.serves("a", "new", "launched");
    let asked = bound.new.count();
    bound.launcher.change_key();
    // Connections that were open are of the old key's holder; they are given up with the belief.
    bound.house.look();
    bound.reason("CS-GWY-025");
    let answer = bound.house.chat("x-session-id: b\r\n", &json!({}));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(bound.new.count(), asked);
    // A binding of the new key, as a launcher that was started anew signs it.
    bound.say(bound.binding());
    bound.serves("c", "new", "launched");
}

#[test]
fn what_was_admitted_keeps_its_binding_across_a_restart_without_the_log() {
    let mut bound = Bound::new();
    bound.say(bound.binding());
    bound.serves("a", "new", "launched");
    bound.house.close();
    std::fs::remove_dir_all(bound.house.tiles()).unwrap();
    let (first, next) = (bound.house.first_state(), bound.state());
    let config = bound.house.config(
        &[(first, &[bound.old.url()]), (next, &[bound.launcher.url()])],
        &json!({}),
        &json!({}),
    );
    bound.house.open(config);
    bound.serves("b", "new", "launched");
    // It is held to the level that it was admitted at.
    bound.launcher.change_key();
    bound.house.gate().warden.tick();
    let answer = bound.house.chat("x-session-id: c\r\n", &json!({}));
    assert_eq!(answer.status, 503, "{}", answer.text());
    bound.reason("CS-GWY-025");
}

#[test]
fn nobody_at_the_launchers_address_is_told_as_such() {
    let mut bound = Bound::new();
    bound.say(bound.binding());
    bound.house.close();
    let gone = std::mem::replace(&mut bound.launcher, Launcher::before(&bound.new));
    drop(gone.runtime);
    let first = bound.house.first_state();
    let config = bound.house.config(
        &[(first, &[bound.old.url()]), (bound.state(), &[format!("channel://{}", gone.address)])],
        &json!({}),
        &json!({ "slot": SLOT }),
    );
    std::fs::remove_dir_all(bound.house.folder.path().join("gateway")).unwrap();
    bound.house.open(config);
    bound.house.look();
    bound.reason("CS-CHN-003");
    bound.reason("CS-GWY-024");
    bound.serves("a", "old", "declared");
}
