//! Looks at each file by what it is, and joins what was found.

mod adapter;
mod archive;
mod config;
mod files;
mod gguf;
mod json;
mod lowbits;
mod notes;
mod onnx;
mod other;
mod pickle;
mod script;
mod template;
mod tensors;
mod text;
mod tokenizer;
mod told;
mod values;
mod which;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tensor::pickle::AllowList;
use tensor::torch::{self, Checkpoint};

pub(crate) use notes::Notes;

use crate::artefact::{Artefact, Content, Entry};
use crate::finding::Place;
use crate::kind::Kind;
use crate::report::{Examined, FORM, Ignored, More, ReadIn, Report, Seen, Unexamined, Verdict};
use crate::rules::{Rules, Selection};
use crate::{Finding, Severity};

/// What was seen in one file. A worker answers it; [`Looked::check`] is for whoever did not look for themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// The file, and the members of an archive that were opened.
    pub(crate) seen: Vec<Seen>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) more: Vec<More>,
    pub(crate) unexamined: Vec<Unexamined>,
}

/// Looks at every file and joins what was found. Files are shared among the threads of the current `rayon` pool; the
/// report is the same whatever their number. `done` is told of the bytes of each file when it has been looked at.
pub fn scan(
    artefact: &Artefact<'_>,
    rules: &Rules,
    selection: &Selection,
    done: &(dyn Fn(u64) + Sync),
) -> Report {
    let looked = artefact
        .entries
        .par_iter()
        .map(|entry| {
            let looked = examine(artefact, entry, rules);
            done(entry.bytes().map_or(0, |bytes| bytes.len() as u64));
            looked
        })
        .collect();
    join(rules, selection, looked)
}

/// Looks at one entry. The others are at hand for what must be read together, such as an adapter's configuration.
pub fn examine(artefact: &Artefact<'_>, entry: &Entry<'_>, rules: &Rules) -> Looked {
    let mut notes = Notes::new(rules, entry.path);
    match entry.content {
        Content::Bytes(bytes) => {
            let kind = files::kind_of(entry.name(), bytes, &mut notes);
            let mut allowance = archive::Allowance::new();
            let examined = content(artefact, entry, kind, bytes, &mut allowance, &mut notes);
            which::beside(artefact, entry, &mut notes);
            notes.seen(kind, bytes.len() as u64, examined);
        }
        Content::Link(target) => {
            notes.find(
                "SCAN-FIL-004",
                Place::File,
                format!(
                    "`{}` is a link to `{}` and was not followed",
                    notes::shown(entry.name()),
                    notes::shown(target)
                ),
                [],
            );
            notes.unexamined("a link is not followed");
            notes.seen(Kind::NoFile, 0, Examined::No);
        }
        Content::Special(what) => {
            notes.find(
                "SCAN-FIL-005",
                Place::File,
                format!("`{}` is {what}, which has no place beside a model", notes::shown(entry.name())),
                [],
            );
            notes.unexamined("it is no file");
            notes.seen(Kind::NoFile, 0, Examined::No);
        }
        Content::Unreadable(why) => {
            notes.find(
                "SCAN-FIL-006",
                Place::File,
                format!("`{}` could not be opened: {}", notes::shown(entry.name()), notes::shown(why)),
                [],
            );
            notes.unexamined("it could not be opened");
            notes.seen(Kind::NoFile, 0, Examined::No);
        }
    }
    notes.looked()
}

