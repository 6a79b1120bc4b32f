//! The engine as it was loaded, what it is asked to generate, and what it says while it does.

use std::sync::Arc;
use std::time::Instant;

use model::Finish;
use modelbox::files::{digest, hex};
use modelbox::{BoxError, Boxed, NotOpened, Opened, Turn};
pub(crate) use modelbox::{Echo, Likely, Prompt, Task};
use modelbox::{Purpose, Vector};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::keys::Caller;
use crate::queue::Waiting;
use crate::refusal::shown;
use crate::{AdapterFiles, Error, Launch, Limits, Loaded, ModelFiles, Refusal};

/// Where the model runs.
#[derive(Debug)]
pub(crate) enum Runner {
    /// In this process.
    Here(Arc<Opened>),
    /// In a worker's box.
    Boxed(Boxed),
}

/// A model with its adapters, ready to serve.
#[derive(Debug)]
pub struct Engine {
    pub(crate) name: String,
    pub(crate) runner: Runner,
    pub(crate) adapters: Vec<String>,
    pub(crate) limits: Limits,
    /// What conversations begin with that have no system message of their own.
    pub(crate) system: Option<String>,
    /// The beginning of the digest of all files' digests.
    pub(crate) fingerprint: String,
    loaded: Vec<Loaded>,
}

/// Most characters of a name.
const NAME_MAX: usize = 128;
/// Most threads of one kind.
const THREADS_MAX: usize = 1024;

impl Engine {
    /// Hashes and opens a model's files in this process, and its adapters' by name. `progress` hears how many more bytes
    /// have been hashed.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Limit`], [`Error::Model`], [`Error::Adapter`].
    pub fn load(
        name: &str,
        files: &ModelFiles,
        adapters: &[(String, AdapterFiles)],
        limits: Limits,
        progress: &dyn Fn(u64),
    ) -> Result<Self, Error> {
        check(name, adapters, &limits)?;
        let adapter_files = adapters.iter().flat_map(|(_, files)| files.all());
        let all = files.all().into_iter().chain(adapter_files);
        let loaded = all.map(|file| digest(&file.name, &file.bytes, progress)).collect();
        let opened = Opened::load(files, adapters, limits.context).map_err(|why| not_opened(name, why))?;
        let context = opened.context();
        Ok(Self::of(name, Runner::Here(Arc::new(opened)), adapters, Limits { context, ..limits }, loaded))
    }

    /// Opens a model in a worker's box. The launch's context, generations, threads and name are those given here.
    ///
    /// # Errors
    /// As [`Engine::load`], and [`Error::Box`].
    pub fn boxed(name: &str, launch: Launch, limits: Limits, progress: &dyn Fn(u64)) -> Result<Self, Error> {
        check(name, &launch.adapters, &limits)?;
        let adapters: Vec<(String, ())> =
            launch.adapters.iter().map(|(name, _)| (name.clone(), ())).collect();
        let launch = Launch {
            name: name.to_owned(),
            context: limits.context,
            generations: limits.generations,
            threads: limits.threads,
            ..launch
        };
        let boxed = Boxed::open(launch, progress).map_err(|error| match error {
            BoxError::NotOpened(why) => not_opened(name, why),
            other => Error::Box(Box::new(other)),
        })?;
        let (context, loaded) = (boxed.about().context, boxed.loaded().to_vec());
        Ok(Self::of(name, Runner::Boxed(boxed), &adapters, Limits { context, ..limits }, loaded))
    }

    fn of<T>(
        name: &str,
        runner: Runner,
        adapters: &[(String, T)],
        limits: Limits,
        loaded: Vec<Loaded>,
    ) -> Self {
        let fingerprint = fingerprint(&loaded);
        let adapters = adapters.iter().map(|(name, _)| name.clone()).collect();
        Self { name: name.to_owned(), runner, adapters, limits, system: None, fingerprint, loaded }
    }

    /// Begins every conversation that has no system message of its own with this one. It is part of what is served, so
    /// it is listed with the files, under the name of the file it came from, and the fingerprint covers it.
    #[must_use]
    pub fn with_system(mut self, file: &str, prompt: String) -> Self {
        self.loaded.push(digest(file, prompt.as_bytes(), &|_| {}));
        self.fingerprint = fingerprint(&self.loaded);
        self.system = Some(prompt);
        self
    }

    /// A conversation as the model hears it.
    pub(crate) fn begin(&self, turns: &mut Vec<Turn>) {
        if let Some(content) = &self.system
            && turns.iter().all(|turn| turn.role != "system")
        {
            turns.insert(0, Turn { role: "system".to_owned(), content: content.clone() });
        }
    }

