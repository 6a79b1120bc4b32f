//! Hashing and storing a directory of 1 GiB, beside PyPI's `model_signing` and the hash function's own limit.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::report::{Table, figure};
use super::{Runs, Scratch, example, median};
use crate::process::run_quietly;
use crate::python::Venv;

const PEER: &[&str] = &["model-signing==1.1.1", "pyOpenSSL"];
/// The directory: so many files of so many bytes.
const FILES: u64 = 8;
const FILE_BYTES: u64 = 128 << 20;
/// What each core does with one stream, and with several whose rounds take turns: the rows that others stand beside.
const PLAIN_LIMIT: &str = "SHA-256 from memory on all cores, one stream each (OpenSSL)";
const LIMIT: &str = "SHA-256 from memory on all cores, several streams each (the limit)";
const GIB: f64 = 1_073_741_824.0;

/// Hashes a directory as `model_signing` does before it signs, and says how fast. Python's own start is not counted.
const HASH: &str = "
import json, sys, time, pathlib
from model_signing import hashing
begin = time.perf_counter()
hashing.Config().hash(pathlib.Path(sys.argv[1]))
seconds = time.perf_counter() - begin
print(json.dumps({'bytes_per_s': int(sys.argv[2]) / seconds}))
";

pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let hash_store = example("vault", "hash_store", &[])?;
    let folder = scratch.folder("model")?;
    fill(&folder)?;
    let mut rows: Vec<(String, Option<f64>)> = Vec::new();
    let mut absent = Vec::new();
    match limit() {
        Ok(limit) => rows.push((PLAIN_LIMIT.to_owned(), limit)),
        Err(error) => absent.push(("the limit of one stream a core".to_owned(), format!("{error:#}"))),
    }
    let speed = example("lanes", "lanes_speed", &[])?;
    let together = Runs::of("SHA-256, several streams a core", || Ok(Command::new(&speed)))?;
    rows.push((LIMIT.to_owned(), together.median("all_cores_most")));
    for (way, what) in
        [("encrypted", "hashed, encrypted and stored"), ("plain", "hashed and stored in plain")]
    {
        let runs = Runs::of(&format!("vault, {way}"), || {
            let mut command = Command::new(&hash_store);
            command.arg(&folder).args(["--way", way, "--store"]).arg(scratch.folder("store")?);
            Ok(command)
        })?;
        if rows.iter().all(|(what, _)| !what.starts_with("Countersign")) {
            rows.push(("Countersign vault: hashed only".to_owned(), runs.median("hash_only_bytes_per_s")));
        }
        rows.push((format!("Countersign vault: {what}, durably"), runs.median("bytes_per_s")));
    }
    match model_signing(&folder) {
        Ok(rate) => rows.push(("`model_signing` 1.1.1 (PyPI): hashed only".to_owned(), rate)),
        Err(error) => absent.push(("`model_signing`".to_owned(), format!("{error:#}"))),
    }
    let rate_of =
        |begin: &str| rows.iter().find(|(what, _)| what.starts_with(begin)).and_then(|(_, rate)| *rate);
    let (limit, peer) = (rate_of(LIMIT), rate_of("`model_signing`"));
    let lines = rows.iter().map(|(what, rate)| {
        let part = |of: Option<f64>| figure(rate.zip(of).map(|(rate, of)| rate / of), 2);
        vec![what.clone(), figure(rate.map(|rate| rate / GIB), 2), part(peer), part(limit)]
    });
    Ok(Table {
        text: format!(
            "A directory of {FILES} files, 1 GiB together, in the page cache. Stored means synced. Median of {} runs.",
            super::RUNS
        ),
        head: vec!["", "GiB/s", "× `model_signing`", "× the limit"],
        rows: lines.collect(),
        absent,
    })
}

/// Bytes that do not compress, the same in every run.
fn fill(folder: &Path) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..FILES {
        let path = folder.join(format!("model-{number:05}-of-{FILES:05}.safetensors"));
        let file = File::create(&path).with_context(|| format!("`{}`", path.display()))?;
        let mut file = BufWriter::with_capacity(super::WRITE, file);
        for _ in 0..FILE_BYTES / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&state.to_le_bytes())?;
        }
        file.flush()?;
    }
    Ok(())
}

fn model_signing(folder: &Path) -> Result<Option<f64>> {
    let venv = Venv::provide("bench-venv", PEER)?;
    let bytes = (FILES * FILE_BYTES).to_string();
    let runs = Runs::of("`model_signing`", || {
        let mut command = venv.python();
        command.args(["-c", HASH]).arg(folder).arg(&bytes);
        Ok(command)
    })?;
    Ok(runs.median("bytes_per_s"))
}

/// What OpenSSL hashes with one process for each core, in bytes a second.
fn limit() -> Result<Option<f64>> {
    let cores = std::thread::available_parallelism()?.to_string();
    let mut rates = Vec::new();
    for _ in 0..super::RUNS {
        let mut command = Command::new("openssl");
        command
            .args(["speed", "-mr", "-seconds", "2", "-bytes", "1048576", "-multi", &cores, "-evp", "sha256"]);
        let output = run_quietly("SHA-256's limit", &mut command, Duration::from_mins(1))?;
        let line = output.lines().rfind(|line| line.starts_with("+F:"));
        let rate = line.and_then(|line| line.rsplit(':').next()?.parse::<f64>().ok());
        rates.push(
            rate.with_context(|| format!("`openssl speed` answers otherwise than expected:\n{output}"))?,
        );
    }
    Ok(median(rates))
}
