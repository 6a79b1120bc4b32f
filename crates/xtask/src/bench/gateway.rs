//! What a request costs the gateway, beside nginx and haproxy.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::report::{Table, figure, whole};
use super::{Runs, Scratch, example};
use crate::node::Package;
use crate::process::is_there;
use crate::python::Venv;
use crate::test::install_packages;

/// For how long.
const SECONDS: &str = "20";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Events,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// The measurement has it itself.
    Here,
    /// A Debian package.
    Debian(&'static str),
    Python(&'static [&'static str]),
    /// An npm package, its version, and the script in it.
    Node(&'static str, &'static str, &'static str),
}

/// What is measured.
struct Contender {
    what: &'static str,
    /// What the measurement calls it.
    proxy: &'static str,
    more: &'static [&'static str],
    from: From,
    /// Requests a second of each shape: as many as all are asked for, unless it takes fewer. None where it cannot do it.
    rates: [Option<&'static str>; 2],
}

const COLUMNS: usize = 9;
const HEAD: [&str; COLUMNS] = [
    "",
    "processor µs/request",
    "× nginx",
    "instructions/request",
    "added p50 ms",
    "added p99 ms",
    "p50 ms",
    "p99 ms",
    "failed",
];

/// What has monitors look on.
const WATCHED: &str = "--watched";
const ALL: [Option<&str>; 2] = [Some("900"), Some("300")];

const CONTENDERS: [Contender; 8] = [
    Contender {
        what: "nginx, unbuffered, nothing else on",
        proxy: "nginx",
        more: &[],
        from: From::Debian("nginx-light"),
        rates: ALL,
    },
    Contender {
        what: "haproxy, told not to gather, nothing else on",
        proxy: "haproxy",
        more: &[],
        from: From::Debian("haproxy"),
        rates: ALL,
    },
    Contender {
        what: "the gateway, everything on",
        proxy: "gateway",
        more: &[],
        from: From::Here,
        rates: ALL,
    },
    Contender {
        what: "the gateway, and a copy of every request",
        proxy: "gateway",
        more: &["--shadow"],
        from: From::Here,
        rates: ALL,
    },
    Contender {
        what: "the gateway, watched by five monitors",
        proxy: "gateway",
        more: &[WATCHED],
        from: From::Here,
        rates: ALL,
    },
    Contender {
        what: "Portkey 1.15.2, 300 a second",
        proxy: "portkey",
        more: &[],
        from: From::Node("@portkey-ai/gateway", "1.15.2", "build/start-server.js"),
        // Its streams fail.
        rates: [Some("300"), None],
    },
    Contender {
        what: "LiteLLM 1.106.2, one worker, 50 and 30 a second",
        proxy: "litellm",
        more: &[],
        from: From::Python(&["litellm[proxy]==1.106.2"]),
        rates: [Some("50"), Some("30")],
    },
    Contender { what: "no proxy", proxy: "none", more: &[], from: From::Here, rates: ALL },
];

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Events => "16 events",
        }
    }
}

impl Contender {
    fn is_watched(&self) -> bool {
        self.more.contains(&WATCHED)
    }

    /// Whether its instructions are counted: those of programs in C and Rust, where they answer and nothing looks on.
    fn is_counted(&self) -> bool {
        matches!(self.from, From::Debian(_)) || (self.proxy == "gateway" && !self.is_watched())
    }
}

pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let beside = example("gateway", "beside", &[])?;
    let counts = is_there("valgrind") || install_packages(&["valgrind"]).is_ok();
    let mut absent = Vec::new();
    if !counts {
        absent.push(("instructions".to_owned(), "the Debian package `valgrind` cannot be had".to_owned()));
    }
    let mut rows = Vec::new();
    for shape in [Shape::Json, Shape::Events] {
        let mut of_nginx = None;
        for contender in &CONTENDERS {
            let [whole, events] = contender.rates;
            let Some(rate) = (if shape == Shape::Json { whole } else { events }) else { continue };
            let name = format!("{}, {}", contender.what, shape.name());
            let measured = || {
                let program = program(contender)?;
                let arguments = |last: &[&str]| {
                    let mut command = Command::new(&beside);
                    command
                        .arg(contender.proxy)
                        .args(contender.more)
                        .args(last)
                        .arg("--program")
                        .arg(&program);
                    if shape == Shape::Events {
                        command.arg("--sse");
                    }
                    command
                };
                let runs = Runs::of(&name, || Ok(arguments(&["--rate", rate, "--seconds", SECONDS])))?;
                // Copies are sent beside the requests, so that instructions of the one are not those of the other.
                let counted = (counts && contender.is_counted())
                    .then(|| Runs::once(&format!("{name}, counted"), &mut arguments(&["--instructions"])))
                    .transpose()?;
                Ok::<_, anyhow::Error>((runs, counted))
            };
            let (runs, counted) = match measured() {
                Ok(found) => found,
                // Another's program may be out of reach; the gateway's own may not.
                Err(error) if !matches!(contender.from, From::Here) => {
                    let why = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
                    absent.push((name, why));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let cost = runs.median("cpu_us_per_request").filter(|_| contender.proxy != "none");
            if contender.proxy == "nginx" {
                of_nginx = cost;
            }
            rows.push(row(&name, &runs, cost, of_nginx, counted.as_ref()));
            if contender.is_watched() {
                rows.push(of_monitors(&format!("the five monitors, {}", shape.name()), &runs, of_nginx));
            }
        }
    }
    Ok(Table {
        text: format!(
            "900 JSON requests a second, a kilobyte each way, and 300 streams a second of 16 events 5 ms apart, for {SECONDS} s, \
             from and to processes on the same machine. Processor time is that of the proxy's processes. What is added is the \
             gateway's own work on a request until its answer begins, from its histogram: the bound below which so many lie. \
             Latency is from when a request was due to its answer's end, with the engine and the load on the same cores: it says \
             little about the proxy by itself. The gateway checks keys, assigns users, counts a stage with half of them on the \
             candidate, measures, and follows its log; nginx and haproxy pass on; LiteLLM checks a key and finds the model, Portkey \
             is told with each request where to. Monitors compute every detector once a second, whatever the load: microseconds a request \
             are also seconds for a million of them, at this rate. Every request is of another user. Instructions are \
             those outside the kernel, by callgrind. Median of {} runs.",
            super::RUNS
        ),
        head: HEAD.to_vec(),
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

/// What the monitors spend, for each request that they look on at.
fn of_monitors(what: &str, runs: &Runs, of_nginx: Option<f64>) -> Vec<String> {
    let cost = runs.median("monitors_us_per_request");
    let ratio = cost.zip(of_nginx).map(|(cost, nginx)| cost / nginx);
    let spent = cost.map_or_else(|| "–".to_owned(), whole);
    let mut cells = vec![what.to_owned(), spent, figure(ratio, 2)];
    cells.resize(COLUMNS, "–".to_owned());
    cells
}

/// A contender's program, fetched where it is not there.
fn program(contender: &Contender) -> Result<PathBuf> {
    match contender.from {
        From::Here => Ok(PathBuf::new()),
        From::Debian(package) => {
            if let Some(path) = found(contender.proxy) {
                return Ok(path);
            }
            install_packages(&[package])?;
            found(contender.proxy).with_context(|| {
                format!("the Debian package `{package}` is installed, and `{}` is not there", contender.proxy)
            })
        }
        From::Python(packages) => {
            Ok(Venv::provide(&format!("bench-{}", contender.proxy), packages)?.program(contender.proxy))
        }
        From::Node(package, version, script) => {
            let folder = format!("bench-{}", contender.proxy);
            Ok(Package::provide(&folder, package, version)?.folder().join(script))
        }
    }
}

fn found(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}
