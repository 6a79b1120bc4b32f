//! The box from outside: every way out is tried without it and in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is tests"
)]

mod bounds;
mod escape;

use std::path::Path;
use std::time::Duration;

use sandbox::{Input, Level, Limits, Outcome, Profile, Program, Run, SandboxError};

/// The program that tries to get out.
fn probe() -> Program {
    Program::seal(Path::new(env!("CARGO_BIN_EXE_sandbox-probe"))).unwrap()
}

fn limits() -> Limits {
    Limits {
        memory_bytes: 256 << 20,
        processor_s: 20,
        wall: Duration::from_mins(1),
        threads: 4,
        answer_bytes: 1 << 20,
    }
}

/// Runs attempts in the box; answers what each came to.
fn attempt(run: Run, names: &[&str]) -> Result<(Vec<String>, Outcome), SandboxError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, b"what is examined").unwrap();
    let inputs = [Input { name: "input".to_owned(), file: std::fs::File::open(&path).unwrap() }];
    let mut answers = Vec::new();
    let outcome = run.run(&probe(), &inputs, names.join(" ").as_bytes(), |frame| {
        answers.push(String::from_utf8_lossy(frame).into_owned());
    })?;
    assert_eq!(std::fs::read(&path).unwrap(), b"what is examined");
    Ok((answers, outcome))
}

fn run(level: Level, profile: Profile) -> Run {
    Run { level, profile, limits: limits() }
}
