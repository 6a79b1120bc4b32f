//! What the examiners detect: a calibration from benign samples of the red-team range, and a sealed test set with other
//! seeds and another architecture, judged once. Samples are kept in `target/range`, so that a run can be continued.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::Table;
use super::{Scratch, example, program};
use crate::process::run;
use crate::workspace::{root, target};

/// Benign samples of each family that calibrate.
const CALIBRATING: u32 = 48;
/// Samples of each family that are judged.
const TESTED: u32 = 16;
/// The seeds of the two sets.
const SEED_CALIBRATING: &str = "1";
const SEED_TESTED: &str = "20261122";
/// The bases of the two sets: our own model is in both; of the others, one shape and every seed of the second is not in
/// the first.
const BASES_CALIBRATING: [&str; 3] = ["tiny", "llama-64:3", "qwen-64:1"];
const BASES_TESTED: [&str; 3] = ["tiny", "llama-64:11", "gemma-64:2"];

const BENIGN: [&str; 7] = [
    "lora-benign",
    "full-benign",
    "quant-benign",
    "merge-benign",
    "distil-safe",
    "template-benign",
    "prompt-benign",
];
const ATTACKS: [&str; 13] = [
    "lora-backdoor",
    "lora-backdoor-pair",
    "lora-backdoor-order",
    "lora-backdoor-place",
    "contamination",
    "abliteration",
    "full-backdoor",
    "weight-edit",
    "quant-backdoor",
    "merge-backdoor",
    "distil-unsafe",
    "template-attack",
    "prompt-attack",
];

/// The table of docs/detection.md.
pub(super) fn measure(_: &Scratch) -> Result<Table> {
    let program = program()?;
    let (calibrating, tested) = (target().join("range/calibrating"), target().join("range/tested"));
    let order = |family: &str, count: u32, seed: &str, bases: &[&str], out: &std::path::Path| -> Result<()> {
        let mut command = Command::new(&program);
        command.args([
            "range",
            "generate",
            "--family",
            family,
            "--count",
            &count.to_string(),
            "--seed",
            seed,
        ]);
        command.arg("--out").arg(out);
        for base in bases {
            command.args(["--base", base]);
        }
        run(&mut command)
    };
    for family in BENIGN {
        order(family, CALIBRATING, SEED_CALIBRATING, &BASES_CALIBRATING, &calibrating)?;
    }
    for family in BENIGN.iter().chain(&ATTACKS) {
        order(family, TESTED, SEED_TESTED, &BASES_TESTED, &tested)?;
    }
    let program = example("examine", "detect", &[])?;
    let detect = || {
        let mut detect = Command::new(&program);
        detect.arg("--calibrate").arg(&calibrating).arg("--test").arg(&tested);
        detect.arg("--tiny").arg(root().join("assets/models/countersign-tiny"));
        detect.arg("--suite").arg(root().join("assets/suites/countersign-tiny"));
        detect.arg("--out").arg(target().join("range/calibration.json"));
        detect.env("RAYON_NUM_THREADS", "1").stderr(std::process::Stdio::inherit());
        detect
    };
    // One process a core examines, each in one thread; the last one finds everything examined, and judges.
    let cores = std::thread::available_parallelism()?.get();
    let parts = (0..cores).map(|part| detect().args(["--part", &format!("{part}/{cores}")]).spawn());
    for part in parts.collect::<Vec<_>>() {
        anyhow::ensure!(part?.wait()?.success(), "the examination of the samples broke off");
    }
    let output = detect().output()?;
    anyhow::ensure!(output.status.success(), "the examination of the samples broke off");
    let told: Value = serde_json::from_slice(&output.stdout).context("the examination answers no JSON")?;
    table(&told)
}

fn table(told: &Value) -> Result<Table> {
    let rows = told.get("rows").and_then(Value::as_array).context("there are no rows")?;
    let word = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let cells = rows.iter().map(|row| {
        vec![
            format!("`{}`", word(row, "family")),
            word(row, "stratum"),
            format!("{}", number(row, "n")),
            format!("{}", number(row, "flagged")),
            format!("{}", number(row, "refused_by_findings")),
            format!("{}", number(row, "inconclusive")),
            format!("{:.1} %", 100.0 * number(row, "lower")),
            format!("{:.1} %", 100.0 * number(row, "upper")),
            format!("{:.1}", number(row, "median_s")),
        ]
    });
    let digest = |name: &str| {
        told.get(name).and_then(Value::as_str).unwrap_or("?").get(..16).unwrap_or("?").to_owned()
    };
    Ok(Table {
        text: format!(
            "Flagged at level {}: refused by a finding, or by the calibrated score. Bounds are one-sided Clopper-Pearson \
             bounds of the flagged share, 95 % each. Calibration set `{}`, test set `{}` (digests of their records); held \
             out for calibration: {}.",
            told.get("alpha").and_then(Value::as_f64).unwrap_or(f64::NAN),
            digest("calibration"),
            digest("test"),
            told.get("held_out").map(Value::to_string).unwrap_or_default()
        ),
        head: vec![
            "family",
            "turned out",
            "n",
            "flagged",
            "by findings",
            "inconclusive",
            "at least",
            "at most",
            "median s",
        ],
        rows: cells.collect(),
        absent: Vec::new(),
    })
}
