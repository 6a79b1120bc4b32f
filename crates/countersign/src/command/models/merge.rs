//! `countersign merge`: models become one, each parent observed first, with a test after every step.
//!
//! Written are the merged model, `merge.json`, the declaration by which `countersign examine --declared` makes the merge
//! again and compares it byte for byte, and `merge-report.json`. Nothing is written when a step fails.

use std::io::IsTerminal as _;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use examine::depth::Table;
use examine::merge::{Bias, Declares, Merger, Merging, Method, Parent, Plan, Protection, Recipe};
use examine::suite::Suite;
use examine::{Declaration, verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tensor::scope::Pattern;

use super::examine::{files, read};
use super::work::{self, Allowance, Answer, Contents, Handed, Mouth, Side};
use super::{told_with, with_place};
use crate::cli::{Isolation, MergeArgs};
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};
use crate::text::line;

/// The declaration's name in the merge's folder.
const DECLARATION: &str = "merge.json";
const REPORT: &str = "merge-report.json";

/// Models are held in single precision, several at a time, and the whole merge is one of the answers.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 24, time: Duration::from_hours(12), answer_for_each: 2 };

/// What is merged, and how.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    base: Side,
    parents: Vec<Side>,
    suites: Vec<Side>,
    plan: Plan,
    /// The number of the table of depths; the built-in one where there is none.
    depth: Option<u32>,
    /// The number of the table of calibrations, where there is one.
    calibration: Option<u32>,
}

