//! The report for people who have read nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::finding::{Finding, Severity, shown};
use crate::report::{Examined, Isolation, ReadIn, Report, Verdict};
use crate::rules::Rules;

/// Findings of one rule that are shown one by one; the rest are counted.
const SHOWN_MAX: usize = 5;

/// Writes the report: findings grouped by rule, gravest first, what was not looked at, and the verdict in one line at
/// the end.
pub fn report(report: &Report, rules: &Rules) -> String {
    let mut text = String::new();
    let mut groups: BTreeMap<(std::cmp::Reverse<Severity>, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let key = (std::cmp::Reverse(finding.severity), finding.rule.as_str());
        groups.entry(key).or_default().push(finding);
    }
    for ((std::cmp::Reverse(severity), id), findings) in groups {
        let (title, finds, references) = rules.rule(id).map_or(("", "", String::new()), |rule| {
            (rule.title.as_str(), rule.finds.as_str(), rule.references.join(", "))
        });
        put(&mut text, &format!("{:<8} {title}  [{id}]", severity.name().to_uppercase()));
        put(&mut text, &wrapped(finds, "         "));
        for finding in findings.iter().take(SHOWN_MAX) {
            put(
                &mut text,
                &format!("       - {}, {}", shown(&finding.path), shown(&finding.place.to_string())),
            );
            put(&mut text, &wrapped(&finding.message, "         "));
            for evidence in finding.evidence.iter().take(4) {
                put(&mut text, &format!("           {}", shown(evidence)));
            }
        }
        let more: u64 = report.more.iter().filter(|more| more.rule == id).map(|more| more.findings).sum();
        let listed = findings.len().saturating_sub(SHOWN_MAX);
        if listed > 0 {
            put(&mut text, &format!("       and {listed} more (`--json` lists them)"));
        }
        if more > 0 {
            put(&mut text, &format!("       and {more} more that are counted only"));
        }
        put(&mut text, &format!("         see {references}\n"));
    }
    for ignored in &report.ignored {
        put(
            &mut text,
            &format!(
                "ignored  {} findings of {}: {}",
                ignored.findings,
                ignored.rule,
                shown(&ignored.reason)
            ),
        );
    }
    if !report.not_examined.is_empty() {
        put(&mut text, "Not looked at:");
        for unexamined in report.not_examined.iter().take(SHOWN_MAX * 2) {
            put(&mut text, &format!("  {}: {}", shown(&unexamined.path), unexamined.why));
        }
        if report.not_examined.len() > SHOWN_MAX * 2 {
            put(&mut text, &format!("  and {} more", report.not_examined.len() - SHOWN_MAX * 2));
        }
        text.push('\n');
    }
    put(&mut text, &read_in(&report.read_in));
    text.push_str(&last_line(report));
    text
}

/// Where the files were read, and what the host did not enforce around it.
pub fn read_in(read_in: &ReadIn) -> String {
    let level = match read_in.isolation {
        Isolation::None => return "Read in this program itself, without a box, as was asked for.".to_owned(),
        level => level.name(),
    };
    if read_in.not_enforced.is_empty() {
        return format!("Read in a box of level `{level}`; this host enforces all of it.");
    }
    let lacking: Vec<&str> = read_in.not_enforced.iter().map(String::as_str).collect();
    format!("Read in a box of level `{level}`; not enforced on this host: {}.", lacking.join(", "))
}

/// The verdict, and what it rests on.
fn last_line(report: &Report) -> String {
    let whole = report.files.iter().filter(|seen| seen.examined == Examined::Whole).count();
    let counts = format!(
        "{} files ({whole} read whole), {}, {} rules: {} errors, {} warnings, {} notes",
        report.files.len(),
        size(report.bytes()),
        report.rules,
        report.count(Severity::Error),
        report.count(Severity::Warning),
        report.count(Severity::Info),
    );
    match report.verdict {
        Verdict::Clean => format!("CLEAN: nothing stands against these files. {counts}.\n"),
        Verdict::Review => format!("REVIEW: a person should look before these files are used. {counts}.\n"),
        Verdict::Block => format!("BLOCK: these files should not be used as they are. {counts}.\n"),
    }
}

/// Every rule with what it finds and what it does not see.
pub fn rules(rules: &Rules) -> String {
    let mut text = String::new();
    for rule in rules.iter() {
        put(&mut text, &format!("{}  {:<8} {}", rule.id, rule.severity.name(), rule.title));
        put(&mut text, &wrapped(&rule.finds, "    "));
        put(&mut text, &wrapped(&format!("Does not see: {}", rule.blind), "    "));
        put(&mut text, &format!("    {}", rule.references.join(", ")));
        for (name, value) in &rule.parameters {
            put(&mut text, &format!("    {name} = {value}"));
        }
        text.push('\n');
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn put(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    if writeln!(text, "{line}").is_err() {
        text.clear();
    }
}

/// Lines of at most a hundred letters, each with the indent in front.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() > 100 && line.len() > indent.len() {
            lines.push_str(line.trim_end());
            lines.push('\n');
            indent.clone_into(&mut line);
        }
        line.push_str(word);
        line.push(' ');
    }
    lines.push_str(line.trim_end());
    lines
}
