//! How many entries a second the log acknowledges, and how long one takes from submission to its inclusion proof.
//!
//! ```text
//! cargo run --release -p translog --example throughput -- [--dir DIR] [--entries N] [--bytes N] [--threads N]
//!     [--in-flight N] [--signed] [--file-per-tile [--batch N]]
//! ```
//!
//! Prints one line of JSON. Each of `--threads` threads keeps `--in-flight` submissions on their way. The latency
//! is taken of every 16th entry, until its proof has been computed. `--signed` gives each entry an Ed25519
//! signature, which the admission check verifies. `--file-per-tile` measures, for comparison, a log that makes
//! each tile durable by itself: every file of a batch is written, synced, renamed, and its directory synced.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use merkle::tile::{bundles_between, encode_bundle, encode_tile, tiles_between};
use merkle::{Checkpoint, Ed25519NoteSigner, Frontier, Hash, NoteSigner, TileKind, leaf_hash};
use translog::{AdmissionRefusal, Config, Disk, Log, Ticket, system_clock};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ORIGIN: &str = "bench.example/log";
const SAMPLE: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Unsigned,
    Signed,
    FilePerTile,
}

#[derive(Debug, Clone)]
struct Options {
    dir: PathBuf,
    entries: usize,
    bytes: usize,
    threads: usize,
    in_flight: usize,
    batch: usize,
    mode: Mode,
}

impl Options {
    fn parse() -> Outcome<Self> {
        let mut options = Self {
            dir: std::env::temp_dir(),
            entries: 200_000,
            bytes: 1024,
            threads: 2,
            in_flight: 1024,
            batch: 256,
            mode: Mode::Unsigned,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--dir" => options.dir = value()?.into(),
                "--entries" => options.entries = value()?.parse()?,
                "--bytes" => options.bytes = value()?.parse()?,
                "--threads" => options.threads = value()?.parse()?,
                "--in-flight" => options.in_flight = value()?.parse()?,
                "--batch" => options.batch = value()?.parse()?,
                "--signed" => options.mode = Mode::Signed,
                "--file-per-tile" => options.mode = Mode::FilePerTile,
                other => return Err(format!("`{other}` is no option").into()),
            }
        }
        if options.bytes < 72 || options.threads == 0 || options.in_flight == 0 || options.batch == 0 {
            return Err("`--bytes` is at least 72, and the other numbers at least 1".into());
        }
        Ok(options)
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse()?;
    let dir = options.dir.join(format!("translog-throughput-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let measured = match options.mode {
        Mode::FilePerTile => file_per_tile(&options, &dir),
        Mode::Unsigned | Mode::Signed => write_ahead(&options, &dir),
    };
    fs::remove_dir_all(&dir)?;
    let (took, latencies) = measured?;
    println!("{}", report(&options, took, latencies));
    Ok(())
}

fn report(options: &Options, took: Duration, mut latencies: Vec<Duration>) -> String {
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let at = latencies.len() * percent / 100;
        latencies.get(at.min(latencies.len().saturating_sub(1))).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
    };
    let mode = match options.mode {
        Mode::Unsigned => "write-ahead log",
        Mode::Signed => "write-ahead log, signatures checked",
        Mode::FilePerTile => "file per tile",
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = options.entries as f64 / took.as_secs_f64();
    format!(
        "{{\"mode\":\"{mode}\",\"entries\":{},\"bytes\":{},\"threads\":{},\"in_flight\":{},\"seconds\":{:.3},\"entries_per_s\":{rate:.0},\"p50_ms\":{:.2},\"p99_ms\":{:.2},\"latencies\":{}}}",
        options.entries,
        options.bytes,
        options.threads,
        options.in_flight,
        took.as_secs_f64(),
        percentile(50),
        percentile(99),
        latencies.len(),
    )
}

/// Entry number `index`: room for a signature, the number, and filling.
fn content(index: usize, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; 64];
    content.extend((index as u64).to_be_bytes());
    content.resize(bytes, 0x5a);
    content
}

fn signed_content(index: usize, bytes: usize, key: &SigningKey) -> Vec<u8> {
    let mut content = content(index, bytes);
    let (place, message) = content.split_at_mut(64);
    place.copy_from_slice(&key.sign(message).to_bytes());
    content
}

fn check_signature(key: &VerifyingKey, content: &[u8]) -> Result<(), AdmissionRefusal> {
    let refusal = |reason: &str| AdmissionRefusal { code: "BENCH-001".to_owned(), reason: reason.to_owned() };
    let (signature, message) = content.split_at_checked(64).ok_or_else(|| refusal("too short"))?;
    let signature = Signature::from_slice(signature).map_err(|_| refusal("no signature"))?;
    key.verify_strict(message, &signature).map_err(|_| refusal("the signature does not verify"))
}