/// Looks into a file that is of this kind.
fn content(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    kind: Kind,
    bytes: &[u8],
    allowance: &mut archive::Allowance,
    notes: &mut Notes<'_>,
) -> Examined {
    match kind {
        Kind::Safetensors => tensors::safetensors(artefact, entry, bytes, notes),
        Kind::Json => json::look(artefact, entry, bytes, notes),
        Kind::Gguf => gguf::look(bytes, notes),
        Kind::Pickle => pickles(bytes, notes),
        Kind::TorchZip | Kind::Zip | Kind::Npz | Kind::Keras => {
            if allowance.depth >= archive::DEPTH_MAX {
                let message = "an archive inside archives was not looked into".to_owned();
                notes.find("SCAN-ZIP-005", Place::File, message, []);
                notes.unexamined("an archive inside archives");
                return Examined::No;
            }
            allowance.depth += 1;
            let examined = archive::look(artefact, entry, bytes, allowance, notes);
            allowance.depth -= 1;
            examined
        }
        Kind::Npy => other::npy(bytes, notes),
        Kind::Hdf5 => other::hdf5(bytes, notes),
        Kind::Template => match std::str::from_utf8(bytes) {
            Ok(text) => {
                template::look(text, entry.name(), notes);
                Examined::Whole
            }
            Err(_) => text::look(bytes, notes),
        },
        Kind::Text | Kind::Python | Kind::Script => {
            other::yaml(entry.name(), bytes, notes);
            text::look(bytes, notes)
        }
        Kind::Empty => match crate::kind::by_name(entry.name()) {
            // What is to hold weights and holds nothing is refused by every reader.
            Some(Kind::Safetensors) => tensors::safetensors(artefact, entry, bytes, notes),
            Some(Kind::Gguf) => gguf::look(bytes, notes),
            _ => Examined::Whole,
        },
        Kind::Elf | Kind::Pe | Kind::MachO | Kind::Bytecode | Kind::Media => {
            notes.unexamined("known by its first bytes or its name; what it holds was not looked at");
            Examined::Kind
        }
        Kind::Onnx => onnx::look(artefact, entry, bytes, notes),
        Kind::OtherModel => {
            other::tensorflow(entry.name(), bytes, notes);
            files::not_examined(kind, notes);
            Examined::No
        }
        Kind::Archive | Kind::Unknown | Kind::NoFile => {
            files::not_examined(kind, notes);
            Examined::No
        }
    }
}

/// A stream of pickles, and the storages behind it where it is a checkpoint of the old form.
fn pickles(bytes: &[u8], notes: &mut Notes<'_>) -> Examined {
    let legacy = Checkpoint::read(bytes, &torch::Limits::STANDARD).ok();
    let tail = if legacy.is_some() { pickle::Tail::Storages } else { pickle::Tail::Nothing };
    let examined = pickle::look(bytes, AllowList::standard(), tail, notes);
    match legacy {
        Some(checkpoint) => examined.max(archive::storages(&checkpoint, notes)),
        None => examined,
    }
}

/// Joins what was seen: leaves out what was not asked for, sets aside what is ignored, sorts, decides.
pub fn join(rules: &Rules, selection: &Selection, looked: Vec<Looked>) -> Report {
    let mut report = Report {
        form: FORM.to_owned(),
        verdict: Verdict::Clean,
        files: Vec::new(),
        findings: Vec::new(),
        more: Vec::new(),
        ignored: Vec::new(),
        not_examined: Vec::new(),
        read_in: ReadIn::the_program(),
        rules: rules.iter().filter(|rule| selection.wants(&rule.id)).count() as u64,
    };
    let mut ignored: BTreeMap<String, u64> = BTreeMap::new();
    for part in looked {
        report.files.extend(part.seen);
        report.not_examined.extend(part.unexamined);
        for finding in part.findings.into_iter().filter(|finding| selection.wants(&finding.rule)) {
            if selection.reason(&finding.rule).is_some() {
                *ignored.entry(finding.rule).or_default() += 1;
            } else {
                report.findings.push(finding);
            }
        }
        for more in part.more.into_iter().filter(|more| selection.wants(&more.rule)) {
            if selection.reason(&more.rule).is_some() {
                *ignored.entry(more.rule).or_default() += more.findings;
            } else {
                report.more.push(more);
            }
        }
    }
    report.ignored = ignored
        .into_iter()
        .map(|(rule, findings)| Ignored {
            reason: selection.reason(&rule).unwrap_or_default().to_owned(),
            rule,
            findings,
        })
        .collect();
    report.files.sort_by(|a, b| a.path.cmp(&b.path));
    report.not_examined.sort();
    report.not_examined.dedup();
    let order = |finding: &Finding| {
        (
            std::cmp::Reverse(finding.severity),
            finding.rule.clone(),
            finding.path.clone(),
            finding.place.clone(),
        )
    };
    report.findings.sort_by_cached_key(order);
    report.verdict = match report.findings.first().map(|finding| finding.severity) {
        Some(Severity::Error) => Verdict::Block,
        Some(Severity::Warning) => Verdict::Review,
        Some(Severity::Info) | None => Verdict::Clean,
    };
    report
}
