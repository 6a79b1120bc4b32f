//! `countersign range case`: the attacks of three published case studies, each with its honest counterpart, made, run,
//! examined and shown side by side.
//!
//! Both sides are made by the range and measured; only what measurably is what it is called is shown. The examiners are
//! those of `countersign examine`, and see nothing but files. What this module does not do: know what they will say. An
//! attack that they miss is shown as missed.

mod make;
mod page;

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use examine::depth::Table;
use examine::report::{Heading, Isolation, html};
use examine::verdict::{self, Judgement, Outcome, judge};
use examine::{Finding, Weight};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use range::bases::BaseName;
use range::sample;
use serde_json::{Value, json};

use crate::cli::{RangeCase, RangeCaseArgs, RangePart};
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::outfile::{OutFile, Readers};
use crate::text::line;
use make::{Examined, Role, Side, Told};

/// Largest file that a side's process leaves.
const TOLD_BYTES_MAX: usize = 64 << 20;

/// Runs one case, or one process of it.
pub(crate) fn run(setting: &Setting, args: &RangeCaseArgs) -> Done<ExitCode> {
    if let (Some(part), Some(out)) = (args.part, &args.out) {
        match part {
            RangePart::Base => drop(sample::base(out, args.base.parse()?)?),
            RangePart::Attacked => make::side(args, out, Side::Attacked)?,
            RangePart::Honest => make::side(args, out, Side::Honest)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scratch = tempfile::tempdir().map_err(|error| Failure::file(Path::new("/tmp"), &error))?;
    let out = args.out.clone().unwrap_or_else(|| scratch.path().to_owned());
    let shown = perform(args, &out)?;
    let mut text = shown.text.clone();
    if args.out.is_some() {
        line(&mut text, &format!("Models and reports are in {}.", out.join(case_name(args.case)).display()));
    }
    setting.print(&shown.value, &text);
    Ok(if shown.is_as_it_should_be() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What became of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    /// Refused, or held for a person by what was found.
    Stopped,
    /// Nothing speaks against it.
    Passed,
    /// Neither was shown.
    Undecided,
}

impl Became {
    const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Passed => "passed",
            Self::Undecided => "undecided",
        }
    }
}

/// A case that was run.
pub(crate) struct Shown {
    pub(crate) value: Value,
    pub(crate) text: String,
    pub(crate) attacked: Became,
    pub(crate) honest: Became,
}

impl Shown {
    /// The attack was caught and the honest change passed.
    pub(crate) fn is_as_it_should_be(&self) -> bool {
        self.attacked == Became::Stopped && self.honest == Became::Passed
    }
}

/// An examination with what follows from it.
struct Judged {
    examined: Examined,
    judgement: Judgement,
    became: Became,
}

struct Sided {
    told: Told,
    judged: Vec<Judged>,
}

impl Sided {
    /// What the case hangs on.
    fn became(&self) -> Became {
        let decides = self.judged.iter().rev().find(|judged| judged.examined.role == Role::Decides);
        decides.map_or(Became::Undecided, |judged| judged.became)
    }
}

/// Makes both sides in a folder, examines them, and says what came of it.
pub(crate) fn perform(args: &RangeCaseArgs, out: &Path) -> Done<Shown> {
    let name: BaseName = args.base.parse()?;
    let calibration = match &args.calibration {
        Some(path) => Some(verdict::Table::read(&read_bounded(path, TOLD_BYTES_MAX)?)?),
        None => None,
    };
    let alpha = Table::built_in()?.alpha;
    std::fs::create_dir_all(out).map_err(|error| Failure::file(out, &error))?;
    let bars = MultiProgress::new();
    if !std::io::stderr().is_terminal() {
        bars.set_draw_target(ProgressDrawTarget::hidden());
    }
    if name != BaseName::Tiny {
        let base = Process::start(args, out, RangePart::Base, "training the base, once", &bars)?;
        base.end()?;
    }
    let attacked = Process::start(args, out, RangePart::Attacked, "attacked", &bars)?;
    let honest = Process::start(args, out, RangePart::Honest, "honest", &bars)?;
    // Both end before either is judged, so that no process is left behind.
    let (first, second) = (attacked.end(), honest.end());
    first.and(second)?;
    let side = |side: Side| -> Done<Sided> {
        let path = out.join(case_name(args.case)).join(side.name()).join(make::TOLD);
        let told: Told = serde_json::from_slice(&read_bounded(&path, TOLD_BYTES_MAX)?)
            .map_err(|error| Failure::not_a("record of a case", &path, error))?;
        let judged = told.examined.iter().cloned().map(|examined| {
            let judgement = judge(&examined.examination, calibration.as_ref(), alpha);
            let is_calibrated =
                calibration.as_ref().is_some_and(|table| table.strata.contains_key(&judgement.stratum));
            let became = became(&judgement, &examined.examination.findings, is_calibrated);
            Judged { examined, judgement, became }
        });
        Ok(Sided { judged: judged.collect(), told })
    };
    let (attacked, honest) = (side(Side::Attacked)?, side(Side::Honest)?);
    for sided in [&attacked, &honest] {
        reports(&out.join(case_name(args.case)), sided)?;
    }
    let value = json!({
        "case": case_name(args.case), "base": name, "seed": args.seed,
        "attacked": told(&attacked), "honest": told(&honest),
        "caught": attacked.became() == Became::Stopped, "honest_passed": honest.became() == Became::Passed,
        "simulated": true,
    });
    OutFile::put(
        &out.join(case_name(args.case)).join("case.json"),
        Readers::Everybody,
        format!("{value}\n").as_bytes(),
    )?;
    let text = page::page(args.case, name, &attacked, &honest);
    Ok(Shown { value, text, attacked: attacked.became(), honest: honest.became() })
}

/// What follows from an examination. A suspicion is for a person to look at, so that the change does not go on by itself.
/// Where no calibration for the kind of change is there, nothing else than that may be open.
fn became(judgement: &Judgement, findings: &[Finding], is_calibrated: bool) -> Became {
    let spoken = findings.iter().any(|finding| finding.weight >= Weight::Suspicion);
    match judgement.outcome {
        Outcome::Fail => Became::Stopped,
        _ if spoken => Became::Stopped,
        Outcome::Pass => Became::Passed,
        Outcome::Inconclusive if !is_calibrated && judgement.reasons.len() == 1 => Became::Passed,
        Outcome::Inconclusive => Became::Undecided,
    }
}

/// A page for a browser of every examination.
fn reports(out: &Path, sided: &Sided) -> Done {
    for (at, judged) in sided.judged.iter().enumerate() {
        let heading = Heading {
            change: format!("{} ({})", judged.examined.what, sided.told.side.name()),
            base: judged.examined.against.clone(),
            isolation: Isolation::Unboxed,
            seconds: judged.examined.seconds,
        };
        let page = html::page(&heading, &judged.examined.examination, &judged.judgement);
        let path = out.join(sided.told.side.name()).join(format!("report-{}.html", at + 1));
        OutFile::put(&path, Readers::Everybody, page.as_bytes())?;
    }
    Ok(())
}

fn told(sided: &Sided) -> Value {
    let rows: Vec<Value> = sided.told.rows.iter().map(|row| json!(row)).collect();
    let examined: Vec<Value> = sided
        .judged
        .iter()
        .map(|judged| {
            json!({
                "what": judged.examined.what, "against": judged.examined.against, "role": judged.examined.role,
                "became": judged.became.name(), "judgement": judged.judgement,
                "findings": judged.examined.examination.findings, "scores": judged.examined.examination.scores,
                "examiners": judged.examined.examination.examiners, "seconds": judged.examined.seconds,
            })
        })
        .collect();
    json!({
        "made": sided.told.made, "drawn": sided.told.drawn, "door": sided.told.door, "rows": rows,
        "examined": examined, "became": sided.became().name(),
    })
}

/// A process of this program that makes one side, and the bar that shows how far it is.
struct Process {
    child: std::process::Child,
    program: PathBuf,
    listener: Option<thread::JoinHandle<()>>,
}

impl Process {
    fn start(
        args: &RangeCaseArgs,
        out: &Path,
        part: RangePart,
        what: &str,
        bars: &MultiProgress,
    ) -> Done<Self> {
        let program =
            std::env::current_exe().map_err(|error| Failure::file(Path::new("/proc/self/exe"), &error))?;
        let bar = bars.add(bar(what));
        let mut command = Command::new(&program);
        command.args(["range", "case", case_name(args.case), "--base", &args.base]);
        command.args(["--seed", &args.seed.to_string(), "--part", part_name(part)]).arg("--out").arg(out);
        // One thread each: sums are taken in one order, and the two sides share the cores.
        command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Failure::file(&program, &error))?;
        let listener = child.stdout.take().map(|stdout| {
            let what = what.to_owned();
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    show(&bar, &what, &line);
                }
                bar.finish_and_clear();
            })
        });
        Ok(Self { child, program, listener })
    }

    fn end(mut self) -> Done {
        if let Some(listener) = self.listener.take() {
            // A listener that panicked has shown nothing; what the process leaves is read all the same.
            drop(listener.join());
        }
        let status = self.child.wait().map_err(|error| Failure::file(&self.program, &error))?;
        if status.success() {
            Ok(())
        } else {
            Err(range::Error::Process { status: status.to_string() }.into())
        }
    }
}

/// Parts of the whole that a bar shows.
const PARTS: u64 = 1_000;

fn bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(PARTS).with_message(what.to_owned());
    // A template that cannot be read leaves the library's own.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg:60} {bar:24} {percent} %, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}

fn show(bar: &ProgressBar, what: &str, line: &str) {
    let told: Value = serde_json::from_str(line).unwrap_or_default();
    let step = told.get("step").and_then(Value::as_str).unwrap_or_default();
    let done = told.get("done").and_then(Value::as_f64).unwrap_or_default();
    bar.set_message(format!("{what}: {step}"));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a thousand")]
    bar.set_position((done * 1_000.0) as u64);
}

/// The case's name, and that of its folder.
pub(super) const fn case_name(case: RangeCase) -> &'static str {
    match case {
        RangeCase::Badmerging => "badmerging",
        RangeCase::Quantisation => "quantisation",
        RangeCase::Distillation => "distillation",
        RangeCase::Adapter => "adapter",
    }
}

const fn part_name(part: RangePart) -> &'static str {
    match part {
        RangePart::Base => "base",
        RangePart::Attacked => "attacked",
        RangePart::Honest => "honest",
    }
}
