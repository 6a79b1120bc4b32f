//! `countersign examine PATH --base B`: a change that lies in files, held against its base. Nothing is signed.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use examine::depth::Table;
use examine::report::{Heading, Isolation as Shown, html, text};
use examine::suite::Suite;
use examine::verdict::{self, Outcome};
use examine::{Apart, Change, Declaration, Declared, Examination, Files, Kind, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use scan::boxed::Held;
use scan::{Isolation as ToldIsolation, ReadIn};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::work::{self, Allowance, Answer, Contents, Handed, Heard, Mouth, Side};
use super::{told_with, with_place};
use crate::cli::{ExamineArgs, Isolation};
use crate::command::{Output, Setting};
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};
use crate::text::print;

/// Largest settings file that is read.
const SETTINGS_BYTES_MAX: usize = 64 << 20;

/// Models are held in single precision, several at a time; the slowest examination is one of two hours.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 24, time: Duration::from_hours(4), answer_for_each: 1 };

/// What is examined, and with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    change: Side,
    base: Side,
    kind: Kind,
    /// The number of the scope's file.
    scope: Option<u32>,
    /// The number of the declaration's file, and the parents that it names.
    declared: Option<(u32, Vec<(String, Side)>)>,
    partners: Vec<Side>,
    lineage: Vec<Side>,
    /// Suites as the user named them.
    suites: Vec<Side>,
    /// The number of the table of depths; the built-in one where there is none.
    depth: Option<u32>,
    /// The one examiner that works; all where there is none.
    only: Option<String>,
}

/// Examines, prints, and answers 0 (pass), 1 (fail) or 2 (inconclusive).
pub(crate) fn examine(setting: &Setting, args: &ExamineArgs, base: &Path) -> Done<ExitCode> {
    let begun = Instant::now();
    let table = match &args.depth {
        Some(path) => Table::read(&read(path)?)?,
        None => Table::built_in()?,
    };
    let calibration = match &args.calibration {
        Some(path) => Some(verdict::Table::read(&read(path)?)?),
        None => None,
    };
    let mut handed = Handed::default();
    let task = task(&mut handed, args, base)?;
    if let Some(path) = &args.html {
        OutFile::check_page(path)?;
    }
    let given = given(&task);
    let isolation = if args.unboxed { Isolation::None } else { args.isolation };
    let bar = bar();
    let examined = match isolation {
        Isolation::None | Isolation::Standard => all(isolation, &handed, task, &table, &bar),
        Isolation::Deep | Isolation::Gvisor => one_by_one(isolation, &handed, &task, &table, &bar),
    };
    bar.finish_and_clear();
    let (examination, read_in) = examined?;
    examination.check_excuses(&given).map_err(|why| work::lie(&why))?;
    let judgement = verdict::judge(&examination, calibration.as_ref(), table.alpha);
    let heading = Heading {
        change: args.change.clone(),
        base: base.to_string_lossy().into_owned(),
        isolation: if isolation == Isolation::None { Shown::Unboxed } else { Shown::Boxed },
        seconds: begun.elapsed().as_secs_f64(),
    };
    if let Some(path) = &args.html {
        let page = html::page(&heading, &examination, &judgement);
        OutFile::put(path, Readers::Everybody, page.as_bytes())?;
    }
    match setting.output {
        Output::Json => {
            let word = match read_in.isolation {
                ToldIsolation::None => "unboxed",
                level => level.name(),
            };
            let value = json!({ "judgement": judgement, "examination": examination, "isolation": word });
            print(&format!("{}\n", told_with(value, &read_in)));
        }
        Output::Text => {
            print(&with_place(text::page(&heading, &examination, &judgement), &read_in));
        }
    }
    Ok(match judgement.outcome {
        Outcome::Pass => ExitCode::SUCCESS,
        Outcome::Fail => ExitCode::from(1),
        Outcome::Inconclusive => ExitCode::from(2),
    })
}

/// The examiners whose own input is there.
fn given(task: &Task) -> Vec<&'static str> {
    let inputs = [
        ("scope", task.scope.is_some()),
        ("replay", task.declared.is_some()),
        ("lineage", !task.lineage.is_empty()),
    ];
    inputs.into_iter().filter(|(_, is_there)| *is_there).map(|(examiner, _)| examiner).collect()
}

