//! Arguments of the red-team range.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do in the range.
#[derive(Debug, Subcommand)]
pub(crate) enum RangeCommand {
    /// Make changes of a family, each measured, with a manifest. What is there already is kept.
    #[command(
        after_help = "Example: countersign range generate --family lora-backdoor --count 20 --seed 7 --out ./range"
    )]
    Generate(RangeGenerateArgs),
    /// List the families.
    #[command(after_help = "Example: countersign range families --json")]
    Families,
}

/// What is made, how often and from what.
#[derive(Debug, Args)]
pub(crate) struct RangeGenerateArgs {
    /// The family: `countersign range families` lists them.
    #[arg(long, value_name = "FAMILY")]
    pub(crate) family: String,
    /// How many samples.
    #[arg(long, value_name = "N")]
    pub(crate) count: u64,
    /// The seed that everything is drawn from.
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: u64,
    /// The folder for samples, bases and manifest.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// A base: `tiny`, or one trained from a seed: `llama-64:3`, `qwen-64:1`, `gemma-64:2`, `llama-256:5`. May be
    /// given several times; they take turns.
    #[arg(long, value_name = "BASE", default_value = "tiny")]
    pub(crate) base: Vec<String>,
    /// Processes (default: one for each core). Each computes in one thread.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// What a process of a run does, and which part of it: used by the program itself.
    #[arg(long, hide = true, value_enum, requires = "share")]
    pub(crate) stage: Option<RangeStage>,
    /// `K/N`: every N-th, beginning with the K-th.
    #[arg(long, hide = true, requires = "stage")]
    pub(crate) share: Option<String>,
}

/// What a process of a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RangeStage {
    /// It trains bases.
    Bases,
    /// It makes samples.
    Samples,
}
