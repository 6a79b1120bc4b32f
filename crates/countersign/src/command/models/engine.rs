//! `countersign engine`: a model behind OpenAI's interface, on this machine.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use engine::{Adapter, Engine, Files, Keys, Launch, Limits, Named, OpenFile, Place, Purpose, Server};
use sandbox::Content;
use scan::ReadIn;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::which;
use crate::busy;
use crate::cli::EngineArgs;
use crate::command::Setting;
use crate::failure::{Done, Failure, in_file};
use crate::home::{open_file, read_bounded};
use crate::text::line;
use crate::worker::{Worker, not_enforced, reported};

/// Most bytes of a file of API keys that are read.
const KEYS_BYTES_MAX: usize = 1 << 20;
/// Most bytes of a system prompt.
const SYSTEM_BYTES_MAX: usize = 1 << 20;
/// The largest index of shards.
const INDEX_BYTES_MAX: usize = 64 << 20;
/// A worker is ended after a year of processor time: it serves for long, and the kernel wants a number.
const PROCESSOR_S: u64 = 366 * 86_400;
/// How long opening a model may take.
const OPENING: Duration = Duration::from_mins(10);
/// How long an answer that nobody wants any more may go on until the worker is ended. Between two looks a worker reads
/// 256 tokens of a prompt.
const STOPPING: Duration = Duration::from_mins(2);
/// How often a worker that ended by itself is started again, unless it held for ten minutes.
const RESTARTS: u32 = 5;

/// Loads a model, says what was loaded and where it listens, and serves until it is told to stop.
pub(crate) fn engine(setting: &Setting, args: &EngineArgs) -> Done {
    let keys = match &args.api_key_file {
        Some(path) => Some(Keys::read(&read_bounded(path, KEYS_BYTES_MAX)?)?),
        None => None,
    };
    if keys.is_none() && args.listen_socket.is_none() && !args.listen.ip().is_loopback() {
        // Said before a large model is read.
        return Err(engine::Error::Open { address: args.listen }.into());
    }
    let system = args.system.as_deref().map(system).transpose()?;
    let files = model_files(&args.model)?;
    let adapters = args.adapter.iter().map(|text| adapter(text)).collect::<Done<Vec<_>>>()?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => own_name(&args.model)?,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        context: args.context.unwrap_or(usize::MAX),
        generations: args.parallel,
        threads: args.threads.unwrap_or(cores),
        queue: args.queue,
        drain: std::time::Duration::from_secs(args.drain_seconds),
        ..Limits::ORDINARY
    };
    let of_adapters = adapters.iter().flat_map(|(_, files)| files.all());
    let all = files.all().into_iter().chain(of_adapters);
    let all: u64 = all.filter_map(|file| file.file.metadata().ok()).map(|file| file.len()).sum();
    let bar = busy::bytes("loading", all);
    let progress = |bytes| busy::advance(&bar, bytes);
    let loaded = match args.isolation.level() {
        None => {
            let adapters = adapters.iter().map(|(name, files)| Ok((name.clone(), files.try_map(mapped)?)));
            let adapters = adapters.collect::<Done<Vec<_>>>()?;
            Engine::load(&name, &files.try_map(mapped)?, &adapters, limits, &progress)
        }
        Some(level) => {
            let worker = Worker::find(setting.worker.as_deref())?;
            let launch = Launch {
                program: worker.shared(),
                level,
                name: name.clone(),
                memory_bytes: Launch::memory_for(all, limits.generations, limits.threads),
                files,
                adapters,
                context: limits.context,
                generations: limits.generations,
                threads: limits.threads,
                processor_s: PROCESSOR_S,
                opening: OPENING,
                stopping: STOPPING,
                restarts: RESTARTS,
            };
            Engine::boxed(&name, launch, limits, &progress)
        }
    };
    bar.finish_and_clear();
    let loaded = loaded.map_err(in_file(&args.model))?;
    let loaded = match system {
        Some(_) if loaded.purpose() != Purpose::Texts => {
            return Err(Failure::usage(format!("`{name}` turns texts into vectors: it has no --system")));
        }
        Some((file, prompt)) => loaded.with_system(&file, prompt),
        None => loaded,
    };
    let server = match &args.listen_socket {
        Some(path) => Server::bind_socket(loaded, path, keys)?,
        None => Server::bind(loaded, args.listen, keys)?,
    };
    tell(setting, &server, &name, &args.adapter);
    // Kept between the two times that it is asked for, so that no signal is lost.
    let signals = Mutex::new(None);
    let parent = Mutex::new(args.end_with_stdin.then(end_of_stdin).transpose()?);
    Ok(server.run(|| told_to_stop(&signals, &parent))?)
}

