//! Sealing and hashing models of 1 GiB, beside PyPI's `model_signing` and the hash functions alone.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::{FOLDERS, FOLDERS_HEAD, GIB, Table, figure};
use super::{RUN_LIMIT, RUNS, Runs, Scratch, example};
use crate::process::run_quietly;
use crate::python::Venv;

const PEER: &[&str] = &["model-signing==1.1.1", "pyOpenSSL"];
/// The weights of all files of a model together, in F32.
const WEIGHTS: u64 = 256 << 20;

/// Hashes a folder as `model_signing` does before it signs, and says how fast. Python's own start is not counted.
const HASH: &str = "
import json, sys, time, pathlib
from model_signing import hashing
begin = time.perf_counter()
hashing.Config().use_file_serialization(hashing_algorithm=sys.argv[3]).hash(pathlib.Path(sys.argv[1]))
seconds = time.perf_counter() - begin
print(json.dumps({'bytes_per_s': int(sys.argv[2]) / seconds}))
";

/// A way: what people read, the member of the answer, and which limit it stands beside.
const WAYS: [(&str, &str, &str); 9] = [
    ("BLAKE3 alone, 256 KiB at a time", "blake3_alone", "blake3_alone"),
    ("SHA-256 alone, 256 KiB at a time, one stream a core", "sha256_alone", "sha256_alone"),
    (
        "SHA-256 alone, 256 KiB at a time, as many streams a core as there are files for",
        "sha256_together",
        "sha256_together",
    ),
    ("Countersign `fingerprint`, exact", "seal_exact", "blake3_alone"),
    ("Countersign `fingerprint`, 8 bits", "seal_8_bit", "blake3_alone"),
    ("Countersign `fingerprint`, 4 bits", "seal_4_bit", "blake3_alone"),
    ("Countersign `fingerprint`, 2 bits", "seal_2_bit", "blake3_alone"),
    ("Countersign `sign` (SHA-256, the default)", "sign_sha256", "sha256_together"),
    ("Countersign `sign --hash blake3`", "sign_blake3", "blake3_alone"),
];

/// How the peer hashes.
const HASHES: [(&str, &str); 2] =
    [("sha256", "`model_signing` 1.1.1 (SHA-256, the default)"), ("blake3", "`model_signing` 1.1.1, BLAKE3")];

pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let speed = example("seal", "seal_speed", &[])?;
    let venv = Venv::provide("bench-venv", PEER);
    let shapes = FOLDERS
        .iter()
        .map(|files| shape(scratch, &speed, venv.as_ref().ok(), *files))
        .collect::<Result<Vec<_>>>()?;
    let names = WAYS.iter().map(|(what, ..)| *what).chain(HASHES.iter().map(|(_, what)| *what));
    let rows = names.enumerate().map(|(at, what)| {
        let cells = shapes.iter().flat_map(|rows| rows.get(at).cloned().unwrap_or_default());
        std::iter::once(what.to_owned()).chain(cells).collect()
    });
    Ok(Table {
        text: format!(
            "Two models with F32 weights, 1 GiB together each, one of 8 files and one of 64, mapped from the page cache, on \
             all cores. Median of {RUNS} runs, all taking turns. The limit is the hash function alone over the same mapped \
             bytes; for SHA-256, with as many streams on each core as there are files for, up to 16."
        ),
        head: FOLDERS_HEAD.to_vec(),
        rows: rows.collect(),
        absent: venv
            .err()
            .map(|error| ("`model_signing`".to_owned(), format!("{error:#}")))
            .into_iter()
            .collect(),
    })
}

/// The cells of every way with a model of so many files, then those of the peer's.
fn shape(scratch: &Scratch, speed: &Path, venv: Option<&Venv>, files: u64) -> Result<Vec<[String; 3]>> {
    let folder = scratch.folder(&format!("sealed-{files}"))?;
    fill(&folder, files)?;
    let bytes = (WEIGHTS * 4).to_string();
    let mut ours = Runs(Vec::new());
    let mut theirs = HASHES.map(|_| Runs(Vec::new()));
    // In turns, so that what else the machine does weighs on all alike.
    for number in 1..=RUNS {
        let mut command = Command::new(speed);
        ours.0.push(answer(&format!("seals, {files} files, run {number} of {RUNS}"), command.arg(&folder))?);
        for ((hash, _), runs) in HASHES.iter().zip(&mut theirs) {
            if let Some(venv) = venv {
                let mut command = venv.python();
                command.args(["-c", HASH]).arg(&folder).arg(&bytes).arg(hash);
                let what = format!("`model_signing` {hash}, {files} files, run {number} of {RUNS}");
                runs.0.push(answer(&what, &mut command)?);
            }
        }
    }
    std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let peers: Vec<_> = theirs.iter().map(|runs| runs.median("bytes_per_s")).collect();
    let peer = peers.first().copied().flatten();
    let mine = WAYS.iter().map(|(_, member, limit)| {
        let (rate, limit) = (ours.median(member), ours.median(limit));
        cells(rate, peer, rate.zip(limit).map(|(rate, limit)| rate / limit))
    });
    Ok(mine.chain(peers.iter().map(|rate| cells(*rate, peer, None))).collect())
}

fn cells(rate: Option<f64>, peer: Option<f64>, of_limit: Option<f64>) -> [String; 3] {
    let of_peer = rate.zip(peer).map(|(rate, peer)| rate / peer);
    [figure(rate.map(|rate| rate / GIB), 2), figure(of_peer, 2), figure(of_limit, 2)]
}

/// Weights between -0.05 and 0.05, the same in every run.
fn fill(folder: &Path, files: u64) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..files {
        let path = folder.join(format!("model-{number:05}-of-{files:05}.safetensors"));
        let file = File::create(&path).with_context(|| format!("`{}`", path.display()))?;
        let mut file = BufWriter::with_capacity(super::WRITE, file);
        for _ in 0..WEIGHTS / files {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let [a, b, c, ..] = state.to_le_bytes();
            let value = f64::from(i32::from_le_bytes([0, a, b, c])) / f64::from(i32::MAX) * 0.05;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a weight is to be rounded to single precision"
            )]
            let weight = value as f32;
            file.write_all(&weight.to_le_bytes())?;
        }
        file.flush()?;
    }
    Ok(())
}

/// Runs a command that prints one line of JSON.
fn answer(what: &str, command: &mut Command) -> Result<Value> {
    let output = run_quietly(what, command, RUN_LIMIT)?;
    let line = output.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("`{what}` answers no JSON: {line}"))
}