fn write_ahead(options: &Options, dir: &Path) -> Outcome<(Duration, Vec<Duration>)> {
    let signer = Arc::new(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32])?);
    let log_key = signer.verifier().clone();
    let mut config = Config::new(ORIGIN, vec![signer], vec![log_key], system_clock());
    let key = SigningKey::from_bytes(&[2; 32]);
    let mut prepared: Vec<Vec<Vec<u8>>> = Vec::new();
    if options.mode == Mode::Signed {
        let public = key.verifying_key();
        config.admission = Arc::new(move |content| check_signature(&public, content));
        for thread in 0..options.threads {
            let indices = (thread..options.entries).step_by(options.threads);
            prepared.push(indices.map(|index| signed_content(index, options.bytes, &key)).collect());
        }
    }
    let log = Log::create(Arc::new(Disk::open(dir.join("log"))?), config)?;
    let started = Instant::now();
    let results: Vec<Outcome<Vec<Duration>>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for thread in 0..options.threads {
            let indices = (thread..options.entries).step_by(options.threads);
            let contents: Box<dyn Iterator<Item = Vec<u8>> + Send> = match prepared.pop() {
                Some(signed) => Box::new(signed.into_iter()),
                None => Box::new(indices.map(|index| content(index, options.bytes))),
            };
            let log = &log;
            threads.push(scope.spawn(move || submit(log, contents, options.in_flight)));
        }
        let join = |thread: std::thread::ScopedJoinHandle<'_, Outcome<Vec<Duration>>>| {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        };
        threads.into_iter().map(join).collect()
    });
    let took = started.elapsed();
    if log.size() != options.entries as u64 {
        return Err(format!("`{}` entries are in the log", log.size()).into());
    }
    log.close()?;
    let mut latencies = Vec::new();
    for result in results {
        latencies.extend(result?);
    }
    Ok((took, latencies))
}

/// Submits, keeping so many on their way; answers the sampled latencies.
fn submit(log: &Log, contents: impl Iterator<Item = Vec<u8>>, in_flight: usize) -> Outcome<Vec<Duration>> {
    let mut waiting: VecDeque<(Instant, Ticket)> = VecDeque::new();
    let mut latencies = Vec::new();
    let mut finished = 0;
    let mut finish = |(since, ticket): (Instant, Ticket)| -> Outcome<()> {
        let appended = ticket.wait()?;
        finished += 1;
        if finished % SAMPLE == 0 {
            log.inclusion_proof(appended.index, log.size())?;
            latencies.push(since.elapsed());
        }
        Ok(())
    };
    for content in contents {
        while waiting.front().is_some_and(|(_, ticket)| ticket.is_ready() || waiting.len() >= in_flight)
            && let Some(first) = waiting.pop_front()
        {
            finish(first)?;
        }
        // The admission check is part of the way.
        let since = Instant::now();
        waiting.push_back((since, log.submit(content)?));
    }
    for ticket in waiting {
        finish(ticket)?;
    }
    Ok(latencies)
}

/// The tree and the entries, as such a log keeps them.
struct TileLog {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
    entries: Vec<Vec<u8>>,
}

fn file_per_tile(options: &Options, dir: &Path) -> Outcome<(Duration, Vec<Duration>)> {
    let signer = Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32])?;
    let mut log = TileLog { frontier: Frontier::new(), levels: Vec::new(), entries: Vec::new() };
    let mut latencies = Vec::new();
    let started = Instant::now();
    for first in (0..options.entries).step_by(options.batch) {
        let since = Instant::now();
        let old = log.frontier.size();
        for index in first..options.entries.min(first + options.batch) {
            let entry = content(index, options.bytes);
            let levels = &mut log.levels;
            log.frontier.push_with(leaf_hash(&entry), |level, _, hash| {
                let level = usize::from(level);
                if levels.len() <= level {
                    levels.resize_with(level + 1, Vec::new);
                }
                if let Some(nodes) = levels.get_mut(level) {
                    nodes.push(*hash);
                }
            });
            log.entries.push(entry);
        }
        let new = log.frontier.size();
        for path in bundles_between(old, new).chain(tiles_between(old, new)) {
            let first = usize::try_from(path.index() * 256)?;
            let range = first..first + usize::from(path.width());
            let bytes = match path.kind() {
                TileKind::Entries => encode_bundle(log.entries.get(range).unwrap_or_default())?,
                TileKind::Hashes { level } => {
                    let nodes = log.levels.get(usize::from(level) * 8).map(Vec::as_slice).unwrap_or_default();
                    encode_tile(nodes.get(range).unwrap_or_default())
                }
            };
            write_durably(&dir.join(path.to_string()), &bytes)?;
        }
        let head = Checkpoint::new(ORIGIN, new, log.frontier.root())?.sign(&[&signer as &dyn NoteSigner])?;
        write_durably(&dir.join("checkpoint"), &head.to_bytes())?;
        latencies.push(since.elapsed());
    }
    Ok((started.elapsed(), latencies))
}

fn write_durably(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let parent = path.parent().ok_or("no directory")?;
    fs::create_dir_all(parent)?;
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(fs::File::open(parent)?.sync_all()?)
}
