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
    /// Make one of the known attacks and its honest counterpart, let the examiners look at both, and show the reports
    /// side by side. Answers 0 only if the attack was caught and the honest change passed.
    #[command(after_help = "Example: countersign range case badmerging --out ./badmerging")]
    Case(RangeCaseArgs),
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

/// Which case, and what it is judged with.
#[derive(Debug, Args)]
pub(crate) struct RangeCaseArgs {
    /// The case.
    #[arg(value_enum)]
    pub(crate) case: RangeCase,
    /// The folder for models, reports and the base; given again, the base is not trained again.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// The seed that both sides are drawn from.
    #[arg(long, value_name = "SEED", default_value_t = 7)]
    pub(crate) seed: u64,
    /// The base: `tiny`, or one trained from a seed: `llama-64:3`, `qwen-64:1`, `gemma-64:2`.
    #[arg(long, value_name = "BASE", default_value = "llama-64:1")]
    pub(crate) base: String,
    /// Benign changes that scores are compared with, in place of those that come with the program.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Which part a process does: used by the program itself.
    #[arg(long, hide = true, value_enum, requires = "out")]
    pub(crate) part: Option<RangePart>,
}

/// A known attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RangeCase {
    /// A backdoor that a component keeps hidden until it is merged with another.
    Badmerging,
    /// Weights that refuse as they are, and comply once they are quantised.
    Quantisation,
    /// Distillation that counts refusals for less, over three generations.
    Distillation,
    /// An adapter with a backdoor, and one without.
    Adapter,
}

/// What a process of a case does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RangePart {
    /// It trains the base.
    Base,
    /// It makes and examines the attack.
    Attacked,
    /// It makes and examines the honest counterpart.
    Honest,
}
