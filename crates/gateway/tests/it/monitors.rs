//! What monitors see, what counts of what they say, and what follows at once.

use std::sync::atomic::Ordering;

use audit::fixture::{SLOT, Who};
use gateway::ControlRequest;
use serde_json::{Value, json};
use signer::{FileKey, FileScheme, KeyFile, Protection, Signer as _, countersign, review, sign_statement};
use statement::kind::{
    Assurance, DirectoryEntry, Freeze, FreezeAction, FreezeTarget, Incident, Observation, Response, Role,
    RollbackOrder, Severity, TrustRoot,
};
use statement::{Body, ChangeId, Digest, Envelope, Statement, StatementId, Tracking};
use watch::window::{Said, Tapped, dimension};

use crate::client::Answer;
use crate::engine::{Act, EVENTS, Played, chunk, json as says};
use crate::house::{CRITICAL, House, KEY, chat};

const TOKEN: &str = "a-token-for-monitors";
const SAYS: &str = r#"{"choices":[{"message":{"content":"the lamp"},"finish_reason":"stop"}]}"#;

/// A gateway that five monitors watch, three of whom are needed, and what was released in it.
struct Watched {
    house: House,
    keys: Vec<FileKey>,
    change: ChangeId,
    old: Played,
    new: Played,
}

impl Watched {
    fn new() -> Self {
        Self::with(Played::saying(SAYS))
    }

