//! Lengths of time on the command line.

/// The units, each with its length in milliseconds; longer names first where one ends in another.
const UNITS: [(&str, u64); 4] = [("min", 60_000), ("d", 86_400_000), ("h", 3_600_000), ("s", 1_000)];

/// Milliseconds from `90s`, `30min`, `24h` or `7d`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no length of time such as 90s, 30min, 24h or 7d");
    let unit = UNITS.iter().find_map(|(unit, length)| Some((text.strip_suffix(unit)?, length)));
    let (count, length) = unit.ok_or_else(wrong)?;
    let count: u64 = count.parse().map_err(|_| wrong())?;
    count.checked_mul(*length).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lengths_have_units() {
        let told = ["90s", "30min", "24h", "7d"].map(|text| parse(text).unwrap());
        assert_eq!(told, [90_000, 1_800_000, 86_400_000, 604_800_000]);
        for wrong in
            ["", "7", "d", "-1d", "1.5h", "7w", "7 d", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
