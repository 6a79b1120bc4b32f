//! Hashing and storing directories of 1 GiB, beside PyPI's `model_signing` and the hash function's own limit.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::report::{FOLDERS, FOLDERS_HEAD, GIB, Table, figure};
use super::{RUNS, Runs, Scratch, example, median};
use crate::process::run_quietly;
use crate::python::Venv;

const PEER: &[&str] = &["model-signing==1.1.1", "pyOpenSSL"];
/// The bytes of all files of a directory together.
const BYTES: u64 = 1 << 30;
/// What each core does with one stream, and with as many at once as the directory gives it: from its cache, and from memory,
/// which is the row that others stand beside.
const PLAIN_LIMIT: &str = "SHA-256 from each core's cache, one stream each (OpenSSL)";
const CACHE_LIMIT: &str = "SHA-256 from each core's cache, as many streams each as there are files for";
const LIMIT: &str = "SHA-256 from memory, as many streams each as there are files for (the limit)";
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

/// How often what hashes is run: each run takes a tenth of a second or two, in which a neighbour of the machine weighs much.
const TURNS: usize = 9;

/// Bytes a second by what was done.
type Rates = Vec<(String, Option<f64>)>;

pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let mut absent = Vec::new();
    let plain = limit().unwrap_or_else(|error| {
        absent.push(("the limit of one stream a core".to_owned(), format!("{error:#}")));
        None
    });
    let programs = Programs {
        speed: example("lanes", "lanes_speed", &[])?,
        hash_store: example("vault", "hash_store", &[])?,
        peer: Venv::provide("bench-venv", PEER)
            .map_err(|error| absent.push(("`model_signing`".to_owned(), format!("{error:#}"))))
            .ok(),
    };
    let mut shapes = Vec::new();
    for files in FOLDERS {
        let mut rates = vec![(PLAIN_LIMIT.to_owned(), plain)];
        rates.extend(programs.shape(scratch, files)?);
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
            "Two directories of 1 GiB, one of 8 files and one of 64, in the page cache. Stored means synced. What hashes and its \
             limit are medians of {TURNS} runs, all taking turns; the others of {RUNS} runs."
        ),
        head: FOLDERS_HEAD.to_vec(),
        rows: rows.collect(),
        absent,
    })
}

/// What is measured.
struct Programs {
    speed: PathBuf,
    hash_store: PathBuf,
    peer: Option<Venv>,
}

impl Programs {
    /// What is done with a directory of so many files.
    fn shape(&self, scratch: &Scratch, files: u64) -> Result<Rates> {
        let cores = u64::try_from(std::thread::available_parallelism()?.get())?;
        let streams = files.div_ceil(cores).min(16);
        let folder = scratch.folder(&format!("model-{files}"))?;
        fill(&folder, files)?;
        let (mut limit, mut own, mut theirs) = (Runs(Vec::new()), Runs(Vec::new()), Runs(Vec::new()));
        // In turns, so that what else the machine does weighs on all alike.
        for number in 1..=TURNS {
            let what = |name: &str| format!("{name}, {files} files, turn {number} of {TURNS}");
            limit.0.extend(Runs::once(&what("several streams a core"), &mut Command::new(&self.speed))?.0);
            let mut command = Command::new(&self.hash_store);
            own.0.extend(Runs::once(&what("vault"), command.arg(&folder).args(["--way", "hash-only"]))?.0);
            if let Some(venv) = &self.peer {
                let mut command = venv.python();
                command.args(["-c", HASH]).arg(&folder).arg(BYTES.to_string());
                theirs.0.extend(Runs::once(&what("`model_signing`"), &mut command)?.0);
            }
        }
        let mut rates: Rates = vec![
            (CACHE_LIMIT.to_owned(), limit.median(&format!("all_cores_{streams}"))),
            (LIMIT.to_owned(), own.median("from_memory_bytes_per_s")),
            ("Countersign vault: hashed only".to_owned(), own.median("hash_only_bytes_per_s")),
        ];
        for (way, what) in
            [("encrypted", "hashed, encrypted and stored"), ("plain", "hashed and stored in plain")]
        {
            let runs = Runs::of(&format!("vault, {files} files, {way}"), || {
                let mut command = Command::new(&self.hash_store);
                command.arg(&folder).args(["--way", way, "--store"]).arg(scratch.folder("store")?);
                Ok(command)
            })?;
            rates.push((format!("Countersign vault: {what}, durably"), runs.median("bytes_per_s")));
        }
        rates.push((PEER_HASHES.to_owned(), theirs.median("bytes_per_s")));
        std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        Ok(rates)
    }
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

/// What OpenSSL hashes with one process for each core, in bytes a second.
fn limit() -> Result<Option<f64>> {
    let cores = std::thread::available_parallelism()?.to_string();
    let mut rates = Vec::new();
    for _ in 0..RUNS {
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