/// Hears it when standard input ends.
fn end_of_stdin() -> Done<oneshot::Receiver<()>> {
    let (tell, ended) = oneshot::channel();
    let read = move || {
        // That it cannot be read is its end too.
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        if tell.send(()).is_err() {
            tracing::debug!("the engine had ended before its standard input");
        }
    };
    let begun = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    begun.map_err(|error| Failure::outside(format!("no thread: {error}"), "the system is out of threads"))?;
    Ok(ended)
}

/// The name and text of a file with a system prompt.
fn system(path: &Path) -> Done<(String, String)> {
    let text = String::from_utf8(read_bounded(path, SYSTEM_BYTES_MAX)?)
        .map_err(|error| Failure::not_a("prompt", path, error.utf8_error()))?;
    Ok((path.to_string_lossy().into_owned(), text))
}

fn tell(setting: &Setting, server: &Server, name: &str, adapters: &[String]) {
    let files = server.engine().loaded();
    let url = match server.place() {
        Place::Address(address) => format!("http://{address}/v1"),
        Place::Socket(path) => format!("unix:{}", path.display()),
    };
    let adapters: Vec<&str> =
        adapters.iter().filter_map(|text| text.split_once('=').map(|(name, _)| name)).collect();
    let listed: Vec<_> = files
        .iter()
        .map(|file| json!({ "name": file.name, "sha256": file.sha256, "bytes": file.bytes }))
        .collect();
    let context = server.engine().limits().context;
    let width = match server.engine().purpose() {
        Purpose::Texts => None,
        Purpose::Vectors { width } => Some(width),
    };
    let isolation = isolation(server.engine());
    let own = i32::try_from(std::process::id()).ok();
    let process = server.engine().model_box().map_or(own, engine::Boxed::process);
    let value = json!({
        "listening": url, "model": name, "adapters": adapters, "context": context, "files": listed,
        "isolation": isolation, "process": process, "vectors": width,
    });
    let mut text = String::new();
    for file in files {
        line(&mut text, &format!("sha256:{}  {}", file.sha256, file.name));
    }
    let named = adapters.iter().fold(String::new(), |text, adapter| format!("{text}, adapter `{adapter}`"));
    let served = match width {
        None => format!("serving `{name}`, context {context} tokens{named}"),
        Some(width) => {
            format!("serving `{name}`: texts of up to {context} tokens as vectors of {width} numbers")
        }
    };
    line(&mut text, &served);
    let lacking: Vec<&str> = isolation.not_enforced.iter().map(String::as_str).collect();
    let boxed = match isolation.isolation {
        scan::Isolation::None => "runs in this program itself, without a box, as was asked for".to_owned(),
        level if lacking.is_empty() => format!("runs in a box of level `{}`", level.name()),
        level => {
            format!("runs in a box of level `{}`; not enforced here: {}", level.name(), lacking.join(", "))
        }
    };
    let process = process.map(|process| format!(" (process {process})")).unwrap_or_default();
    line(&mut text, &format!("{boxed}{process}"));
    line(&mut text, &format!("listening on {url}"));
    setting.print(&value, &text);
}

/// Where the model runs.
fn isolation(engine: &Engine) -> ReadIn {
    let Some(boxed) = engine.model_box() else { return ReadIn::the_program() };
    ReadIn {
        isolation: reported(boxed.level()),
        not_enforced: not_enforced(boxed.boundaries()).map(|boundary| boundary.name().to_owned()).collect(),
        worker: Some(boxed.worker().to_string()),
    }
}

type Signals = (tokio::signal::unix::Signal, tokio::signal::unix::Signal);

