//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::witness::WitnessArgs;

/// Change control for models that change themselves. Nothing a model changes about itself takes effect until it is
/// countersigned.
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Example: countersign demo")]
pub(crate) struct Cli {
    /// The realm's folder.
    #[arg(long, global = true, env = "COUNTERSIGN_HOME", default_value = "countersign-realm")]
    pub(crate) home: PathBuf,
    /// Answer in JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A file with the passphrase of the keys that are used (else COUNTERSIGN_PASSPHRASE, else the terminal is asked).
    #[arg(long, global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a realm: its log, vault, first trust root and policy.
    Init(InitArgs),
    /// Make, show, enrol and revoke keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Define where models are served.
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Show, check and replace the policy.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Propose a change.
    Propose(ProposeArgs),
    /// Examine a change: measure its bytes against its scope, sign the finding, decide.
    Examine(ExamineArgs),
    /// Sign a finding that a person made, with its report.
    Review(ReviewArgs),
    /// Decide on a change by the policy and its findings, and record the verdict.
    Decide(ChangeArg),
    /// Approve a change: shows exactly what is signed, and signs exactly that.
    Approve(ApproveArgs),
    /// Say no to a change.
    Refuse(RefuseArgs),
    /// Order the release of an approved change.
    Order(OrderArgs),
    /// Take a released change back.
    Rollback(RollbackArgs),
    /// Ask as a gateway would: may this change be served now?
    Admit(ChangeArg),
    /// Give a time-limited authorisation, or renew one.
    Grant(GrantArgs),
    /// Set what a key may propose without a grant.
    Level(LevelArgs),
    /// Halt changes, or end a halt.
    Freeze(FreezeArgs),
    /// List changes, slots, persons and grants.
    List,
    /// Show a change, a slot or a statement.
    Show(ShowArgs),
    /// Look into the log, check it, serve it.
    #[command(subcommand)]
    Log(LogCommand),
    /// Be a witness of logs.
    Witness(WitnessArgs),
    /// Write everything an outsider needs to check the record into one file.
    Export(ExportArgs),
    /// See the whole way of a change, and what is refused, in a realm made for it.
    Demo(DemoArgs),
}

/// Example: countersign init --name acme --officer alice --officer bob
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct InitArgs {
    /// The realm's name: a-z, 0-9, `-`.
    #[arg(long)]
    pub(crate) name: String,
    /// A person who holds a root key; at least two. Each gets a sealed key file `root-NAME`.
    #[arg(long = "officer", required = true)]
    pub(crate) officers: Vec<String>,
    /// The worker program whose findings count (default: `countersign-worker` beside this program).
    #[arg(long)]
    pub(crate) worker: Option<PathBuf>,
    /// How long the first trust root lasts, in days.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u64,
}

/// Keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key file. Example: countersign key new carol
    New {
        /// The key's name.
        name: String,
        /// ed25519 or ecdsa-p256-sha256.
        #[arg(long, default_value = "ed25519")]
        scheme: String,
        /// For a service that starts unattended: no passphrase.
        #[arg(long)]
        service: bool,
    },
    /// List the key files of this machine.
    List,
    /// Show a key's public half. Example: countersign key show carol
    Show {
        /// The key's name.
        name: String,
    },
    /// Bind a key to a person and roles; two directory officers sign.
    /// Example: countersign key enrol carol --person carol --role approver --capacity technical --clearance medium --by root-alice --by root-bob
    #[command(verbatim_doc_comment)]
    Enrol(EnrolArgs),
    /// Revoke a key from a leaf of the log on. Example: countersign key revoke carol --since 42 --reason lost --by root-alice --by root-bob
    #[command(verbatim_doc_comment)]
    Revoke {
        /// The key's name or id.
        key: String,
        /// The first leaf at which its signatures no longer count; by default from now on.
        #[arg(long)]
        since: Option<u64>,
        /// Why, as a code.
        #[arg(long)]
        reason: String,
        /// The officers' keys.
        #[arg(long, required = true)]
        by: Vec<String>,
    },
}

