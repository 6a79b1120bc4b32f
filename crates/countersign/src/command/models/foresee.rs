//! Whether a change that is to be proposed keeps to its scope, looked at in the box, as far as it takes no base: what
//! counts is measured later, by the worker.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tensor::peft::{Adapter, Config};
use tensor::safetensors::SafeTensors;
use tensor::scope::{Scope, ScopeReport, VIOLATIONS_MAX, check_adapter, check_prompt, check_settings};

use super::work::{self, Allowance, Answer, Contents, Handed};
use crate::cli::Isolation;
use crate::failure::Done;

/// Names and ranks are looked at, in files of at most some hundred megabytes.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 8, time: Duration::from_mins(15), answer_for_each: 1 };
/// The longest place of a violation, in letters: what [`ScopeReport`] shortens to, escaped at the most.
const PLACE_MAX: usize = 2048;

/// What is looked at, by the numbers of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Subject {
    /// An adapter's configuration and its tensors.
    Adapter { config: u32, tensors: u32 },
    /// A prompt, and the one it replaces.
    Prompt { old: u32, new: u32 },
    /// Settings, and those they replace.
    Settings { old: u32, new: u32 },
}

/// What is looked at, and the number of the scope.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    scope: u32,
    subject: Subject,
}

/// What is to be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Foreseen<'a> {
    /// An adapter: its configuration, and the file with its tensors.
    Adapter { config: &'a [u8], tensors: &'a Path },
    /// A prompt, and the one it replaces.
    Prompt { old: &'a [u8], new: &'a [u8] },
    /// Settings, and those they replace.
    Settings { old: &'a [u8], new: &'a [u8] },
}

/// Looks, in the box; none where the files are not what they should be, or there is nothing to compare with.
pub(crate) fn foresee(isolation: Isolation, scope: &[u8], what: Foreseen<'_>) -> Done<Option<ScopeReport>> {
    let mut handed = Handed::default();
    let scope = handed.copy("scope", scope)?;
    let mut texts = |old: &[u8], new: &[u8]| Done::Ok((handed.copy("old", old)?, handed.copy("new", new)?));
    let subject = match what {
        Foreseen::Prompt { old, new } => {
            let (old, new) = texts(old, new)?;
            Subject::Prompt { old, new }
        }
        Foreseen::Settings { old, new } => {
            let (old, new) = texts(old, new)?;
            Subject::Settings { old, new }
        }
        Foreseen::Adapter { config, tensors } => {
            let config = handed.copy("adapter_config.json", config)?;
            Subject::Adapter { config, tensors: handed.file(tensors)? }
        }
    };
    let task = work::Task::Foresee(Task { scope, subject });
    let (answer, _) = work::perform(isolation, &handed, task, ALLOWANCE, &mut |_| Ok(()))?;
    let Answer::Foreseen(report) = answer else { return Err(work::another()) };
    report.map(checked).transpose()
}

/// What a worker says is shown to people: it has the form of a report.
fn checked(report: ScopeReport) -> Done<ScopeReport> {
    let is_plain =
        |place: &str| place.chars().nth(PLACE_MAX).is_none() && !place.chars().any(char::is_control);
    if report.violations.len() > VIOLATIONS_MAX {
        return Err(work::lie("its report lists more than a report may"));
    }
    if !report.violations.iter().all(|violation| is_plain(&violation.place)) {
        return Err(work::lie("its report names what cannot be shown"));
    }
    let worst = report.violations.iter().map(|violation| violation.rule.verdict()).max();
    // The worst may be among those that are counted alone.
    if worst.is_some_and(|worst| worst > report.within) {
        return Err(work::lie("its verdict is not that of what it lists"));
    }
    Ok(report)
}

/// Looks, wherever that is done.
pub(super) fn foreseen(task: &Task, contents: &Contents) -> Done<Option<ScopeReport>> {
    let scope = Scope::read(contents.number(task.scope)?)?;
    let text = |number: u32| Done::Ok(std::str::from_utf8(contents.number(number)?).ok());
    let texts = |old: u32, new: u32| Done::Ok(text(old)?.zip(text(new)?));
    Ok(match task.subject {
        Subject::Prompt { old, new } => texts(old, new)?.map(|(old, new)| check_prompt(&scope, old, new)),
        Subject::Settings { old, new } => {
            texts(old, new)?.and_then(|(old, new)| check_settings(&scope, old, new).ok())
        }
        Subject::Adapter { config, tensors } => {
            let config = Config::read(contents.number(config)?);
            let file = SafeTensors::read(contents.number(tensors)?);
            let (Ok(config), Ok(file)) = (config, file) else { return Ok(None) };
            // Names and ranks are looked at, not how far the weights go: that takes the base and time.
            let names_alone = Scope { work_max: 1, ..scope };
            Some(check_adapter(&names_alone, &Adapter::join(config, &file), None))
        }
    })
}

#[cfg(test)]
mod tests;
