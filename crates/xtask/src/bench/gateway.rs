//! What a request costs the gateway, beside nginx and haproxy.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::report::{Table, figure, whole};
use super::{Runs, Scratch, example};
use crate::process::is_there;
use crate::test::install_packages;

/// For how long.
const SECONDS: &str = "20";

/// What is asked for, at how many requests a second.
const SHAPES: [(&str, &str, &[&str]); 2] = [("JSON", "900", &[]), ("16 events", "300", &["--sse"])];

/// What is measured: what it is called, the proxy, further arguments, the Debian package.
const CONTENDERS: [(&str, &str, &[&str], Option<&str>); 5] = [
    ("nginx, unbuffered, nothing else on", "nginx", &[], Some("nginx-light")),
    ("haproxy, told not to gather, nothing else on", "haproxy", &[], Some("haproxy")),
    ("the gateway, everything on", "gateway", &[], None),
    ("the gateway, and a copy of every request", "gateway", &["--shadow"], None),
    ("no proxy", "none", &[], None),
];

pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let beside = example("gateway", "beside", &[])?;
    let counts = is_there("valgrind") || install_packages(&["valgrind"]).is_ok();
    let mut absent = Vec::new();
    if !counts {
        absent.push(("instructions".to_owned(), "the Debian package `valgrind` cannot be had".to_owned()));
    }
    let mut rows = Vec::new();
    for (shape, rate, asked) in SHAPES {
        let mut of_nginx = None;
        for (what, proxy, more, package) in CONTENDERS {
            let program = match package.map(|package| program(proxy, package)).transpose() {
                Ok(program) => program.unwrap_or_default(),
                Err(error) => {
                    let why = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
                    absent.push((format!("{what}, {shape}"), why));
                    continue;
                }
            };
            let arguments = |last: &[&str]| {
                let mut command = Command::new(&beside);
                command.arg(proxy).args(asked).args(more).args(last).arg("--program").arg(&program);
                command
            };
            let runs = Runs::of(&format!("{what}, {shape}"), || {
                Ok(arguments(&["--rate", rate, "--seconds", SECONDS]))
            })?;
            // Copies are sent beside the requests, so that instructions of the one are not those of the other.
            let counted = (counts && proxy != "none")
                .then(|| {
                    Runs::once(&format!("{what}, {shape}, counted"), &mut arguments(&["--instructions"]))
                })
                .transpose()?;
            let cost = runs.median("cpu_us_per_request").filter(|_| proxy != "none");
            if proxy == "nginx" {
                of_nginx = cost;
            }
            rows.push(row(&format!("{what}, {shape}"), &runs, cost, of_nginx, counted.as_ref()));
        }
    }
    Ok(Table {
        text: format!(
            "900 JSON requests a second, a kilobyte each way, and 300 streams a second of 16 events 5 ms apart, for {SECONDS} s, \
             from and to processes on the same machine. Processor time is that of the proxy's processes. What is added is the \
             gateway's own work on a request until its answer begins, from its histogram: the bound below which so many lie. \
             Latency is from when a request was due to its answer's end, with the engine and the load on the same cores: it says \
             little about the proxy by itself. The gateway checks keys, assigns users, counts a stage with half of them on the \
             candidate, measures, and follows its log; the others pass on. Every request is of another user. Instructions are \
             those outside the kernel, by callgrind. Median of {} runs.",
            super::RUNS
        ),
        head: vec![
            "",
            "processor µs/request",
            "× nginx",
            "instructions/request",
            "added p50 ms",
            "added p99 ms",
            "p50 ms",
            "p99 ms",
            "failed",
        ],
        rows,
        absent,
    })
}

fn row(
    what: &str,
    runs: &Runs,
    cost: Option<f64>,
    of_nginx: Option<f64>,
    counted: Option<&Runs>,
) -> Vec<String> {
    let ratio = cost.zip(of_nginx).map(|(cost, nginx)| cost / nginx);
    let ms = |member: &str| figure(runs.median(member).map(|us| us / 1000.0), 2);
    let or_none = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), whole);
    vec![
        what.to_owned(),
        or_none(cost),
        figure(ratio, 2),
        or_none(counted.and_then(|runs| runs.median("instructions_per_request"))),
        ms("added_p50_us"),
        ms("added_p99_us"),
        ms("p50_us"),
        ms("p99_us"),
        whole(runs.median("failed").unwrap_or_default()),
    ]
}

/// A proxy's program, from its Debian package where it is not there.
fn program(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = found(name) {
        return Ok(path);
    }
    install_packages(&[package])?;
    found(name)
        .with_context(|| format!("the Debian package `{package}` is installed, and `{name}` is not there"))
}

fn found(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}