/// Enrolment.
#[derive(Debug, Args)]
pub(crate) struct EnrolArgs {
    /// The key's name on this machine.
    pub(crate) name: String,
    /// The person's pseudonym.
    #[arg(long)]
    pub(crate) person: String,
    /// proposer, automation, examiner, compliance, approver, operator, rollout, gateway, engine, monitor.
    #[arg(long = "role", required = true)]
    pub(crate) roles: Vec<String>,
    /// oversight, technical, ethics, security, business.
    #[arg(long = "capacity")]
    pub(crate) capacities: Vec<String>,
    /// The highest tier the person may approve: minimal, low, medium, high.
    #[arg(long, default_value = "minimal")]
    pub(crate) clearance: String,
    /// How long the key counts, in days.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u64,
    /// The directory officers' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Slots.
#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// Define a slot and the state it starts with; the policy officers sign.
    /// Example: countersign slot define support --component weights:base=model.safetensors --component prompt:system=prompt.md --scope tuning=scope.json --modification adapter --modification prompt --context chat --by root-alice --by root-bob
    #[command(verbatim_doc_comment)]
    Define(SlotArgs),
}

/// A slot's definition.
#[derive(Debug, Args)]
pub(crate) struct SlotArgs {
    /// The slot's name.
    pub(crate) slot: String,
    /// A component of the first state, as ROLE:NAME=PATH (a file or a folder), in the order in which they apply.
    #[arg(long = "component", required = true)]
    pub(crate) components: Vec<String>,
    /// The scope file of a level, as LEVEL=FILE.
    #[arg(long = "scope", required = true)]
    pub(crate) scopes: Vec<String>,
    /// A kind of modification the slot takes.
    #[arg(long = "modification", required = true)]
    pub(crate) modifications: Vec<String>,
    /// A context (domain of application).
    #[arg(long = "context", required = true)]
    pub(crate) contexts: Vec<String>,
    /// Loss if it goes wrong: log10 of the currency unit, in thousandths (6000 is a million).
    #[arg(long, default_value_t = 4000)]
    pub(crate) impact_milli: i64,
    /// The oldest checkpoint a gateway may judge by, in seconds.
    #[arg(long, default_value_t = 3600)]
    pub(crate) checkpoint_age_s: u64,
    /// The policy officers' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// The policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the policy in force.
    Show,
    /// Check a policy file without signing it. Example: countersign policy check my.cedar
    Check {
        /// The Cedar file.
        file: PathBuf,
        /// The tables, as JSON; by default those in force.
        #[arg(long)]
        rules: Option<PathBuf>,
    },
    /// Put another policy in force; the policy officers sign.
    Replace {
        /// The Cedar file; by default the one in force.
        #[arg(long)]
        file: Option<PathBuf>,
        /// The tables, as JSON; by default those in force.
        #[arg(long)]
        rules: Option<PathBuf>,
        /// The policy officers' keys.
        #[arg(long, required = true)]
        by: Vec<String>,
    },
}

/// Example: countersign propose support --adapter ./adapter --by carol --grant 3f0c…
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ProposeArgs {
    /// The slot.
    pub(crate) slot: String,
    /// A PEFT adapter's folder.
    #[arg(long, group = "artefact")]
    pub(crate) adapter: Option<PathBuf>,
    /// A safetensors file with whole weights.
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
}

/// A change.
#[derive(Debug, Args)]
pub(crate) struct ChangeArg {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
}

/// Example: countersign examine 3f0c --by erin
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ExamineArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// The examiner's key.
    #[arg(long)]
    pub(crate) by: String,
}

/// Example: countersign review 3f0c --evidence security-review --report review.md --by sven
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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
    /// The reviewer's key.
    #[arg(long)]
    pub(crate) by: String,
}

/// Example: countersign approve 3f0c --capacity technical --by carol
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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
    #[arg(long, default_value_t = 7)]
    pub(crate) days: u64,
    /// Sign without asking once more.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Example: countersign refuse 3f0c --reason tone --by carol
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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

