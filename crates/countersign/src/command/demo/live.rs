//! The demo's last scene: a change goes live in stages under real traffic, and another is taken back.
//!
//! Engines are processes of this program on this machine with our own small model; those of the two changes are launched on
//! their files from the vault and bound to their states, as the policy asks. The gateway runs here, on the demo's clock. The traffic is made by the demo; what becomes of it is not. The plan's stages are short, and it says so.

mod engines;
mod launcher;
mod scenery;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::gateway::{Config, ControlRequest, Server, Warden, ask_control, socket_path};
use serde_json::{Value, json};
use statement::kind::{ComponentRole, GateDecision, GateResult, Level, ModificationKind, Outcome, Role};
use statement::{ChangeId, Digest, SlotId, StateId};
use tokio::sync::oneshot;

use self::engines::Engine;
use self::launcher::Launcher;
use self::scenery::{define_slot, enrol_service, grant, state_with, write_files};
use self::traffic::{KEY, Seen, Traffic};
use super::cast::{PERSON_ENGINES, PERSON_ROLLOUT};
use super::stage::Stage;
use super::{APPROVERS, REPORTS};
use crate::act::{self, ArtefactSource};
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::realm::Realm;
use crate::worker::Worker;

/// The name that clients ask for, and that the engines have.
const MODEL: &str = "finder";
/// How often the scene looks at how the rollout stands.
const GLANCE: Duration = Duration::from_millis(50);
/// A rollout that has not ended by then never will.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the scene needs.
pub(super) struct Props<'a> {
    pub(super) setting: &'a Setting,
    pub(super) worker: &'a Worker,
    /// A folder for files, engines and the gateway.
    pub(super) folder: &'a Path,
    pub(super) clock: translog::Clock,
}

/// Shows it. That a change does not end as it must is an error of the demo.
pub(super) fn show(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    let prompts = write_files(props.folder)?;
    let slot: SlotId = MODEL.parse()?;
    let model = props.folder.join("model");
    let first = define_slot(realm, &slot, &model, &prompts)?;
    enrol_service(realm, PERSON_ROLLOUT, Role::Rollout)?;
    enrol_service(realm, PERSON_ENGINES, Role::Engine)?;
    let grant = grant(realm, &slot)?;
    stage.busy("starting an engine, with the model in a worker's box");
    let mut running = Engine::begin(props, &model, &prompts.old)?;
    let (good_place, bad_place) = (Launcher::place()?, Launcher::place()?);
    let engines = BTreeMap::from([
        (first, running.address()?),
        (state_with(realm, first, &prompts.good)?, good_place.url.clone()),
        (state_with(realm, first, &prompts.bad)?, bad_place.url.clone()),
    ]);
    stage.fact("engine", "what is served first is on the operator's word: a process of `countersign engine`");
    realm.publish()?;
    let gateway = Gateway::open(realm, props, &slot, &engines)?;
    stage.fact(
        "gateway",
        "follows the log by itself; users talk to it, most of them in the middle of a long conversation",
    );
    gateway.until(|slot| at(slot, "base").as_str().is_some())?;
    let traffic = Traffic::begin(&gateway.url)?;
    traffic.until_answered(40)?;
    stage.say(
        "  (The stages take two seconds each here. In `policies/rollout-gateway.json` they take hours.)",
    );

    stage.heading("   A shorter style: it goes to 25 % of the users, to half of them, to everybody.");
    let good = ordered(realm, props, &slot, &prompts.good, grant, "be brief")?;
    let good_engine = launched(realm, props, stage, &gateway, good_place, &good)?;
    let ended = follow(stage, &gateway, &traffic, &good)?;
    expect(&ended, "done", &good)?;
    file_reports(realm, &gateway, &good)?;
    stage.fact("record", "the gateway's signed stage reports are in the log; the change counts as served");

    stage.heading("   A style guide: in its scope, reviewed, approved by the same three persons.");
    let bad = ordered(realm, props, &slot, &prompts.bad, grant, "a whole style guide")?;
    let bad_engine = launched(realm, props, stage, &gateway, bad_place, &bad)?;
    let ended = follow(stage, &gateway, &traffic, &bad)?;
    expect(&ended, "rolled back", &bad)?;
    file_reports(realm, &gateway, &bad)?;
    tell_why(realm, stage, &bad)?;
    let reason = "worse-than-before".parse()?;
    let envelope = act::rollback(realm, &bad, reason, &["olga".to_owned()])?;
    realm.submit(&envelope)?;
    realm.publish()?;
    stage.fact("record", "olga signs the rollback; nobody had to be awake for it to happen");
    let after = traffic.seen();
    traffic.until_answered(after.answered + 40)?;
    tell_traffic(stage, &traffic.end()?, &good, &bad)?;
    gateway.close()?;
    good_engine.end()?;
    bad_engine.end()
}

