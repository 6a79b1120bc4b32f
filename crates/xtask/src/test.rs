//! `cargo xtask test`: what the tests need is fetched, then everything is checked, and the runner's summary ends it.
//!
//! A step that fails does not keep the others from running; all of them are named at the end. What could not be run
//! is named too: nothing is left out in silence.

mod needs;
mod runner;

use std::time::Instant;

use anyhow::Result;

pub use needs::install_packages;

use crate::process;
use crate::workspace;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Format, lints and tests, with what is there already.
    Quick,
    /// All that a change must pass.
    Full,
}

/// Something that could not be run, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// What.
    pub name: String,
    /// Why.
    pub why: String,
}

impl Skipped {
    fn new(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.to_owned(), why: why.into() }
    }
}

/// What a run came to. Its steps have been named by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was run passed.
    Passed,
    /// A step failed.
    Failed,
}

/// Runs it. The last thing printed is what the test runner said last.
pub fn run(extent: Extent) -> Result<Verdict> {
    let mut steps = Steps { begin: Instant::now(), failed: Vec::new(), skipped: Vec::new() };
    if extent == Extent::Full {
        steps.heading("What the tests need");
        steps.skipped = needs::provide();
    }
    steps.heading("Format and lints");
    steps.run("cargo fmt", process::cargo().args(["fmt", "--all", "--", "--check"]));
    steps.run(
        "cargo clippy",
        process::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--all-features"])
            .args(["--", "-D", "warnings"]),
    );
    if extent == Extent::Full {
        steps.heading("Licences, sources and duplicates");
        steps.deny();
        steps.heading("Examples in the documentation");
        steps.run("doc tests", process::cargo().args(["test", "--doc", "--workspace", "--all-features"]));
        steps.heading("Inputs that once were found by fuzzing");
        steps.fuzz_corpus();
        steps.heading("Quantisers against ggml's C");
        steps.ggml();
    }
    steps.heading("Tests");
    let outcome = runner::run()?;
    steps.skipped.extend(outcome.skipped);
    if !outcome.passed {
        steps.failed.push("tests".to_owned());
    }
    Ok(steps.end(&outcome.last_lines))
}

#[derive(Debug)]
struct Steps {
    begin: Instant,
    failed: Vec<String>,
    skipped: Vec<Skipped>,
}

impl Steps {
    /// Names what comes, and how long the run has taken so far.
    fn heading(&self, text: &str) {
        let seconds = self.begin.elapsed().as_secs();
        eprintln!("\n== {text} (after {} min {} s)", seconds / 60, seconds % 60);
    }

    fn run(&mut self, name: &str, command: &mut std::process::Command) {
        if let Err(error) = process::run(command) {
            eprintln!("FAILED {name}: {error:#}");
            self.failed.push(name.to_owned());
        }
    }

    /// A test of this crate checks licences and sources in every run; `cargo deny` looks deeper where it is there.
    fn deny(&mut self) {
        if process::succeeds(process::cargo().args(["deny", "--version"])) {
            self.run("cargo deny", process::cargo().args(["deny", "check", "licenses", "bans", "sources"]));
        } else {
            let why =
                "`cargo-deny` is not installed; licences and sources are checked by the tests of `xtask`";
            self.skipped.push(Skipped::new("cargo-deny", why));
        }
    }

    fn fuzz_corpus(&mut self) {
        let root = workspace::root();
        if !root.join("fuzz/Cargo.toml").exists() {
            self.skipped.push(Skipped::new("fuzz-corpus", "there is no `fuzz/Cargo.toml`"));
            return;
        }
        self.run(
            "fuzz corpus",
            process::cargo()
                .args(["test", "--manifest-path", "fuzz/Cargo.toml"])
                .env("CARGO_TARGET_DIR", workspace::target()),
        );
    }

    /// The tests hold digests of what the C makes; here it is made again, and much more of it, where its sources and a
    /// compiler can be had.
    fn ggml(&mut self) {
        const MANIFEST: [&str; 3] = ["--locked", "--manifest-path", "benches/ggml/Cargo.toml"];
        if !process::is_there("cc") {
            self.skipped.push(Skipped::new("ggml", "there is no C compiler `cc`"));
            return;
        }
        // Fetching is the part that may be impossible where the code is sound.
        if !process::succeeds(process::cargo().arg("fetch").args(MANIFEST)) {
            self.skipped.push(Skipped::new("ggml", "llama.cpp's sources cannot be fetched"));
            return;
        }
        let target = workspace::target().join("bench-ggml");
        self.run(
            "ggml",
            process::cargo()
                .args(["run", "--release"])
                .args(MANIFEST)
                .args(["--", "check"])
                .env("CARGO_TARGET_DIR", target),
        );
    }

    /// Names what was skipped and what failed, and ends with the runner's own words.
    fn end(mut self, last_lines: &[String]) -> Verdict {
        self.skipped.sort();
        self.skipped.dedup();
        println!();
        for Skipped { name, why } in &self.skipped {
            println!("SKIPPED {name}: {why}");
        }
        for name in &self.failed {
            println!("FAILED {name}");
        }
        for line in last_lines {
            println!("{line}");
        }
        if self.failed.is_empty() { Verdict::Passed } else { Verdict::Failed }
    }
}
