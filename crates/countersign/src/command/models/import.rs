//! Another tool's results, read in the box.

use std::path::Path;
use std::time::Duration;

use examine::import::{Format, Imported};
use serde::{Deserialize, Serialize};

use super::work::{self, Allowance, Answer, Contents, Handed};
use crate::cli::Isolation;
use crate::failure::{Done, in_file};

/// Figures and names are what is kept of a file.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 16, time: Duration::from_mins(15), answer_for_each: 2 };

/// Which file is read, and as what.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    format: Format,
    file: u32,
}

/// What a file's bytes say; `path` is what they are called in refusals.
pub(crate) fn read(isolation: Isolation, format: Format, path: &Path, bytes: &[u8]) -> Done<Imported> {
    let mut handed = Handed::default();
    let file = handed.copy("results", bytes)?;
    let task = work::Task::Import(Task { format, file });
    let performed = work::perform(isolation, &handed, task, ALLOWANCE, &mut |_| Ok(()));
    let (answer, _) = performed.map_err(in_file(path))?;
    let Answer::Imported(imported) = answer else { return Err(work::another()) };
    imported.check(format).map_err(|why| work::lie(&why))?;
    Ok(imported)
}

/// Reads, wherever that is done.
pub(super) fn imported(task: Task, contents: &Contents) -> Done<Imported> {
    Ok(Imported::read(task.format, contents.number(task.file)?)?)
}
