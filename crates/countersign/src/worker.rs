//! Runs the worker in its box: another program, which opens what nobody trusts. This one signs what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use examine::Stage;
use examine::boxed::{Asked, Said};
use sandbox::frame::Messages;
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
        Level::Gvisor => statement::kind::Isolation::Gvisor,
    }
}

/// The same, for reports that nobody signs.
pub(crate) const fn reported(level: Level) -> scan::Isolation {
    match level {
        Level::Standard => scan::Isolation::Standard,
        Level::Deep => scan::Isolation::Deep,
        Level::Gvisor => scan::Isolation::Gvisor,
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

/// How an examiner, who runs the model, is boxed.
fn running(level: Level, bytes: u64, threads: usize) -> Run {
    // Models are held in single precision, several at a time; the slowest examination is one of two hours.
    const MEMORY_BYTES: u64 = 8 << 30;
    const MEMORY_FOR_EACH: u64 = 24;
    const ANSWER_BYTES: u64 = 256 << 20;
    const SECONDS: u64 = 4 * 60 * 60;
    const BYTES_PER_SECOND: u64 = 1 << 20;
    let seconds = SECONDS.saturating_add(bytes / BYTES_PER_SECOND);
    let threads = u64::try_from(threads).unwrap_or(1);
    Run {
        level,
        profile: Profile::Execute,
        limits: Limits {
            memory_bytes: MEMORY_BYTES.saturating_add(bytes.saturating_mul(MEMORY_FOR_EACH)),
            processor_s: seconds.saturating_mul(threads),
            wall: Duration::from_secs(seconds),
            threads: threads.saturating_add(2),
            answer_bytes: ANSWER_BYTES.saturating_add(bytes),
        },
    }
}

/// What a worker answered, with the box that it answered from.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) said: T,
    pub(crate) run: Run,
    pub(crate) boundaries: Boundaries,
}

/// The step that the supervisor writes: the box, the worker and what it might use.
pub(crate) fn boxed(worker: Digest, run: &Run, boundaries: &Boundaries) -> Done<Step> {
    let names = not_enforced(boundaries).map(|boundary| boundary.name().parse());
    Ok(Step::Box {
        isolation: isolation(run.level),
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
    pub(crate) fn measure(&self, measuring: &Measuring<'_>, level: Level) -> Done<Answered<Answer>> {
        let job = serde_json::json!({ "measure": measuring.subject }).to_string();
        let mut frames = Vec::new();
        let inputs = measuring.inputs()?;
        let run = reading(level);
        let outcome = run.run(&self.program, &inputs, job.as_bytes(), |frame| frames.push(frame.to_vec()))?;
        let hint = "the file may be damaged or hostile; nothing was signed";
        let [frame] = frames.as_slice() else {
            return Err(Failure::outside(format!("the worker answered {} frames", frames.len()), hint));
        };
        let answer: Answer = serde_json::from_slice(frame).map_err(|error| {
            Failure::from(SandboxError::Lie { what: format!("its answer is none: {error}") })
        })?;
        Ok(Answered { said: answer.checked()?, run, boundaries: outcome.boundaries })
    }

    /// Has a change examined in the box; answers what the worker says in the end. `heard` is told how far it has come.
    pub(crate) fn examine(
        &self,
        asked: &Asked,
        inputs: &[Input],
        level: Level,
        heard: &mut dyn FnMut(Stage, f64),
    ) -> Done<Answered<Said>> {
        const MESSAGE_BYTES_MAX: usize = 256 << 20;
        let lie = |what: &str| Failure::from(SandboxError::Lie { what: what.to_owned() });
        let job = serde_json::json!({ "examine": asked }).to_string();
        let bytes = inputs.iter().map(|input| input.file.metadata().map_or(0, |file| file.len())).sum();
        let run = running(level, bytes, asked.threads);
        let mut messages = Messages::new(MESSAGE_BYTES_MAX);
        let (mut answer, mut wrong) = (None, None);
        let mut hear = |frame: &[u8]| -> Done {
            let message = messages.take(frame).map_err(|error| lie(&error.to_string()))?;
            let Some(message) = message else { return Ok(()) };
            if answer.is_some() {
                return Err(lie("it goes on after its answer"));
            }
            match Said::read(&message).ok_or_else(|| lie("a message of it is none"))? {
                Said::Progress { stage, done } if (0.0..=1.0).contains(&done) => heard(stage, done),
                Said::Progress { .. } => return Err(lie("it is further than at its end")),
                said => answer = Some(said),
            }
            Ok(())
        };
        let ended = run.run(&self.program, inputs, job.as_bytes(), |frame| {
            if wrong.is_none() {
                wrong = hear(frame).err();
            }
        });
        // A lie counts before how it ended.
        if let Some(failure) = wrong {
            return Err(failure);
        }
        let outcome = ended?;
        let unheard = || SandboxError::Answer { why: "it does not answer".to_owned() };
        let said = answer.filter(|_| !messages.is_open()).ok_or_else(unheard)?;
        Ok(Answered { said, run, boundaries: outcome.boundaries })
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
