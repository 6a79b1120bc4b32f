//! Work on strangers' model files: this program lists and opens them, and looks into none. The looking is done by this
//! program once more, started in a worker's box; what that says is checked before it is believed. The same work can be done without the box, where that is asked for.
//!
//! The box is that of every worker (crate [`sandbox`]): descriptors of the inputs, a pipe each way, nothing else. No key
//! is in it, and nothing is signed from what comes out of it; findings are the work of `countersign-worker`.

mod given;
mod hear;
mod said;

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use rayon::ThreadPoolBuilder;
use sandbox::inside::Inside;
use sandbox::{Content, Limits, Profile, Program, Run, SandboxError};
use scan::ReadIn;
use serde::{Deserialize, Serialize};

pub(crate) use given::{Contents, Handed, Side, TORCH, is_torch};
pub(crate) use said::{Answer, Heard, Mouth};

use self::hear::Hearing;
use self::said::{Said, to_message};
use super::{diff, examine, fingerprint, foresee, import, merge, quantize};
use crate::cli::Isolation;
use crate::failure::{Done, Failure};
use crate::worker::{not_enforced, reported};

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Task {
    /// Compare two models, or look at an adapter.
    Diff(diff::Task),
    /// Seal a model's weights.
    Seal(fingerprint::Task),
    /// Hash some blocks of a model's weights.
    Spots(fingerprint::SpotTask),
    /// Write a model's folder as one GGUF file.
    Whole(quantize::WholeTask),
    /// Quantise a model.
    Quantize(quantize::Task),
    /// Examine a change.
    Examine(examine::Task),
    /// Merge models.
    Merge(merge::Task),
    /// Look whether a change that is to be proposed keeps to its scope.
    Foresee(foresee::Task),
    /// Read another tool's results.
    Import(import::Task),
}

/// One job of a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    /// Threads that compute.
    threads: usize,
    task: Task,
}

/// How long and with how much memory work may go on, whatever it works on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Bytes of memory for each byte of input, beside the input.
    pub(crate) memory_for_each: u64,
    /// How long, beside a second for each so many bytes.
    pub(crate) time: Duration,
    /// Bytes of answers for each byte of input.
    pub(crate) answer_for_each: u64,
}

/// Bytes of input that are allowed a second more.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// Memory of any worker, beside what its inputs are worth.
const MEMORY_BYTES: u64 = 8 << 30;
/// Answers of any worker, beside what its inputs are worth.
const ANSWER_BYTES: u64 = 256 << 20;

