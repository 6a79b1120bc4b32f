//! Auditing an export of 100,000 statements by real keys.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::report::{Table, figure};
use super::{RUN_LIMIT, RUNS, Scratch, example, median};
use crate::process::run_quietly;

const STATEMENTS: &str = "100000";

pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let large = example("audit", "large", &["fixture"])?;
    let (mut seconds, mut said) = (Vec::new(), String::new());
    for number in 1..=RUNS {
        let what = format!("an export of {STATEMENTS} statements, made and audited, run {number} of {RUNS}");
        let output = run_quietly(&what, Command::new(&large).arg(STATEMENTS), RUN_LIMIT)?;
        let (took, outcome) =
            audited(&output).with_context(|| format!("no audit in the output:\n{output}"))?;
        seconds.push(took);
        outcome.clone_into(&mut said);
    }
    Ok(Table {
        text: format!(
            "An export of {STATEMENTS} statements made by real keys: every signature, hash, proof and decision checked \
             again. Median of {RUNS} runs."
        ),
        head: vec!["", "seconds"],
        rows: vec![vec![format!("audit of the export: {said}"), figure(median(seconds), 2)]],
        absent: Vec::new(),
    })
}

/// What the example's line `AUDIT in 1.23s: outcome, population` says: seconds, and the outcome.
pub(super) fn audited(output: &str) -> Option<(f64, String)> {
    let line = output.lines().find_map(|line| line.strip_prefix("AUDIT in "))?;
    let (took, rest) = line.split_once(": ")?;
    let outcome = rest.split(',').next()?;
    let seconds = match took.strip_suffix("ms") {
        Some(ms) => ms.parse::<f64>().ok()? / 1000.0,
        None => took.strip_suffix('s')?.parse().ok()?,
    };
    Some((seconds, outcome.to_owned()))
}
