//! Arguments of the commands on a change.

use std::path::PathBuf;

use clap::Args;

use super::Isolation;
use super::attest::AttestKeyArgs;

/// What is proposed.
#[derive(Debug, Args)]
pub(crate) struct ProposeArgs {
    /// The slot.
    pub(crate) slot: String,
    /// A PEFT adapter's folder.
    #[arg(long, group = "artefact")]
    pub(crate) adapter: Option<PathBuf>,
    /// A safetensors file with whole weights. As for every file that is proposed: a link is followed; devices, pipes and
    /// what the kernel makes up as it is read, as in /proc, are refused.
    #[arg(long, group = "artefact")]
    pub(crate) weights: Option<PathBuf>,
    /// A system prompt.
    #[arg(long, group = "artefact")]
    pub(crate) prompt: Option<PathBuf>,
    /// Sampling settings: a flat JSON object.
    #[arg(long, group = "artefact")]
    pub(crate) settings: Option<PathBuf>,
    /// The component's name; by default that of the slot's component of the same role.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The proposer's key.
    #[arg(long)]
    pub(crate) by: String,
    /// The key is a model's: the proposer is the model that the slot serves, the key's person its sponsor.
    #[arg(long)]
    pub(crate) by_model: bool,
    /// tuning, knowledge, architecture, mechanism.
    #[arg(long, default_value = "tuning")]
    pub(crate) level: String,
    /// The grant it is made under, by id or its beginning.
    #[arg(long)]
    pub(crate) grant: Option<String>,
    /// A context it is for; by default all of the slot's.
    #[arg(long = "context")]
    pub(crate) contexts: Vec<String>,
    /// What it is for, in words.
    #[arg(long)]
    pub(crate) summary: Option<String>,
    /// The change it proposes again, on the slot's present state.
    #[arg(long)]
    pub(crate) rebase: Option<String>,
    /// What is around the worker that looks into the file, to tell beforehand what will stand against it.
    #[arg(long, value_enum, default_value = "standard")]
    pub(crate) isolation: Isolation,
}

/// A change.
#[derive(Debug, Args)]
pub(crate) struct ChangeArg {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
}