/// Does what is asked, where it is asked to be done. `heard` is told of progress and gets what is to be written.
pub(crate) fn perform(
    isolation: Isolation,
    handed: &Handed,
    task: Task,
    allowance: Allowance,
    heard: &mut dyn FnMut(Heard<'_>) -> Done,
) -> Done<(Answer, ReadIn)> {
    let Some(level) = isolation.level() else {
        let contents = handed.contents()?;
        let mouth = Mouth::new(heard);
        let answer = here(&task, &contents, &mouth)?;
        mouth.finish()?;
        return Ok((answer, ReadIn::the_program()));
    };
    let program = Program::running()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let job = Job { threads, task };
    let text = serde_json::to_vec(&job).map_err(|error| Failure::outside(error, "report this as a fault"))?;
    let bytes = handed.bytes();
    let seconds = allowance.time.as_secs().saturating_add(bytes / BYTES_PER_SECOND);
    let threads = u64::try_from(threads).unwrap_or(1);
    let run = Run {
        level,
        profile: Profile::Execute,
        limits: Limits {
            memory_bytes: MEMORY_BYTES.saturating_add(bytes.saturating_mul(allowance.memory_for_each)),
            processor_s: seconds.saturating_mul(threads),
            wall: Duration::from_secs(seconds),
            threads: threads.saturating_add(2),
            answer_bytes: ANSWER_BYTES.saturating_add(bytes.saturating_mul(allowance.answer_for_each)),
        },
    };
    let mut hearing = Hearing::new(heard);
    let done = run.run(&program, handed.inputs(), &text, |frame| hearing.frame(frame));
    let answer = hearing.end(done.is_ok());
    // What the worker says of itself counts before how it ended, and a lie before both.
    let unheard = matches!(&answer, Err(failure) if failure.is(UNHEARD));
    let (answer, outcome) = match (answer, done) {
        (Err(_), Err(error)) if unheard => return Err(error.into()),
        (Err(failure), _) => return Err(failure),
        (Ok(_), Err(error)) => return Err(error.into()),
        (Ok(answer), Ok(outcome)) => (answer, outcome),
    };
    if !answer.fits(&job.task) {
        return Err(another());
    }
    let read_in = ReadIn {
        isolation: reported(level),
        not_enforced: not_enforced(&outcome.boundaries).map(|boundary| boundary.name().to_owned()).collect(),
        worker: Some(program.digest().to_string()),
    };
    Ok((answer, read_in))
}

/// The code of an answer that did not come.
const UNHEARD: &str = "CS-BOX-007";

/// An answer of another kind than was asked for: that cannot be, [`perform`] has looked.
pub(crate) fn another() -> Failure {
    lie("it answers what was not asked")
}

/// What a worker says that cannot be.
pub(crate) fn lie(what: &str) -> Failure {
    SandboxError::Lie { what: what.to_owned() }.into()
}

/// Does the work, in whichever process this is.
fn here(task: &Task, contents: &Contents, mouth: &Mouth<'_>) -> Done<Answer> {
    match task {
        Task::Diff(task) => diff::compared(task, contents).map(Answer::Diff),
        Task::Seal(task) => fingerprint::sealed(task, contents).map(Answer::Seals),
        Task::Spots(task) => fingerprint::spots(task, contents).map(Answer::Spots),
        Task::Whole(task) => quantize::whole(task, contents, mouth).map(|()| Answer::Whole),
        Task::Quantize(task) => quantize::quantised(task, contents, mouth).map(Answer::Quantised),
        Task::Examine(task) => examine::examined(task, contents, mouth).map(Answer::Examined),
        Task::Merge(task) => merge::merged(task, contents, mouth).map(Answer::Merged),
        Task::Foresee(task) => foresee::foreseen(task, contents).map(Answer::Foreseen),
        Task::Import(task) => import::imported(*task, contents).map(Answer::Imported),
    }
}

/// Whether this process was started as a worker; it then does its job and is over.
pub(crate) fn as_worker() -> Option<ExitCode> {
    let inside = match sandbox::inside::enter() {
        Ok(inside) => inside,
        // Started by hand: a command line as any.
        Err(sandbox::inside::EnterError::NotSupervised) => return None,
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::FAILURE);
        }
    };
    Some(match work(inside) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.message);
            ExitCode::FAILURE
        }
    })
}

fn work(mut inside: Inside) -> Done {
    let broken = |error: &dyn std::fmt::Display| Failure::outside(error, "report this as a fault");
    let job: Job = serde_json::from_slice(&inside.job).map_err(|error| broken(&error))?;
    // A pool of one thread is this thread, so that the rest of the box can be the narrower.
    let pool = ThreadPoolBuilder::new().num_threads(job.threads.max(1));
    pool.build_global().map_err(|error| broken(&error))?;
    let contents = std::mem::take(&mut inside.inputs)
        .into_iter()
        .map(|(name, file)| {
            let content = Content::of(&file).map_err(|error| Failure::file(name.as_ref(), &error))?;
            Ok(Bytes::from_owner(content))
        })
        .collect::<Done<Vec<_>>>();
    let said = {
        let answers = &mut inside.answers;
        let mut say = |heard: Heard<'_>| -> Done {
            let message = heard.to_message()?;
            answers.message(&message).map_err(|error| broken(&error))
        };
        let mouth = Mouth::new(&mut say);
        let done = contents.and_then(|files| {
            let answer = here(&job.task, &Contents::of(files), &mouth)?;
            mouth.flush()?;
            Ok(answer)
        });
        match done {
            Ok(answer) => Said::Answer(Box::new(answer)),
            Err(failure) => Said::Refused(failure),
        }
    };
    inside.answers.message(&to_message(&said)?).map_err(|error| broken(&error))
}
