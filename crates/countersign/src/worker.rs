//! Runs the worker in its box: another program, which opens what nobody trusts. This one signs what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sandbox::{Boundaries, Boundary, Held, Input, Level, Limits, Profile, Program, Run, SandboxError};
use serde::Deserialize;
use statement::Digest;
use statement::kind::Outcome;
use trace::Step;

use crate::failure::{Done, Failure};

/// The worker's program name.
const PROGRAM: &str = "countersign-worker";
/// How much a file reader may use beside its inputs.
const LIMITS: Limits = Limits {
    memory_bytes: 2 << 30,
    processor_s: 15 * 60,
    wall: Duration::from_mins(15),
    threads: 1,
    answer_bytes: 1 << 20,
};

/// How a file reader is boxed.
const fn reading(level: Level) -> Run {
    Run { level, profile: Profile::Parse, limits: LIMITS }
}

/// A level of the box, as findings name it.
pub(crate) const fn isolation(level: Level) -> statement::kind::Isolation {
    match level {
        Level::Standard => statement::kind::Isolation::Standard,
        Level::Deep => statement::kind::Isolation::Deep,
    }
}

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
    pub(crate) steps: Vec<Step>,
}

/// Most steps that a worker may take in one job.
const STEPS_MAX: usize = 4096;

impl Answer {
    /// The worker's steps, if they are such as a worker may take, and open what it says it read.
    fn checked(self) -> Done<Self> {
        let lie = |what: &str| Failure::from(SandboxError::Lie { what: what.to_owned() });
        if self.steps.len() > STEPS_MAX || !self.steps.iter().all(Step::is_workers) {
            return Err(lie("its steps are not a worker's"));
        }
        let opened: BTreeSet<Digest> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Input { digest, .. } => Some(*digest),
                _ => None,
            })
            .collect();
        if opened != self.inputs {
            return Err(lie("it opened other files than it says it read"));
        }
        Ok(self)
    }
}

/// The step that the supervisor writes: the box, the worker and what it might use.
pub(crate) fn boxed(worker: Digest, level: Level, boundaries: &Boundaries) -> Done<Step> {
    let run = reading(level);
    let names = not_enforced(boundaries).map(|boundary| boundary.name().parse());
    Ok(Step::Box {
        isolation: isolation(level),
        memory_bytes: run.limits.memory_bytes,
        not_enforced: names.collect::<Result<_, _>>()?,
        processor_s: run.limits.processor_s,
        profile: run.profile.name().parse()?,
        wall_ms: u64::try_from(run.limits.wall.as_millis()).unwrap_or(u64::MAX),
        worker,
    })
}

/// What is to be measured, and the files of it. A file that is not there is not given; the worker says so.
#[derive(Debug)]
pub(crate) struct Measuring<'a> {
    pub(crate) subject: &'static str,
    pub(crate) candidate: &'a Path,
    pub(crate) scope: &'a Path,
    pub(crate) base: Option<&'a Path>,
}

impl Measuring<'_> {
    /// The files by the names that the worker knows them by.
    fn inputs(&self) -> Done<Vec<Input>> {
        let mut named: Vec<(&str, PathBuf)> = vec![("scope", self.scope.to_owned())];
        named.extend(self.base.map(|base| ("base", base.to_owned())));
        if self.subject == "adapter" {
            for (name, file) in [
                ("candidate/adapter_config.json", "adapter_config.json"),
                ("candidate/adapter_model.safetensors", "adapter_model.safetensors"),
            ] {
                named.push((name, self.candidate.join(file)));
            }
        } else {
            named.push(("candidate", self.candidate.to_owned()));
        }
        let mut inputs = Vec::new();
        for (name, path) in named {
            // Files rebuilt from the vault: what is no file there has none to give.
            if path.is_file() {
                let file = File::open(&path).map_err(|error| Failure::file(&path, &error))?;
                inputs.push(Input { name: name.to_owned(), file });
            }
        }
        Ok(inputs)
    }
}

/// The worker beside this program, sealed in memory.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    program: Arc<Program>,
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
        Ok(Self { program: Arc::new(Program::seal(&path)?) })
    }

    /// Measures in the box; answers what the worker says, and what held around it.
    pub(crate) fn measure(&self, measuring: &Measuring<'_>, level: Level) -> Done<(Answer, Boundaries)> {
        let job = serde_json::json!({ "measure": measuring.subject }).to_string();
        let mut frames = Vec::new();
        let inputs = measuring.inputs()?;
        let outcome = reading(level)
            .run(&self.program, &inputs, job.as_bytes(), |frame| frames.push(frame.to_vec()))?;
        let hint = "the file may be damaged or hostile; nothing was signed";
        let [frame] = frames.as_slice() else {
            return Err(Failure::outside(format!("the worker answered {} frames", frames.len()), hint));
        };
        let answer: Answer = serde_json::from_slice(frame).map_err(|error| {
            Failure::from(SandboxError::Lie { what: format!("its answer is none: {error}") })
        })?;
        Ok((answer.checked()?, outcome.boundaries))
    }

    /// SHA-256 of the worker's code.
    pub(crate) fn digest(&self) -> Digest {
        self.program.digest()
    }

    /// The worker's program.
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The worker's program, for those who start it again and again.
    pub(crate) fn shared(&self) -> Arc<Program> {
        Arc::clone(&self.program)
    }

    /// What this host enforces around a worker.
    pub(crate) fn boundaries(&self) -> Done<Boundaries> {
        Ok(sandbox::host::enforced(&self.program, b"\"nothing\"")?)
    }
}

/// The boundaries that did not hold, as the finding tells them.
pub(crate) fn not_enforced(boundaries: &Boundaries) -> impl Iterator<Item = Boundary> + '_ {
    boundaries.each().filter(|(_, held)| *held != Held::Enforced).map(|(boundary, _)| boundary)
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(error.code(), format!("{error}{cause}"), error.hint())
    }
}
