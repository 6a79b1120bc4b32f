//! Runs the worker: another program, which opens what nobody trusts. This one signs what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use statement::Digest;
use statement::kind::Outcome;

use crate::failure::{Done, Failure};

/// The worker's program name.
const PROGRAM: &str = "countersign-worker";
/// The largest answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// The longest a job may take.
const LIMIT: Duration = Duration::from_mins(15);

/// One thing against a change, as the worker says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Against {
    pub(crate) code: String,
    pub(crate) limit: u64,
    pub(crate) measured: u64,
    pub(crate) place: String,
}

/// The worker's answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) inputs: BTreeSet<Digest>,
    pub(crate) measures: BTreeMap<String, u64>,
    pub(crate) outcome: Outcome,
    pub(crate) violations: Vec<Against>,
    pub(crate) violations_left_out: u64,
}

/// The worker beside this program, and the digest of its code.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    path: PathBuf,
    pub(crate) digest: Digest,
}

impl Worker {
    /// Finds the worker: where it is given, or beside this program.
    pub(crate) fn find(given: Option<&Path>) -> Done<Self> {
        let path = if let Some(path) = given {
            path.to_owned()
        } else {
            let me = std::env::current_exe()
                .map_err(|error| Failure::file(Path::new("/proc/self/exe"), &error))?;
            me.with_file_name(PROGRAM)
        };
        if !path.exists() {
            let message = format!("there is no worker at `{}`", path.display());
            return Err(Failure::new(
                "CS-CLI-010",
                message,
                "name it with --worker or COUNTERSIGN_WORKER, or build it: `cargo build -p countersign-worker`",
            ));
        }
        let (digest, _) = vault::hash_file(&path)?;
        Ok(Self { path, digest })
    }

    /// Runs a job. The worker gets an empty environment, the job, and nothing else of ours; it is a process of its own
    /// and not otherwise confined, which the finding says.
    pub(crate) fn run(&self, job: &serde_json::Value) -> Done<Answer> {
        let failed = |error: std::io::Error| Failure::file(&self.path, &error);
        let mut child = Command::new(&self.path)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // A worker that died does not read; its status says more than the broken pipe.
            let text = job.to_string();
            if let Err(error) = input.write_all(text.as_bytes()) {
                tracing::warn!(%error, "the worker did not take its job");
            }
        }
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::outside("the worker has no output", "start it again"));
        };
        let reading = std::thread::spawn(move || read_bounded(output));
        let complaining = std::thread::spawn(move || read_bounded(errors));
        let status = wait(&mut child, LIMIT).map_err(failed)?;
        let answer = reading.join().ok().and_then(Result::ok).unwrap_or_default();
        let complaint = complaining.join().ok().and_then(Result::ok).unwrap_or_default();
        let hint = "the file may be damaged or hostile; nothing was signed";
        match status {
            Some(status) if status.success() => serde_json::from_slice(&answer)
                .map_err(|error| Failure::outside(format!("the worker's answer is none: {error}"), hint)),
            Some(status) => {
                let text: String = String::from_utf8_lossy(&complaint).chars().take(400).collect();
                Err(Failure::outside(format!("the worker ended with {status}: {}", text.trim()), hint))
            }
            None => Err(Failure::outside("the worker took too long and was ended", hint)),
        }
    }
}

fn read_bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Waits for the child until the limit; then ends it.
fn wait(
    child: &mut std::process::Child,
    limit: Duration,
) -> std::io::Result<Option<std::process::ExitStatus>> {
    let started = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