/// Waits for an interrupt, a request to terminate, or the end of standard input where that is listened to.
async fn told_to_stop(kept: &Mutex<Option<Signals>>, parent: &Mutex<Option<oneshot::Receiver<()>>>) {
    let gone = parent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let gone = async {
        match gone {
            Some(gone) => drop(gone.await),
            None => std::future::pending().await,
        }
    };
    let take = || kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let listening = match take() {
        Some(signals) => Some(signals),
        None => signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok()),
    };
    // Without a handler the signal ends the process, which is as good.
    let Some((mut interrupt, mut terminate)) = listening else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = gone => {}
    }
    *kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((interrupt, terminate));
}

/// The name of the file or folder, without `.gguf`.
fn own_name(path: &Path) -> Done<String> {
    let whole = path.canonicalize().map_err(|error| Failure::file(path, &error))?;
    let name = whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned();
    Ok(name.strip_suffix(".gguf").unwrap_or(&name).to_owned())
}

pub(super) fn opened(path: &Path) -> Done<OpenFile> {
    let file = open_file(path).map_err(|error| Failure::file(path, &error))?;
    Ok(OpenFile { name: path.to_string_lossy().into_owned(), file })
}

/// The bytes of an open file, for a model that runs in this program.
pub(super) fn mapped(file: &OpenFile) -> Done<Named> {
    let content = Content::of(&file.file).map_err(|error| Failure::file(Path::new(&file.name), &error))?;
    Ok(Named { name: file.name.clone(), bytes: Bytes::from_owner(content) })
}

fn model_files(path: &Path) -> Done<Files<OpenFile>> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::file(path, &error))?;
    if !metadata.is_dir() {
        return Ok(Files::Gguf(opened(path)?));
    }
    let there = |name: &str| Some(path.join(name)).filter(|path| path.is_file());
    let required = |name: &str| opened(&path.join(name));
    let optional = |name: &str| there(name).map(|path| opened(&path)).transpose();
    let weights = weights(path)?;
    Ok(Files::Folder {
        config: required("config.json")?,
        tokenizer: required("tokenizer.json")?,
        tokenizer_config: optional("tokenizer_config.json")?,
        template: optional("chat_template.jinja")?,
        modules: optional("modules.json")?,
        pooling: optional("1_Pooling/config.json")?,
        sentence: optional("sentence_bert_config.json")?,
        weights: weights.iter().map(|path| opened(path)).collect::<Done<_>>()?,
    })
}

/// The weights in a folder, at least one file: `model.safetensors` alone where it is there, the shards of its index, else
/// every file of weights.
pub(super) fn weights(folder: &Path) -> Done<Vec<PathBuf>> {
    which::is_one_model(folder, |name| folder.join(name).is_file())?;
    let whole = folder.join(which::SINGLE);
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    let index = folder.join(which::INDEX);
    if index.is_file() {
        let shards = which::shards(&index, &read_bounded(&index, INDEX_BYTES_MAX)?)?;
        return Ok(shards.into_iter().map(|name| folder.join(name)).collect());
    }
    let failed = |error| Failure::file(folder, &error);
    let (mut found, mut has_gguf) = (Vec::new(), false);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let weights = path.extension().is_some_and(|extension| extension == "safetensors");
        has_gguf |= path.extension().is_some_and(|extension| extension == "gguf");
        if weights && !name.starts_with("adapter") {
            found.push(path);
        }
    }
    if found.is_empty() {
        let why = if folder.join("adapter_config.json").exists() {
            "it holds an adapter, which needs the model it was made for"
        } else if has_gguf {
            "its weights are in a .gguf file; name that file"
        } else {
            "it holds no .safetensors files"
        };
        return Err(Failure::not_a("model", folder, why));
    }
    found.sort();
    which::few(folder, found)
}

fn adapter(text: &str) -> Done<(String, Adapter<OpenFile>)> {
    let Some((name, folder)) = text.split_once('=') else {
        return Err(Failure::usage(format!("`{text}` is not NAME=FOLDER")));
    };
    let folder = Path::new(folder);
    let config = opened(&folder.join("adapter_config.json"))?;
    let weights = opened(&folder.join("adapter_model.safetensors"))?;
    Ok((name.to_owned(), Adapter { config, weights }))
}
