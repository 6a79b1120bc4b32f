//! A witness's own memory on disk: the latest checkpoint of each log that it cosigned, and the forks it refused.
//!
//! The decision is `merkle`'s. Here the new state is durable before anything is cosigned. What this module does
//! not do: speak HTTP.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use merkle::note::MAX_NOTE;
use merkle::{
    AddCheckpoint, Cosigner, Hash, MerkleError, SplitView, WatchedLog, WitnessRefusal, WitnessState, decide,
};

use crate::config::Clock;
use crate::error::LogError;
use crate::state::lock;
use crate::storage::{LockGuard, STAGING, Storage, clear_staging, read_file, replace_file};

const LOCK: &str = "lock";
const LOGS_DIR: &str = "logs";
const FORKS_DIR: &str = "forks";

/// How many refused checkpoints that do not convict the log by themselves are kept for each log. Anyone can
/// make such a one from an honest checkpoint and a wrong proof.
const MAX_INCONCLUSIVE: usize = 64;

/// What a witness answers to add-checkpoint (C2SP tlog-witness).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body's content type.
    pub content_type: &'static str,
    /// The body: cosignature lines, or why there are none.
    pub body: Vec<u8>,
}

impl Response {
    fn text(status: u16, code: &str, what: &dyn fmt::Display) -> Self {
        let body = format!("{code} {what}\n").into_bytes();
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }
}

struct Known {
    log: WatchedLog,
    state: Option<WitnessState>,
}

/// A witness with its state.
///
/// After a failure to write or to make durable, every request is answered with status 500: end the process.
pub struct WitnessStore {
    storage: Arc<dyn Storage>,
    cosigners: Vec<Arc<dyn Cosigner + Send + Sync>>,
    clock: Clock,
    logs: Mutex<HashMap<String, Known>>,
    failure: OnceLock<Arc<LogError>>,
    _lock: Box<dyn LockGuard>,
}

impl WitnessStore {
    /// Opens the witness's directory, made where it is empty, and reads the state of the logs that it watches.
    ///
    /// [`LogError::Locked`] where another process has it open; [`LogError::BadCheckpoint`] where a stored state
    /// is no checkpoint that its log has signed.
    pub fn open(
        storage: Arc<dyn Storage>,
        cosigners: Vec<Arc<dyn Cosigner + Send + Sync>>,
        logs: Vec<WatchedLog>,
        clock: Clock,
    ) -> Result<Self, LogError> {
        if cosigners.is_empty() {
            return Err(LogError::BadConfig { what: "no cosigner".to_owned() });
        }
        let guard = storage.lock(LOCK).map_err(|error| {
            if error.kind() == std::io::ErrorKind::WouldBlock {
                LogError::Locked { path: LOCK.to_owned(), holder: error.to_string() }
            } else {
                LogError::io("lock", LOCK)(error)
            }
        })?;
        for dir in [LOGS_DIR, FORKS_DIR, STAGING] {
            storage.create_dir(dir).map_err(LogError::io("create", dir))?;
        }
        clear_staging(&*storage)?;
        storage.sync_dir("").map_err(LogError::sync("."))?;
        let mut known = HashMap::new();
        for log in logs {
            let state = read_state(&*storage, &log)?;
            known.insert(log.origin().to_owned(), Known { log, state });
        }
        Ok(Self {
            storage,
            cosigners,
            clock,
            logs: Mutex::new(known),
            failure: OnceLock::new(),
            _lock: guard,
        })
    }

    /// The size of the checkpoint of `origin` that was cosigned last; `None` for a log that is not watched.
    pub fn size(&self, origin: &str) -> Option<u64> {
        let logs = lock(&self.logs);
        Some(logs.get(origin)?.state.as_ref().map_or(0, WitnessState::size))
    }

