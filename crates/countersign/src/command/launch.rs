//! `countersign launch`: an engine on files from the vault, tied to its state by a statement.

mod files;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::launch::{Callers, Kind, Launched, Plan, Program, arguments_digest};
use serde_json::json;
use statement::kind::{BindingLevel, EngineBinding};
use statement::{ChangeId, Digest, StateId, StatementId};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::files::{Laid, lay};
use super::Setting;
use crate::act;
use crate::busy::while_busy;
use crate::cli::LaunchArgs;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::realm::{Heads, Record};
use crate::text::line;

/// Most bytes of a file of keys that are read.
const KEYS_BYTES_MAX: usize = 64 << 10;

/// What is launched, and how.
pub(crate) struct Request<'a> {
    /// The change's tracking id, or its beginning.
    pub(crate) change: &'a str,
    pub(crate) listener: TcpListener,
    pub(crate) callers: Callers,
    /// The engine's command line; none: our own engine.
    pub(crate) command: &'a [String],
    pub(crate) own: Own<'a>,
    /// Where the folder with the files is made.
    pub(crate) within: Option<&'a Path>,
    pub(crate) environment: Vec<String>,
    pub(crate) health: String,
    pub(crate) ready: Duration,
    pub(crate) look_every: Duration,
    pub(crate) drain: Duration,
}

/// What our own engine is told.
pub(crate) struct Own<'a> {
    /// The model's name.
    pub(crate) name: &'a str,
    pub(crate) threads: Option<usize>,
    /// The worker program, where it is not the one beside this program.
    pub(crate) worker: Option<&'a Path>,
}

/// A healthy engine that nobody reaches yet, and what is to be said about it.
pub(crate) struct Healthy {
    pub(crate) change: ChangeId,
    pub(crate) launched: Launched,
    pub(crate) binding: EngineBinding,
}

/// `countersign launch`.
pub(super) fn launch(setting: &Setting, args: &LaunchArgs) -> Done {
    let callers = match &args.api_key_file {
        Some(path) => Callers::read(&read_bounded(path, KEYS_BYTES_MAX)?)?,
        None => Callers::default(),
    };
    if callers.is_open() && !args.listen.ip().is_loopback() {
        // Said before a large model is read.
        return Err(::launch::Error::Open { address: args.listen }.into());
    }
    let failed = |source| ::launch::Error::Listen { address: args.listen, source };
    let request = Request {
        change: &args.change,
        listener: TcpListener::bind(args.listen).map_err(failed)?,
        callers,
        command: &args.command,
        own: Own { name: &args.name, threads: args.threads, worker: setting.worker.as_deref() },
        within: args.within.as_deref(),
        environment: args.pass_env.clone(),
        health: args.health.clone(),
        ready: Duration::from_secs(args.ready_seconds),
        look_every: Duration::from_secs(args.look_seconds),
        drain: Duration::from_secs(args.drain_seconds),
    };
    let healthy = start(&setting.read()?, request)?;
    let id = setting.act(|realm| act::bind(realm, &healthy.change, &args.by, healthy.binding.clone()))?;
    let (value, text) = told(&healthy, id);
    let stop = async {
        let signals = signals();
        // Whoever reads this may tell it to stop from now on.
        setting.print(&value, &text);
        told_to_stop(signals).await;
    };
    Ok(healthy.launched.run(stop)?)
}