    fn with(new: Played) -> Self {
        let mut house = House::new();
        let root = house.realm.ledger().world().root().unwrap();
        let mut body: TrustRoot = root.body.clone();
        (body.epoch, body.previous) = (body.epoch + 1, Some(root.id));
        body.roles.get_mut(&Role::Monitor).unwrap().threshold = 3;
        house.realm.establish(&Tracking::Realm, body, &[Who::RootOne, Who::RootTwo]);
        let mut keys = Vec::new();
        for n in 0..5 {
            let (_, key) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed).unwrap();
            let entry = DirectoryEntry {
                assurance: Assurance::Unsealed,
                key: key.public_key().clone(),
                person: format!("p-monitor-{n}").parse().unwrap(),
                roles: [Role::Monitor].into(),
                ..Who::Monitor.entry()
            };
            house.realm.establish(&Tracking::Realm, entry, &[Who::OfficerOne, Who::OfficerTwo]);
            keys.push(key);
        }
        let change = house.order("watched");
        let mut watched = Self { house, keys, change, old: Played::saying(SAYS), new };
        watched.house.publish();
        watched.open();
        watched
    }

    fn open(&mut self) {
        self.house.close();
        let (first, target) = (self.house.first_state(), self.house.state_of(&self.change));
        let (old, new) = ([self.old.url()], [self.new.url()]);
        let monitors = json!({ "monitors": [{ "name": "all", "sha256": Digest::of(TOKEN.as_bytes()) }] });
        let config = self.house.config(&[(first, &old), (target, &new)], &monitors, &json!({}));
        self.house.open(config);
    }

    fn order(&self) -> StatementId {
        self.house.realm.dossier(&self.change).order.as_ref().unwrap().id
    }

    fn statement(&self, about: &Tracking, body: impl Into<Body>) -> Statement {
        let now_ms = self.house.clock.load(Ordering::Relaxed);
        Statement::new(self.house.realm.id().clone(), about.clone(), now_ms, body)
    }

    fn about(&self) -> Tracking {
        Tracking::Change(self.change.clone())
    }

    fn signed(&self, by: usize, about: &Tracking, body: impl Into<Body>) -> Envelope {
        let key = &self.keys[by];
        sign_statement(key, &self.statement(about, body).signed_by(&[key.public_key().id()])).unwrap()
    }

    fn vote(&self, by: usize, level: i64) -> Envelope {
        self.vote_on(SLOT, by, level)
    }

    fn vote_on(&self, slot: &str, by: usize, level: i64) -> Envelope {
        let now_ms = self.house.clock.load(Ordering::Relaxed);
        let observation = Observation {
            data: Digest::of(b"counts"),
            detector: "ensemble-1".parse().unwrap(),
            from_ms: now_ms - 10_000,
            measures: [("level".parse().unwrap(), level)].into(),
            slot: slot.parse().unwrap(),
            state: self.house.state_of(&self.change),
            to_ms: now_ms,
        };
        self.signed(by, &Tracking::Realm, observation)
    }

    /// What a monitor says who would have this done, with what it rests on.
    fn incident(&self, by: usize, response: Response) -> Vec<Envelope> {
        let vote = self.vote(by, 3);
        let body = Incident {
            observations: [vote.id()].into(),
            order: self.order(),
            response,
            severity: Severity::Critical,
            slot: SLOT.parse().unwrap(),
            summary: None,
        };
        let incident = self.signed(by, &self.about(), body);
        vec![vote, incident]
    }

    fn back(&self) -> RollbackOrder {
        let order = self.house.realm.dossier(&self.change).order.as_ref().unwrap().body.clone();
        RollbackOrder {
            from_state: order.to_state,
            incident: None,
            order: self.order(),
            reason: "monitors-agree".parse().unwrap(),
            slot: order.slot,
            to_state: order.from_state,
        }
    }

    /// Says it, and has the gateway decide.
    #[track_caller]
    fn say(&mut self, say: Vec<Envelope>) {
        let text = serde_json::to_string(&Said { say }).unwrap();
        let answer = self.post(&text);
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.house.gate().warden.tick();
    }

    fn post(&self, text: &str) -> Answer {
        let mut connection = self.house.connect();
        let head = format!(
            "POST /tap HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        connection.send(format!("{head}{text}").as_bytes());
        connection.answer()
    }

    fn tap(&self, after: &str, token: &str) -> Answer {
        let mut connection = self.house.connect();
        connection.send(
            format!("GET /tap{after} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")
                .as_bytes(),
        );
        connection.answer()
    }

    /// The change that answers somebody.
    fn answered_by(&self, key: &str) -> Option<String> {
        let mut connection = self.house.connect();
        let request = String::from_utf8(House::request("", &chat(&json!({})))).unwrap();
        connection.send(request.replace(KEY, key).as_bytes());
        let answer = connection.answer();
        (answer.status == 200).then(|| answer.header("x-countersign-change").unwrap().to_owned())
    }

    fn status(&mut self) -> Value {
        self.house.ask(&ControlRequest::Status).unwrap()["slots"][0].clone()
    }

    #[track_caller]
    fn not_heard(&mut self, say: Envelope) {
        let before = self.status()["monitors"]["not_heard"].as_u64().unwrap();
        self.say(vec![say]);
        assert_eq!(self.status()["monitors"]["not_heard"].as_u64().unwrap(), before + 1);
    }
}

#[test]
fn a_tap_gives_counts_of_each_version_to_monitors_alone() {
    let mut watched = Watched::new();
    let change = watched.change.to_string();
    for _ in 0..3 {
        assert_eq!(watched.answered_by(KEY), Some(change.clone()));
    }
    watched.house.pass(1000);
    let target = watched.house.state_of(&watched.change);
    let counted = || {
        let tapped: Tapped = serde_json::from_slice(&watched.tap("?after=0", TOKEN).body).unwrap();
        let of = tapped.windows.iter().filter(|window| window.state == target);
        of.filter_map(|window| window.counts.dimension(&dimension::ERRORS.parse().unwrap()))
            .map(watch::fingerprint::Dimension::count)
            .sum::<u64>()
    };
    // What was answered is counted when its connection has let go of it.
    while counted() < 3 {
        watched.house.clock.fetch_add(1000, Ordering::Relaxed);
    }
    let text = watched.tap("", TOKEN).text();
    assert!(!text.contains("lamp") && !text.contains("Hello"), "no texts: {text}");
    for (token, after, status) in [(KEY, "", 401), ("x", "", 401), (TOKEN, "?after=x", 400)] {
        assert_eq!(watched.tap(after, token).status, status);
    }
    // A monitor's token asks nothing of models.
    assert_eq!(watched.answered_by(TOKEN), None);
    for bad in ["", "{}", "{\"say\":[{}]}", "{\"say\":[],\"x\":1}", "\u{0}"] {
        assert_eq!(watched.post(bad).status, 400, "{bad}");
    }
}

