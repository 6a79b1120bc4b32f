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

/// What the example says: the seconds of `AUDIT: 1.23 s, 2.3 s of processor time`, and the outcome, with which its last
/// line begins.
pub(super) fn audited(output: &str) -> Option<(f64, String)> {
    let took = output.lines().find_map(|line| line.strip_prefix("AUDIT: "))?;
    let seconds = took.split_once(" s,")?.0.parse().ok()?;
    let outcome = output.lines().last()?.split(',').next()?;
    Some((seconds, outcome.to_owned()))
}
