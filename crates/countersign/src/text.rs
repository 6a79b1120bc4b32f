//! How things are written for people: names as statements have them, times as dates, and standard output itself.

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write as _};

use serde::Serialize;
use serde_json::Value;

/// A word of a statement (a role, a tier, a kind) by the name it has in statements. A word with a target beside it is
/// written `slot support`.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(value) => spoken(&value),
        // Words are made of strings alone, which always serialise.
        Err(error) => error.to_string(),
    }
}

fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            let parts: Vec<String> =
                members.iter().map(|(name, value)| format!("{name} {}", spoken(value))).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    }
}

/// A time as a date of the Gregorian calendar in UTC, to the second.
pub(crate) fn date(ms: u64) -> String {
    let seconds = ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let second = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a day counted from 1 January 1970 (Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March of the year 0, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Adds a line to a text.
pub(crate) fn line(text: &mut String, more: &str) {
    text.push_str(more);
    text.push('\n');
}

/// Writes to standard output. Who no longer listens (`countersign log entry 7 | head -1`) ends the program, quietly.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        tracing::error!(%error, "standard output cannot be written");
        std::process::exit(1);
    }
}