/// Launches the engine of a change, and waits until the gateway believes that it serves the change's state.
fn launched(
    realm: &mut Realm,
    props: &Props<'_>,
    stage: &mut Stage,
    gateway: &Gateway,
    place: launcher::Place,
    change: &ChangeId,
) -> Done<Launcher> {
    stage.busy("launching its engine on files from the vault");
    let refused = gateway.slot()?;
    let (launcher, binding, state) = Launcher::begin(realm, props, place, change)?;
    realm.publish()?;
    let is_it = |engine: &&Value| at(engine, "state").as_str() == Some(state.to_string().as_str());
    let level = |slot: &Value| {
        let engine = at(slot, "engines").as_array()?.iter().find(is_it)?;
        at(engine, "level").as_str().map(str::to_owned)
    };
    gateway.until(|slot| level(slot).as_deref() == Some("launched"))?;
    let before = level(&refused).unwrap_or_default();
    let tier = realm.dossier(change.as_str())?.order.as_ref().map(|order| order.body.tier);
    let rules = realm.ledger().world().policy().map(|policy| &policy.body.rules);
    let rule = rules.and_then(|rules| rules.tiers.get(&tier?)).map(|rule| rule.binding);
    let needed = json!(rule);
    stage.fact(
        "engine",
        &format!(
            "launched on verified files; binding {}",
            &binding.to_string().get(..12).unwrap_or_default()
        ),
    );
    stage.fact(
        "level",
        &format!(
            "`{before}` before the binding was in the log, `launched` since; the policy asks for {needed}"
        ),
    );
    Ok(launcher)
}

/// Takes a prompt all the way to its release order.
fn ordered(
    realm: &mut Realm,
    props: &Props<'_>,
    slot: &SlotId,
    prompt: &Path,
    grant: statement::StatementId,
    summary: &str,
) -> Done<ChangeId> {
    let source = ArtefactSource {
        role: ComponentRole::Prompt,
        modification: ModificationKind::Prompt,
        path: prompt.to_owned(),
        name: None,
    };
    let request = act::ProposalRequest {
        slot: slot.clone(),
        source,
        by: "pia",
        as_model: act::AsModel::Person,
        level: Level::Tuning,
        grant: Some(grant),
        contexts: BTreeSet::new(),
        summary: Some(summary),
        rebase: None,
        isolation: crate::cli::Isolation::Standard,
    };
    let change = act::propose(realm, request)?.change;
    act::examine(realm, props.worker, &change, "erik", None)?;
    for (evidence, by, report) in REPORTS {
        let overturns = BTreeSet::new();
        let request =
            act::ReviewRequest { change: &change, evidence, outcome: Outcome::Pass, report, by, overturns };
        act::sign_review(realm, &request)?;
    }
    act::decide(realm, &change)?;
    for (by, capacity) in APPROVERS {
        let request =
            act::ApprovalRequest { change: &change, by, capacity, grant: None, note: None, days: 7 };
        let (envelope, reviewed) = act::prepare_approval(realm, &request)?;
        act::approve(realm, &change, envelope, reviewed, by)?;
    }
    super::order(realm, &change)?;
    realm.publish()?;
    Ok(change)
}

