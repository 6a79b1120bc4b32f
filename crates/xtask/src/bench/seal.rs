//! Sealing and hashing a model of 1 GiB, beside PyPI's `model_signing` and the hash functions alone.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::report::{Table, figure};
use super::{Runs, Scratch, example};
use crate::python::Venv;

const PEER: &[&str] = &["model-signing==1.1.1", "pyOpenSSL"];
/// The model: so many files of so many weights in F32.
const FILES: u64 = 8;
const FILE_WEIGHTS: u64 = 32 << 20;
const GIB: f64 = 1_073_741_824.0;

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
const WAYS: [(&str, &str, &str); 8] = [
    ("BLAKE3 alone, 256 KiB at a time", "blake3_alone", "blake3_alone"),
    ("SHA-256 alone, 256 KiB at a time", "sha256_alone", "sha256_alone"),
    ("Countersign `fingerprint`, exact", "seal_exact", "blake3_alone"),
    ("Countersign `fingerprint`, 8 bits", "seal_8_bit", "blake3_alone"),
    ("Countersign `fingerprint`, 4 bits", "seal_4_bit", "blake3_alone"),
    ("Countersign `fingerprint`, 2 bits", "seal_2_bit", "blake3_alone"),
    ("Countersign `sign` (SHA-256, the default)", "sign_sha256", "sha256_alone"),
    ("Countersign `sign --hash blake3`", "sign_blake3", "blake3_alone"),
];

pub(super) fn measure(scratch: &Scratch) -> Result<Table> {
    let speed = example("seal", "seal_speed", &[])?;
    let folder = scratch.folder("sealed")?;
    fill(&folder)?;
    let runs = Runs::of("seals", || {
        let mut command = Command::new(&speed);
        command.arg(&folder);
        Ok(command)
    })?;
    let mut absent = Vec::new();
    let mut peers = Vec::new();
    for (hash, what) in [
        ("sha256", "`model_signing` 1.1.1 (SHA-256, the default)"),
        ("blake3", "`model_signing` 1.1.1, BLAKE3"),
    ] {
        match model_signing(&folder, hash) {
            Ok(rate) => peers.push((what.to_owned(), rate)),
            Err(error) => absent.push((what.to_owned(), format!("{error:#}"))),
        }
    }
    let peer = peers.first().and_then(|(_, rate)| *rate);
    let ours = WAYS.iter().map(|(what, member, limit)| {
        let (rate, limit) = (runs.median(member), runs.median(limit));
        row(what, rate, peer, rate.zip(limit).map(|(rate, limit)| rate / limit))
    });
    let theirs = peers.iter().map(|(what, rate)| row(what, *rate, peer, None));
    Ok(Table {
        text: format!(
            "A model of {FILES} files with F32 weights, 1 GiB together, mapped from the page cache, on all cores. Median \
             of {} runs; the ways take turns within a run. The limit is the hash function alone over the same mapped bytes.",
            super::RUNS
        ),
        head: vec!["", "GiB/s", "× `model_signing`", "× the limit"],
        rows: ours.chain(theirs).collect(),
        absent,
    })
}

fn row(what: &str, rate: Option<f64>, peer: Option<f64>, of_limit: Option<f64>) -> Vec<String> {
    let of_peer = rate.zip(peer).map(|(rate, peer)| rate / peer);
    vec![what.to_owned(), figure(rate.map(|rate| rate / GIB), 2), figure(of_peer, 2), figure(of_limit, 2)]
}

/// Weights between -0.05 and 0.05, the same in every run.
fn fill(folder: &Path) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..FILES {
        let path = folder.join(format!("model-{number:05}-of-{FILES:05}.safetensors"));
        let mut file = BufWriter::new(File::create(&path).with_context(|| format!("`{}`", path.display()))?);
        for _ in 0..FILE_WEIGHTS {
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

fn model_signing(folder: &Path, hash: &str) -> Result<Option<f64>> {
    let venv = Venv::provide("bench-venv", PEER)?;
    let bytes = (FILES * FILE_WEIGHTS * 4).to_string();
    let runs = Runs::of("`model_signing`", || {
        let mut command = venv.python();
        command.args(["-c", HASH]).arg(folder).arg(&bytes).arg(hash);
        Ok(command)
    })?;
    Ok(runs.median("bytes_per_s"))
}