/// Example: countersign order 3f0c --by olga
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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
    #[arg(long, default_value_t = 30)]
    pub(crate) serve_days: u64,
}

/// Example: countersign rollback 3f0c --reason drift --by olga
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RollbackArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// Why, as a code.
    #[arg(long)]
    pub(crate) reason: String,
    /// The operator's key, or several monitors' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Example: countersign grant --to trainer --slot support --modification adapter --days 30 --by carol
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct GrantArgs {
    /// The key that gets it: a key's name on this machine, or a key id.
    #[arg(long)]
    pub(crate) to: String,
    /// propose, or approve (for the automation key).
    #[arg(long, default_value = "propose")]
    pub(crate) purpose: String,
    /// A slot it covers.
    #[arg(long = "slot", required = true)]
    pub(crate) slots: Vec<String>,
    /// A kind of modification it covers.
    #[arg(long = "modification", required = true)]
    pub(crate) modifications: Vec<String>,
    /// A context it covers; by default all of the slots'.
    #[arg(long = "context")]
    pub(crate) contexts: Vec<String>,
    /// The highest level it covers.
    #[arg(long, default_value = "tuning")]
    pub(crate) level: String,
    /// The highest tier it covers.
    #[arg(long, default_value = "minimal")]
    pub(crate) tier: String,
    /// How many changes it is good for.
    #[arg(long, default_value_t = 10)]
    pub(crate) changes: u32,
    /// For how many days.
    #[arg(long, default_value_t = 30)]
    pub(crate) days: u64,
    /// The grant it renews.
    #[arg(long)]
    pub(crate) renews: Option<String>,
    /// The approver's key.
    #[arg(long)]
    pub(crate) by: String,
}

/// Example: countersign level trainer --slot support --level tuning --reason probation-passed --by root-alice --by root-bob
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LevelArgs {
    /// The proposer's key: a name on this machine, or a key id.
    pub(crate) key: String,
    /// The slot.
    #[arg(long)]
    pub(crate) slot: String,
    /// tuning, knowledge, architecture, mechanism, or none.
    #[arg(long)]
    pub(crate) level: String,
    /// Why, as a code.
    #[arg(long)]
    pub(crate) reason: String,
    /// The policy officers' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Example: countersign freeze begin --slot support --reason incident-7 --by olga
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct FreezeArgs {
    /// begin or end.
    pub(crate) action: String,
    /// One slot only.
    #[arg(long, group = "target")]
    pub(crate) slot: Option<String>,
    /// One change only.
    #[arg(long, group = "target")]
    pub(crate) change: Option<String>,
    /// Why, as a code.
    #[arg(long)]
    pub(crate) reason: String,
    /// The key; to end it, the policy officers' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Example: countersign show 3f0c
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ShowArgs {
    /// A change's tracking id, a slot's name, or a statement's id; beginnings suffice where they are unambiguous.
    pub(crate) what: String,
}

/// The log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the published checkpoint with its cosignatures.
    Head,
    /// Print an entry. Example: countersign log entry 7
    Entry {
        /// Its index.
        index: u64,
    },
    /// Write a proof that an entry is in the log (C2SP tlog-proof). Example: countersign log prove 7
    Prove {
        /// Its index.
        index: u64,
    },
    /// Print the proof that one tree continues another. Example: countersign log consistency 7 12
    Consistency {
        /// The older size.
        old: u64,
        /// The newer size; by default the published one.
        new: Option<u64>,
    },
    /// Re-read everything and say what is wrong.
    Fsck,
    /// Serve the log's tiles over HTTP (C2SP tlog-tiles). Example: countersign log serve --listen 127.0.0.1:7390
    Serve {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:7390")]
        listen: std::net::SocketAddr,
    },
}

/// Example: countersign export --out record.countersign
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ExportArgs {
    /// The file to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// An earlier checkpoint at which the population begins.
    #[arg(long)]
    pub(crate) from_checkpoint: Option<PathBuf>,
}

/// Example: countersign demo
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DemoArgs {
    /// The folder of a real PEFT adapter; without it a small one made for the purpose is used.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// Keep the realm in this folder.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
}