#[test]
fn two_that_lie_change_nothing_and_three_take_it_back_at_once() {
    let mut watched = Watched::new();
    let change = watched.change.to_string();
    for by in 0..2 {
        watched.say(watched.incident(by, Response::Stop));
        let order = watched.signed(by, &watched.about(), watched.back());
        watched.say(vec![order]);
    }
    assert_eq!(watched.answered_by(KEY), Some(change.clone()));
    // The third says less than they do: what three reach is what is done.
    watched.say(watched.incident(2, Response::Restrict));
    assert_eq!(watched.status()["monitors"]["decided"]["response"], "restrict");
    assert_eq!(watched.answered_by(KEY), Some(change.clone()));
    assert_eq!(watched.answered_by(CRITICAL), Some("baseline".to_owned()));
    watched.say(watched.incident(2, Response::RollBack));
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));
    let codes = watched.status()["reasons"].to_string();
    assert!(codes.contains("CS-GWY-031"), "{codes}");
    // A restart does not forget it.
    watched.house.pass(1000);
    watched.open();
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));

    // Together they sign the order, each in a message of its own.
    let unsigned = watched.statement(&watched.about(), watched.back()).to_envelope().unwrap();
    for by in 2..5 {
        let mut own = unsigned.clone();
        countersign(&watched.keys[by], review(&own).unwrap(), &mut own).unwrap();
        let is_back = |watched: &mut Watched| watched.status()["order"].is_null();
        watched.say(vec![own]);
        assert_eq!(watched.status()["monitors"]["decided"].is_null(), by == 4 && is_back(&mut watched));
    }
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));
    // Everything is left for the log, in an order in which it has effect there: observations, incidents, the order.
    assert!(watched.house.submit_reports() >= 7);
    let dossier = watched.house.realm.dossier(&watched.change);
    assert!(dossier.incidents.len() >= 3 && dossier.rollback.is_some());
    watched.house.look();
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));
}

#[test]
fn one_that_begins_many_orders_takes_nobodys_place() {
    let mut watched = Watched::new();
    let noise: Vec<Envelope> = (0..40)
        .map(|n| {
            let order = RollbackOrder { reason: format!("noise-{n}").parse().unwrap(), ..watched.back() };
            watched.signed(0, &watched.about(), order)
        })
        .collect();
    for portion in noise.chunks(10) {
        watched.say(portion.to_vec());
    }
    assert_eq!(watched.status()["monitors"]["not_heard"], 36, "all but four");
    let unsigned = watched.statement(&watched.about(), watched.back()).to_envelope().unwrap();
    for by in 2..5 {
        let mut own = unsigned.clone();
        countersign(&watched.keys[by], review(&own).unwrap(), &mut own).unwrap();
        watched.say(vec![own]);
    }
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));
    assert!(watched.status()["order"].is_null());
}

