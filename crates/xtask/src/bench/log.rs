//! The log beside SQLite, PostgreSQL, and a log that syncs a file for each tile.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::postgres::Cluster;
use super::report::{Table, figure, whole};
use super::{Runs, Scratch, example};
use crate::process::cargo;
use crate::workspace::target;

/// Bytes of an entry.
const BYTES: &str = "1024";
/// Entries in one transaction of a peer; the best of them is listed.
const BATCHES: &[&str] = &["256", "1024", "4096", "16384"];

/// A line of the table.
struct Line {
    what: String,
    runs: Runs,
}

impl Line {
    fn rate(&self) -> f64 {
        self.runs.median("entries_per_s").unwrap_or_default()
    }
}

pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let throughput = example("translog", "throughput", &[])?;
    let mut lines = Vec::new();
    let mut absent = Vec::new();
    let ours: &[(&str, &[&str])] = &[
        ("Countersign log", &["--entries", "400000", "--in-flight", "2048"]),
        (
            "Countersign log, Ed25519 checked on the way in",
            &["--entries", "100000", "--in-flight", "256", "--signed"],
        ),
        ("the same tree, a file for each tile", &["--entries", "20000", "--file-per-tile", "--batch", "256"]),
    ];
    for (what, arguments) in ours {
        let runs = Runs::of(what, || {
            let mut command = Command::new(&throughput);
            command.args(["--bytes", BYTES, "--dir"]).arg(scratch.folder("log")?).args(*arguments);
            Ok(command)
        })?;
        lines.push(Line { what: (*what).to_owned(), runs });
    }
    match peers() {
        Ok(peers) => {
            keep(&mut lines, &mut absent, "SQLite", sqlite(scratch, &peers));
            keep(&mut lines, &mut absent, "PostgreSQL", postgres(scratch, &peers));
        }
        Err(error) => absent.push(("SQLite and PostgreSQL".to_owned(), format!("{error:#}"))),
    }
    Ok(table(&lines, absent))
}

fn keep(lines: &mut Vec<Line>, absent: &mut Vec<(String, String)>, peer: &str, line: Result<Line>) {
    match line {
        Ok(line) => lines.push(line),
        Err(error) => absent.push((peer.to_owned(), format!("{error:#}"))),
    }
}

fn table(lines: &[Line], absent: Vec<(String, String)>) -> Table {
    let rates: Vec<f64> = lines.iter().map(Line::rate).collect();
    let (unsigned, signed) = (rates.first().copied(), rates.get(1).copied());
    let ratio = |ours: Option<f64>, theirs: f64| figure(ours.map(|ours| ours / theirs), 2);
    let rows = lines.iter().map(|line| {
        let rate = line.rate();
        vec![
            line.what.clone(),
            whole(rate),
            figure(line.runs.median("p50_ms"), 1),
            figure(line.runs.median("p99_ms"), 1),
            ratio(unsigned, rate),
            ratio(signed, rate),
        ]
    });
    let text = format!(
        "Entries of {BYTES} bytes, acknowledged after a sync. The log's latency is from submission to inclusion proof; \
         a peer's is that of its batch, which proves nothing. The databases hold a number and the bytes: no hash, no \
         tree, no search for duplicates, all of which the log does. Peers in the best of the batches {}, PostgreSQL \
         with the better of `INSERT` of many rows and binary `COPY`. The last two columns: how many times as fast the \
         log is, without and with signatures. Median of {} runs.",
        BATCHES.join(", "),
        super::RUNS
    );
    Table {
        text,
        head: vec!["", "entries/s", "p50 ms", "p99 ms", "log is × as fast", "log with signatures is ×"],
        rows: rows.collect(),
        absent,
    }
}

/// Builds the program that drives the databases.
fn peers() -> Result<PathBuf> {
    let folder = target().join("bench-peers");
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--manifest-path", "benches/peers/Cargo.toml"]);
    crate::process::run(build.env("CARGO_TARGET_DIR", &folder))?;
    Ok(folder.join("release/peers"))
}

fn sqlite(scratch: &Scratch, peers: &Path) -> Result<Line> {
    best(BATCHES.iter().map(|batch| {
        let what = format!("SQLite (WAL, synchronous=FULL), batches of {batch}");
        let runs = Runs::of(&what, || {
            let mut command = Command::new(peers);
            command
                .arg("sqlite")
                .arg(scratch.folder("sqlite")?.join("entries.db"))
                .args(["100000", BYTES, batch]);
            Ok(command)
        })?;
        Ok(Line { what, runs })
    }))
}

fn postgres(scratch: &Scratch, peers: &Path) -> Result<Line> {
    let cluster = Cluster::start(&scratch.folder("postgres")?)?;
    let ways = ["insert", "copy"].iter().flat_map(|way| BATCHES.iter().map(move |batch| (way, batch)));
    best(ways.map(|(way, batch)| {
        let what = format!("PostgreSQL (fsync on, 2 connections), `{way}`, batches of {batch}");
        let runs = Runs::of(&what, || {
            let mut command = Command::new(peers);
            command.args(["postgres", way]).arg(cluster.host()).args(["100000", BYTES, batch, "2"]);
            Ok(command)
        })?;
        Ok(Line { what, runs })
    }))
}

/// The fastest line.
fn best(lines: impl Iterator<Item = Result<Line>>) -> Result<Line> {
    let mut best: Option<Line> = None;
    for line in lines {
        let line = line?;
        if best.as_ref().is_none_or(|best| best.rate() < line.rate()) {
            best = Some(line);
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}