/// All examiners, one after the other, in one place.
fn all(
    isolation: Isolation,
    handed: &Handed,
    task: Task,
    table: &Table,
    bar: &ProgressBar,
) -> Done<(Examination, ReadIn)> {
    let kind = task.kind;
    let (examination, read_in) = asked(isolation, handed, task, bar)?;
    if isolation != Isolation::None {
        examination.check(kind, table).map_err(|why| work::lie(&why))?;
    }
    Ok((examination, read_in))
}

/// Each examiner in a worker of its own: none works where the change may have taken over what another worked with.
fn one_by_one(
    isolation: Isolation,
    handed: &Handed,
    task: &Task,
    table: &Table,
    bar: &ProgressBar,
) -> Done<(Examination, ReadIn)> {
    let mut apart = Apart::new(task.kind, table);
    let mut read_in: Option<ReadIn> = None;
    while let Some(name) = apart.next_examiner() {
        let task = Task { only: Some(name.to_owned()), ..task.clone() };
        let (part, place) = asked(isolation, handed, task, bar)?;
        apart.take(part).map_err(|why| work::lie(&why))?;
        match &mut read_in {
            Some(known) => {
                let new = place.not_enforced.into_iter().filter(|name| !known.not_enforced.contains(name));
                known.not_enforced.extend(new.collect::<Vec<_>>());
            }
            None => read_in = Some(place),
        }
    }
    let nobody = || Failure::usage("the table of examinations names no examiner for this kind");
    Ok((apart.finish(), read_in.ok_or_else(nobody)?))
}

/// An examination, or an examiner's part in it, in the worker's words.
fn asked(
    isolation: Isolation,
    handed: &Handed,
    task: Task,
    bar: &ProgressBar,
) -> Done<(Examination, ReadIn)> {
    let mut heard = |heard: Heard<'_>| -> Done {
        if let Heard::Progress(progress) = heard {
            tell(bar, progress.stage, progress.done);
        }
        Ok(())
    };
    let task = work::Task::Examine(task);
    let (answer, read_in) = work::perform(isolation, handed, task, ALLOWANCE, &mut heard)?;
    let Answer::Examined(examination) = answer else { return Err(work::another()) };
    Ok((examination, read_in))
}

/// Examines, wherever that is done.
pub(super) fn examined(task: &Task, contents: &Contents, mouth: &Mouth<'_>) -> Done<Examination> {
    let table = match task.depth {
        Some(number) => Table::read(contents.number(number)?)?,
        None => Table::built_in()?,
    };
    let suites = task.suites.iter().map(|side| Ok(Suite::read(&side.path, &files(side, contents)?)?));
    let suites = suites.collect::<Done<Vec<_>>>()?;
    let mut change = Change::new(files(&task.change, contents)?);
    change.kind = task.kind;
    change.scope = task.scope.map(|number| contents.number(number).cloned()).transpose()?;
    if let Some((number, parents)) = &task.declared {
        let parent = |name: &str| {
            let side = parents.iter().find(|(path, _)| path == name).map(|(_, side)| side);
            files(side.ok_or_else(|| Failure::missing("parent", name))?, contents)
        };
        change.declared = Some(Declared::read(contents.number(*number)?, parent)?);
    }
    change.partners = task.partners.iter().map(|side| files(side, contents)).collect::<Done<_>>()?;
    change.lineage = task.lineage.iter().map(|side| files(side, contents)).collect::<Done<_>>()?;
    let base = files(&task.base, contents)?;
    let mut heard = |progress: examine::Progress| mouth.progress(Some(progress.stage), progress.done);
    Ok(match &task.only {
        None => examine::run(&change, &base, &suites, &table, &mut heard)?,
        Some(name) => examine::run_one(&change, &base, &suites, &table, name, &mut heard)?,
    })
}

