//! What a request costs the gateway, beside nginx and haproxy: processor time of the proxy's processes and latency, at a
//! fixed rate; or the instructions that it runs.
//!
//! ```text
//! cargo run --release -p gateway --example beside -- PROXY [--rate N] [--seconds N] [--sse] [--shadow] [--watched] [--program PROGRAM]
//! cargo run --release -p gateway --example beside -- PROXY --instructions [--sse] [--program PROGRAM]
//! ```
//!
//! PROXY is `gateway`, `nginx`, `haproxy`, `litellm`, `portkey` (PROGRAM is its script), or `none`, which asks the engine
//! itself: the floor under all. The engine is a
//! process that answers every request with the same kilobyte, or with 16 events 5 ms apart; requests have a kilobyte too. The
//! gateway runs with everything on: keys, assignment, metrics, the order verified from the trust root of a made realm (the
//! auditor's fixture), half of the users on a candidate in a stage that counts them; with `--shadow`, a copy of every user's
//! first request to a candidate; with `--watched`, five monitors, as processes that compute every detector once a second, and whose
//! processor time is told beside the gateway's. Prints one line of JSON. The load is open: a request is due when it is due, and late ones
//! count from then. Instructions are counted by callgrind, as the difference of two runs of which one has more requests.

mod cost;
mod engine;
mod load;
mod proxies;
mod watched;

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use audit::fixture::{Plan, Realm, SLOT};
use gateway::{Config, Warden};
use merkle::tile::{bundles_between, encode_bundle};
use serde_json::{Value, json};
use statement::Digest;

use self::load::{Form, To};
use self::proxies::Running;
use self::watched::Panel;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const KEY: &str = "sk-a-key-for-this-measurement";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is = |name: &str| arguments.iter().any(|argument| argument == name);
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, usual: u64| option(name).map_or(Ok(usual), |text| text.parse());
    let proxy = arguments.first().ok_or("which proxy: gateway, nginx, haproxy, litellm, portkey, none")?;
    let form = if is("--sse") { Form::Events } else { Form::Whole };
    let stage = if is("--shadow") { "shadow" } else { "canary" };
    match proxy.as_str() {
        "engine" => engine::serve(),
        "serve" => serve(
            arguments.get(1).ok_or("no engine")?,
            arguments.get(2).ok_or("no stage")?,
            arguments.get(3).map(Path::new),
        ),
        "monitor" => watched::watch(arguments.get(1).ok_or("no file")?),
        proxy => {
            let program = option("--program").unwrap_or_else(|| proxy.to_owned());
            let chosen = Chosen { proxy, program: &program, stage, watched: is("--watched") };
            if is("--instructions") {
                return instructions(&chosen, form);
            }
            measure(&chosen, form, number("--rate", 900)?, number("--seconds", 20)?)
        }
    }
}

/// Runs the gateway on a made realm. Where a folder is named, monitors have their files there.
fn serve(engine: &str, stage: &str, watched: Option<&Path>) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut realm = Realm::new();
    let panel = watched.map(|folder| Panel::enrol(&mut realm, folder)).transpose()?;
    let change = realm.release(Plan::tuning("measured"));
    let tiles = folder.path().join("tiles");
    publish(&realm, &tiles)?;
    let (file, _) = signer::KeyFile::generate(signer::FileScheme::Ed25519, signer::Protection::Unsealed)?;
    let key_path = folder.path().join("rollout.key");
    file.write_new(&key_path)?;
    let plan = folder.path().join("plan.json");
    std::fs::write(&plan, lasting(stage).to_string())?;
    let order = &realm.dossier(&change).order.as_ref().ok_or("no order")?.body;
    let state = |state: statement::StateId| json!({ "state": state, "model": "made", "engines": [format!("http://{engine}")] });
    let pinned = json!({ "log_key": realm.log_signer().verifier().to_string(), "name": realm.id(), "origin": realm.origin(), "root": realm.ledger().world().roots().first() });
    let mut config = json!({
        "keys": [{ "name": "app", "sha256": Digest::of(KEY.as_bytes()), "context": "non-critical", "concurrent": 4096, "per_minute": 10_000_000 }],
        "limits": { "shadows": 4096 },
        "listen": "127.0.0.1:0",
        "log": { "folder": tiles },
        "realm": pinned,
        "rollout_key": key_path,
        "slots": [{ "slot": SLOT, "model": "support", "system_prompts": "refused", "unit": [{ "header": "x-session-id" }],
                    "release": { "stages": plan }, "states": [state(order.from_state), state(order.to_state)] }],
        "state": folder.path().join("gateway"),
    });
    if let Some(members) = config.as_object_mut().filter(|_| panel.is_some()) {
        members.insert("monitors".to_owned(), watched::entries());
    }
    let config = Config::parse(config.to_string().as_bytes())?;
    // The fixture's clock, moved on by the real one.
    let (from, began) = (realm.now_ms(), Instant::now());
    let clock = move || from + u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
    let (mut warden, server) = Warden::open(config, Arc::new(clock))?;
    warden.tick();
    if let Some(panel) = &panel {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let ahead_ms = i64::try_from(from)? - i64::try_from(now)?;
        panel.write(&server.address().to_string(), &tiles, &pinned, ahead_ms)?;
    }
    println!("{}", server.address());
    std::thread::spawn(move || server.run(2, std::future::pending()));
    Ok(warden.run(&AtomicBool::new(false))?)
}

