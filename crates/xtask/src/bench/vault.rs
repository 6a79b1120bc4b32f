//! Hashing and storing directories of 1 GiB, beside PyPI's `model_signing` and the hash function's own limit.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::report::{FOLDERS, FOLDERS_HEAD, GIB, Table, figure};
use super::{Runs, Scratch, example, median};
use crate::process::run_quietly;
use crate::python::Venv;

const PEER: &[&str] = &["model-signing==1.1.1", "pyOpenSSL"];
/// The bytes of all files of a directory together.
const BYTES: u64 = 1 << 30;
/// What each core does with one stream, and with as many at once as the directory gives it: the rows that others stand
/// beside.
const PLAIN_LIMIT: &str = "SHA-256 from memory on all cores, one stream each (OpenSSL)";
const LIMIT: &str =
    "SHA-256 from memory on all cores, as many streams each as there are files for (the limit)";
const PEER_HASHES: &str = "`model_signing` 1.1.1 (PyPI): hashed only";

/// Hashes a directory as `model_signing` does before it signs, and says how fast. Python's own start is not counted.
const HASH: &str = "
import json, sys, time, pathlib
from model_signing import hashing
begin = time.perf_counter()
hashing.Config().hash(pathlib.Path(sys.argv[1]))
seconds = time.perf_counter() - begin
print(json.dumps({'bytes_per_s': int(sys.argv[2]) / seconds}))
";

/// Bytes a second by what was done.
type Rates = Vec<(String, Option<f64>)>;
/// What could not be measured, and why.
type Absent = Vec<(String, String)>;

pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let mut absent = Vec::new();
    let plain = limit().unwrap_or_else(|error| {
        absent.push(("the limit of one stream a core".to_owned(), format!("{error:#}")));
        None
    });
    let speed = example("lanes", "lanes_speed", &[])?;
    let together = Runs::of("SHA-256, several streams a core", || Ok(Command::new(&speed)))?;
    let cores = u64::try_from(std::thread::available_parallelism()?.get())?;
    let mut shapes = Vec::new();
    for files in FOLDERS {
        let streams = files.div_ceil(cores).min(16);
        let limit = together.median(&format!("all_cores_{streams}"));
        let mut rates = vec![(PLAIN_LIMIT.to_owned(), plain), (LIMIT.to_owned(), limit)];
        rates.extend(shape(scratch, files, &mut absent)?);
        shapes.push(rates);
    }
    let cells = |rates: &Rates, at: usize| {
        let rate_of = |what: &str| rates.iter().find(|(name, _)| name == what).and_then(|(_, rate)| *rate);
        let rate = rates.get(at).and_then(|(_, rate)| *rate);
        let part = |of: Option<f64>| figure(rate.zip(of).map(|(rate, of)| rate / of), 2);
        [figure(rate.map(|rate| rate / GIB), 2), part(rate_of(PEER_HASHES)), part(rate_of(LIMIT))]
    };
    let names = shapes.first().into_iter().flatten().map(|(what, _)| what.clone());
    let rows = names.enumerate().map(|(at, what)| {
        std::iter::once(what).chain(shapes.iter().flat_map(|rates| cells(rates, at))).collect()
    });
    Ok(Table {
        text: format!(
            "Two directories of 1 GiB, one of 8 files and one of 64, in the page cache. Stored means synced. Median of {} runs.",
            super::RUNS
        ),
        head: FOLDERS_HEAD.to_vec(),
        rows: rows.collect(),
        absent,
    })
}

/// What is done with a directory of so many files.
fn shape(scratch: &Scratch, files: u64, absent: &mut Absent) -> Result<Rates> {
    let hash_store = example("vault", "hash_store", &[])?;
    let folder = scratch.folder(&format!("model-{files}"))?;
    fill(&folder, files)?;
    let mut rates: Rates = Vec::new();
    for (way, what) in
        [("encrypted", "hashed, encrypted and stored"), ("plain", "hashed and stored in plain")]
    {
        let runs = Runs::of(&format!("vault, {files} files, {way}"), || {
            let mut command = Command::new(&hash_store);
            command.arg(&folder).args(["--way", way, "--store"]).arg(scratch.folder("store")?);
            Ok(command)
        })?;
        if rates.is_empty() {
            rates.push(("Countersign vault: hashed only".to_owned(), runs.median("hash_only_bytes_per_s")));
        }
        rates.push((format!("Countersign vault: {what}, durably"), runs.median("bytes_per_s")));
    }
    let peer = model_signing(&folder).unwrap_or_else(|error| {
        absent.push((format!("`model_signing`, {files} files"), format!("{error:#}")));
        None
    });
    rates.push((PEER_HASHES.to_owned(), peer));
    std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    Ok(rates)
}

/// Bytes that do not compress, the same in every run.
fn fill(folder: &Path, files: u64) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..files {
        let path = folder.join(format!("model-{number:05}-of-{files:05}.safetensors"));
        let file = File::create(&path).with_context(|| format!("`{}`", path.display()))?;
        let mut file = BufWriter::with_capacity(super::WRITE, file);
        for _ in 0..BYTES / files / 8 {
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
    let runs = Runs::of("`model_signing`", || {
        let mut command = venv.python();
        command.args(["-c", HASH]).arg(folder).arg(BYTES.to_string());
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
