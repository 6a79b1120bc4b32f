//! `countersign examine PATH --base B`: a change that lies in files, held against its base. Nothing is signed.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use examine::depth::Table;
use examine::report::{Heading, Isolation, html, text};
use examine::suite::Suite;
use examine::verdict::{self, Outcome};
use examine::{Change, Declared, Files, Kind, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::tree::{self, Held};
use crate::busy::while_busy;
use crate::cli::ExamineArgs;
use crate::command::{Output, Setting};
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};
use crate::text::print;

/// Largest settings file that is read.
const SETTINGS_BYTES_MAX: usize = 64 << 20;

/// Examines, prints, and answers 0 (pass), 1 (fail) or 2 (inconclusive).
pub(crate) fn examine(setting: &Setting, args: &ExamineArgs, base: &Path) -> Done<ExitCode> {
    if !args.unboxed {
        return Err(Failure::new(
            "CS-CLI-040",
            "models are run inside this program, not in a worker's box, when a path is examined",
            "give --unboxed if you trust the files that far; the report says so",
        ));
    }
    let begun = Instant::now();
    let table = match &args.depth {
        Some(path) => Table::read(&read(path)?)?,
        None => Table::built_in()?,
    };
    let calibration =
        args.calibration.as_deref().map(|path| verdict::Table::read(&read(path)?).map_err(Failure::from));
    let calibration = match calibration {
        Some(read) => Some(read?),
        None => verdict::Table::built_in()?,
    };
    let suites = args
        .suites
        .iter()
        .map(|path| Ok(Suite::read(&path.to_string_lossy(), &files(path)?)?))
        .collect::<Done<Vec<_>>>()?;
    let path = PathBuf::from(&args.change);
    let (change, base_files) =
        while_busy("reading what is examined", || Ok((change(args, &path)?, files(base)?)))?;
    let bar = bar();
    let mut heard = |progress: Progress| tell(&bar, progress);
    let examination = examine::run(&change, &base_files, &suites, &table, &mut heard)?;
    bar.finish_and_clear();
    let judgement = verdict::judge(&examination, calibration.as_ref(), table.alpha);
    let heading = Heading {
        change: args.change.clone(),
        base: base.to_string_lossy().into_owned(),
        isolation: Isolation::Unboxed,
        seconds: begun.elapsed().as_secs_f64(),
    };
    if let Some(path) = &args.html {
        let page = html::page(&heading, &examination, &judgement);
        OutFile::put(path, Readers::Everybody, page.as_bytes())?;
    }
    match setting.output {
        Output::Json => {
            let value = json!({ "judgement": judgement, "examination": examination, "isolation": "unboxed" });
            print(&format!("{value}\n"));
        }
        Output::Text => print(&text::page(&heading, &examination, &judgement)),
    }
    Ok(match judgement.outcome {
        Outcome::Pass => ExitCode::SUCCESS,
        Outcome::Fail => ExitCode::from(1),
        Outcome::Inconclusive => ExitCode::from(2),
    })
}

fn change(args: &ExamineArgs, path: &Path) -> Done<Change> {
    let mut change = Change::new(files(path)?);
    if let Some(name) = &args.kind {
        let unknown = || {
            let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
            Failure::usage(format!("`{name}` is not one of {}", names.join(", ")))
        };
        change.kind = Kind::named(name).ok_or_else(unknown)?;
    }
    change.scope = args.scope.as_deref().map(read).transpose()?.map(Bytes::from);
    if let Some(file) = &args.declared {
        let beside = file.parent().unwrap_or(Path::new(""));
        change.declared = Some(Declared::read(&read(file)?, |parent| files(&beside.join(parent)))?);
        if args.kind.is_none()
            && matches!(change.declared, Some(Declared::Merged { .. } | Declared::Combined { .. }))
        {
            change.kind = Kind::Merged;
        }
    }
    change.partners = args.partners.iter().map(|path| files(path)).collect::<Done<_>>()?;
    change.lineage = args.lineage.iter().map(|path| files(path)).collect::<Done<_>>()?;
    Ok(change)
}

pub(super) fn read(path: &Path) -> Done<Vec<u8>> {
    crate::home::read_bounded(path, SETTINGS_BYTES_MAX)
}

/// The files at a path, by their names within it. Links are not followed.
pub(super) fn files(path: &Path) -> Done<Files> {
    let found = tree::list(&[path.to_owned()])?.into_iter().map(|listed| tree::hold(&listed));
    let root = path.to_string_lossy();
    let root = root.strip_prefix("./").unwrap_or(&root).trim_end_matches('/').to_owned();
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for one in found {
        let within = one.path.strip_prefix(&root).map(|rest| rest.trim_start_matches('/').to_owned());
        let name = within
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| one.path.rsplit('/').next().unwrap_or_default().to_owned());
        match one.held {
            Held::Read(bytes) => entries.push((name, Bytes::from(bytes))),
            Held::Mapped(map) => entries.push((name, Bytes::from_owner(map))),
            Held::Link(target) => unreadable.push((name, format!("a link to `{target}`, not followed"))),
            Held::Special(what) => unreadable.push((name, what.to_owned())),
            Held::Unreadable(why) => unreadable.push((name, why)),
        }
    }
    let mut files = Files::new(entries);
    files.unreadable = unreadable;
    Ok(files)
}

/// Parts of the whole that the bar shows.
const PARTS: u64 = 1_000;

fn bar() -> ProgressBar {
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

fn tell(bar: &ProgressBar, progress: Progress) {
    bar.set_message(format!("{}: {}", progress.stage.name(), progress.examiner));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a thousand")]
    bar.set_position((progress.done * 1_000.0) as u64);
}