/// Prints what happens to a rollout until it has ended. How it stands then.
fn follow(stage: &mut Stage, gateway: &Gateway, traffic: &Traffic, change: &ChangeId) -> Done<Value> {
    let began = Instant::now();
    let before = traffic.seen();
    stage.fact("tracking id", change.as_str());
    stage.event(began.elapsed(), "ordered by olga, published, witnessed");
    let mut last = String::new();
    loop {
        let slot = gateway.slot()?;
        let rollout = at(&slot, "rollout");
        let is_this = at(rollout, "change").as_str() == Some(change.as_str());
        let state = at(rollout, "state").as_str().unwrap_or_default();
        let seen = traffic.seen();
        let text = match (state, at(rollout, "share_ppm").as_u64()) {
            _ if !is_this => String::new(),
            ("running", Some(share)) => format!("{} % of users have it", share / 10_000),
            ("done", _) => "everybody has it".to_owned(),
            ("rolled back", _) => "taken back: nobody has it".to_owned(),
            _ => String::new(),
        };
        if text != last && !text.is_empty() {
            let told = format!(
                "{text} ({} requests so far, {} answered by it, {} failed)",
                seen.answered.saturating_sub(before.answered),
                seen.by_change.get(change.as_str()).copied().unwrap_or(0),
                seen.failed
            );
            stage.event(began.elapsed(), &told);
            last = text;
        }
        if is_this && ["done", "rolled back"].contains(&state) {
            return Ok(rollout.clone());
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::outside(
                format!("the rollout has not ended in two minutes: {slot}"),
                "a machine that is very busy can be too slow for stages of seconds; try again",
            ));
        }
        std::thread::sleep(GLANCE);
    }
}

fn expect(rollout: &Value, state: &str, change: &ChangeId) -> Done {
    if at(rollout, "state") == state {
        return Ok(());
    }
    let message = format!("the rollout of `{change}` ended otherwise than it must: {rollout}");
    Err(Failure::outside(
        message,
        "a machine that is very busy can make answers slow in one version alone; try again",
    ))
}

/// Brings what the gateway has reported into the log.
fn file_reports(realm: &mut Realm, gateway: &Gateway, change: &ChangeId) -> Done {
    crate::command::live::submit_reports(realm, &gateway.folder)?;
    realm.publish()?;
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    if dossier.stages.is_empty() {
        return Err(Failure::missing("stage report of the change", change));
    }
    Ok(())
}

/// What the last report says.
fn tell_why(realm: &Realm, stage: &mut Stage, change: &ChangeId) -> Done {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let Some(report) = dossier.stages.last().map(|recorded| &recorded.body) else { return Ok(()) };
    let back = |gate: &&GateResult| gate.decision == GateDecision::RollBack;
    if !report.gates.iter().any(|gate| back(&gate)) {
        stage.fact("why", "nothing was shown in the time that the stage has: what nobody can tell goes back");
    }
    for gate in report.gates.iter().filter(back) {
        let text = format!(
            "gate `{}` of the {} % stage: evidence {}, limit {} (the signed report has the counts it follows from)",
            gate.gate,
            report.share_ppm / 10_000,
            thousandths(gate.statistic_ppm),
            thousandths(gate.limit_ppm),
        );
        stage.fact("why", &text);
    }
    Ok(())
}

fn thousandths(ppm: i64) -> String {
    format!("{}.{:03}", ppm / 1_000_000, (ppm % 1_000_000).abs() / 1_000)
}

fn tell_traffic(stage: &mut Stage, seen: &Seen, good: &ChangeId, bad: &ChangeId) -> Done {
    let of = |change: &ChangeId| seen.by_change.get(change.as_str()).copied().unwrap_or(0);
    let text = format!(
        "{} requests of {} users: {} answered by the shorter style, {} by the style guide, {} failed; {} users were moved \
         forward within a session",
        seen.answered,
        seen.users,
        of(good),
        of(bad),
        seen.failed,
        seen.moved,
    );
    stage.traffic(seen.answered, seen.failed, seen.moved, &text);
    if seen.failed == 0 {
        return Ok(());
    }
    Err(Failure::outside(format!("{} requests failed: {}", seen.failed, seen.trouble), "report it"))
}

