//! `countersign gateway` and `countersign rollout`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::gateway::{Config, ControlRequest, Warden, ask_control, socket_path};
use serde_json::{Value, json};
use statement::{Envelope, StatementId};

use super::Setting;
use crate::cli::{GatewayArgs, IncidentCommand, MonitorArgs, RolloutArgs, RolloutCommand};
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::realm::Realm;
use crate::text::line;

/// Bytes of a configuration at most.
const CONFIG_BYTES_MAX: usize = 4 << 20;

/// `countersign incident`.
pub(super) fn incident(setting: &Setting, command: &IncidentCommand) -> Done {
    let IncidentCommand::Show { change } = command;
    let (value, text) = crate::show::incidents(&setting.read()?, change.as_deref())?;
    setting.print(&value, &text);
    Ok(())
}

/// `countersign gateway`.
pub(crate) fn gateway(setting: &Setting, args: &GatewayArgs) -> Done {
    let config = Config::parse(&read_bounded(&args.config, CONFIG_BYTES_MAX)?)?;
    let models: Vec<String> = config.slots.iter().map(|slot| slot.model.clone()).collect();
    let (folder, key) = (config.state.clone(), config.rollout_key.clone());
    let (warden, server) = if args.socket_is_stdin {
        use std::os::fd::AsFd as _;
        let no_socket = |error: std::io::Error| {
            Failure::outside(
                format!("standard input is no socket: {error}"),
                "hand over a socket that listens",
            )
        };
        let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(no_socket)?;
        let listener = TcpListener::from(socket);
        listener.local_addr().map_err(no_socket)?;
        Warden::open_on(config, translog::system_clock(), listener)?
    } else {
        Warden::open(config, translog::system_clock())?
    };
    let scheme = if server.speaks_tls() { "https" } else { "http" };
    let url = format!("{scheme}://{}/v1", server.address());
    let mut text = String::new();
    line(&mut text, &format!("models: {}", models.join(", ")));
    line(&mut text, &format!("operators reach it at {}", socket_path(&folder).display()));
    line(&mut text, &format!("listening on {url}"));
    setting.print(&json!({ "listening": url, "models": models }), &text);
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let serving = std::thread::Builder::new().name("server".to_owned()).spawn(move || {
        let done = server.run(threads, told_to_stop());
        stopping.store(true, Ordering::Relaxed);
        done
    });
    let no_thread = |error: std::io::Error| {
        Failure::outside(format!("no thread: {error}"), "the system is out of threads")
    };
    let serving = serving.map_err(no_thread)?;
    let decided = std::thread::scope(|scope| {
        if args.submit {
            scope.spawn(|| bring(setting, &folder, key.as_deref(), &stop));
        }
        let decided = warden.run(&stop);
        // Also where nothing is decided any more: whoever brings what was signed ends with it.
        stop.store(true, Ordering::Relaxed);
        decided
    });
    if decided.is_err() {
        // Nothing is decided any more, so nothing may be served.
        return Ok(decided?);
    }
    serving.join().map_err(|_| Failure::outside("the server ended unexpectedly", "report a defect"))??;
    Ok(())
}

/// How often a gateway looks whether something is to be brought to the log.
const BRING_EVERY: Duration = Duration::from_millis(500);
/// How much longer it waits after it could not be brought.
const BRING_LATER: u32 = 10;

/// Brings what a gateway has signed, and what monitors have signed there, to the log until it ends. Where that cannot be done
/// it stays in the outbox, and nothing that is served waits for it.
fn bring(setting: &Setting, gateway: &Path, key: Option<&Path>, stop: &AtomicBool) {
    let mut left_out = 0_u32;
    let mut told = String::new();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(BRING_EVERY);
        if left_out > 0 {
            left_out -= 1;
            continue;
        }
        let waits = outbox(gateway).is_ok_and(|paths| !paths.is_empty());
        if !waits {
            continue;
        }
        let brought = setting.act(|realm| {
            if let Some(key) = key {
                let key = realm.keys.hold(key)?;
                realm.brought_by(key);
            }
            submit_reports(realm, gateway)
        });
        match brought {
            Ok(_) => told.clear(),
            Err(failure) => {
                left_out = BRING_LATER;
                if told != failure.code {
                    tracing::warn!(code = %failure.code, "signed statements wait in the outbox: {}", failure.message);
                    told = failure.code;
                }
            }
        }
    }
}

