//! `countersign range`: changes made to order, measured, with a manifest.
//!
//! Each process computes in one thread: sums are then taken in one order, and several processes use the cores better
//! than one process with several threads on models this small.

pub(crate) mod case;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;

use indicatif::ProgressBar;
use range::bases::BaseName;
use range::family::{Family, Intent};
use range::sample::{self, Manifest, Order, Sample};
use serde_json::{Value, json};

use super::Setting;
use crate::busy;
use crate::cli::{RangeCommand, RangeGenerateArgs, RangeStage};
use crate::failure::{Done, Failure};
use crate::text::{line, print};

/// Runs the command.
pub(crate) fn run(setting: &Setting, command: &RangeCommand) -> Done<ExitCode> {
    match command {
        RangeCommand::Families => families(setting),
        RangeCommand::Generate(args) => generate(setting, args)?,
        RangeCommand::Case(args) => return case::run(setting, args),
    }
    Ok(ExitCode::SUCCESS)
}

fn families(setting: &Setting) {
    let mut text = String::new();
    let mut values = Vec::new();
    for family in Family::ALL {
        let intent = match family.intent() {
            Intent::Attack => "attack",
            Intent::Benign => "benign",
        };
        line(&mut text, &format!("{:<22}{intent:<8}{}", family.name(), family.described().trim()));
        values.push(json!({
            "family": family.name(), "intent": intent, "described": family.described().trim(),
        }));
    }
    setting.print(&json!({ "families": values }), &text);
}

fn generate(setting: &Setting, args: &RangeGenerateArgs) -> Done {
    let order = Order {
        family: args.family.parse()?,
        count: args.count,
        seed: args.seed,
        bases: args.base.iter().map(|name| name.parse()).collect::<Result<Vec<BaseName>, _>>()?,
        out: args.out.clone(),
    };
    if let (Some(stage), Some(share)) = (args.stage, &args.share) {
        return part(&order, stage, Share::parse(share)?);
    }
    let jobs = match args.jobs {
        Some(0) => return Err(Failure::usage("`--jobs` is at least 1")),
        Some(jobs) => jobs,
        None => thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    std::fs::create_dir_all(&order.out).map_err(|error| Failure::file(&order.out, &error))?;
    let missing = order.missing();
    let kept = order.count.saturating_sub(missing.len() as u64);
    let mut failed = Vec::new();
    if !missing.is_empty() {
        let bases = order.bases.len();
        processes(args, RangeStage::Bases, jobs.min(bases), bases, "training bases")?;
        let jobs = jobs.min(missing.len());
        failed = processes(args, RangeStage::Samples, jobs, missing.len(), "making changes")?;
    }
    let manifest = Manifest::collect(&order.out)?;
    let path = manifest.write(&order.out)?;
    tell(setting, &order, &manifest, kept, &failed, &path);
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(range::Error::Unmade { count: failed.len(), first: first.clone() }.into()),
    }
}

/// Every `of`-th, beginning with the `first`-th.
#[derive(Clone, Copy)]
struct Share {
    first: usize,
    of: usize,
}

impl Share {
    fn parse(text: &str) -> Done<Self> {
        let parsed = text.split_once('/').and_then(|(first, of)| {
            let share = Self { first: first.parse().ok()?, of: of.parse().ok()? };
            (share.of > 0).then_some(share)
        });
        parsed.ok_or_else(|| Failure::usage("`--share` is K/N"))
    }

    fn of<T: Clone>(self, all: &[T]) -> Vec<T> {
        all.iter().skip(self.first).step_by(self.of).cloned().collect()
    }
}

