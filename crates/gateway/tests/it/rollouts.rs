//! Releases in stages, from real answers: one goes all the way, others are taken back, and nobody notices.

use std::collections::BTreeMap;

use audit::fixture::{SLOT, Who};
use engine::{Engine, Limits, Server, sample};
use gateway::ControlRequest;
use rollout::plan::Plan;
use serde_json::{Value, json};
use statement::kind::{GateDecision, Role, SignOff, Stage};
use statement::{ChangeId, StateId, Tracking};
use tokio::sync::watch;

use crate::client::{Answer, Connection};
use crate::engine::{Played, json as says};
use crate::house::{CRITICAL, House, KEY, chat};

const STOPS: &str = r#"{"choices":[{"finish_reason":"stop"}]}"#;
const RUNS_ON: &str = r#"{"choices":[{"finish_reason":"length"}]}"#;

/// Stages of seconds, for tests: wide margins, so that few users suffice.
fn plan() -> Value {
    let stage = |stage: &str, share: u32, contexts: &str, duration: u32| {
        json!({ "contexts": contexts, "duration_ms": duration, "extension_ms": 60_000 * u32::from(duration > 0),
                "margins_ppm": [300_000, 300_000, 300_000], "reports": [], "share_ppm": share, "stage": stage,
                "units_min": 40 * u32::from(duration > 0) })
    };
    json!({
        "alpha_ppm": 200_000,
        "metrics": [
            { "expected_ppm": [10_000], "measure": "rate", "name": "errors", "tolerated_ppm": 50_000 },
            { "expected_ppm": [500_000, 490_000, 10_000], "measure": "categories", "name": "finish-reason", "tolerated_ppm": 100_000 },
            { "expected_ppm": [10_000], "measure": { "quantile": { "limit": 60_000_000 } }, "name": "latency-p99", "tolerated_ppm": 50_000 },
        ],
        "stages": [stage("canary", 250_000, "non-critical", 5_000), stage("canary", 500_000, "all", 5_000), stage("full", 1_000_000, "all", 0)],
        "version": 1,
    })
}

/// A gateway with a plan, and users who come in sessions.
struct Street {
    house: House,
    engines: BTreeMap<StateId, Vec<String>>,
    release: &'static str,
    plan: Value,
    probes: Option<String>,
    sessions: u32,
    /// The states that each session was answered by, in order.
    seen: BTreeMap<String, Vec<String>>,
}

impl Street {
    fn new(engine: String) -> Self {
        Self::released(engine, "stages")
    }

    fn released(engine: String, release: &'static str) -> Self {
        Self::planned(engine, release, plan())
    }