#[test]
fn strangers_replays_and_what_goes_forward_are_not_heard() {
    let mut watched = Watched::new();
    let change = watched.change.to_string();
    // By somebody else's key.
    let (_, stranger) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed).unwrap();
    let body = watched.statement(
        &Tracking::Realm,
        Freeze { action: FreezeAction::Begin, reason: "x".parse().unwrap(), target: FreezeTarget::Realm },
    );
    watched.not_heard(sign_statement(&stranger, &body.signed_by(&[stranger.public_key().id()])).unwrap());
    // With a signature that is of something else.
    let mut forged = watched.vote(0, 3);
    forged.signatures = watched.vote(1, 3).signatures;
    watched.not_heard(forged);
    // Of a slot that is served elsewhere: it says nothing of whether this one is watched.
    let elsewhere = watched.vote_on("elsewhere", 0, 0);
    watched.not_heard(elsewhere);
    // Nobody's.
    watched.not_heard(Envelope { signatures: Vec::new(), ..watched.vote(0, 3) });
    // Of another time.
    let old = watched.incident(0, Response::Stop).remove(1);
    watched.house.pass(120_000);
    watched.not_heard(old.clone());
    // Of another realm, and an end of a freeze, which goes forward.
    let elsewhere = Statement {
        header: statement::Header {
            realm: "elsewhere".parse().unwrap(),
            ..watched
                .statement(
                    &Tracking::Realm,
                    Freeze {
                        action: FreezeAction::Begin,
                        reason: "x".parse().unwrap(),
                        target: FreezeTarget::Realm,
                    },
                )
                .header
        },
        ..watched.statement(
            &Tracking::Realm,
            Freeze { action: FreezeAction::Begin, reason: "x".parse().unwrap(), target: FreezeTarget::Realm },
        )
    };
    let key = &watched.keys[0];
    let elsewhere = sign_statement(key, &elsewhere.signed_by(&[key.public_key().id()])).unwrap();
    watched.not_heard(elsewhere);
    let end = Freeze { action: FreezeAction::End, reason: "x".parse().unwrap(), target: FreezeTarget::Realm };
    let end = watched.signed(0, &Tracking::Realm, end);
    watched.not_heard(end);
    assert_eq!(watched.answered_by(KEY), Some(change));
}

#[test]
fn quarantine_cuts_what_is_under_way_and_a_stop_lasts_until_people_end_it() {
    let (hold, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let streams = Played::new(move |_| {
        let first = chunk("data: {\"choices\":[]}\n\n");
        vec![Act::Say(format!("{EVENTS}{first}").into_bytes()), Act::Wait(std::sync::Arc::clone(&wait))]
    });
    let mut watched = Watched::with(streams);
    let mut connection = watched.house.connect();
    connection.send(&House::request("", &chat(&json!({ "stream": true }))));
    assert_eq!(connection.head().status, 200);
    assert!(!connection.chunk().is_empty());
    for by in 0..3 {
        watched.say(watched.incident(by, Response::Quarantine));
    }
    // The stream ends with an error that clients read.
    let end = String::from_utf8(connection.chunk()).unwrap();
    assert!(end.contains("quarantine"), "{end}");
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));
    for by in 0..3 {
        watched.say(watched.incident(by, Response::Stop));
    }
    assert_eq!(watched.answered_by(KEY), None);
    watched.open();
    assert_eq!(watched.answered_by(KEY), None);
    // Not before the record has taken back what was stopped.
    let reopen = ControlRequest::Reopen { slot: SLOT.to_owned() };
    assert_eq!(watched.house.ask(&reopen).unwrap_err().code(), "CS-GWY-033");
    watched.house.realm.roll_back(&watched.change.clone());
    watched.house.look();
    assert_eq!(watched.answered_by(KEY), None);
    watched.house.ask(&reopen).unwrap();
    assert_eq!(watched.answered_by(KEY), Some("baseline".to_owned()));
    assert_eq!(watched.house.ask(&reopen).unwrap_err().code(), "CS-GWY-033");
    drop(hold);
}

#[test]
fn errors_that_another_version_hides_are_counted_against_the_one_that_makes_them() {
    let watched = Watched::with(Played::new(|_| says("500 Internal Server Error", "{}")));
    assert_eq!(watched.answered_by(KEY), None);
    watched.house.clock.fetch_add(1000, Ordering::Relaxed);
    let target = watched.house.state_of(&watched.change);
    let errors = || {
        let tapped: Tapped = serde_json::from_slice(&watched.tap("?after=0", TOKEN).body).unwrap();
        let window = tapped.windows.into_iter().find(|window| window.state == target)?;
        window.counts.dimension(&dimension::ERRORS.parse().unwrap()).cloned()
    };
    let found = loop {
        if let Some(found) = errors() {
            break found;
        }
        watched.house.clock.fetch_add(1000, Ordering::Relaxed);
    };
    assert_eq!(found, watch::fingerprint::Dimension::Events { yes: 1, of: 1 });
}
