//! `countersign diff`: what differs between two models, or what an adapter does to its base.

mod compare;
mod heat;
mod html;
mod report;
mod side;
mod svg;
mod text;

use std::path::Path;
use std::process::ExitCode;

use tensor::scope::{Scope, Verdict};

use super::tree::{self, Found};
use crate::cli::DiffArgs;
use crate::command::{Output, Setting};
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};
use crate::text::print;

/// Compares, prints, and answers 0 (within the scope, or none was given), 1 (outside) or 2 (undecided).
pub(crate) fn diff(setting: &Setting, args: &DiffArgs) -> Done<ExitCode> {
    let scope = args.scope.as_deref().map(read_scope).transpose()?;
    let base = side::Files::find(&args.base)?;
    let candidate = args.candidate.as_deref().map(side::Files::find).transpose()?;
    let base = base.open()?;
    let candidate = candidate.as_ref().map(side::Files::open).transpose()?;
    let report = match &candidate {
        Some(candidate) => compare::two(&base, candidate, scope.as_ref())?,
        None => compare::alone(&base, scope.as_ref())?,
    };
    if let Some(path) = &args.html {
        OutFile::put(path, Readers::Everybody, html::page(&report).as_bytes())?;
    }
    match setting.output {
        Output::Json => print(&format!("{}\n", report.told())),
        Output::Text => print(&text::page(&report, args.top, text::Paint::of_stdout())),
    }
    Ok(match report.scope.as_ref().map(|scope| scope.within) {
        None | Some(Verdict::Within) => ExitCode::SUCCESS,
        Some(Verdict::Outside) => ExitCode::from(1),
        Some(Verdict::Undecided) => ExitCode::from(2),
    })
}

/// The page about a candidate and what it is compared with, or an adapter by itself.
pub(crate) fn page(base: Option<&Path>, candidate: &Path) -> Done<String> {
    /// The most rows on the page.
    const ROWS: usize = 20;
    let candidate = side::Files::find(candidate)?;
    let candidate = candidate.open()?;
    let base = base.map(side::Files::find).transpose()?;
    let base = base.as_ref().map(side::Files::open).transpose()?;
    let report = match &base {
        Some(base) => compare::two(base, &candidate, None)?,
        None => compare::alone(&candidate, None)?,
    };
    Ok(text::page(&report, ROWS, text::Paint::of_stdout()))
}

/// The largest scope file that is read.
const SCOPE_BYTES_MAX: usize = 1 << 20;

fn read_scope(path: &Path) -> Done<Scope> {
    Ok(Scope::read(&crate::home::read_bounded(path, SCOPE_BYTES_MAX)?)?)
}

/// Adds words to a text.
fn put(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.push_str(&words.to_string());
}

/// One file, mapped.
fn file(path: &Path) -> Done<Found> {
    let mut found: Vec<Found> = tree::list(&[path.to_owned()])?.iter().map(tree::hold).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) if bytes(&one).is_some() => Ok(one),
        _ => Err(Failure::not_a("model file", path, "it is not one plain file that can be read")),
    }
}

fn bytes(found: &Found) -> Option<&[u8]> {
    match &found.held {
        tree::Held::Read(bytes) => Some(bytes),
        tree::Held::Mapped(map) => Some(map),
        tree::Held::Link(_) | tree::Held::Special(_) | tree::Held::Unreadable(_) => None,
    }
}
