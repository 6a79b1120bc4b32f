//! The engine as it was loaded, what it is asked to generate, and what it says while it does.

use std::time::Instant;

use model::executor::Local;
use model::template::Message;
use model::{Finish, Sampling};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::files::{Opening, digest, hex};
use crate::keys::Caller;
use crate::queue::Waiting;
use crate::refusal::shown;
use crate::token::Token;
use crate::{AdapterFiles, Error, Limits, Loaded, ModelFiles, Refusal};

/// A model with its adapters, ready to serve.
#[derive(Debug)]
pub struct Engine {
    pub(crate) name: String,
    pub(crate) local: Local,
    pub(crate) adapters: Vec<String>,
    pub(crate) limits: Limits,
    /// The beginning of the digest of all files' digests.
    pub(crate) fingerprint: String,
    loaded: Vec<Loaded>,
}

/// Most characters of a name.
const NAME_MAX: usize = 128;
/// Most threads of one kind.
const THREADS_MAX: usize = 1024;

impl Engine {
    /// Hashes and opens a model's files, and its adapters' by name. `progress` hears how many more bytes have been
    /// hashed.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Limit`], [`Error::Model`], [`Error::Adapter`], [`Error::Configuration`].
    pub fn load(
        name: &str,
        files: &ModelFiles,
        adapters: &[(String, AdapterFiles)],
        limits: Limits,
        progress: &dyn Fn(u64),
    ) -> Result<Self, Error> {
        check_limits(&limits)?;
        let mut names: Vec<&str> = Vec::new();
        for name in [name].into_iter().chain(adapters.iter().map(|(name, _)| name.as_str())) {
            check_name(name, &names)?;
            names.push(name);
        }
        let adapter_files = adapters.iter().flat_map(|(_, files)| [&files.config, &files.weights]);
        let loaded: Vec<Loaded> =
            files.all().into_iter().chain(adapter_files).map(|file| digest(file, progress)).collect();
        let of_model = |source| Error::Model { name: name.to_owned(), source };
        let (model, tokenizer) = files.open().map_err(|opening| match opening {
            Opening::Model(source) => of_model(source),
            Opening::Engine(error) => error,
        })?;
        let mut local = Local::new(model, tokenizer).map_err(|source| of_model(Box::new(source)))?;
        for (name, files) in adapters {
            let fitted = local.model_mut().load_adapter(name, &files.config.bytes, &files.weights.bytes);
            fitted.map_err(|source| Error::Adapter { name: name.clone(), source: Box::new(source) })?;
        }
        let mut hash = Sha256::new();
        for file in &loaded {
            hash.update(&file.sha256);
        }
        let fingerprint: String = hex(&hash.finalize()).chars().take(16).collect();
        let limits = Limits { context: limits.context.min(local.model().config().context), ..limits };
        let adapters = adapters.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { name: name.to_owned(), local, adapters, limits, fingerprint, loaded })
    }

    /// The files that were loaded, with their digests.
    pub fn loaded(&self) -> &[Loaded] {
        &self.loaded
    }

    /// The bounds in force: as given, with the context no longer than the model's.
    pub const fn limits(&self) -> &Limits {
        &self.limits
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

/// What is to be continued.
#[derive(Debug)]
pub(crate) enum Prompt {
    Chat(Vec<Message>),
    Text(String),
    Tokens(Vec<u32>),
}

/// What the answer's text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// What was generated.
    Answer,
    /// The prompt, too.
    PromptToo,
}

/// What is to be generated.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) prompt: Prompt,
    /// Most tokens of the answer; nothing for what the context holds.
    pub(crate) tokens_max: Option<usize>,
    pub(crate) sampling: Sampling,
    pub(crate) stop: Vec<String>,
    /// How many of the likeliest tokens are told at each place; nothing where no log-probabilities are told.
    pub(crate) top: Option<usize>,
    pub(crate) echo: Echo,
    pub(crate) adapter: Option<String>,
}

/// A task on its way to a generating thread.
pub(crate) struct Job {
    pub(crate) task: Task,
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

/// How likely a token was.
#[derive(Debug)]
pub(crate) struct Likely {
    pub(crate) token: Token,
    /// Nothing for the first token of a prompt.
    pub(crate) logprob: Option<f32>,
    pub(crate) top: Vec<(Token, f32)>,
    /// Characters of the answer's text before it.
    pub(crate) offset: usize,
}

/// What a generation says. The events of one job: `Begun`, any number of `Text`, and `Ended` or `Failed`.
#[derive(Debug)]
pub(crate) enum Event {
    /// The prompt is read as so many tokens.
    Begun { prompt: usize },
    /// More of the text, whole characters, with the tokens that begin in it.
    Text { text: String, tokens: Vec<Likely> },
    /// The end.
    Ended { finish: Finish, generated: usize },
    /// It breaks off.
    Failed(Refusal),
}