/// `countersign monitor`.
pub(crate) fn monitor(setting: &Setting, args: &MonitorArgs) -> Done {
    let config = ::monitor::Config::parse(&read_bounded(&args.config, CONFIG_BYTES_MAX)?)?;
    let mut monitor = ::monitor::Monitor::open(config, translog::system_clock())?;
    let key = monitor.key();
    setting.print(&json!({ "monitor": key }), &format!("watching as {key}\n"));
    let mut left = args.cycles;
    let mut last = String::new();
    while left != Some(0) {
        left = left.map(|left| left - 1);
        let began = Instant::now();
        match monitor.cycle() {
            Ok(report) => tell(setting, &report, &mut last),
            Err(error) => {
                let failure = Failure::from(error);
                // Silence is what the others have to count, so this one goes on.
                if last != failure.code {
                    tracing::warn!(code = %failure.code, "nothing is seen: {}", failure.message);
                    last = failure.code;
                }
            }
        }
        std::thread::sleep(monitor.every().saturating_sub(began.elapsed()));
    }
    Ok(())
}

/// Prints a cycle: for scripts each, for people what has changed.
fn tell(setting: &Setting, report: &::monitor::Report, last: &mut String) {
    let mut text = String::new();
    for (slot, sight) in &report.slots {
        let response = sight.response.map_or_else(String::new, |response| {
            let word = serde_json::to_value(response).unwrap_or_default();
            format!(", response {}", word.as_str().unwrap_or_default())
        });
        let found: Vec<String> = sight
            .detectors
            .iter()
            .map(|(name, level)| format!("{name} {}", level.as_deref().unwrap_or("cannot look")))
            .collect();
        let seen = if sight.learning {
            "learning what is usual".to_owned()
        } else {
            format!("own level {}, monitors {}{response} ({})", sight.level, sight.agreed, found.join(", "))
        };
        line(&mut text, &format!("{slot}: {seen}"));
        if !sight.notices.is_empty() {
            line(&mut text, &format!("{slot}: requests: {}", sight.notices.join(", ")));
        }
    }
    let changed = text != *last;
    last.clone_from(&text);
    if setting.output == super::Output::Json || changed {
        setting.print(&json!(report), &text);
    }
}

/// SIGTERM or SIGINT.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals end the process, which is as good.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// `countersign rollout`.
pub(super) fn rollout(setting: &Setting, command: &RolloutCommand) -> Done {
    let on = |args: &RolloutArgs, asked: fn(String) -> ControlRequest| {
        show(setting, &ask(&args.gateway, &asked(args.change.clone()))?);
        Ok(())
    };
    match command {
        RolloutCommand::Status { gateway } => {
            show(setting, &ask(gateway, &ControlRequest::Status)?);
            Ok(())
        }
        RolloutCommand::Start(args) => on(args, |change| ControlRequest::Start { change }),
        RolloutCommand::Pause(args) => on(args, |change| ControlRequest::Pause { change }),
        RolloutCommand::Resume(args) => on(args, |change| ControlRequest::Resume { change }),
        RolloutCommand::Abort(args) => on(args, |change| ControlRequest::Abort { change }),
        RolloutCommand::Reopen { slot, gateway } => {
            show(setting, &ask(gateway, &ControlRequest::Reopen { slot: slot.clone() })?);
            Ok(())
        }
        RolloutCommand::SignOff { change, by, role } => sign_off(setting, change, by, role),
        RolloutCommand::Submit { gateway, by } => submit(setting, gateway, by.as_deref()),
    }
}

/// Hands a signed statement to a gateway, which acts by it before it is in the log.
pub(super) fn hand_over(gateway: &Path, envelope: &Envelope) -> Done {
    let envelope = String::from_utf8_lossy(&envelope.to_bytes()?).into_owned();
    ask(gateway, &ControlRequest::Statement { envelope }).map(drop)
}

fn ask(gateway: &Path, asked: &ControlRequest) -> Done<Value> {
    let answer = ask_control(&socket_path(gateway), asked)?;
    match answer.get("refused") {
        None => Ok(answer),
        Some(refused) => {
            let text = |name: &str| refused.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Err(Failure::new(&text("code"), text("message"), &text("hint")))
        }
    }
}