/// A member; null where it is absent.
fn at<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A gateway in this process.
struct Gateway {
    url: String,
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    leave: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<Result<(), ::gateway::Error>>>,
}

impl Gateway {
    fn open(
        realm: &Realm,
        props: &Props<'_>,
        slot: &SlotId,
        engines: &BTreeMap<StateId, String>,
    ) -> Done<Self> {
        let folder = props.folder.join("gateway");
        let settings = &realm.settings;
        let states: Vec<Value> = engines
            .iter()
            .map(|(state, address)| json!({ "state": state, "model": MODEL, "engines": [address] }))
            .collect();
        let config = json!({
            "keys": [{ "name": "users", "sha256": Digest::of(KEY.as_bytes()), "context": "non-critical",
                       "concurrent": 64, "per_minute": 1_000_000 }],
            "limits": { "poll_ms": 200 },
            "listen": "127.0.0.1:0",
            "log": { "folder": realm.home.log().join("tiles") },
            "realm": { "name": settings.realm, "origin": settings.origin, "log_key": settings.log_key,
                       "root": settings.root },
            "rollout_key": realm.home.keys().join(format!("{PERSON_ROLLOUT}.key")),
            "slots": [{ "slot": slot, "model": MODEL, "system_prompts": "refused",
                        "unit": [{ "header": "x-session-id" }],
                        "release": { "stages": props.folder.join("plan.json") }, "states": states }],
            "state": folder,
        });
        let config = Config::parse(config.to_string().as_bytes())?;
        let clock = Arc::clone(&props.clock);
        let (stop, (leave, left)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
        let stopping = Arc::clone(&stop);
        let (opened, open) = std::sync::mpsc::channel();
        // What decides stays on the thread that it was made on.
        let deciding = thread("gateway-warden", move || {
            let (warden, server) = Warden::open(config, clock)?;
            match opened.send(server) {
                Ok(()) => warden.run(&stopping),
                // Nobody waits for it any more.
                Err(_) => Ok(()),
            }
        })?;
        let Ok(server) = open.recv() else {
            ended(deciding)?;
            return Err(Failure::outside("the gateway ended at once", "report a defect"));
        };
        let url = format!("http://{}/v1", server.address());
        let threads = vec![deciding, thread("gateway-server", move || serve(server, left))?];
        Ok(Self { url, folder, stop, leave: Some(leave), threads })
    }

    /// How the slot stands.
    fn slot(&self) -> Done<Value> {
        let status = ask_control(&socket_path(&self.folder), &ControlRequest::Status)?;
        Ok(status.pointer("/slots/0").cloned().unwrap_or(Value::Null))
    }

    /// Waits until the slot stands so.
    fn until(&self, is: impl Fn(&Value) -> bool) -> Done {
        let began = Instant::now();
        loop {
            // The socket is there a moment after the thread has begun.
            if self.slot().is_ok_and(|slot| is(&slot)) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let slot = self.slot()?;
                return Err(Failure::outside(
                    format!("the gateway serves nothing: {slot}"),
                    "report a defect",
                ));
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn close(mut self) -> Done {
        self.tell();
        self.threads.drain(..).try_for_each(ended)
    }

    fn tell(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(leave) = self.leave.take() {
            // A server that has ended does not listen any more.
            if leave.send(()).is_err() {
                tracing::debug!("the server had ended before");
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Waits for a thread of the gateway.
fn ended(thread: JoinHandle<Result<(), ::gateway::Error>>) -> Done {
    Ok(thread.join().map_err(|_| Failure::outside("the gateway ended unexpectedly", "report a defect"))??)
}

fn serve(server: Server, left: oneshot::Receiver<()>) -> Result<(), ::gateway::Error> {
    // Whoever has gone wants it to end as well.
    server.run(2, async { drop(left.await) })
}

fn thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Done<JoinHandle<T>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Failure::outside(format!("no thread: {error}"), "the system is out of threads"))
}
