//! What opens untrusted files and runs untrusted models: measures a change against its scope, examines it against its base.
//! Holds no key.
//!
//! It is started by a supervisor in a box of crate [`sandbox`] and closes that box around itself before it reads anything.
//! It gets one job (JSON) and its inputs as descriptors, and answers frames (JSON). It says what it read by digest, so
//! that whoever signs can compare that with what was proposed. It decides nothing else.

mod examine;
mod job;
mod measure;
mod scan;

use std::process::ExitCode;

use job::{Answer, Job};

fn main() -> ExitCode {
    // First of all: nothing that anybody else wrote has been read until this answers.
    let inside = match sandbox::inside::enter() {
        Ok(inside) => inside,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match run(inside) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut inside: sandbox::inside::Inside) -> anyhow::Result<()> {
    let job: Job = serde_json::from_slice(&inside.job)?;
    let answer: Option<Answer> = match job {
        // Asked by `countersign doctor`: the box itself is the answer.
        Job::Nothing => None,
        Job::Measure(subject) => Some(measure::measure(subject, std::mem::take(&mut inside.inputs))?),
        Job::Scan(job) => return scan::scan(&job, &mut inside),
        Job::Examine(asked) => return crate::examine::examine(&asked, &mut inside),
        Job::Model(load) => return Ok(modelbox::inside::serve(&load, inside)?),
    };
    inside.answer(&serde_json::to_vec(&answer)?)?;
    Ok(())
}
