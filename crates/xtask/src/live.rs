//! `cargo xtask live`: a gateway under load while releases go well, go wrong, and everything around it fails.
//!
//! This crate does not contain the gateway: it builds `gateway`'s example `live`, which has it, and prints what it found.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

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
    println!("{}\n\n{line}", render(&found));
    if output.status.success() { Ok(()) } else { bail!("{}", broken(&found)) }
}

/// What did not hold.
fn broken(found: &Value) -> String {
    let broken = found.get("broken").and_then(Value::as_array).into_iter().flatten();
    let broken: Vec<&str> = broken.filter_map(Value::as_str).collect();
    if broken.is_empty() { "the run ended with an error".to_owned() } else { broken.join("; ") }
}

fn render(found: &Value) -> String {
    let mut text = String::from(
        "\n| what happened | decided after | last answer after | requests | dropped | moved forward |\n",
    );
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: |\n");
    let seconds = |value: Option<&Value>| {
        let ms = value.and_then(Value::as_u64);
        ms.map_or_else(|| "–".to_owned(), |ms| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10))
    };
    let whole = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::to_string);
    for row in found.get("events").and_then(Value::as_array).into_iter().flatten() {
        let decided = row.get("decided_ms").or_else(|| row.get("done_ms"));
        let cells = [
            row.get("event").and_then(Value::as_str).unwrap_or_default().to_owned(),
            seconds(decided),
            seconds(row.get("last_answer_ms")),
            whole(row.get("requests")),
            whole(row.get("dropped")),
            whole(row.get("moved_forward")),
        ];
        text.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    let of = |name: &str| whole(found.get(name));
    let told = format!(
        "\n{} requests in {} s at {} a second; {} dropped; {} sessions, {} moved forward, {} moved back where their version was \
         taken back or could not answer; memory in kB at the start, after the first cycle and at the end: {}",
        of("requests"),
        of("seconds"),
        of("rate"),
        of("dropped"),
        of("sessions"),
        of("moved_forward"),
        of("moved_back"),
        of("resident_kb"),
    );
    text.push_str(&told);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{broken, render};

    #[test]
    fn what_was_found_is_a_table() {
        let found = json!({
            "seconds": 20, "rate": 50, "requests": 1_000, "dropped": 0, "sessions": 300, "moved_forward": 0, "moved_back": 7,
            "resident_kb": [1, 2, 3],
            "events": [{ "event": "errors", "requests": 9, "dropped": 0, "moved_forward": 0, "decided_ms": 1_234, "last_answer_ms": 950 }],
        });
        let text = render(&found);
        assert!(text.contains("| errors | 1.23 s | 0.95 s | 9 | 0 | 0 |"), "{text}");
        assert!(text.contains("1000 requests in 20 s"), "{text}");
    }

    #[test]
    fn what_did_not_hold_is_named() {
        assert_eq!(broken(&json!({ "broken": ["one", "two"] })), "one; two");
        assert_eq!(broken(&json!({ "broken": [] })), "the run ended with an error");
    }
}