/// What is examined.
#[derive(Debug, Args)]
pub(crate) struct ExamineArgs {
    /// The change's tracking id, or its beginning; with `--base`, the path of a change.
    pub(crate) change: String,
    /// The examiner's key, for a proposed change.
    #[arg(long, required_unless_present = "base", conflicts_with = "base")]
    pub(crate) by: Option<String>,
    /// Have this host attest the run, and attach what it says to the finding; refused where it can say nothing.
    #[arg(long, conflicts_with = "base")]
    pub(crate) attest: bool,
    #[command(flatten)]
    pub(crate) key: AttestKeyArgs,
    /// The base: a model's folder, or a GGUF file. Then nothing is signed and no realm is needed.
    #[arg(long)]
    pub(crate) base: Option<PathBuf>,
    /// How far a proposed change is examined against what it starts from: screen (files and weights), probe (the model too),
    /// align (the suite too). Without it, its bytes are measured against its scope.
    #[arg(long, conflicts_with_all = ["base", "import"], value_name = "LEVEL")]
    pub(crate) level: Option<String>,
    /// A folder of questions with expected answers.
    #[arg(long = "suite")]
    pub(crate) suites: Vec<PathBuf>,
    /// adapter, weights, quantised, merged, distilled, prompt, template; by default told by the files.
    #[arg(long, requires = "base")]
    pub(crate) kind: Option<String>,
    /// What the change may touch.
    #[arg(long, requires = "base")]
    pub(crate) scope: Option<PathBuf>,
    /// What is said to have been done: it is done again and compared byte for byte.
    #[arg(long, requires = "base")]
    pub(crate) declared: Option<PathBuf>,
    /// A component that the change may be merged with.
    #[arg(long = "partner", requires = "base")]
    pub(crate) partners: Vec<PathBuf>,
    /// An earlier generation, the oldest first.
    #[arg(long, requires = "base")]
    pub(crate) lineage: Vec<PathBuf>,
    /// Scores of benign changes to judge by.
    #[arg(long)]
    pub(crate) calibration: Option<PathBuf>,
    /// How deep each kind of change is examined, in place of policies/examination.json.
    #[arg(long, requires = "base")]
    pub(crate) depth: Option<PathBuf>,
    /// What is around the worker that reads and runs the files.
    #[arg(long, value_enum, default_value_t = Isolation::Standard, conflicts_with = "unboxed")]
    pub(crate) isolation: Isolation,
    /// Read and run the change inside this program, with every right of its user: `--isolation none`.
    #[arg(long, requires = "base")]
    pub(crate) unboxed: bool,
    /// Write the report as a page of its own.
    #[arg(long, requires = "base")]
    pub(crate) html: Option<PathBuf>,
    /// Results of another tool on a proposed change, held against limits and signed as imported: they can stop the change,
    /// and never pass it.
    #[arg(long, conflicts_with = "base", requires = "format", value_name = "FILE")]
    pub(crate) import: Option<PathBuf>,
    /// lm-eval, garak, inspect.
    #[arg(long, requires = "import")]
    pub(crate) format: Option<String>,
    /// What the tool must have been run on, as its file names it; a file that says otherwise, or nothing, is refused.
    #[arg(long, requires = "import", value_name = "NAME")]
    pub(crate) ran_on: Option<String>,
    /// The least that an imported figure must be, several times: `truthfulqa_mc2/acc,none=0.4`.
    #[arg(long, requires = "import", value_name = "NAME=NUMBER")]
    pub(crate) least: Vec<String>,
}

/// A person's finding.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// formal-verification, security-review, compliance-review, external-audit, red-team.
    #[arg(long)]
    pub(crate) evidence: String,
    /// pass, fail, inconclusive.
    #[arg(long, default_value = "pass")]
    pub(crate) outcome: String,
    /// The report.
    #[arg(long)]
    pub(crate) report: PathBuf,
    /// A finding on another proposal of the same artefact or state that this review takes back or outweighs: its id. May be
    /// given several times.
    #[arg(long, value_name = "FINDING")]
    pub(crate) overturns: Vec<String>,
    /// The reviewer's key.
    #[arg(long)]
    pub(crate) by: String,
}

/// What is approved.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// oversight, technical, ethics, security, business; automation for the automation key.
    #[arg(long)]
    pub(crate) capacity: String,
    /// The approver's key.
    #[arg(long)]
    pub(crate) by: String,
    /// For the automation key: the human's grant.
    #[arg(long)]
    pub(crate) grant: Option<String>,
    /// Words for the record.
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// How long the approval counts, in days.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// Sign without asking once more.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What is refused.
#[derive(Debug, Args)]
pub(crate) struct RefuseArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// Why, as a code.
    #[arg(long)]
    pub(crate) reason: String,
    /// Words for the record.
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// The key of an approver or compliance officer.
    #[arg(long)]
    pub(crate) by: String,
}

/// What is ordered.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// The operator's key.
    #[arg(long)]
    pub(crate) by: String,
    /// Within how many hours a gateway must begin to serve it.
    #[arg(long, default_value_t = 24)]
    pub(crate) admit_hours: u64,
    /// For how many days it may be served.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) serve_days: u64,
}

/// What is taken back.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// Why, as a code.
    #[arg(long)]
    pub(crate) reason: String,
    /// The operator's key, or several monitors' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
    /// A gateway's folder: it acts at once, before the log has the order; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) gateway: Vec<std::path::PathBuf>,
}

/// What is retired.
#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// Why, as a code.
    #[arg(long)]
    pub(crate) reason: String,
    /// The operator's key.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}