/// Takes the state's files out of the vault, starts the engine on them and waits until it is healthy.
pub(crate) fn start(realm: &Record<impl Heads>, request: Request<'_>) -> Done<Healthy> {
    let dossier = realm.dossier(request.change)?;
    let change = dossier.change.clone();
    let Some(order) = &dossier.order else {
        return Err(dossier::Refusal::new(dossier::Code::OrderUnknown, &change).into());
    };
    if realm.ledger().world().order_revoked_at(&order.id).is_some() {
        return Err(dossier::Refusal::new(dossier::Code::OrderRevoked, order.id).into());
    }
    let (order, state) = (order.id, order.body.to_state);
    let laid = while_busy("taking the files out of the vault", || lay(realm, state, request.within))?;
    let (program, arguments) = if request.command.is_empty() {
        own_engine(&laid, &request.own)?
    } else {
        let mut words = request.command.iter().cloned();
        let program = PathBuf::from(words.next().unwrap_or_default());
        (Program::open(&program, std::env::var_os("PATH").as_deref())?, words.collect())
    };
    let (binary, digest) = (program.digest(), arguments_digest(&arguments)?);
    let boot = channel::boot()
        .map_err(|error| Failure::file(Path::new("/proc/sys/kernel/random/boot_id"), &error))?;
    let plan = Plan {
        placed: laid.placed,
        program,
        arguments,
        places: laid.places,
        environment: request.environment,
        kind: if request.command.is_empty() { Kind::Own } else { Kind::Other },
        listener: request.listener,
        callers: request.callers,
        health: request.health,
        ready: request.ready,
        look_every: request.look_every,
        drain: request.drain,
    };
    let launched = while_busy("starting the engine", || Ok(Launched::start(plan)?))?;
    let binding = said(&launched, (order, state), binary, digest, boot);
    Ok(Healthy { change, launched, binding })
}

fn said(
    launched: &Launched,
    (order, state): (StatementId, StateId),
    binary: Digest,
    arguments: Digest,
    boot: Digest,
) -> EngineBinding {
    let channel = launched.key().clone();
    EngineBinding { arguments, binary, boot, channel, level: BindingLevel::Launched, order, state }
}

/// This program as an engine: the model, the prompt, and an adapter, which then has the model's name.
fn own_engine(laid: &Laid, own: &Own<'_>) -> Done<(Program, Vec<String>)> {
    laid.for_own_engine()?;
    let path = std::env::current_exe().map_err(|error| Failure::file(Path::new("/proc/self/exe"), &error))?;
    let adapter = laid.adapter()?;
    let name = adapter.map_or_else(|| own.name.to_owned(), |_| format!("{}-base", own.name));
    let mut words: Vec<String> =
        ["engine", "--end-with-stdin", "--name", &name, "--listen-socket", "{socket}", "--model", "{model}"]
            .map(str::to_owned)
            .to_vec();
    if laid.places.contains_key("prompt") {
        words.extend(["--system".to_owned(), "{prompt}".to_owned()]);
    }
    if let Some(adapter) = adapter {
        words.extend(["--adapter".to_owned(), format!("{}={{component:{adapter}}}", own.name)]);
    }
    if let Some(threads) = own.threads {
        words.extend(["--threads".to_owned(), threads.to_string()]);
    }
    if let Some(worker) = own.worker {
        words.extend(["--worker".to_owned(), worker.display().to_string()]);
    }
    Ok((Program::open(&path, None)?, words))
}

/// What is said once the engine can be reached, for scripts and for people.
fn told(healthy: &Healthy, id: StatementId) -> (serde_json::Value, String) {
    let Healthy { launched, binding, .. } = healthy;
    let url = format!("channel://{}", launched.address());
    let mut text = String::new();
    line(&mut text, &format!("state    {}", binding.state));
    line(&mut text, &format!("order    {}", binding.order));
    line(&mut text, &format!("binding  {id}, level `launched`"));
    line(
        &mut text,
        &format!("engine   sha256:{} (process {})", binding.binary, launched.process().unwrap_or(0)),
    );
    line(&mut text, &format!("channel  key {}", binding.channel.id()));
    line(&mut text, &format!("listening on {url}"));
    let value = json!({
        "listening": url, "binding": id, "level": binding.level, "state": binding.state, "order": binding.order,
        "binary": binding.binary, "arguments": binding.arguments, "boot": binding.boot,
        "channel": binding.channel.id(), "process": launched.process(),
    });
    (value, text)
}

/// SIGTERM and SIGINT, heard from now on; none where they end the process, and our own engine with it.
fn signals() -> Option<(Signal, Signal)> {
    signal(SignalKind::terminate()).ok().zip(signal(SignalKind::interrupt()).ok())
}

async fn told_to_stop(signals: Option<(Signal, Signal)>) {
    let Some((mut terminate, mut interrupt)) = signals else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
