//! `countersign scan`: what stands against the use of some model files.

mod boxed;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;
use scan::{Artefact, Looked, ReadIn, Report, Rules, Selection, Severity, render};
use serde_json::{Value, json};
use statement::Digest;

use super::tree::{self, Listed};
use crate::busy;
use crate::cli::ScanArgs;
use crate::command::{Output, Setting};
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};
use crate::text::print;
use crate::worker::Worker;

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
    let listed = tree::list(&args.paths)?;
    let wants = if args.bom.is_some() { Wants::Bill } else { Wants::Report };
    let done = match args.isolation.level() {
        None => here(&listed, &rules, wants),
        Some(level) => {
            let worker = Worker::find(setting.worker.as_deref())?;
            boxed::look(&worker, level, &listed, &rules, wants)?
        }
    };
    let mut report = scan::join(&rules, &selection, done.looked);
    report.read_in = done.read_in;
    if let Some(path) = &args.sarif {
        write(path, &render::sarif::log(&report, &rules, env!("CARGO_PKG_VERSION")))?;
    }
    if let Some(path) = &args.bom {
        let licences = render::cyclonedx::by_folder(
            done.licences.iter().map(|(path, licence)| (path.as_str(), licence.clone())),
        );
        let bill = render::cyclonedx::bill(&report, &licences, &done.digests, env!("CARGO_PKG_VERSION"));
        write(path, &bill)?;
    }
    match setting.output {
        Output::Json => print(&format!("{}\n", told(&report)?)),
        Output::Text => print(&render::text::report(&report, &rules)),
    }
    Ok(if done.unreadable {
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

/// What is asked of the files beside findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Report,
    /// Digests and licences too.
    Bill,
}

/// What came of looking at all files.
struct Seen {
    looked: Vec<Looked>,
    read_in: ReadIn,
    /// Licences that files name, by path, in order.
    licences: BTreeMap<String, String>,
    /// SHA-256 of every file, in hexadecimal, by path.
    digests: BTreeMap<String, String>,
    /// A file could not be opened.
    unreadable: bool,
}

/// Looks at all files in this program, without a box.
fn here(listed: &[Listed], rules: &Rules, wants: Wants) -> Seen {
    let found: Vec<tree::Found> = listed.iter().map(tree::hold).collect();
    let artefact = Artefact::new(found.iter().map(tree::Found::entry).collect());
    let all: u64 =
        artefact.entries.iter().filter_map(scan::Entry::bytes).map(|bytes| bytes.len() as u64).sum();
    let bar = busy::bytes("scanning", all);
    let looked = artefact
        .entries
        .par_iter()
        .map(|entry| {
            let looked = scan::examine(&artefact, entry, rules);
            busy::advance(&bar, entry.bytes().map_or(0, |bytes| bytes.len() as u64));
            looked
        })
        .collect();
    bar.finish_and_clear();
    let mut done = Seen {
        looked,
        read_in: ReadIn::the_program(),
        licences: BTreeMap::new(),
        digests: BTreeMap::new(),
        unreadable: found.iter().any(|found| matches!(found.held, tree::Held::Unreadable(_))),
    };
    if wants == Wants::Bill {
        for entry in &artefact.entries {
            let path = || entry.path.to_owned();
            done.digests.extend(entry.bytes().map(|bytes| (path(), Digest::of(bytes).to_string())));
            done.licences.extend(render::cyclonedx::licence(entry).map(|licence| (path(), licence)));
        }
    }
    done
}

fn write(path: &Path, value: &Value) -> Done {
    OutFile::put(path, Readers::Everybody, format!("{value:#}\n").as_bytes())
}