    /// Answers the body of an add-checkpoint request. The new state is durable before this returns.
    pub fn add_checkpoint(&self, request: &[u8]) -> Response {
        if let Some(cause) = self.failure.get() {
            let stopped = LogError::Poisoned { cause: Arc::clone(cause) };
            return Response::text(500, stopped.code(), &stopped);
        }
        let request = match AddCheckpoint::parse(request) {
            Ok(request) => request,
            Err(error) => return Response::text(400, error.code(), &error),
        };
        // One request at a time: the state that is compared is the state that is replaced.
        let mut logs = lock(&self.logs);
        let known = logs.get_mut(request.origin());
        let (log, state) = match &known {
            Some(known) => (Some(&known.log), known.state.as_ref()),
            None => (None, None),
        };
        match (decide(state, &request, log), known) {
            (Ok(next), Some(known)) => self.accept(known, next),
            // Without a log that is watched, there is nothing to accept.
            (Ok(_), None) => Response::text(404, "CS-MRK-061", &"the log is not watched here"),
            (Err(refusal), _) => self.refuse(request.origin(), &refusal),
        }
    }

    fn accept(&self, known: &mut Known, next: WitnessState) -> Response {
        let path = state_path(known.log.origin());
        if let Err(error) = replace_file(&*self.storage, &path, &next.to_bytes()) {
            return self.fail(error);
        }
        let seconds = (self.clock)() / 1000;
        let lines: Result<String, MerkleError> = self
            .cosigners
            .iter()
            .map(|cosigner| cosigner.cosign(next.text(), seconds).map(|line| line.to_line()))
            .collect();
        known.state = Some(next);
        match lines {
            Ok(lines) => {
                Response { status: 200, content_type: "text/plain; charset=utf-8", body: lines.into_bytes() }
            }
            Err(error) => Response::text(500, error.code(), &error),
        }
    }

    fn refuse(&self, origin: &str, refusal: &WitnessRefusal) -> Response {
        if let Some(split) = refusal.split()
            && let Err(error) = self.keep_evidence(origin, split)
        {
            return self.fail(error);
        }
        let (content_type, body) = refusal.body();
        Response { status: refusal.status(), content_type, body: body.into_bytes() }
    }

    /// Stores both checkpoints, once.
    fn keep_evidence(&self, origin: &str, split: &SplitView) -> Result<(), LogError> {
        let log = Hash::of(origin.as_bytes());
        let kind = if split.is_conclusive() { "split" } else { "unconnected" };
        let prefix = format!("{log}-{kind}-");
        let names = self.storage.list(FORKS_DIR).map_err(LogError::io("list", FORKS_DIR))?;
        let kept = names.iter().filter(|name| name.starts_with(&prefix)).count();
        let path = format!("{FORKS_DIR}/{prefix}{}", Hash::of_parts(&[&split.ours, &split.theirs]));
        let is_known = self.storage.exists(&path).map_err(LogError::io("look for", &path))?;
        if is_known || (!split.is_conclusive() && kept >= MAX_INCONCLUSIVE) {
            return Ok(());
        }
        tracing::warn!(origin, path, "a checkpoint that does not go with the one cosigned last was refused");
        replace_file(&*self.storage, &path, split.to_string().as_bytes())
    }

    fn fail(&self, error: LogError) -> Response {
        tracing::error!(code = error.code(), %error, "the witness has stopped");
        let response = Response::text(500, error.code(), &error);
        // A second failure is a consequence of the first, which is kept.
        self.failure.get_or_init(|| Arc::new(error));
        response
    }
}

impl fmt::Debug for WitnessStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitnessStore").field("storage", &self.storage).finish_non_exhaustive()
    }
}

fn state_path(origin: &str) -> String {
    format!("{LOGS_DIR}/{}", Hash::of(origin.as_bytes()))
}

fn read_state(storage: &dyn Storage, log: &WatchedLog) -> Result<Option<WitnessState>, LogError> {
    let path = state_path(log.origin());
    let bytes = read_file(storage, &path, MAX_NOTE as u64).map_err(LogError::io("read", &path))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let state = WitnessState::restore(&bytes, log);
    state.map(Some).map_err(|error| LogError::BadCheckpoint { path, what: error.to_string() })
}
