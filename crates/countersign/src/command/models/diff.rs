//! `countersign diff`: what differs between two models, or what an adapter does to its base.

mod compare;
mod heat;
mod html;
mod operand;
mod report;
mod side;
mod svg;
mod text;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use scan::ReadIn;
use serde::{Deserialize, Serialize};
use tensor::scope::{Scope, Verdict};

use super::work::{self, Allowance, Answer, Contents, Handed, Side};
use super::{told_with, with_place};
use crate::busy::while_busy;
use crate::cli::{DiffArgs, Isolation};
use crate::command::{Output, Setting};
use crate::failure::Done;
use crate::outfile::{OutFile, Readers};
use crate::text::print;

pub(crate) use report::Report;

/// What is compared with what.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    base: Side,
    candidate: Option<Side>,
    /// The number of the scope's file.
    scope: Option<u32>,
}

/// Comparing decodes a few columns at a time; the spectrum of a matrix is a few times as large as the matrix. Packed layers, and
/// those of a GGUF base that an adapter changes, are laid out in single precision: two bits become 32.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 18, time: Duration::from_hours(2), answer_for_each: 1 };

/// Compares, prints, and answers 0 (within the scope, or none was given), 1 (outside) or 2 (undecided, or nothing could be
/// compared).
pub(crate) fn diff(setting: &Setting, args: &DiffArgs) -> Done<ExitCode> {
    let (report, read_in) = asked(
        args.isolation,
        (&args.base, args.candidate.as_deref()),
        args.scope.as_deref(),
        args.html.as_deref(),
    )?;
    if let Some(path) = &args.html {
        OutFile::put(path, Readers::Everybody, html::page(&report).as_bytes())?;
    }
    match setting.output {
        Output::Json => print(&format!("{}\n", told_with(report.told(), &read_in))),
        Output::Text => {
            let page = text::page(&report, args.top, text::Paint::of_stdout());
            print(&with_place(page, &read_in));
        }
    }
    Ok(match report.scope.as_ref().map(|scope| scope.within) {
        Some(Verdict::Outside) => ExitCode::from(1),
        Some(Verdict::Undecided) => ExitCode::from(2),
        None | Some(Verdict::Within) if report.is_empty() => ExitCode::from(2),
        None | Some(Verdict::Within) => ExitCode::SUCCESS,
    })
}

/// The page about a candidate and what it is compared with, or an adapter by itself; with where the files were read.
pub(crate) fn page(base: Option<&Path>, candidate: &Path) -> Done<String> {
    /// The most rows on the page.
    const ROWS: usize = 20;
    let (first, second) = base.map_or((candidate, None), |base| (base, Some(candidate)));
    let (report, read_in) = asked(Isolation::Standard, (first, second), None, None)?;
    Ok(with_place(text::page(&report, ROWS, text::Paint::of_stdout()), &read_in))
}

/// Has two models compared, or one adapter looked at, where that is to be done.
fn asked(
    isolation: Isolation,
    (base, candidate): (&Path, Option<&Path>),
    scope: Option<&Path>,
    page: Option<&Path>,
) -> Done<(Report, ReadIn)> {
    let mut handed = Handed::default();
    let task = Task {
        base: handed.model(base)?,
        candidate: candidate.map(|path| handed.model(path)).transpose()?,
        scope: scope.map(|path| handed.file(path)).transpose()?,
    };
    if let Some(path) = page {
        OutFile::check_page(path)?;
    }
    let task = work::Task::Diff(task);
    let (answer, read_in) =
        while_busy("comparing", || work::perform(isolation, &handed, task, ALLOWANCE, &mut |_| Ok(())))?;
    let Answer::Diff(mut report) = answer else { return Err(work::another()) };
    report.check().map_err(work::lie)?;
    // Whose files they are is this program's to say.
    report.base = base.display().to_string();
    report.candidate = candidate.map(|path| path.display().to_string());
    Ok((report, read_in))
}

/// Compares, wherever that is done.
pub(super) fn compared(task: &Task, contents: &Contents) -> Done<Report> {
    let scope = task.scope.map(|number| contents.number(number)).transpose()?;
    let scope = scope.map(|bytes| Scope::read(bytes)).transpose()?;
    let base = side::Files::find(&task.base, contents)?;
    let candidate = task.candidate.as_ref().map(|side| side::Files::find(side, contents)).transpose()?;
    let base = base.open()?;
    let candidate = candidate.as_ref().map(side::Files::open).transpose()?;
    match &candidate {
        Some(candidate) => compare::two(&base, candidate, scope.as_ref()),
        None => compare::alone(&base, scope.as_ref()),
    }
}

/// Adds words to a text.
fn put(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.push_str(&words.to_string());
}
