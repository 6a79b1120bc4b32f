//! The quantisers beside ggml's C, compiled in the same package, turn about, on one thread.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Scratch;
use super::report::Table;
use crate::process::{cargo, run, run_quietly};
use crate::workspace::target;

/// Measures every kind, with and without an importance matrix.
pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    // Both sides for this processor; the C's other build is for the oldest, as llama.cpp ships it.
    let folder = target().join("bench-ggml");
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--manifest-path", "benches/ggml/Cargo.toml"]);
    run(build.env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", "-C target-cpu=native"))?;
    let mut bench = Command::new(folder.join("release/ggml-oracle"));
    let output = run_quietly("quantisers and ggml's", bench.arg("bench"), super::RUN_LIMIT)?;
    let answer: Value = serde_json::from_str(&output).context("`ggml-oracle bench` answers no JSON")?;
    let kinds = answer.get("kinds").and_then(Value::as_array).context("no kinds")?;
    let number = |line: &Value, member: &str| line.get(member).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let rows = kinds.iter().map(|line| {
        let importance = line.get("importance").and_then(Value::as_bool).unwrap_or(false);
        let name = line.get("kind").and_then(Value::as_str).unwrap_or_default();
        vec![
            format!("{name}{}", if importance { ", importance matrix" } else { "" }),
            format!("{:.0}", number(line, "ours_weights_a_second") / 1e6),
            format!("{:.2}", number(line, "times_shipped")),
            format!("{:.2}", number(line, "times_native")),
        ]
    });
    Ok(Table {
        text: "Quantising normal weights in rows of 1,024, one thread: medians of nine turns, in each of which our code \
               and both builds of ggml's C do the same work. Our code is built for this processor; ggml's once as \
               llama.cpp ships it (`-O3` for the oldest processor of its kind) and once for this processor, where its \
               bytes differ in some blocks. `cargo xtask bench quantize` measures again."
            .to_owned(),
        head: vec!["", "million weights/s", "× ggml as shipped", "× ggml for this processor"],
        rows: rows.collect(),
        absent: Vec::new(),
    })
}
