//! Tables: printed, and put into their section of `docs/benchmarks.md`.

use anyhow::{Context as _, Result};

use super::machine::Machine;
use crate::workspace::{read, root, write};

/// A table with what must be known to read it.
#[derive(Debug)]
pub(crate) struct Table {
    /// Sentences before the table.
    pub(crate) text: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What could not be measured, and why.
    pub(crate) absent: Vec<(String, String)>,
}

/// Bytes of a GiB.
pub(super) const GIB: f64 = 1_073_741_824.0;
/// Files of the folders of 1 GiB that are hashed beside `model_signing`.
pub(super) const FOLDERS: [u64; 2] = [8, 64];
/// The head of a table of rates with both folders.
pub(super) const FOLDERS_HEAD: [&str; 7] = [
    "",
    "8 files: GiB/s",
    "× `model_signing`",
    "× the limit",
    "64 files: GiB/s",
    "× `model_signing`",
    "× the limit",
];

/// Prints the table, measured on this machine, and replaces its section.
pub(crate) fn publish(section: &str, machine: &Machine, table: &Table) -> Result<()> {
    let text = format!("{}\n{}", machine.line(), render(table));
    println!("{text}");
    let path = root().join(holder(section));
    write(&path, &replace_section(&read(&path)?, section, &text)?)
}

/// The document that a section is in.
fn holder(section: &str) -> &'static str {
    if section == "detection" { "docs/detection.md" } else { "docs/benchmarks.md" }
}

pub(crate) fn render(table: &Table) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = table.head.iter().map(|&cell| cell.to_owned()).collect();
    let rule: Vec<String> = std::iter::once("---".to_owned())
        .chain(table.head.iter().skip(1).map(|_| "---:".to_owned()))
        .collect();
    let mut text = format!("{}\n\n{}{}", table.text, row(&head), row(&rule));
    for cells in &table.rows {
        text.push_str(&row(cells));
    }
    for (what, why) in &table.absent {
        text.extend(["\nNot measured: ", what, ": ", why, "\n"]);
    }
    text
}

/// The document with another text between the section's marks.
pub(super) fn replace_section(document: &str, section: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- begin {section} -->"), format!("<!-- end {section} -->"));
    let missing = || format!("`{}` has no section `{section}`", holder(section));
    let (before, rest) = document.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", text.trim_end()))
}

/// A whole number with commas.
pub(super) fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure with so many decimals; a dash where there is none.
pub(super) fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}
