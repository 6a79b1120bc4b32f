//! `cargo xtask live`: a gateway under load while releases go well, go wrong, and everything around it fails.
//!
//! This crate does not contain the gateway: it builds `gateway`'s example `live`, which has it, prints what it found, and puts a whole run into
//! `docs/benchmarks.md`.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::bench::{Machine, Table, publish, render};
use crate::process::{cargo, run};
use crate::workspace::target;

/// For how long, and how hard.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Extent {
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 900)]
    pub rate: u64,
    /// Seconds; every fault is met at least once, however long that takes.
    #[arg(long, value_name = "N", default_value_t = 600)]
    pub seconds: u64,
    /// An hour.
    #[arg(long, conflicts_with = "seconds")]
    pub long: bool,
    /// About a minute: fewer and larger stages, one fault of each kind, 300 requests a second.
    #[arg(long, conflicts_with_all = ["seconds", "long", "rate"])]
    pub short: bool,
}

/// Runs it. An error where something did not hold: a request was dropped, a session moved forward, a bad version stayed.
///
/// # Errors
/// Where it cannot be run, or found what must not be.
pub fn live(extent: Extent) -> Result<()> {
    let seconds = if extent.long { 3_600 } else { extent.seconds };
    run(cargo().args(["build", "--release", "--package", "gateway", "--example", "live"]))?;
    // Looked at before the run, whose own load is of no interest.
    let machine = (!extent.short).then(|| Machine::here(&target())).transpose()?;
    let mut command = Command::new(target().join("release/examples/live"));
    if extent.short {
        command.arg("--short");
    } else {
        command.args(["--rate", &extent.rate.to_string(), "--seconds", &seconds.to_string()]);
    }
    // What happens is told on the way, on standard error.
    let output = command.stderr(Stdio::inherit()).output().context("`live` cannot be run")?;
    let text = String::from_utf8(output.stdout).context("what it found is no text")?;
    let Some(line) = text.lines().last() else { bail!("the run ended with {}", output.status) };
    let found: Value = serde_json::from_str(line).context("what it found is no JSON")?;
    println!("{line}");
    match machine {
        Some(machine) => publish("live", &machine, &table(&found))?,
        None => println!("{}", render(&table(&found))),
    }
    if output.status.success() { Ok(()) } else { bail!("{}", broken(&found)) }
}

/// What did not hold.
fn broken(found: &Value) -> String {
    let broken = found.get("broken").and_then(Value::as_array).into_iter().flatten();
    let broken: Vec<&str> = broken.filter_map(Value::as_str).collect();
    if broken.is_empty() { "the run ended with an error".to_owned() } else { broken.join("; ") }
}

/// What happened, by its name: how often, and how it went.
fn table(found: &Value) -> Table {
    let events: Vec<&Value> = found.get("events").and_then(Value::as_array).into_iter().flatten().collect();
    let name = |event: &&Value| event.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut names: Vec<String> = Vec::new();
    for event in &events {
        if !names.contains(&name(event)) {
            names.push(name(event));
        }
    }
    let rows = names.into_iter().map(|what| {
        let all: Vec<&Value> = events.iter().copied().filter(|event| name(event) == what).collect();
        let of = |member: &str| -> Vec<u64> {
            let mut values: Vec<u64> = all.iter().filter_map(|event| event.get(member)?.as_u64()).collect();
            values.sort_unstable();
            values
        };
        let seconds = |ms: Option<&u64>| {
            ms.map_or_else(|| "–".to_owned(), |ms| format!("{}.{:02}", ms / 1000, ms % 1000 / 10))
        };
        let decided = [of("decided_ms"), of("done_ms")].concat();
        let sum = |member: &str| of(member).iter().sum::<u64>().to_string();
        vec![
            what,
            all.len().to_string(),
            seconds(decided.get(decided.len().saturating_sub(1) / 2)),
            seconds(decided.last()),
            seconds(of("last_answer_ms").last()),
            sum("requests"),
            sum("dropped"),
            sum("moved_forward"),
        ]
    });
    let of = |name: &str| found.get(name).map_or_else(|| "–".to_owned(), Value::to_string);
    Table {
        text: format!(
            "{} requests in {} s at {} a second, each session three requests a second apart, engines that answer in 20 ms; {} \
             dropped; of {} sessions {} were moved to a newer version, and {} to an earlier one where theirs was taken back \
             or could not answer; memory of the gateway in kB at the start, after the first cycle and at the end: {}. Seconds \
             are from the fault (of a version that was bad from the beginning: from its order) to the decision to take it back, \
             and to the last answer that it gave; of a good release, from its order until everybody has it.",
            of("requests"),
            of("seconds"),
            of("rate"),
            of("dropped"),
            of("sessions"),
            of("moved_forward"),
            of("moved_back"),
            of("resident_kb"),
        ),
        head: vec![
            "what happened",
            "times",
            "decided after s, median",
            "at most",
            "last answer after s, at most",
            "requests",
            "dropped",
            "moved forward",
        ],
        rows: rows.collect(),
        absent: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{broken, table};

    #[test]
    fn what_was_found_is_a_table() {
        let found = json!({
            "seconds": 20, "rate": 50, "requests": 1_000, "dropped": 0, "sessions": 300, "moved_forward": 0, "moved_back": 7,
            "resident_kb": [1, 2, 3],
            "events": [
                { "event": "errors", "requests": 9, "dropped": 0, "moved_forward": 0, "decided_ms": 1_234, "last_answer_ms": 950 },
                { "event": "restart", "requests": 3, "dropped": 1, "moved_forward": 0 },
                { "event": "errors", "requests": 7, "dropped": 0, "moved_forward": 0, "decided_ms": 900, "last_answer_ms": 910 },
            ],
        });
        let table = table(&found);
        assert_eq!(
            table.rows,
            [
                ["errors", "2", "0.90", "1.23", "0.95", "16", "0", "0"],
                ["restart", "1", "–", "–", "–", "3", "1", "0"]
            ]
        );
        assert!(table.text.starts_with("1000 requests in 20 s"), "{}", table.text);
    }

    #[test]
    fn what_did_not_hold_is_named() {
        assert_eq!(broken(&json!({ "broken": ["one", "two"] })), "one; two");
        assert_eq!(broken(&json!({ "broken": [] })), "the run ended with an error");
    }
}
