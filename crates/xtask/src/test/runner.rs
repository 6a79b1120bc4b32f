//! The test runner: `cargo nextest`, or `cargo test` where it cannot be had.

#[cfg(test)]
mod tests;

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Skipped;
use crate::process::{cargo, run_quietly, shown, succeeds};
use crate::workspace::{read, target};

/// Building the runner is given up after this.
const INSTALL_LIMIT: Duration = Duration::from_mins(15);

/// What a run of the tests came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) passed: bool,
    /// What tests said they had to leave out.
    pub(super) skipped: Vec<Skipped>,
    /// What the runner said last: its failures, and its summary as the last line.
    pub(super) last_lines: Vec<String>,
}

/// Runs all tests of the workspace.
pub(super) fn run() -> Result<Outcome> {
    if has_nextest() {
        return nextest();
    }
    let mut outcome = cargo_test()?;
    let why = "cannot be installed; the tests ran under `cargo test`";
    outcome.skipped.push(Skipped::new("cargo-nextest", why));
    Ok(outcome)
}

fn has_nextest() -> bool {
    let is_there = || succeeds(cargo().args(["nextest", "--version"]));
    if is_there() {
        return true;
    }
    let mut install = cargo();
    install.args(["install", "cargo-nextest", "--locked"]);
    match run_quietly("cargo install cargo-nextest", &mut install, INSTALL_LIMIT) {
        Ok(_) => is_there(),
        Err(error) => {
            eprintln!("  {error:#}");
            false
        }
    }
}

fn nextest() -> Result<Outcome> {
    let color = if std::io::stderr().is_terminal() { "always" } else { "never" };
    let report = target().join("nextest/default/junit.xml");
    if report.exists() {
        std::fs::remove_file(&report).with_context(|| format!("`{}`", report.display()))?;
    }
    let mut command = cargo();
    command.args(["nextest", "run", "--workspace", "--all-features", "--no-fail-fast", "--color", color]);
    eprintln!("$ {}", shown(&command));
    let mut child = command.stderr(Stdio::piped()).spawn().context("`cargo nextest` cannot be run")?;
    let mut last_lines = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        for line in BufReader::new(pipe).lines() {
            let line = line?;
            eprintln!("{line}");
            if is_summary(&line) {
                last_lines.clear();
                last_lines.push(line);
            } else if !last_lines.is_empty() {
                last_lines.push(line);
            }
        }
    }
    let passed = child.wait()?.success();
    // Failures stand after the summary; here the summary comes last.
    if !last_lines.is_empty() {
        last_lines.rotate_left(1);
    }
    let skipped = read(&report).map(|text| skips(&unescape(&text))).unwrap_or_default();
    Ok(Outcome { passed, skipped, last_lines })
}

fn is_summary(line: &str) -> bool {
    line.contains("Summary") && line.contains("run:")
}

fn cargo_test() -> Result<Outcome> {
    let mut command: Command = cargo();
    command.args(["test", "--workspace", "--all-features", "--all-targets", "--no-fail-fast"]);
    command.args(["--", "--show-output"]);
    eprintln!("$ {}", shown(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("`cargo test` cannot be run")?;
    let mut output = String::new();
    if let Some(pipe) = child.stdout.take() {
        for line in BufReader::new(pipe).lines() {
            let line = line?;
            println!("{line}");
            output.push_str(&line);
            output.push('\n');
        }
    }
    let passed = child.wait()?.success();
    Ok(Outcome { passed, skipped: skips(&output), last_lines: vec![sum(&output, passed)] })
}

/// One line in the form of `cargo test`'s own for all the test programs together.
fn sum(output: &str, all_passed: bool) -> String {
    let count = |what: &str| -> u64 {
        let results = output.lines().filter(|line| line.starts_with("test result:"));
        let fields = results.flat_map(|line| line.split([';', '.']).map(str::trim));
        fields.filter_map(|field| field.strip_suffix(what)?.trim().parse::<u64>().ok()).sum()
    };
    let word = if all_passed { "ok" } else { "FAILED" };
    let (passed, failed, ignored) = (count("passed"), count("failed"), count("ignored"));
    format!(
        "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out"
    )
}

/// The `SKIPPED name: why` lines that tests print.
fn skips(output: &str) -> Vec<Skipped> {
    let lines = output.lines().filter_map(|line| {
        let (before, skip) = line.split_once("SKIPPED ")?;
        // At the start of a line, or after the runner's own `test name ... `.
        let own = before.is_empty() || before.ends_with("... ") || before.ends_with('>');
        let (name, why) = skip.split_once(": ")?;
        own.then(|| Skipped::new(name, why.trim_end()))
    });
    lines.collect()
}

/// The characters that the report, which is XML, writes in other ways.
fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#10;", "\n").replace("&amp;", "&")
}
