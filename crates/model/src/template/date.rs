//! Dates as templates write them.

use std::fmt::Write as _;

/// The date and time, in UTC, in the form asked for; nothing where the form is not known.
pub(super) fn strftime(now_s: i64, format: &str) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let (days, seconds) = (now_s.div_euclid(86_400), now_s.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let name =
        |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
    let (month_name, day_name) = (name(&MONTHS, month - 1)?, name(&DAYS, days.rem_euclid(7))?);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut directive = rest.next()?;
        let padded = directive != '-';
        if !padded {
            directive = rest.next()?;
        }
        let number = match directive {
            'Y' => Some((year, 4)),
            'm' => Some((month, 2)),
            'd' => Some((day, 2)),
            'y' => Some((year.rem_euclid(100), 2)),
            'H' => Some((seconds / 3600, 2)),
            'M' => Some((seconds / 60 % 60, 2)),
            'S' => Some((seconds % 60, 2)),
            _ => None,
        };
        let written = match (number, directive) {
            (Some((number, width)), _) if padded => write!(out, "{number:0width$}"),
            (Some((number, _)), _) => write!(out, "{number}"),
            (None, 'B') => write!(out, "{month_name}"),
            (None, 'b') => write!(out, "{}", month_name.get(..3).unwrap_or_default()),
            (None, 'A') => write!(out, "{day_name}"),
            (None, 'a') => write!(out, "{}", day_name.get(..3).unwrap_or_default()),
            (None, '%') => write!(out, "%"),
            _ => return None,
        };
        written.ok()?;
    }
    Some(out)
}

/// Year, month and day of a day since 1970 (Howard Hinnant, `civil_from_days`).
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}
