//! Running SmolLM2 on one thread, beside llama.cpp, and where our time goes.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::{Table, figure};
use super::{RUN_LIMIT, RUNS, Runs, Scratch, example};
use crate::models::SMOLLM2;
use crate::node::Package;
use crate::process::run_quietly;
use crate::workspace::root;

const PEER: (&str, &str) = ("node-llama-cpp", "3.22.1");

/// Tokens a second.
pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let model = SMOLLM2.provide()?.join(SMOLLM2.file);
    let pace = example("model", "pace", &[])?;
    let peer = Package::provide("bench-node", PEER.0, PEER.1);
    let (mut ours, mut theirs) = (Runs(Vec::new()), Runs(Vec::new()));
    // In turns, so that what else the machine does weighs on both alike.
    for number in 1..=RUNS {
        let mut command = Command::new(&pace);
        command.arg(&model).env("RAYON_NUM_THREADS", "1");
        ours.0.push(answer(&format!("SmolLM2, run {number} of {RUNS}"), &mut command)?);
        if let Ok(peer) = &peer {
            let script = root().join("crates/model/tests/golden/llama_cpp.mjs");
            let mut command = Command::new("node");
            command.arg(script).arg("pace").arg(&model).env("NODE_LLAMA_CPP", peer.folder());
            theirs.0.push(answer(&format!("llama.cpp, run {number} of {RUNS}"), &mut command)?);
        }
    }
    let row = |what: &str, member: &str| {
        let (mine, other) = (ours.median(member), theirs.median(member));
        let ratio = mine.zip(other).map(|(mine, other)| mine / other);
        vec![what.to_owned(), figure(mine, 1), figure(other, 1), figure(ratio, 2)]
    };
    let absent = peer.err().map(|error| ("llama.cpp".to_owned(), format!("{error:#}")));
    Ok(Table {
        text: format!(
            "SmolLM2-135M-Instruct, Q4_1, one thread: tokens a second, medians of {RUNS} runs in turns, of five rounds \
             each. llama.cpp by `{}` {}, prebuilt for this kind of processor.",
            PEER.0, PEER.1
        ),
        head: vec!["", "Countersign", "llama.cpp", "× llama.cpp"],
        rows: vec![
            row("reading a prompt of 512 tokens", "read"),
            row("writing 128 tokens, one after the other", "write"),
        ],
        absent: absent.into_iter().collect(),
    })
}

/// The share of each kind of operation.
pub(super) fn shares(_scratch: &Scratch) -> Result<Table> {
    let model = SMOLLM2.provide()?.join(SMOLLM2.file);
    let mut command = Command::new(example("model", "pace", &[])?);
    let spent = answer("SmolLM2", command.arg(model).env("RAYON_NUM_THREADS", "1"))?;
    let share = |member: &str, work: &str| {
        let share = spent.get(member).and_then(|shares| shares.get(work)).and_then(Value::as_f64);
        figure(share.map(|share| share * 100.0), 1)
    };
    let kinds = spent.get("read_shares").and_then(Value::as_object).context("no shares")?;
    let mut rows: Vec<Vec<String>> = kinds
        .keys()
        .map(|work| vec![work.clone(), share("read_shares", work), share("write_shares", work)])
        .collect();
    let of_writing = |row: &[String]| row.last().and_then(|share| share.parse().ok()).unwrap_or(0.0_f64);
    rows.sort_by(|a, b| of_writing(b).total_cmp(&of_writing(a)));
    Ok(Table {
        text: "Where our time goes in the same two tasks, per cent. Quantising activations and expanding blocks of weights \
               belong to the products."
            .to_owned(),
        head: vec!["", "reading", "writing"],
        rows,
        absent: Vec::new(),
    })
}

/// Runs a command that prints one line of JSON.
fn answer(what: &str, command: &mut Command) -> Result<Value> {
    let output = run_quietly(what, command, RUN_LIMIT)?;
    let line = output.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("`{what}` answers no JSON: {line}"))
}
