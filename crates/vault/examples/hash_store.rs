//! Hashes a folder, stores it, and says how fast: a benchmark of the vault.
//!
//! `hash_store FOLDER [--store FOLDER] [--way encrypted|plain|hash-only]` prints one line of JSON.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use lanes::Source;
use serde_json::json;
use vault::blocking::BlockingVault;
use vault::{FileKeyRing, MasterKey, Options, Protection, Quota, Tenant, Vault, hash_directory};

/// Bytes of a file that are hashed at a time.
const PIECE: usize = 256 << 10;

/// What is done with the folder besides hashing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Stored encrypted.
    Encrypted,
    /// Stored without encryption.
    Plain,
    /// Not stored.
    HashOnly,
}

/// Hashes and stores a folder and prints how fast.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder to hash and store.
    folder: PathBuf,
    /// Where a temporary store is made and deleted; the system's temporary folder if not given.
    #[arg(long)]
    store: Option<PathBuf>,
    /// What is done with the folder.
    #[arg(long, value_enum, default_value_t = Way::Encrypted)]
    way: Way,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let manifest = hash_directory(&arguments.folder)?;
    let hash_seconds = begun.elapsed().as_secs_f64();
    let bytes = manifest.total();
    let from_memory = match arguments.way {
        Way::HashOnly => Some(from_memory(&arguments.folder)?),
        Way::Encrypted | Way::Plain => None,
    };
    let seconds = match arguments.way {
        Way::Encrypted => Some(store(&arguments, Protection::Encrypted)?),
        Way::Plain => Some(store(&arguments, Protection::Plain)?),
        Way::HashOnly => None,
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
    let rate = |seconds: f64| bytes as f64 / seconds;
    let report = json!({
        "bytes": bytes,
        "files": manifest.entries().len(),
        "folder": manifest.digest()?.to_string(),
        "seconds": seconds,
        "bytes_per_s": seconds.map(rate),
        "hash_only_seconds": hash_seconds,
        "hash_only_bytes_per_s": rate(hash_seconds),
        "from_memory_bytes_per_s": from_memory.map(rate),
    });
    println!("{report}");
    Ok(())
}

/// Seconds to hash the files of a folder without folders, once all of them have been read: the hash function's own.
fn from_memory(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let files: Vec<Vec<u8>> =
        std::fs::read_dir(folder)?.map(|entry| std::fs::read(entry?.path())).collect::<Result<_, _>>()?;
    let at_once = lanes::share(files.len(), rayon::current_num_threads());
    let queue = Mutex::new(files.iter());
    let begun = Instant::now();
    rayon::broadcast(|_| {
        let next = || Ok(queue.lock().unwrap_or_else(PoisonError::into_inner).next().map(|file| Read(file)));
        let Ok(()) = lanes::hash_all(at_once, next, |_, digest| {
            std::hint::black_box(digest);
            Ok::<_, Infallible>(())
        });
    });
    Ok(begun.elapsed().as_secs_f64())
}

/// What is left of a file that was read.
struct Read<'f>(&'f [u8]);

impl Source for Read<'_> {
    type Error = Infallible;

    fn fill(&mut self) -> Result<&[u8], Infallible> {
        Ok(self.0.get(..PIECE).unwrap_or(self.0))
    }

    fn consume(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }
}

/// Seconds to store the folder in a fresh vault, durably.
fn store(arguments: &Arguments, protection: Protection) -> Result<f64, Box<dyn Error>> {
    let scratch = match &arguments.store {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let ring = FileKeyRing::open(scratch.path().join("ring"), MasterKey::generate()?)?;
    let options = Options { protection, quota: Quota::Unlimited };
    let vault = BlockingVault::new(Vault::on_disk(&scratch.path().join("store"), Arc::new(ring), options)?)?;
    let tenant: Tenant = "bench".parse()?;
    vault.create_tenant(&tenant)?;
    let begun = Instant::now();
    vault.put_directory(&tenant, &arguments.folder)?;
    Ok(begun.elapsed().as_secs_f64())
}