/// A stage that is longer than any measurement: half of the users, or copies of everybody's first request.
fn lasting(stage: &str) -> Value {
    let metrics = json!([
        { "expected_ppm": [5_000], "measure": "rate", "name": "errors", "tolerated_ppm": 500_000 },
        { "expected_ppm": [10_000], "measure": { "quantile": { "limit": 60_000_000 } }, "name": "latency-p99", "tolerated_ppm": 500_000 },
    ]);
    let share = if stage == "shadow" { 0 } else { 500_000 };
    let planned = |kind: &str, share: u32, duration: u64, units: u64| {
        json!({ "contexts": "all", "duration_ms": duration, "extension_ms": 0, "margins_ppm": [900_000, 900_000], "reports": [],
                "share_ppm": share, "stage": kind, "units_min": units })
    };
    let stages = [planned(stage, share, 86_400_000, 1), planned("full", 1_000_000, 0, 0)];
    json!({ "alpha_ppm": 1_000, "metrics": metrics, "stages": stages, "version": 1 })
}

fn publish(realm: &Realm, tiles: &Path) -> Outcome<()> {
    let entries = realm.entries();
    for path in bundles_between(0, entries.len() as u64) {
        let from = usize::try_from(path.index())? * 256;
        let bundle = entries.get(from..from + usize::from(path.width())).ok_or("a bundle beyond the log")?;
        let full = tiles.join(path.to_string());
        std::fs::create_dir_all(full.parent().ok_or("no folder")?)?;
        std::fs::write(full, encode_bundle(bundle)?)?;
    }
    std::fs::write(tiles.join("checkpoint"), realm.checkpoint(entries.len() as u64, 2).to_bytes())?;
    Ok(())
}

/// What is measured.
struct Chosen<'a> {
    proxy: &'a str,
    program: &'a str,
    stage: &'a str,
    watched: bool,
}

impl Chosen<'_> {
    /// Starts the proxy before the engine, under another program where one is named.
    fn start(&self, folder: &Path, engine: SocketAddr, under: &[String]) -> Outcome<(Running, SocketAddr)> {
        match self.proxy {
            "gateway" => {
                let folder = folder.to_str().filter(|_| self.watched);
                let engine = engine.to_string();
                let arguments: Vec<&str> = ["serve", &engine, self.stage].into_iter().chain(folder).collect();
                proxies::start(&arguments, under)
            }
            "nginx" => proxies::nginx(self.program, folder, engine, under),
            "haproxy" => proxies::haproxy(self.program, folder, engine, under),
            "litellm" => proxies::litellm(self.program, folder, engine),
            "portkey" => proxies::portkey(self.program),
            "none" => Ok((proxies::start(&["engine"], under)?.0, engine)),
            other => Err(format!("`{other}` is no proxy").into()),
        }
    }
}

fn measure(chosen: &Chosen<'_>, form: Form, rate: u64, seconds: u64) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (_engine, engine) = proxies::start(&["engine"], &[])?;
    let (running, address) = chosen.start(folder.path(), engine, &[])?;
    let process = running.id();
    let mut monitors = if chosen.watched { watched::start(folder.path())? } else { Vec::new() };
    let spent_watching = |monitors: &[Running]| {
        monitors.iter().try_fold(0, |sum, one| {
            Ok::<_, Box<dyn Error + Send + Sync>>(sum + cost::processor_us(one.id())?)
        })
    };
    let warm_seconds = if chosen.watched { watched::LEARN_SECONDS + 5 } else { 2 };
    let to = To { address, engine: (chosen.proxy == "portkey").then_some(engine) };
    // Connections and code are warm before anything counts.
    load::at_rate(to, form, rate, 0, Duration::from_secs(warm_seconds))?;
    let (before, before_watching) = (cost::processor_us(process)?, spent_watching(&monitors)?);
    let mut found = load::at_rate(to, form, rate, warm_seconds * rate, Duration::from_secs(seconds))?;
    let spent = cost::processor_us(process)?.saturating_sub(before);
    let spent_watching = spent_watching(&monitors)?.saturating_sub(before_watching);
    for monitor in &mut monitors {
        if !monitor.runs()? {
            return Err("a monitor has ended".into());
        }
    }
    found.latencies_us.sort_unstable();
    let requests = found.latencies_us.len() as u64;
    let mut line = json!({
        "proxy": chosen.proxy, "rate": rate, "requests": requests, "failed": found.failed,
        "cpu_us_per_request": spent.checked_div(requests), "p50_us": found.at(0.5), "p99_us": found.at(0.99),
        "resident_kb": cost::resident_kb(process)?, "monitors_us_per_request": spent_watching.checked_div(requests),
    });
    if chosen.proxy == "gateway" {
        let metrics = load::metrics(address)?;
        let members = line.as_object_mut().ok_or("no object")?;
        for (name, part) in [("added_p50_us", 0.5), ("added_p99_us", 0.99)] {
            members.insert(name.to_owned(), json!(cost::quantile_us(&metrics, part)));
        }
        let copies = metrics.lines().find_map(|line| line.strip_prefix("countersign_gateway_shadows_total "));
        members.insert("copies".to_owned(), json!(copies));
    }
    println!("{line}");
    Ok(())
}

/// Requests of the shorter and the longer run under callgrind.
const RUNS: [u64; 2] = [100, 600];

fn instructions(chosen: &Chosen<'_>, form: Form) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (_engine, engine) = proxies::start(&["engine"], &[])?;
    let mut counted = Vec::new();
    for requests in RUNS {
        let file = folder.path().join(format!("counted-{requests}"));
        let under = cost::callgrind(&file);
        let (running, address) = chosen.start(folder.path(), engine, &under)?;
        load::one_by_one(To { address, engine: None }, form, requests)?;
        running.end()?;
        counted.push(cost::counted(&file)?);
    }
    let [less, more] = counted.as_slice() else { return Err("two runs".into()) };
    let each = more.saturating_sub(*less) / (RUNS[1] - RUNS[0]);
    println!("{}", json!({ "proxy": chosen.proxy, "instructions_per_request": each }));
    Ok(())
}
