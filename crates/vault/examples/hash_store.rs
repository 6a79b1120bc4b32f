//! Hashes a folder, stores it, and says how fast: a benchmark of the vault.
//!
//! `hash_store FOLDER [--store FOLDER] [--way encrypted|plain|hash-only]` prints one line of JSON.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use serde_json::json;
use vault::blocking::BlockingVault;
use vault::{FileKeyRing, MasterKey, Options, Protection, Quota, Tenant, Vault, hash_directory};

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
    });
    println!("{report}");
    Ok(())
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