/// Opens everything that is named.
fn task(handed: &mut Handed, args: &ExamineArgs, base: &Path) -> Done<Task> {
    let mut several = |paths: &[std::path::PathBuf]| -> Done<Vec<Side>> {
        paths.iter().map(|path| handed.everything(path)).collect()
    };
    let suites = several(&args.suites)?;
    let partners = several(&args.partners)?;
    let lineage = several(&args.lineage)?;
    let change = handed.everything(args.change.as_ref())?;
    let base = handed.everything(base)?;
    let mut kind = Change::new(heads(handed, &change)).kind;
    let mut declared = None;
    if let Some(path) = &args.declared {
        let words: Result<Declaration, _> = serde_json::from_slice(&read(path)?);
        let beside = path.parent().unwrap_or(Path::new(""));
        // What has not the form of a declaration is refused where the rest of it is read.
        let names = match words {
            Ok(Declaration::Merged { parents, .. }) => {
                kind = Kind::Merged;
                parents
            }
            Ok(Declaration::Combined { base, parents, .. }) => {
                kind = Kind::Merged;
                std::iter::once(base).chain(parents).collect()
            }
            Ok(Declaration::Quantised { .. }) | Err(_) => Vec::new(),
        };
        let parents = names.into_iter().take(64).map(|name| {
            let side = handed.everything(&beside.join(&name))?;
            Ok((name, side))
        });
        let parents = parents.collect::<Done<Vec<_>>>()?;
        declared = Some((handed.file(path)?, parents));
    }
    if let Some(name) = &args.kind {
        let unknown = || {
            let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
            Failure::usage(format!("`{name}` is not one of {}", names.join(", ")))
        };
        kind = Kind::named(name).ok_or_else(unknown)?;
    }
    let scope = args.scope.as_deref().map(|path| handed.file(path)).transpose()?;
    let depth = args.depth.as_deref().map(|path| handed.file(path)).transpose()?;
    Ok(Task { change, base, kind, scope, declared, partners, lineage, suites, depth, only: None })
}

pub(super) fn read(path: &Path) -> Done<Vec<u8>> {
    crate::home::read_bounded(path, SETTINGS_BYTES_MAX)
}

/// The files of a side, by their names within it.
pub(super) fn files(side: &Side, contents: &Contents) -> Done<Files> {
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for entry in &side.entries {
        let name = entry.path.clone();
        match &entry.held {
            Held::Input(number) => entries.push((name, contents.number(*number)?.clone())),
            Held::Link(target) => unreadable.push((name, format!("a link to `{target}`, not followed"))),
            Held::Special(what) => unreadable.push((name, what.clone())),
            Held::Unreadable(why) => unreadable.push((name, why.clone())),
        }
    }
    let mut files = Files::new(entries);
    files.unreadable = unreadable;
    Ok(files)
}

/// The files' names with their first bytes, by which the kind of a change is told: no structure is looked into.
fn heads(handed: &Handed, side: &Side) -> Files {
    use std::os::unix::fs::FileExt as _;
    const HEAD_BYTES: usize = 4;
    const TEXT_BYTES: usize = (1 << 20) + 1;
    let entries = side.entries.iter().filter_map(|entry| {
        let Held::Input(number) = entry.held else { return None };
        let input = handed.inputs().get(usize::try_from(number).ok()?)?;
        let is_text = matches!(entry.path.rsplit_once('.'), Some((_, "md" | "txt")));
        let most = if is_text && side.entries.len() == 1 { TEXT_BYTES } else { HEAD_BYTES };
        let length = input.file.metadata().map_or(0, |file| file.len());
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(most).min(most)];
        // A file that cannot be read has no head; what is wrong with it is told where it is read.
        if input.file.read_exact_at(&mut bytes, 0).is_err() {
            bytes.clear();
        }
        Some((entry.path.clone(), Bytes::from(bytes)))
    });
    Files::new(entries.collect::<Vec<_>>())
}

/// Parts of the whole that the bar shows.
const PARTS: u64 = 1_000;

pub(in super::super) fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(PARTS), target);
    // A template that cannot be read leaves the library's own.
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {percent} %, about {eta} left") {
        bar.set_style(style);
    }
    bar
}

pub(in super::super) fn tell(bar: &ProgressBar, stage: Option<Stage>, done: f64) {
    bar.set_message(stage.map_or("", Stage::name));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a thousand")]
    bar.set_position((done * 1_000.0) as u64);
}
