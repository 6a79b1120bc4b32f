//! The realm, and the gateway's process.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use audit::fixture::{Plan, Realm, SLOT, Who};
use gateway::{Config, ControlRequest, Warden, ask_control, socket_path};
use merkle::tile::{bundles_between, encode_bundle};
use serde_json::{Value, json};
use signer::{FileScheme, KeyFile, Protection};
use statement::kind::{Assurance, DirectoryEntry, Role};
use statement::{ChangeId, Digest, StateId, Tracking};

use super::load::Load;
use super::{Extent, KEY, Outcome};

/// A rollout that has not got anywhere by then never will.
const PATIENCE: Duration = Duration::from_mins(5);
/// Answers between two looks at how a rollout stands: nothing but answers moves it.
const ANSWERS: u64 = 10;

/// A realm with a gateway.
pub(crate) struct Gate {
    folder: tempfile::TempDir,
    realm: Realm,
    began: Instant,
    /// What the realm's clock said when this program's said `began_ms`.
    origin_ms: u64,
    began_ms: u64,
    listener: TcpListener,
    child: Option<Child>,
}

fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A shadow, the extent's shares, everybody; the standard significance.
fn plan(extent: &Extent) -> Value {
    let metrics = json!([
        { "expected_ppm": [5_000], "measure": "rate", "name": "errors", "tolerated_ppm": 2_000 },
        { "expected_ppm": [900_000, 90_000, 10_000], "measure": "categories", "name": "finish-reason", "tolerated_ppm": 20_000 },
        { "expected_ppm": [10_000], "measure": { "quantile": { "limit": extent.slow_us } }, "name": "latency-p99", "tolerated_ppm": 30_000 },
        { "expected_ppm": [30_000], "measure": "rate", "name": "refusals", "tolerated_ppm": 10_000 },
    ]);
    let stage = |kind: &str, share: u32| {
        let compares = u64::from(kind != "full");
        json!({ "contexts": "all", "duration_ms": extent.stage_ms * compares, "extension_ms": 60 * extent.stage_ms * compares,
                "margins_ppm": [200_000, 300_000, 250_000, 200_000], "reports": [], "share_ppm": share, "stage": kind, "units_min": 20 * compares })
    };
    let mut stages = vec![stage("shadow", 0)];
    stages.extend(extent.shares_ppm.iter().map(|share| stage("canary", *share)));
    stages.push(stage("full", 1_000_000));
    json!({ "alpha_ppm": 10_000, "metrics": metrics, "stages": stages, "version": 1 })
}

