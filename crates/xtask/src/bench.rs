//! `cargo xtask bench`: Countersign and its peers in the same run, and a table of both in `docs/benchmarks.md`.
//!
//! Figures are medians of several runs, each of which is short. A peer that cannot be had is listed as not measured.

mod attest;
mod audit;
mod constant_time;
mod detect;
mod execution;
mod gateway;
mod log;
mod machine;
mod postgres;
mod quantize;
mod report;
mod sandbox;
mod scan;
mod seal;
mod spectrum;
mod vault;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

pub(crate) use self::machine::Machine;
pub(crate) use self::report::{Table, publish, render};
use crate::process::run_quietly;
use crate::workspace::target;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// Durable entries a second, beside SQLite, PostgreSQL and a file for each tile.
    Log,
    /// Hashing and storing a directory, beside `model_signing`.
    Vault,
    /// Auditing an export of 100,000 statements.
    Audit,
    /// Sealing and hashing a model, beside `model_signing`.
    Seal,
    /// Starting a worker in its box, beside `bwrap` and `unshare`, and what each layer holds by itself.
    Sandbox,
    /// Scanning model files, beside `picklescan`, `modelscan`, `modelaudit` and `adaptersentry`.
    Scan,
    /// Whether timing tells secrets apart.
    ConstantTime,
    /// Quantising, beside ggml's C.
    Quantize,
    /// Running SmolLM2 on one thread, beside llama.cpp.
    Execution,
    /// What a request costs the gateway, beside nginx and haproxy.
    Gateway,
    /// The singular values of a low-rank change.
    Spectrum,
    /// Verifying evidence of hosts, by kind.
    Attest,
    /// What is done with models: `seal`, `scan`, `quantize`, `execution` and `spectrum`.
    Models,
    /// What the examiners detect of samples from the red-team range, into docs/detection.md. Takes hours; a run that was
    /// broken off is continued.
    Detect,
    /// All of them but `detect`.
    All,
}

impl Subject {
    /// Whether measuring this includes a part.
    fn includes(self, part: Self) -> bool {
        let of_models = [Self::Seal, Self::Scan, Self::Quantize, Self::Execution, Self::Spectrum];
        match self {
            // It takes hours, and is asked for by name.
            Self::All => part != Self::Detect,
            Self::Models => of_models.contains(&part),
            _ => self == part,
        }
    }
}

/// Bytes written at once, as a downloader writes them: the kernel keeps what comes in small pieces in small pieces, and
/// then everybody reads it at two thirds of the speed.
const WRITE: usize = 1 << 20;
/// How often each thing is measured; the middle one counts.
const RUNS: usize = 3;
/// One run is given up after this.
const RUN_LIMIT: Duration = Duration::from_mins(5);

type Measure = fn(&Scratch) -> Result<Table>;

/// Measures, prints and writes the tables.
pub fn run(subject: Subject) -> Result<()> {
    let scratch = Scratch::new()?;
    let parts: [(Subject, &str, Measure); 18] = [
        (Subject::Log, "log", log::measure),
        (Subject::Vault, "vault", vault::measure),
        (Subject::Audit, "audit", audit::measure),
        (Subject::Seal, "seal", seal::measure),
        (Subject::Sandbox, "sandbox", sandbox::measure),
        (Subject::Sandbox, "overhead", sandbox::overhead),
        (Subject::Sandbox, "escapes", sandbox::escapes),
        (Subject::Scan, "scan-found", scan::found),
        (Subject::Scan, "scan-finders", scan::finders),
        (Subject::Scan, "scan", scan::measure),
        (Subject::ConstantTime, "constant-time", constant_time::measure),
        (Subject::Quantize, "quantize", quantize::measure),
        (Subject::Attest, "attest", attest::measure),
        (Subject::Gateway, "gateway", gateway::measure),
        (Subject::Detect, "detection", detect::measure),
        (Subject::Execution, "execution", execution::measure),
        (Subject::Execution, "execution-shares", execution::shares),
        (Subject::Spectrum, "spectrum", spectrum::measure),
    ];
    for (part, section, measure) in parts {
        if subject.includes(part) {
            // Looked at before the run, whose own load is of no interest.
            let machine = Machine::here(scratch.path())?;
            publish(section, &machine, &measure(&scratch)?)?;
        }
    }
    Ok(())
}

/// Builds the program and its worker with optimisation; answers the program's path.
fn program() -> Result<PathBuf> {
    let mut build = crate::process::cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "countersign",
        "--package",
        "countersign-worker",
        "--bins",
    ]);
    crate::process::run(&mut build)?;
    Ok(target().join("release/countersign"))
}

/// Builds an example of a crate with optimisation; answers its path.
fn example(package: &str, name: &str, features: &[&str]) -> Result<PathBuf> {
    let mut build = crate::process::cargo();
    build.args(["build", "--release", "--package", package, "--example", name]);
    if !features.is_empty() {
        build.args(["--features", &features.join(",")]);
    }
    crate::process::run(&mut build)?;
    Ok(target().join("release/examples").join(name))
}

/// The runs of one thing.
struct Runs(Vec<Value>);

impl Runs {
    /// Runs a command that prints one line of JSON, several times.
    fn of(what: &str, mut command: impl FnMut() -> Result<Command>) -> Result<Self> {
        let mut values = Vec::new();
        for number in 1..=RUNS {
            let output = run_quietly(&format!("{what}, run {number} of {RUNS}"), &mut command()?, RUN_LIMIT)?;
            let line = output.lines().last().unwrap_or_default();
            let value =
                serde_json::from_str(line).with_context(|| format!("`{what}` answers no JSON: {line}"))?;
            values.push(value);
        }
        Ok(Self(values))
    }

    /// One run, of what comes out the same every time.
    fn once(what: &str, command: &mut Command) -> Result<Self> {
        let output = run_quietly(what, command, RUN_LIMIT)?;
        let line = output.lines().last().unwrap_or_default();
        let value =
            serde_json::from_str(line).with_context(|| format!("`{what}` answers no JSON: {line}"))?;
        Ok(Self(vec![value]))
    }

    /// The median of a member; none where a run lacks it.
    fn median(&self, member: &str) -> Option<f64> {
        let values: Option<Vec<f64>> = self.0.iter().map(|run| run.get(member)?.as_f64()).collect();
        median(values?)
    }
}

/// The middle one, or the lower of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// A folder on a real disk, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    /// All contenders write here. Where PostgreSQL runs as another user, that user must be able to get here.
    fn new() -> Result<Self> {
        let name = format!("countersign-bench-{}", std::process::id());
        let candidates = [target(), PathBuf::from("/var/tmp"), std::env::temp_dir()];
        let usable =
            candidates.iter().find(|folder| postgres::can_reach(folder) && !machine::is_memory(folder));
        let folder = usable.unwrap_or(&candidates[0]).join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// A new empty folder in it.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.0.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        Ok(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("`{}` is left behind: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests;
