//! Words and columns for people.

use serde::Serialize;

/// A point in time as `2027-01-15 08:00:00 UTC` (proleptic Gregorian calendar).
pub(crate) fn utc(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that leap days come last in their year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A length of time in its two largest units: `3 d 4 h`, `12 min 5 s`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let units = [("d", 86_400, u64::MAX), ("h", 3_600, 24), ("min", 60, 60), ("s", 1, 60)];
    let parts = units.map(|(unit, length, wraps)| (seconds / length % wraps, unit));
    let mut told = parts.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    match (told.next(), told.next()) {
        (None, _) => "0 s".to_owned(),
        (Some((count, unit)), None) => format!("{count} {unit}"),
        (Some((count, unit)), Some((less, lesser))) => format!("{count} {unit} {less} {lesser}"),
    }
}

/// The name that a variant has in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Control characters made visible: what stands in a record must not move the cursor.
pub(super) fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Appends words broken to `width` columns, each line after the first indented by `indent`.
pub(super) fn wrap(out: &mut String, text: &str, width: usize, indent: usize) {
    let mut column = out.len() - out.rfind('\n').map_or(0, |end| end + 1);
    let mut is_first = true;
    for word in visible(text).split(' ') {
        let length = word.chars().count();
        if !is_first && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        is_first = false;
    }
    out.push('\n');
}

/// Which columns give way first where the page is too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Its cells are cut first.
    Cut,
    /// Its cells stay whole as long as others can be cut.
    Whole,
}

/// Rows under a heading, in columns as wide as they need, cut where `width` does not suffice.
pub(super) fn table(out: &mut String, heading: &[(&str, Fit)], rows: &[Vec<String>], width: usize) {
    let mut widths: Vec<(Fit, usize)> =
        heading.iter().map(|(title, fit)| (*fit, title.chars().count())).collect();
    for row in rows {
        for ((_, widest), cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(visible(cell).chars().count());
        }
    }
    let room = width.saturating_sub(2 + 2 * widths.len().saturating_sub(1));
    while widths.iter().map(|(_, width)| width).sum::<usize>() > room {
        let mut cut = widths.iter_mut().filter(|(fit, width)| *fit == Fit::Cut && *width > 4);
        let widest = match cut.by_ref().max_by_key(|(_, width)| *width) {
            Some((_, widest)) => Some(widest),
            None => widths.iter_mut().map(|(_, width)| width).max(),
        };
        match widest {
            Some(widest) if *widest > 4 => *widest -= 1,
            _ => break,
        }
    }
    let titles: Vec<String> = heading.iter().map(|(title, _)| (*title).to_owned()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::from("  ");
        for ((_, width), cell) in widths.iter().zip(row) {
            let cell = visible(cell);
            let length = cell.chars().count();
            if length > *width {
                line.extend(cell.chars().take(width - 1));
                line.push('…');
            } else {
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', width - length));
            }
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