impl Gate {
    pub(crate) fn new(extent: &Extent) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let mut realm = Realm::new();
        let (file, _) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed)?;
        file.write_new(&folder.path().join("rollout.key"))?;
        let entry = DirectoryEntry {
            assurance: Assurance::Unsealed,
            key: file.public_key().clone(),
            person: "p-rollout".parse()?,
            roles: [Role::Rollout].into(),
            ..Who::Rollout.entry()
        };
        realm.establish(&Tracking::Realm, entry, &[Who::OfficerOne, Who::OfficerTwo]);
        std::fs::write(folder.path().join("plan.json"), plan(extent).to_string())?;
        let origin_ms = realm.now_ms();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let gate = Self {
            folder,
            realm,
            began: Instant::now(),
            origin_ms,
            began_ms: system_ms(),
            listener,
            child: None,
        };
        gate.publish()?;
        Ok(gate)
    }

    pub(crate) fn first_state(&self) -> StateId {
        let slot = SLOT.parse().ok().and_then(|slot| self.realm.ledger().world().slot(&slot));
        slot.map_or_else(|| StateId::from_digest(Digest::of(b"")), |slot| slot.definition.body.baseline)
    }

    /// The state that a change of this label leads to.
    pub(crate) fn target(&self, label: &str) -> Outcome<StateId> {
        Ok(self.realm.target_state(Plan::tuning(label)).manifest.id()?)
    }

    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("gateway")
    }

    fn tiles(&self) -> PathBuf {
        self.folder.path().join("tiles")
    }

    /// Writes the log's tiles and a fresh checkpoint, cosigned by both witnesses.
    fn publish(&self) -> Outcome<()> {
        let entries = self.realm.entries();
        let tiles = self.tiles();
        for path in bundles_between(0, entries.len() as u64) {
            let from = usize::try_from(path.index())? * 256;
            let bundle =
                entries.get(from..from + usize::from(path.width())).ok_or("a bundle beyond the log")?;
            let full = tiles.join(path.to_string());
            std::fs::create_dir_all(full.parent().ok_or("no folder")?)?;
            std::fs::write(full, encode_bundle(bundle)?)?;
        }
        // Written beside and moved, so that the gateway never reads half of it.
        let beside = tiles.join("checkpoint.new");
        std::fs::write(&beside, self.realm.checkpoint(entries.len() as u64, 2).to_bytes())?;
        Ok(std::fs::rename(beside, tiles.join("checkpoint"))?)
    }

    /// The realm's clock goes as the real one.
    fn catch_up(&mut self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now = self.origin_ms.saturating_add(passed);
        self.realm.advance_ms(now.saturating_sub(self.realm.now_ms()));
    }

    pub(crate) fn start(&mut self, engines: &BTreeMap<StateId, String>) -> Outcome<()> {
        let states: Vec<Value> = engines
            .iter()
            .map(|(state, engine)| json!({ "state": state, "model": "made", "engines": [engine] }))
            .collect();
        let config = json!({
            "keys": [{ "name": "app", "sha256": Digest::of(KEY.as_bytes()), "context": "non-critical", "concurrent": 4096, "per_minute": 10_000_000 }],
            "limits": { "poll_ms": 200, "session_idle_ms": 20_000, "drain_ms": 5_000 },
            "listen": "127.0.0.1:0",
            "log": { "folder": self.tiles() },
            "realm": { "log_key": self.realm.log_signer().verifier().to_string(), "name": self.realm.id(), "origin": self.realm.origin(),
                       "root": self.realm.ledger().world().roots().first() },
            "rollout_key": self.folder.path().join("rollout.key"),
            "slots": [{ "slot": SLOT, "model": "support", "system_prompts": "refused", "unit": [{ "header": "x-session-id" }],
                        "release": { "stages": self.folder.path().join("plan.json") }, "states": states }],
            "state": self.state(),
        });
        let path = self.folder.path().join("gateway.json");
        std::fs::write(&path, config.to_string())?;
        let socket: OwnedFd = self.listener.as_fd().try_clone_to_owned()?;
        let mut command = Command::new(std::env::current_exe()?);
        let clock = self.began_ms.saturating_sub(self.origin_ms.min(self.began_ms));
        let ahead = self.origin_ms.saturating_sub(self.began_ms);
        command.arg("serve").arg(&path).arg(if ahead > 0 { ahead.to_string() } else { format!("-{clock}") });
        let mut child = command.stdin(Stdio::from(socket)).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        self.child = Some(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.trim() == "ready" { Ok(()) } else { Err("the gateway did not start".into()) }
    }

    /// Stops it as a system does, and starts it again. The socket stays, and what comes meanwhile waits in it.
    pub(crate) fn restart(&mut self, engines: &BTreeMap<StateId, String>) -> Outcome<()> {
        self.stop()?;
        self.start(engines)
    }

    fn stop(&mut self) -> Outcome<()> {
        if let Some(mut child) = self.child.take() {
            let told = Command::new("kill").arg(child.id().to_string()).status()?;
            if !told.success() || !child.wait()?.success() {
                return Err("the gateway ended otherwise than it was told".into());
            }
        }
        Ok(())
    }

    pub(crate) fn end(mut self) -> Outcome<()> {
        self.stop()
    }

    /// Memory that the gateway uses.
    pub(crate) fn resident_kb(&self) -> Outcome<u64> {
        let child = self.child.as_ref().ok_or("no gateway")?;
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no size")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The log is not there any more.
    pub(crate) fn hide_log(&self) -> Outcome<()> {
        Ok(std::fs::rename(self.tiles(), self.folder.path().join("hidden"))?)
    }

    pub(crate) fn show_log(&self) -> Outcome<()> {
        Ok(std::fs::rename(self.folder.path().join("hidden"), self.tiles())?)
    }

    /// Brings a change to its order, and publishes.
    pub(crate) fn release(&mut self, label: &str) -> Outcome<ChangeId> {
        self.catch_up();
        let change = self.realm.release(Plan::tuning(label));
        self.publish()?;
        Ok(change)
    }

    /// The record follows what the gateway did.
    pub(crate) fn roll_back(&mut self, change: &ChangeId) -> Outcome<()> {
        self.submit_reports()?;
        self.catch_up();
        self.realm.roll_back(change);
        self.publish()
    }

    /// Brings the gateway's reports into the log.
    pub(crate) fn submit_reports(&mut self) -> Outcome<()> {
        self.catch_up();
        let outbox = self.state().join("outbox");
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&outbox)? {
            paths.push(entry?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        for path in paths {
            self.realm.submit(&statement::Envelope::parse(&std::fs::read(&path)?)?);
            std::fs::remove_file(path)?;
        }
        self.publish()
    }

    /// How the slot stands.
    pub(crate) fn slot(&self) -> Outcome<Value> {
        let status = ask_control(&socket_path(&self.state()), &ControlRequest::Status)?;
        Ok(status.pointer("/slots/0").cloned().unwrap_or(Value::Null))
    }

    /// The state of a change's rollout; empty where another is under way.
    pub(crate) fn state_of(&self, change: &ChangeId) -> Outcome<String> {
        let slot = self.slot()?;
        let member = |name: &str| {
            slot.pointer(&format!("/rollout/{name}")).and_then(Value::as_str).unwrap_or_default()
        };
        Ok(if member("change") == change.as_str() { member("state").to_owned() } else { String::new() })
    }

    /// Waits, from answer to answer, until a change's rollout stands so: its state, and its share.
    pub(crate) fn until(
        &self,
        change: &ChangeId,
        load: &Load,
        is: impl Fn(&str, Option<u64>) -> bool,
    ) -> Outcome<()> {
        let began = Instant::now();
        loop {
            let slot = self.slot()?;
            let of = |name: &str| slot.pointer(&format!("/rollout/{name}"));
            let is_this = of("change").and_then(Value::as_str) == Some(change.as_str());
            let state = of("state").and_then(Value::as_str).unwrap_or_default();
            if is_this && state != "waiting" && is(state, of("share_ppm").and_then(Value::as_u64)) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("nothing happens: {slot}").into());
            }
            load.more(ANSWERS)?;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It is this program's own child; that it has ended already is no matter.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The gateway's process: on the socket that is standard input, with a clock that is so much ahead.
pub(crate) fn serve(config: &str, ahead_ms: i64) -> Outcome<()> {
    let config = Config::parse(&std::fs::read(Path::new(config))?)?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let clock = move || system_ms().saturating_add_signed(ahead_ms);
    let (mut warden, server) = Warden::open_on(config, Arc::new(clock), TcpListener::from(socket))?;
    warden.tick();
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let serving = std::thread::spawn(move || {
        let served = server.run(2, async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut told) => drop(told.recv().await),
                Err(_) => std::future::pending().await,
            }
        });
        stopping.store(true, std::sync::atomic::Ordering::Relaxed);
        served
    });
    println!("ready");
    warden.run(&stop)?;
    serving.join().map_err(|_| "the server ended unexpectedly")??;
    Ok(())
}