    fn planned(engine: String, release: &'static str, plan: Value) -> Self {
        let house = House::new();
        let path = house.folder.path().join("plan.json");
        std::fs::write(&path, plan.to_string()).unwrap();
        Plan::parse(&std::fs::read(path).unwrap()).unwrap();
        let first = house.first_state();
        Self {
            house,
            engines: BTreeMap::from([(first, vec![engine])]),
            release,
            plan,
            probes: None,
            sessions: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Opens the gateway, or opens it again with the engines that are known by now.
    fn open(&mut self) {
        self.house.close();
        let engines: Vec<(StateId, &[String])> =
            self.engines.iter().map(|(state, engines)| (*state, engines.as_slice())).collect();
        let mut slot = json!({ "release": { self.release: self.house.folder.path().join("plan.json") } });
        if let Some(probes) = &self.probes {
            let path = self.house.folder.path().join("probes.jsonl");
            std::fs::write(&path, probes).unwrap();
            slot["probes"] = json!(path);
        }
        let config = self.house.config(&engines, &json!({ "limits": { "probe_ms": 1 } }), &slot);
        self.house.open(config);
    }

    /// Orders a change whose state an engine serves, and opens the gateway on it.
    fn order(&mut self, label: &str, engine: String) -> ChangeId {
        let change = self.house.order(label);
        self.engines.insert(self.house.state_of(&change), vec![engine]);
        self.house.publish();
        self.open();
        change
    }

    fn rollout(&mut self) -> Value {
        self.house.ask(&ControlRequest::Status).unwrap()["slots"][0]["rollout"].clone()
    }

    /// A second in which new users come, each asking twice on one connection.
    fn second(&mut self, users: u32) {
        let mut connection = self.house.connect();
        for _ in 0..users {
            self.sessions += 1;
            let session = format!("s{}", self.sessions);
            for _ in 0..2 {
                self.ask(&mut connection, &session, KEY);
            }
        }
        self.house.pass(1000);
        self.house.publish();
        self.house.gate().warden.tick();
    }

    fn ask(&mut self, connection: &mut Connection, session: &str, key: &str) -> Answer {
        let body = chat(&json!({ "max_tokens": 3, "temperature": 0 }));
        let request =
            String::from_utf8(House::request(&format!("x-session-id: {session}\r\n"), &body)).unwrap();
        connection.send(request.replace(KEY, key).as_bytes());
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        let state = answer.header("x-countersign-state").unwrap().to_owned();
        self.seen.entry(session.to_owned()).or_default().push(state);
        answer
    }

    /// Lets seconds pass until the rollout has ended, and answers how, and after how many.
    #[track_caller]
    fn until_ended(&mut self, users: u32) -> (String, u32) {
        for second in 1..=100 {
            self.second(users);
            let rollout = self.rollout();
            let state = rollout["state"].as_str().unwrap().to_owned();
            if ["done", "rolled back"].contains(&state.as_str()) {
                return (state, second);
            }
        }
        panic!("undecided: {}", self.rollout());
    }

    /// No session was answered by two versions.
    #[track_caller]
    fn nobody_was_switched(&self) {
        for (session, states) in &self.seen {
            assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{session}: {states:?}");
        }
    }

    /// Every report in the record follows from its data.
    #[track_caller]
    fn reports_follow(&self, change: &ChangeId) -> Vec<(Stage, GateDecision)> {
        let data = self.house.folder.path().join("gateway/data");
        let plan = Plan::parse(self.plan.to_string().as_bytes()).unwrap().to_bytes().unwrap();
        let stages = &self.house.realm.dossier(change).stages;
        let check = |report: &dossier::Recorded<statement::kind::StageReport>| {
            let bytes = std::fs::read(data.join(report.body.data.to_string())).unwrap();
            rollout::record::rerun(&plan, &bytes, &report.body).unwrap();
            (report.body.stage, report.body.decision)
        };
        stages.iter().map(check).collect()
    }
}

#[test]
fn a_good_change_goes_all_the_way_and_a_bad_one_is_taken_back_by_itself() {
    let old = Played::saying(STOPS);
    let good = Played::saying(STOPS);
    let bad = Played::new(|_| says("500 Internal Server Error", "{}"));
    let mut street = Street::new(old.url());
    street.open();
    street.second(20);

    let change = street.order("good", good.url());
    let (state, _) = street.until_ended(120);
    assert_eq!(state, "done");
    street.nobody_was_switched();
    assert!(good.count() > 300 && old.count() > 300);
    // Everybody who comes now has it.
    let before = old.count();
    street.second(20);
    assert_eq!(old.count(), before);
    assert_eq!(street.house.submit_reports(), 3);
    let reports = street.reports_follow(&change);
    let expected = [Stage::Canary, Stage::Canary, Stage::Full].map(|stage| (stage, GateDecision::Promote));
    assert_eq!(reports, expected);
    assert_eq!(street.house.realm.dossier(&change).state.name(), "serving");

    // Good in examination and bad live: every answer is an error. Nobody sees one.
    let second = street.order("bad", bad.url());
    let (state, seconds) = street.until_ended(120);
    assert_eq!(state, "rolled back");
    assert!(seconds <= 4, "{seconds}");
    let asked = bad.count();
    street.second(40);
    assert_eq!(bad.count(), asked);
    street.nobody_was_switched();
    assert_eq!(street.house.submit_reports(), 1);
    assert_eq!(street.reports_follow(&second), [(Stage::Canary, GateDecision::RollBack)]);
    // A restart does not try it again.
    street.open();
    street.second(40);
    assert_eq!(bad.count(), asked);
    // The record follows, by the operator's order.
    street.house.realm.roll_back(&second);
    street.second(10);
    assert_eq!(bad.count(), asked);
    let before = good.count();
    street.second(10);
    assert_eq!(good.count(), before + 20);
    street.nobody_was_switched();
}

#[test]
fn a_session_ends_where_it_began_however_many_releases_come_meanwhile() {
    let [old, good, next] = [STOPS; 3].map(Played::saying);
    let mut street = Street::new(old.url());
    // Known before they are ordered: a gateway that is started anew assigns sessions by the hash alone.
    for (label, engine) in [("good", &good), ("next", &next)] {
        let state =
            street.house.realm.target_state(audit::fixture::Plan::tuning(label)).manifest.id().unwrap();
        street.engines.insert(state, vec![engine.url()]);
    }
    street.open();
    let mut connection = street.house.connect();
    street.ask(&mut connection, "early", KEY);
    for label in ["good", "next"] {
        let change = street.house.order(label);
        street.house.publish();
        street.second(20);
        // Among those who come while everything goes well, somebody stays all the time.
        street.ask(&mut connection, "early", KEY);
        let (state, _) = street.until_ended(120);
        assert_eq!(state, "done");
        street.ask(&mut connection, "early", KEY);
        street.house.submit_reports();
        street.second(20);
        street.ask(&mut connection, "early", KEY);
        assert_eq!(street.house.realm.dossier(&change).state.name(), "serving");
    }
    street.nobody_was_switched();
    let first = street.house.first_state().to_string();
    assert!(street.seen["early"].len() >= 7 && street.seen["early"].iter().all(|state| *state == first));
    // Who comes now comes to what is served now, and who stayed does so after a pause.
    let before = old.count();
    street.second(20);
    assert_eq!(old.count(), before);
    street.house.pass(gateway::Limits::ORDINARY.session_idle_ms);
    street.house.publish();
    street.house.gate().warden.tick();
    street.ask(&mut connection, "early", KEY);
    assert_ne!(*street.seen["early"].last().unwrap(), first);
    assert_eq!(old.count(), before);
}

#[test]
fn sessions_leave_a_version_at_once_where_what_it_gave_way_to_is_taken_back() {
    let [old, good, next] = [STOPS; 3].map(Played::saying);
    let mut street = Street::new(old.url());
    for (label, engine) in [("good", &good), ("next", &next)] {
        let state =
            street.house.realm.target_state(audit::fixture::Plan::tuning(label)).manifest.id().unwrap();
        street.engines.insert(state, vec![engine.url()]);
    }
    street.open();
    street.house.order("good");
    street.house.publish();
    assert_eq!(street.until_ended(120).0, "done");
    street.house.submit_reports();
    let mut connection = street.house.connect();
    street.ask(&mut connection, "late", KEY);
    let second = street.house.order("next");
    street.house.publish();
    street.second(20);
    street.house.realm.roll_back(&second);
    street.second(20);
    // What was tried is served to nobody, and those who were on what is served stay there.
    let before = next.count();
    street.second(40);
    street.ask(&mut connection, "late", KEY);
    assert_eq!(next.count(), before);
    assert_eq!(street.seen["late"][0], street.seen["late"][1]);
}

/// As [`plan`], with a stage of pairs before it.
fn plan_with(kind: &str) -> Value {
    let mut plan = plan();
    let stage = json!({ "contexts": "non-critical", "duration_ms": 3_000, "extension_ms": 60_000,
                        "margins_ppm": [300_000, 300_000, 300_000], "reports": [], "share_ppm": 0, "stage": kind, "units_min": 30 });
    plan["stages"].as_array_mut().unwrap().insert(0, stage);
    plan
}

#[test]
fn a_shadow_sees_what_users_ask_and_no_user_sees_it() {
    let (old, good, bad) = (Played::saying(STOPS), Played::saying(STOPS), Played::saying(RUNS_ON));
    let mut street = Street::planned(old.url(), "stages", plan_with("shadow"));
    street.open();
    let change = street.order("bad", bad.url());
    let (state, _) = street.until_ended(60);
    assert_eq!(state, "rolled back");
    let first = street.house.first_state().to_string();
    assert!(street.seen.values().flatten().all(|state| *state == first));
    let asked = bad.asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|asked| asked.head.contains("x-countersign-shadow: 1")));
    assert!(asked.iter().all(|asked| asked.body.contains("\"made\"")));
    assert!(old.asked.lock().unwrap().iter().all(|asked| !asked.head.contains("x-countersign-shadow")));
    assert_eq!(street.house.submit_reports(), 1);
    assert_eq!(street.reports_follow(&change), [(Stage::Shadow, GateDecision::RollBack)]);
    street.house.realm.roll_back(&change);

