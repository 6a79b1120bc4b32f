//! `countersign scan`: what stands against the use of some model files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use scan::{Artefact, Report, Rules, Selection, Severity, render};
use serde_json::{Value, json};
use statement::Digest;

use super::tree;
use crate::busy;
use crate::cli::ScanArgs;
use crate::command::{Output, Setting};
use crate::failure::{Done, Failure};
use crate::text::print;

/// Scans, prints, and answers 0 (nothing at or above `--fail-on`), 1 (something) or 2 (a file could not be opened).
pub(crate) fn scan(setting: &Setting, args: &ScanArgs) -> Done<ExitCode> {
    let rules = Rules::built_in()?;
    if args.list_rules {
        let all: Vec<_> = rules.iter().collect();
        setting.print(&json!({ "rules": all }), &render::text::rules(&rules));
        return Ok(ExitCode::SUCCESS);
    }
    let fail_on = severity(&args.fail_on)?;
    let selection = Selection::new(&rules, &args.rule, &args.ignore)?;
    let found = tree::walk(&args.paths)?;
    let artefact = Artefact::new(found.iter().map(tree::Found::entry).collect());
    let all: u64 =
        artefact.entries.iter().filter_map(scan::Entry::bytes).map(|bytes| bytes.len() as u64).sum();
    let bar = busy::bytes("scanning", all);
    let report = scan::scan(&artefact, &rules, &selection, &|bytes| busy::advance(&bar, bytes));
    bar.finish_and_clear();
    if let Some(path) = &args.sarif {
        write(path, &render::sarif::log(&report, &rules, env!("CARGO_PKG_VERSION")))?;
    }
    if let Some(path) = &args.bom {
        let digests = digests(&artefact);
        write(path, &render::cyclonedx::bill(&report, &artefact, &digests, env!("CARGO_PKG_VERSION")))?;
    }
    match setting.output {
        Output::Json => print(&format!("{}\n", told(&report)?)),
        Output::Text => print(&render::text::report(&report, &rules)),
    }
    let unreadable = report.files.iter().any(|seen| seen.kind == scan::Kind::NoFile)
        && found.iter().any(|found| matches!(found.held, tree::Held::Unreadable(_)));
    Ok(if unreadable {
        ExitCode::from(2)
    } else if report.reaches(fail_on) {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn told(report: &Report) -> Done<Value> {
    serde_json::to_value(report).map_err(|error| {
        Failure::outside(format!("the report cannot be written: {error}"), "report this as a fault")
    })
}

fn severity(name: &str) -> Done<Severity> {
    [Severity::Info, Severity::Warning, Severity::Error]
        .into_iter()
        .find(|severity| severity.name() == name)
        .ok_or_else(|| Failure::usage(format!("`{name}` is not one of `info`, `warning` and `error`")))
}

/// SHA-256 of every file, in hexadecimal, by path.
fn digests(artefact: &Artefact<'_>) -> BTreeMap<String, String> {
    artefact
        .entries
        .iter()
        .filter_map(|entry| Some((entry.path.to_owned(), Digest::of(entry.bytes()?).to_string())))
        .collect()
}

fn write(path: &Path, value: &Value) -> Done {
    std::fs::write(path, format!("{value:#}\n")).map_err(|error| Failure::file(path, &error))
}
