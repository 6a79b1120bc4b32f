//! Whether timing tells secrets apart: t-values of the functions that handle them, beside one that leaks.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::report::{Table, figure, whole};
use super::{RUN_LIMIT, Scratch, example};
use crate::process::run_quietly;

/// How often each function is timed.
const MEASUREMENTS: &str = "1000000";
/// Fewer kept measurements show nothing.
const KEPT_MIN: f64 = 500_000.0;
/// What the leaking control must come to, or nothing was shown.
const LEAKS: f64 = 10.0;

pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let dudect = example("secret", "dudect", &[])?;
    let output = run_quietly("timing secrets", Command::new(&dudect).arg(MEASUREMENTS), RUN_LIMIT)?;
    let rows = rows(&output)?;
    Ok(Table {
        text: format!(
            "Welch's t between a fixed and a drawn secret, {MEASUREMENTS} measurements of 16 calls, the slowest tenth left \
             out (after dudect). Above 10 in size, timing tells them apart; below 5 it does not, with these measurements. \
             The control must be told apart."
        ),
        head: vec!["", "kept", "t"],
        rows,
        absent: Vec::new(),
    })
}

fn rows(output: &str) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let member = |name: &str| value.get(name).and_then(Value::as_f64);
        let name = value.get("function").and_then(Value::as_str).context("a line without a function")?;
        let (kept, t) = (member("kept").unwrap_or(0.0), member("t"));
        ensure!(kept >= KEPT_MIN, "`{name}`: only {kept} measurements were kept");
        let leaks = t.is_none_or(|t| t.abs() > LEAKS);
        ensure!(leaks == name.starts_with("control"), "`{name}`: t = {t:?}");
        rows.push(vec![name.to_owned(), whole(kept), figure(t, 2)]);
    }
    ensure!(rows.len() == 4, "{} of 4 functions were timed", rows.len());
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn a_leak_and_a_control_that_is_not_caught_are_refused() {
        let line = |name: &str, t: f64| format!("{{\"function\":\"{name}\",\"kept\":900000,\"t\":{t}}}\n");
        let quiet =
            |last: f64| ["a", "b", "c"].map(|name| line(name, 1.5)).concat() + &line("control: naive", last);
        assert_eq!(rows(&quiet(-300.0)).unwrap().len(), 4);
        assert!(rows(&quiet(2.0)).is_err());
        assert!(
            rows(
                &quiet(-300.0).replace("\"a\",\"kept\":900000,\"t\":1.5", "\"a\",\"kept\":900000,\"t\":-80")
            )
            .is_err()
        );
        assert!(rows(&quiet(-300.0).replacen("900000", "12", 1)).is_err());
        assert!(rows("").is_err());
    }
}