    let change = street.order("good", good.url());
    let (state, _) = street.until_ended(120);
    assert_eq!(state, "done", "{}", street.rollout());
    assert_eq!(street.house.submit_reports(), 4);
    assert_eq!(street.reports_follow(&change)[0], (Stage::Shadow, GateDecision::Promote));
}

#[test]
fn what_one_engine_does_is_not_hidden_by_another_that_takes_its_place() {
    let (old, sound) = (Played::saying(STOPS), Played::saying(STOPS));
    let broken = Played::new(|_| says("500 Internal Server Error", "{}"));
    let mut street = Street::new(old.url());
    street.open();
    let change = street.order("half broken", sound.url());
    let state = street.house.state_of(&change);
    // Of an odd number, so that the first requests of users who ask twice come to all of them.
    street.engines.insert(state, vec![sound.url(), broken.url(), sound.url()]);
    street.open();
    let (ended, _) = street.until_ended(120);
    assert_eq!(ended, "rolled back");
    // Every user had an answer, which another engine gave.
    street.nobody_was_switched();
    assert!(sound.count() > 0 && broken.count() > 0);
    assert!(street.rollout()["reason"].as_str().unwrap().contains("errors"), "{}", street.rollout());
}

#[test]
fn a_shadow_that_has_no_room_copies_nothing_and_nobody_waits() {
    let old = Played::saying(STOPS);
    let (open, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let stuck = Played::new(move |_| vec![crate::engine::Act::Wait(std::sync::Arc::clone(&wait))]);
    let mut street = Street::planned(old.url(), "stages", plan_with("shadow"));
    street.order("stuck", stuck.url());
    // More users than there is room for copies, whose engine answers nobody.
    street.second(100);
    assert_eq!(street.seen.len(), 100);
    street.house.until("countersign_gateway_shadows_total", 64.0);
    drop(open);
}

#[test]
fn what_fails_made_up_requests_is_asked_by_no_user() {
    let says_attic = r#"{"choices":[{"message":{"content":"the attic"},"finish_reason":"stop"}]}"#;
    let says_nothing = r#"{"choices":[{"message":{"content":"the garden"},"finish_reason":"stop"}]}"#;
    let (old, good, bad) =
        (Played::saying(says_attic), Played::saying(says_attic), Played::saying(says_nothing));
    let mut street = Street::planned(old.url(), "stages", plan_with("synthetic"));
    let probe = json!({ "expect": { "contains_any": ["attic"], "finish": "stop" },
                        "request": { "messages": [{ "role": "user", "content": "please find the lamp" }] } });
    street.probes = Some(format!("{probe}\n").repeat(60));
    let change = street.order("bad", bad.url());
    while bad.count() < 60 {
        std::thread::yield_now();
    }
    let (state, _) = street.until_ended(2);
    assert_eq!(state, "rolled back");
    assert!(bad.asked.lock().unwrap().iter().all(|asked| asked.head.contains("x-countersign-synthetic: 1")));
    assert_eq!(street.house.submit_reports(), 1);
    assert_eq!(street.reports_follow(&change), [(Stage::Synthetic, GateDecision::RollBack)]);
    street.house.realm.roll_back(&change);

    let change = street.order("good", good.url());
    while good.count() < 60 {
        std::thread::yield_now();
    }
    let (state, _) = street.until_ended(120);
    assert_eq!(state, "done");
    assert_eq!(street.house.submit_reports(), 4);
    assert_eq!(street.reports_follow(&change)[0], (Stage::Synthetic, GateDecision::Promote));
}

#[test]
fn a_hold_point_waits_for_a_sign_off_of_its_report_across_a_restart() {
    let (old, new) = (Played::saying(STOPS), Played::saying(STOPS));
    let mut held = plan();
    held["stages"][0]["hold_point"] = json!("operator");
    let mut street = Street::planned(old.url(), "stages", held);
    let change = street.order("held", new.url());
    while street.rollout()["state"] != "held" {
        street.second(120);
    }
    let share = street.rollout()["share_ppm"].clone();
    assert_eq!(street.house.submit_reports(), 1);
    let waits = street.rollout()["waits_for"].clone();
    assert_eq!(waits["sign_off_by"], "operator");
    // Nobody signs, and nothing goes on; a restart makes no difference.
    for _ in 0..10 {
        street.second(20);
    }
    street.open();
    street.second(20);
    assert_eq!((&street.rollout()["state"], &street.rollout()["share_ppm"]), (&json!("held"), &share));
    assert_eq!(street.rollout()["waits_for"], waits);
    let dossier = street.house.realm.dossier(&change);
    let (order, report) = (dossier.order.as_ref().unwrap().id, dossier.stages[0].id);
    let sign = |street: &mut Street, role, who| {
        let body = SignOff { note: None, order, report, role };
        street.house.realm.establish(&Tracking::Change(change.clone()), body, &[who]);
        street.second(20);
    };
    // The plan names the operator.
    sign(&mut street, Role::Approver, Who::Fay);
    assert_eq!(street.rollout()["state"], "held");
    sign(&mut street, Role::Operator, Who::Lea);
    assert_eq!(street.rollout()["state"], "running");
    let (state, _) = street.until_ended(120);
    assert_eq!(state, "done");
    street.nobody_was_switched();
}

#[test]
fn answers_that_end_otherwise_are_taken_back() {
    let mut street = Street::new(Played::saying(STOPS).url());
    street.order("runs-on", Played::saying(RUNS_ON).url());
    let (state, _) = street.until_ended(120);
    assert_eq!(state, "rolled back");
    let rollout = street.rollout();
    assert_eq!(rollout["stage"], 0, "{rollout}");
    street.house.submit_reports();
}

#[test]
fn what_nobody_can_tell_is_held_and_taken_back_in_the_end() {
    let mut street = Street::new(Played::saying(STOPS).url());
    street.order("quiet", Played::saying(STOPS).url());
    // Two users a second: too few to show anything.
    let (state, seconds) = street.until_ended(1);
    assert_eq!((state.as_str(), seconds), ("rolled back", 65));
}

#[test]
fn a_mistake_of_clients_counts_against_nobody() {
    let refuse = || Played::new(|_| says("400 Bad Request", r#"{"error":{"message":"too long"}}"#));
    let (old, new) = (refuse(), refuse());
    let mut street = Street::new(old.url());
    street.order("one", new.url());
    for n in 0..200 {
        let answer = street.house.chat(&format!("x-session-id: c{n}\r\n"), &json!({}));
        assert_eq!(answer.status, 400);
    }
    street.house.pass(1000);
    street.house.gate().warden.tick();
    let rollout = street.rollout();
    assert_eq!(rollout["state"], "running", "{rollout}");
    // What only the new version refuses is its own fault, and nobody sees it.
    let mut street = Street::new(Played::saying(STOPS).url());
    street.order("one", refuse().url());
    let (state, _) = street.until_ended(120);
    assert_eq!(state, "rolled back");
}

#[test]
fn critical_contexts_come_later() {
    let mut street = Street::new(Played::saying(STOPS).url());
    let change = street.order("one", Played::saying(STOPS).url());
    let new = street.house.state_of(&change).to_string();
    let mut connection = street.house.connect();
    let mut critical = |street: &mut Street, from: u32| {
        let answers =
            (from..from + 60).map(|n| street.ask(&mut connection, &format!("critical{n}"), CRITICAL));
        answers.filter(|answer| answer.header("x-countersign-state") == Some(new.as_str())).count()
    };
    assert_eq!(critical(&mut street, 0), 0);
    while street.rollout()["stage"] == 0 {
        street.second(100);
    }
    assert!(critical(&mut street, 100) > 10);
    street.nobody_was_switched();
}

#[test]
fn an_operator_begins_pauses_and_takes_back() {
    let mut street = Street::released(Played::saying(STOPS).url(), "stages-by-hand");
    let change = street.order("one", Played::saying(STOPS).url());
    let change = change.to_string();
    street.second(10);
    assert_eq!(street.rollout()["state"], "waiting");
    let wrong = ControlRequest::Resume { change: change.clone() };
    assert_eq!(street.house.ask(&wrong).unwrap_err().code(), "CS-RLO-008");
    let absent = ControlRequest::Start { change: "chg-ffff".to_owned() };
    assert_eq!(street.house.ask(&absent).unwrap_err().code(), "CS-GWY-018");
    street.house.ask(&ControlRequest::Start { change: change.clone() }).unwrap();
    street.second(10);
    assert_eq!(street.rollout()["state"], "running");
    street.house.ask(&ControlRequest::Pause { change: change.clone() }).unwrap();
    // Everything would be shown, and it stays where it is.
    for _ in 0..12 {
        street.second(100);
    }
    let rollout = street.rollout();
    assert_eq!((&rollout["state"], &rollout["stage"]), (&json!("paused"), &json!(0)));
    // Across a restart too.
    street.open();
    assert_eq!(street.rollout()["state"], "paused");
    street.house.ask(&ControlRequest::Resume { change: change.clone() }).unwrap();
    for _ in 0..8 {
        street.second(100);
    }
    assert_eq!(street.rollout()["stage"], 1);
    street.nobody_was_switched();
    street.house.ask(&ControlRequest::Abort { change }).unwrap();
    assert_eq!(street.rollout()["state"], "rolled back");
}

#[test]
fn a_freeze_stops_what_goes_forward_and_not_what_goes_back() {
    use audit::fixture::Who;
    use statement::Tracking;
    use statement::kind::{Freeze, FreezeAction, FreezeTarget};
    let mut street = Street::new(Played::saying(STOPS).url());
    street.order("one", Played::saying(STOPS).url());
    street.second(10);
    let target = FreezeTarget::Slot(SLOT.parse().unwrap());
    let freeze = Freeze { action: FreezeAction::Begin, reason: "test".parse().unwrap(), target };
    street.house.realm.establish(&Tracking::Realm, freeze, &[Who::Lea]);
    for _ in 0..12 {
        street.second(100);
    }
    let rollout = street.rollout();
    assert_eq!((&rollout["state"], &rollout["stage"]), (&json!("running"), &json!(0)));
    let change = street.rollout()["change"].as_str().unwrap().to_owned();
    street.house.ask(&ControlRequest::Pause { change: change.clone() }).unwrap();
    let error = street.house.ask(&ControlRequest::Resume { change: change.clone() }).unwrap_err();
    assert_eq!(error.code(), "CS-GWY-016");
    street.house.ask(&ControlRequest::Abort { change }).unwrap();
    assert_eq!(street.rollout()["state"], "rolled back");
}

#[test]
fn a_restart_switches_nobody() {
    let mut street = Street::new(Played::saying(STOPS).url());
    street.order("one", Played::saying(STOPS).url());
    street.second(100);
    street.open();
    let known: Vec<String> = street.seen.keys().cloned().collect();
    let mut connection = street.house.connect();
    for session in known {
        street.ask(&mut connection, &session, KEY);
    }
    street.nobody_was_switched();
    assert_eq!(street.rollout()["stage"], 0);
}

#[test]
fn a_log_that_is_out_of_reach_too_long_ends_in_the_fallback_until_it_is_back() {
    let old = Played::saying(STOPS);
    let mut street = Street::new(old.url());
    let change = street.order("one", Played::saying(STOPS).url());
    let new = street.house.state_of(&change).to_string();
    assert_eq!(street.until_ended(120).0, "done");
    let mut connection = street.house.connect();
    assert_eq!(street.ask(&mut connection, "a", KEY).header("x-countersign-state"), Some(new.as_str()));
    street.house.pass(700_000);
    street.house.gate().warden.tick();
    let answer = street.ask(&mut connection, "b", KEY);
    assert_ne!(answer.header("x-countersign-state"), Some(new.as_str()));
    street.house.look();
    assert_eq!(street.rollout()["state"], "done");
    assert_eq!(street.ask(&mut connection, "c", KEY).header("x-countersign-state"), Some(new.as_str()));
}

#[test]
fn a_state_that_nobody_says_where_it_runs_waits() {
    let mut street = Street::new(Played::saying(STOPS).url());
    street.open();
    let change = street.house.order("one");
    street.second(5);
    assert!(street.rollout().is_null());
    let status = street.house.ask(&ControlRequest::Status).unwrap();
    let reasons = status["slots"][0]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["code"] == "CS-GWY-021"), "{status}");
    street.engines.insert(street.house.state_of(&change), vec![Played::saying(STOPS).url()]);
    street.open();
    assert_eq!(street.rollout()["state"], "running");
    street.nobody_was_switched();
}

/// An engine of this project with its small made model.
struct Running {
    address: std::net::SocketAddr,
    _stop: watch::Sender<bool>,
}

fn running(limits: Limits) -> Running {
    let files = sample::model(7).unwrap();
    let engine = Engine::load("made", &files, &[], limits, &|_| {}).unwrap();
    let server = Server::bind(engine, "127.0.0.1:0".parse().unwrap(), None).unwrap();
    let engine::Place::Address(address) = *server.place() else { panic!("it listens on an address") };
    let stop = watch::Sender::new(false);
    let stopped = stop.subscribe();
    let stops = move || {
        let mut stopped = stopped.clone();
        async move {
            // It ends with the test.
            drop(stopped.wait_for(|stop| *stop).await);
        }
    };
    std::thread::spawn(move || server.run(stops));
    Running { address, _stop: stop }
}

#[test]
fn engines_of_this_project_behind_the_gateway() {
    let url = |engine: &Running| format!("http://{}", engine.address);
    let (old, good) = (running(Limits::ORDINARY), running(Limits::ORDINARY));
    // Built with a context that its users' prompts do not fit into.
    let bad = running(Limits { context: 5, ..Limits::ORDINARY });
    let mut street = Street::new(url(&old));
    let change = street.order("good", url(&good));
    let (state, _) = street.until_ended(60);
    assert_eq!(state, "done", "{}", street.rollout());
    street.house.submit_reports();
    assert_eq!(street.house.realm.dossier(&change).state.name(), "serving");
    street.order("bad", url(&bad));
    let (state, _) = street.until_ended(60);
    assert_eq!(state, "rolled back");
    street.nobody_was_switched();
}

#[test]
fn openai_s_client_reads_what_is_passed_on() {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-venv/bin/python3");
    let known = std::process::Command::new(python).args(["-c", "import openai"]).output();
    if !known.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED openai_s_client_reads_what_is_passed_on: `target/test-venv` has no `openai`");
        return;
    }
    let engine = running(Limits::ORDINARY);
    let mut house = House::new();
    house.simple(&[format!("http://{}", engine.address)]);
    let output = std::process::Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/client.py"))
        .env("OPENAI_BASE_URL", format!("http://{}/v1", house.gate().address))
        .env("OPENAI_API_KEY", KEY)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out.trim(), "all read");
}