/// A member; null where it is absent.
fn at<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn show(setting: &Setting, status: &Value) {
    let mut text = String::new();
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for slot in at(status, "slots").as_array().into_iter().flatten() {
        line(
            &mut text,
            &format!(
                "{} ({}), binding {}",
                word(at(slot, "model")),
                word(at(slot, "slot")),
                word(at(slot, "binding"))
            ),
        );
        line(&mut text, &format!("  base       {}", word(at(slot, "base"))));
        let order = at(slot, "order");
        if !order.is_null() {
            line(
                &mut text,
                &format!("  released   {}  {}", word(at(order, "change")), word(at(order, "state"))),
            );
        }
        let rollout = at(slot, "rollout");
        if !rollout.is_null() {
            let (stage, stages) = (at(rollout, "stage"), at(rollout, "stages"));
            let share = at(rollout, "share_ppm").as_f64().unwrap_or(0.0) / 10_000.0;
            let stage = if stage.is_null() { String::new() } else { format!(", stage {stage} of {stages}") };
            line(
                &mut text,
                &format!("  rollout    {}{stage}, {share} % of users", word(at(rollout, "state"))),
            );
            if let Some(reason) = at(rollout, "reason").as_str() {
                line(&mut text, &format!("             {reason}"));
            }
        }
        for reason in at(slot, "reasons").as_array().into_iter().flatten() {
            line(&mut text, &format!("  [{}] {}", word(at(reason, "code")), word(at(reason, "about"))));
        }
    }
    let log = at(status, "log");
    line(&mut text, &format!("log: {} leaves, {} witnesses", at(log, "size"), at(log, "witnesses")));
    if !at(log, "trouble").is_null() {
        line(&mut text, &format!("  trouble: {}", word(at(log, "trouble"))));
    }
    setting.print(status, &text);
}

/// Signs off the latest report.
fn sign_off(setting: &Setting, change: &str, by: &str, role: &str) -> Done {
    let role = crate::act::word("role", role)?;
    let (id, signed) = setting.act(|realm| {
        let change = realm.dossier(change)?.change.clone();
        crate::act::sign_off(realm, &change, by, role)
    })?;
    let text = format!("signed off stage report {}: statement {id}\n", signed.report);
    setting.print(&json!({ "sign_off": id, "report": signed.report }), &text);
    Ok(())
}

/// Submits what lies in a gateway's outbox.
fn submit(setting: &Setting, gateway: &Path, by: Option<&str>) -> Done {
    let ids = setting.act(|realm| {
        if let Some(by) = by {
            let key = crate::keys::id(&*realm.keys.open(by)?);
            realm.brought_by(key);
        }
        submit_reports(realm, gateway)
    })?;
    let text = ids.iter().fold(String::new(), |text, id| format!("{text}stage report: statement {id}\n"));
    setting.print(&json!({ "submitted": ids }), &text);
    Ok(())
}

/// Submits what lies in a gateway's outbox, in the order in which it was signed. What is removed there is in the log, or another
/// process has given its receipt for it.
pub(super) fn submit_reports(realm: &mut Realm, gateway: &Path) -> Done<Vec<StatementId>> {
    let paths = outbox(gateway)?;
    let mut ids = Vec::new();
    for path in &paths {
        let envelope = Envelope::parse(&read_bounded(path, statement::envelope::ENVELOPE_BYTES_MAX)?)?;
        if !realm.ledger().has_applied(&envelope.id()) {
            let submitted = realm.submit(&envelope).and_then(|_| realm.settle());
            if let Err(failure) = submitted {
                if !is_of_the_statement(&failure) {
                    return Err(failure);
                }
                // What has no effect, as a rollback that an operator has signed already, must not keep back what comes after it.
                tracing::warn!(code = %failure.code, path = %path.display(), "it has no effect in the log: {}", failure.message);
                let aside = path.with_extension("refused");
                std::fs::rename(path, aside).map_err(|error| Failure::file(path, &error))?;
                continue;
            }
        }
        std::fs::remove_file(path).map_err(|error| Failure::file(path, &error))?;
        ids.push(envelope.id());
    }
    Ok(ids)
}

/// Whether a refusal is about the statement, and will be the same later: the fold's, or a gate's.
fn is_of_the_statement(failure: &Failure) -> bool {
    ["CS-FLD-", "CS-GATE-"].iter().any(|area| failure.code.starts_with(area))
}

/// The files of a gateway's outbox, in the order in which they were signed.
fn outbox(gateway: &Path) -> Done<Vec<PathBuf>> {
    let outbox = gateway.join("outbox");
    let failed = |error: std::io::Error| Failure::file(&outbox, &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&outbox).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