    /// The model's box, where it has one.
    pub const fn model_box(&self) -> Option<&Boxed> {
        match &self.runner {
            Runner::Here(_) => None,
            Runner::Boxed(boxed) => Some(boxed),
        }
    }

    /// The files that were loaded, with their digests.
    pub fn loaded(&self) -> &[Loaded] {
        &self.loaded
    }

    /// The bounds in force: as given, with the context no longer than the model's.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the model is made for.
    pub fn purpose(&self) -> Purpose {
        match &self.runner {
            Runner::Here(opened) => opened.purpose(),
            Runner::Boxed(boxed) => boxed.about().purpose,
        }
    }

    /// The adapter that a name asks for; nothing for the model itself.
    pub(crate) fn adapter(&self, name: &str) -> Result<Option<String>, Refusal> {
        if name == self.name {
            return Ok(None);
        }
        if let Some(adapter) = self.adapters.iter().find(|adapter| *adapter == name) {
            return Ok(Some(adapter.clone()));
        }
        let known: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        Err(Refusal::UnknownModel { name: shown(name), known: known.join(", ") })
    }

    /// The names that can be asked for, the model's first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str()].into_iter().chain(self.adapters.iter().map(String::as_str))
    }
}

fn fingerprint(loaded: &[Loaded]) -> String {
    let mut hash = Sha256::new();
    for file in loaded {
        hash.update(&file.sha256);
    }
    hex(&hash.finalize()).chars().take(16).collect()
}

fn check<T>(name: &str, adapters: &[(String, T)], limits: &Limits) -> Result<(), Error> {
    check_limits(limits)?;
    let mut names: Vec<&str> = Vec::new();
    for name in [name].into_iter().chain(adapters.iter().map(|(name, _)| name.as_str())) {
        check_name(name, &names)?;
        names.push(name);
    }
    Ok(())
}

fn not_opened(name: &str, why: NotOpened) -> Error {
    match &why.adapter {
        Some(adapter) => Error::Adapter { name: adapter.clone(), source: why },
        None => Error::Model { name: name.to_owned(), source: why },
    }
}

fn check_limits(limits: &Limits) -> Result<(), Error> {
    let sizes = [
        ("context", limits.context, usize::MAX),
        ("parallel", limits.generations, THREADS_MAX),
        ("threads", limits.threads, THREADS_MAX),
        ("queue", limits.queue, usize::MAX),
        ("connections", limits.connections, tokio::sync::Semaphore::MAX_PERMITS),
        ("body_bytes", limits.body_bytes, 1 << 30),
    ];
    match sizes.into_iter().find(|(_, size, most)| !(1..=*most).contains(size)) {
        Some((limit, 0, _)) => Err(Error::Limit { limit, expected: "at least 1" }),
        Some((limit, ..)) => Err(Error::Limit { limit, expected: "smaller" }),
        None => Ok(()),
    }
}

fn check_name(name: &str, taken: &[&str]) -> Result<(), Error> {
    let refused = |reason| Err(Error::Name { name: shown(name), reason });
    if name.is_empty() || name.chars().count() > NAME_MAX {
        return refused("it must have 1 to 128 characters");
    }
    if name.chars().any(char::is_control) {
        return refused("it has control characters");
    }
    if taken.contains(&name) {
        return refused("it is given twice");
    }
    Ok(())
}

/// What is asked of the model.
pub(crate) enum Work {
    /// To continue a text.
    Generate(Task),
    /// To turn texts into vectors.
    Embed(Vec<Prompt>),
}

/// Work on its way to a generating thread.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) caller: Caller,
    pub(crate) events: mpsc::Sender<Event>,
    /// When the request came.
    pub(crate) came: Instant,
    /// When it must be over.
    pub(crate) deadline: Instant,
}

impl Waiting for Job {
    fn given_up(&self) -> bool {
        self.events.is_closed()
    }
}

/// What is said about a job: `Begun`, any number of `Text` or of `Vectors`, and `Ended` or `Failed`.
#[derive(Debug)]
pub(crate) enum Event {
    /// The prompt is read as so many tokens.
    Begun { prompt: usize },
    /// More of the text, whole characters, with the tokens that begin in it.
    Text { text: String, tokens: Vec<Likely> },
    /// The vectors of the next texts.
    Vectors(Vec<Vector>),
    /// The end.
    Ended { finish: Finish, generated: usize },
    /// It breaks off.
    Failed(Refusal),
}