/// What one process does: one line of JSON for each thing done.
fn part(order: &Order, stage: RangeStage, share: Share) -> Done {
    match stage {
        RangeStage::Bases => {
            for name in share.of(&order.bases) {
                sample::base(&order.out, name)?;
                print(&format!("{}\n", json!({ "base": name })));
            }
        }
        RangeStage::Samples => {
            let mut bases = std::collections::BTreeMap::new();
            for index in share.of(&(0..order.count).collect::<Vec<_>>()) {
                if order.kept(index).is_some() {
                    continue;
                }
                let name = order.base(index);
                if let std::collections::btree_map::Entry::Vacant(place) = bases.entry(name) {
                    place.insert(sample::base(&order.out, name)?);
                }
                let Some(base) = bases.get(&name) else { continue };
                let done = match order.make(base, index, &cpu_ms) {
                    Ok(sample) => json!({ "index": index, "stratum": sample.stratum }),
                    // A training that diverges is one sample's misfortune.
                    Err(error) => json!({ "index": index, "failed": Failure::from(error) }),
                };
                print(&format!("{done}\n"));
            }
        }
    }
    Ok(())
}

/// Processor time of this process: of the kernel's counters, which count hundredths of a second.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Fields 14 and 15 of the line are the 12th and 13th after the name.
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() * 10
}

/// Runs a stage in processes of this program. Answers what failed, in words.
fn processes(
    args: &RangeGenerateArgs,
    stage: RangeStage,
    jobs: usize,
    expected: usize,
    what: &str,
) -> Done<Vec<String>> {
    let program =
        std::env::current_exe().map_err(|error| Failure::file(Path::new("/proc/self/exe"), &error))?;
    let bar = busy::bar(what, expected as u64);
    let (sender, receiver) = mpsc::channel();
    let mut children = Vec::new();
    for first in 0..jobs {
        let mut child = start(&program, args, stage, &format!("{first}/{jobs}"))?;
        let Some(out) = child.stdout.take() else { continue };
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        children.push(child);
    }
    drop(sender);
    let failed = listen(&receiver, &bar);
    bar.finish_and_clear();
    for mut child in children {
        let status = child.wait().map_err(|error| Failure::file(&program, &error))?;
        if !status.success() {
            return Err(range::Error::Process { status: status.to_string() }.into());
        }
    }
    Ok(failed)
}

fn listen(receiver: &mpsc::Receiver<String>, bar: &ProgressBar) -> Vec<String> {
    let mut failed = Vec::new();
    for line in receiver {
        bar.inc(1);
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(failure) = told.get("failed") {
            let message = failure.get("message").and_then(Value::as_str).unwrap_or_default();
            let index = told.get("index").and_then(Value::as_u64).unwrap_or_default();
            failed.push(format!("sample {index}: {message}"));
        }
    }
    failed
}

fn start(program: &Path, args: &RangeGenerateArgs, stage: RangeStage, share: &str) -> Done<Child> {
    let mut command = Command::new(program);
    command.args(["range", "generate", "--family", &args.family]);
    command.args(["--count", &args.count.to_string(), "--seed", &args.seed.to_string()]);
    command.arg("--out").arg(&args.out);
    for base in &args.base {
        command.args(["--base", base]);
    }
    let stage = match stage {
        RangeStage::Bases => "bases",
        RangeStage::Samples => "samples",
    };
    command.args(["--stage", stage, "--share", share]).env("RAYON_NUM_THREADS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().map_err(|error| Failure::file(program, &error))
}

fn tell(setting: &Setting, order: &Order, manifest: &Manifest, kept: u64, failed: &[String], path: &Path) {
    let samples: Vec<&Sample> = manifest.samples.values().filter(|s| s.family == order.family).collect();
    let counts = manifest.counts.get(&order.family).cloned().unwrap_or_default();
    let cpu_ms = samples.iter().map(|sample| sample.cpu_ms).sum::<u64>() / (samples.len() as u64).max(1);
    let mut text = String::new();
    let strata: Vec<String> =
        counts.iter().map(|(stratum, count)| format!("{count} {}", stratum.name())).collect();
    line(&mut text, &format!("{}: {} samples: {}", order.family.name(), samples.len(), strata.join(", ")));
    line(&mut text, &format!("kept from before: {kept}; processor time of a sample: {cpu_ms} ms on average"));
    for why in failed {
        line(&mut text, &format!("not made: {why}"));
    }
    line(&mut text, &format!("manifest: {}", path.display()));
    let value = json!({
        "family": order.family, "samples": samples.len(), "strata": counts, "kept": kept, "failed": failed,
        "cpu_ms_mean": cpu_ms, "manifest": path,
    });
    setting.print(&value, &text);
}