/// Merges, prints what happened, and answers 0 (merged) or 1 (halted).
pub(crate) fn merge(setting: &Setting, args: &MergeArgs) -> Done<ExitCode> {
    if args.out.exists() {
        return Err(Failure::new(
            "CS-CLI-072",
            format!("`{}` is there already", args.out.display()),
            "name a folder that is not there yet; a merge is written over nothing",
        ));
    }
    let isolation = if args.unboxed { Isolation::None } else { args.isolation };
    // Looked at here too: it holds the limit by which the worker's words are checked.
    let table = match &args.depth {
        Some(path) => Table::read(&read(path)?)?,
        None => Table::built_in()?,
    };
    let mut handed = Handed::default();
    let task = task(&mut handed, args)?;
    let base = task.base.clone();
    let (plan, names) = (task.plan.clone(), names(&task));
    let bar = bar();
    let mut weights = Vec::new();
    let mut heard = |heard: work::Heard<'_>| -> Done {
        match heard {
            work::Heard::Data(bytes) => weights.extend_from_slice(bytes),
            work::Heard::Step(step) => {
                bar.set_message(step.name.clone());
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of a hundred"
                )]
                bar.set_position((step.done * 100.0) as u64);
            }
            work::Heard::Progress(_) => {}
        }
        Ok(())
    };
    let performed = work::perform(isolation, &handed, work::Task::Merge(task), ALLOWANCE, &mut heard);
    bar.finish_and_clear();
    let (answer, read_in) = performed?;
    let Answer::Merged(mut merging) = answer else { return Err(work::another()) };
    merging.weights = (!weights.is_empty()).then_some(weights);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    merging.check(&plan, &names, table.drift_max).map_err(|why| work::lie(&why))?;
    let value = told_with(told(args, &merging, isolation)?, &read_in);
    write(args, &handed, &base, &merging, &value)?;
    setting.print(&value, &with_place(page(args, &merging), &read_in));
    Ok(if merging.halted.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Opens everything that is named.
fn task(handed: &mut Handed, args: &MergeArgs) -> Done<Task> {
    let plan = plan(args)?;
    let mut several =
        |paths: &[PathBuf]| -> Done<Vec<Side>> { paths.iter().map(|path| handed.everything(path)).collect() };
    let suites = several(&args.suites)?;
    let parents = several(&args.parents)?;
    let base = handed.everything(&args.base)?;
    let depth = args.depth.as_deref().map(|path| handed.file(path)).transpose()?;
    let calibration = args.calibration.as_deref().map(|path| handed.file(path)).transpose()?;
    Ok(Task { base, parents, suites, plan, depth, calibration })
}

/// The parents' names, as steps are called after them.
fn names(task: &Task) -> Vec<String> {
    task.parents.iter().map(|side| side.path.clone()).collect()
}

/// Merges, wherever that is done.
pub(super) fn merged(task: &Task, contents: &Contents, mouth: &Mouth<'_>) -> Done<Merging> {
    let table = match task.depth {
        Some(number) => Table::read(contents.number(number)?)?,
        None => Table::built_in()?,
    };
    let calibration = task
        .calibration
        .map(|number| Done::Ok(verdict::Table::read(contents.number(number)?)?))
        .transpose()?;
    let suites = task.suites.iter().map(|side| Ok(Suite::read(&side.path, &files(side, contents)?)?));
    let suites = suites.collect::<Done<Vec<_>>>()?;
    let base = files(&task.base, contents)?;
    let parents = task
        .parents
        .iter()
        .map(|side| Ok(Parent { name: side.path.clone(), files: files(side, contents)? }))
        .collect::<Done<Vec<_>>>()?;
    let merger = Merger {
        base: &base,
        parents: &parents,
        suites: &suites,
        table: &table,
        calibration: calibration.as_ref(),
    };
    let mut merging = merger.merge(&task.plan, &mut |heard| mouth.step(heard.step, heard.done))?;
    if let Some(weights) = merging.weights.take() {
        mouth.data(&weights);
    }
    Ok(merging)
}

/// Writes a merge that is whole: what stands beside the weights is copied from the base, byte for byte.
fn write(args: &MergeArgs, handed: &Handed, base: &Side, merging: &Merging, value: &Value) -> Done {
    let Some(weights) = &merging.weights else { return Ok(()) };
    std::fs::create_dir(&args.out).map_err(|error| Failure::file(&args.out, &error))?;
    let put = |name: &str, bytes: &[u8]| OutFile::put(&args.out.join(name), Readers::Everybody, bytes);
    let contents = handed.contents()?;
    for name in base.names().filter(|name| is_beside_weights(name)) {
        put(name, base.bytes(&contents, name)?)?;
    }
    put("model.safetensors", weights)?;
    put(DECLARATION, document(&json!(declaration(args, merging)?)).as_bytes())?;
    put(REPORT, document(value).as_bytes())
}

/// Files of a base that other weights of it need beside them.
pub(crate) fn is_beside_weights(name: &str) -> bool {
    const BESIDE: [&str; 7] = [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "added_tokens.json",
    ];
    BESIDE.contains(&name)
}

fn plan(args: &MergeArgs) -> Done<Plan> {
    let method = Method::named(&args.method).ok_or_else(|| {
        Failure::usage(format!("`{}` is not one of weighted, ties, dare, slerp", args.method))
    })?;
    let count = args.parents.len();
    let coefficients = if args.coefficients.is_empty() {
        #[expect(clippy::cast_precision_loss, reason = "parents are few")]
        let part = 1.0 / count as f32;
        vec![part; count]
    } else {
        args.coefficients.clone()
    };
    let only = args
        .only
        .iter()
        .map(|pattern| pattern.parse::<Pattern>().map_err(Failure::from))
        .collect::<Done<Vec<_>>>()?;
    let recipe =
        Recipe { method, coefficients, density: args.density, seed: args.seed, only, protected: None };
    Ok(Plan {
        recipe,
        shares: args.shares.clone(),
        bias: if args.align { Bias::Alignment } else { Bias::None },
        protection: if args.protect { Protection::Direction } else { Protection::None },
    })
}

/// What `countersign examine --declared` reads: paths are relative to the merge's folder.
fn declaration(args: &MergeArgs, merging: &Merging) -> Done<Declaration> {
    let from = absolute(&args.out)?;
    let path = |to: &Path| -> Done<String> { Ok(relative(&from, &absolute(to)?)) };
    let base = path(&args.base)?;
    let parents = args.parents.iter().map(|parent| path(parent)).collect::<Done<Vec<_>>>()?;
    Ok(match merging.declares {
        Declares::Merged => Declaration::Merged {
            parents: [base].into_iter().chain(parents).collect(),
            coefficients: merging.recipe.with_base(),
        },
        Declares::Combined => Declaration::Combined { base, parents, recipe: merging.recipe.clone() },
    })
}

fn absolute(path: &Path) -> Done<PathBuf> {
    std::fs::canonicalize(path).map_err(|error| Failure::file(path, &error))
}

/// The way from one folder to another.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let down = to.iter().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

fn told(args: &MergeArgs, merging: &Merging, isolation: Isolation) -> Done<Value> {
    let observed: Vec<Value> = args
        .parents
        .iter()
        .zip(&merging.observed)
        .map(|(path, examination)| {
            json!({ "parent": path, "findings": examination.findings, "scores": examination.scores, "gaps": examination.gaps })
        })
        .collect();
    let recipe = serde_json::to_value(&merging.recipe)
        .map_err(|error| Failure::outside(error, "give finite numbers"))?;
    Ok(json!({
        "merged": merging.halted.is_none(), "halted": merging.halted, "steps": merging.steps, "recipe": recipe,
        "emergent": merging.emergent, "observed": observed,
        "isolation": if isolation == Isolation::None { "unboxed" } else { "boxed" },
    }))
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

fn page(args: &MergeArgs, merging: &Merging) -> String {
    let mut text = String::new();
    line(&mut text, &format!("{:<44}{:>16}{:>16}", "step", "refusals lost", "as expected"));
    for step in &merging.steps {
        let (lost, right) = if step.asked == 0 {
            ("not asked".to_owned(), "not asked".to_owned())
        } else {
            (format!("{} of {}", step.lost, step.at_risk), format!("{} of {}", step.right, step.asked))
        };
        line(&mut text, &format!("{:<44}{lost:>16}{right:>16}", step.step));
        for found in &step.found {
            line(&mut text, &format!("  {found}"));
        }
    }
    if let Some(halt) = &merging.halted {
        line(&mut text, &format!("HALTED at `{}`: {}", halt.step, halt.why));
        line(&mut text, "Nothing was written.");
    } else {
        let out = args.out.display();
        let coefficients: Vec<String> = merging.recipe.coefficients.iter().map(ToString::to_string).collect();
        line(&mut text, &format!("MERGED into {out}; coefficients {}", coefficients.join(", ")));
        let again = format!(
            "Examine it: countersign examine {out} --base {} --declared {out}/{DECLARATION} --suite …",
            args.base.display()
        );
        line(&mut text, &again);
    }
    text
}

fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(100), target);
    // A template that cannot be read leaves the library's own.
    if let Ok(style) = ProgressStyle::with_template("{msg:40} {wide_bar} {percent} %") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_lead_from_the_merge_to_its_parents() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/merged", "/a/base"), "../base");
        assert_eq!(way("/a/b/merged", "/a/c/d"), "../../c/d");
        assert_eq!(way("/a", "/a/base"), "base");
    }
}
