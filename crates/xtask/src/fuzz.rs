//! `cargo xtask fuzz`: a target of `fuzz/` for a time, or each of them.

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, run, succeeds};
use crate::workspace::{files, root};

/// Fuzzes one target, or all in turn, each for so many seconds.
pub fn fuzz(target: Option<&str>, seconds: u32) -> Result<()> {
    let known = targets()?;
    let chosen: Vec<&str> = match target {
        Some(name) if known.iter().any(|target| target == name) => vec![name],
        Some(name) => bail!("there is no target `{name}`; there are: {}", known.join(", ")),
        None => known.iter().map(String::as_str).collect(),
    };
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        bail!(
            "`cargo-fuzz` is not there; `cargo install cargo-fuzz --locked` installs it (it needs a nightly Rust)"
        );
    }
    for name in chosen {
        let limit = format!("-max_total_time={seconds}");
        run(cargo().env_remove("RUSTUP_TOOLCHAIN").args([
            "+nightly",
            "fuzz",
            "run",
            "--features",
            "fuzzing,large",
            name,
            "--",
            &limit,
        ]))?;
    }
    Ok(())
}

/// The names of the targets.
fn targets() -> Result<Vec<String>> {
    let paths = files(&root().join("fuzz/fuzz_targets"), ".rs")?;
    if paths.is_empty() {
        bail!("`fuzz/fuzz_targets` has no target");
    }
    let name = |path: &std::path::PathBuf| {
        let stem = path.file_stem().context("a target without a name")?;
        Ok(stem.to_string_lossy().into_owned())
    };
    paths.iter().map(name).collect()
}
