//! Arguments of what crosses to a machine without a network and back.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Set this machine up to examine without a network: pins a realm's trust root, makes the examiner's key.
    #[command(
        after_help = "Example: countersign bundle station --home ./station --realm acme --root 3f0c --key vault-room"
    )]
    Station(StationArgs),
    /// Write a bundle: at the realm a change to examine, at a station what was found.
    #[command(
        after_help = "Example: countersign bundle out 3f0c --to vault-room --out /media/usb/3f0c.bundle"
    )]
    Out(BundleOutArgs),
    /// Take a bundle: at a station a change to examine, at the realm what was found.
    #[command(after_help = "Example: countersign bundle in /media/usb/3f0c.bundle")]
    In {
        /// The bundle.
        file: PathBuf,
    },
    /// Check a bundle's bytes and signature and tell what it holds. Whether its sender counts is told by taking it.
    #[command(after_help = "Example: countersign bundle show /media/usb/3f0c.bundle --json")]
    Show {
        /// The bundle.
        file: PathBuf,
    },
}

/// A machine without a network.
#[derive(Debug, Args)]
pub(crate) struct StationArgs {
    /// The realm's name.
    #[arg(long)]
    pub(crate) realm: String,
    /// The id of the realm's first trust root, brought by hand: what everything is checked from.
    #[arg(long)]
    pub(crate) root: String,
    /// The name of the examiner's key that is made here.
    #[arg(long)]
    pub(crate) key: String,
    /// Keep the key without a passphrase.
    #[arg(long)]
    pub(crate) service: bool,
}

/// A bundle to write.
#[derive(Debug, Args)]
pub(crate) struct BundleOutArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// The file to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// The station's key: its id, or the name that it was enrolled under here. At the realm only; findings go to who asked.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// The sender's key: automation, an operator's or a compliance officer's. At the realm only; a station has one key.
    #[arg(long, default_value = "automation")]
    pub(crate) by: String,
    /// For how many days it may be taken.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=90))]
    pub(crate) days: u64,
}
