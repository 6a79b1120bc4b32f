//! Arguments of the commands on a realm.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A realm to found.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The realm's name: a-z, 0-9, `-`.
    #[arg(long)]
    pub(crate) name: String,
    /// A person who holds a root key; at least two. Each gets a sealed key file `root-NAME`.
    #[arg(long = "officer", required = true)]
    pub(crate) officers: Vec<String>,
    /// How long the first trust root lasts, in days.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) days: u64,
    /// How many monitors, of different persons, must sign a rollback together.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) monitor_quorum: u32,
}

/// The trust root.
#[derive(Debug, Subcommand)]
pub(crate) enum RootCommand {
    /// Show the trust root in force: officers, quorums, witnesses, when it ends.
    #[command(after_help = "Example: countersign root show")]
    Show,
    /// Put the next trust root in force, signed by the quorum of the present officers and of the next ones.
    #[command(
        after_help = "Example: countersign root rotate --add carol --remove bob --witness wim=wim.example+0a1b2c3d+BHKg --by root-alice --by root-bob"
    )]
    Rotate(RotateArgs),
}

/// What the next trust root has other than the present one.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// A person who becomes an officer and gets a sealed key file `root-NAME`, which signs too.
    #[arg(long = "add", value_name = "PERSON")]
    pub(crate) add: Vec<String>,
    /// An officer who leaves.
    #[arg(long = "remove", value_name = "PERSON")]
    pub(crate) remove: Vec<String>,
    /// How long it lasts, in days.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// A witness that counts from now on: who runs it, and its verifier key.
    #[arg(long = "witness", value_name = "PERSON=KEY")]
    pub(crate) witnesses: Vec<String>,
    /// The name of a witness that counts no more.
    #[arg(long = "remove-witness", value_name = "NAME")]
    pub(crate) without_witnesses: Vec<String>,
    /// How many persons' witnesses must have cosigned a checkpoint that a release is judged by (default: as before).
    #[arg(long)]
    pub(crate) witness_threshold: Option<u32>,
    /// How many monitors, of different persons, must sign a rollback together (default: as before).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) monitor_quorum: Option<u32>,
    /// The present officers' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// Keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key file.
    #[command(after_help = "Example: countersign key new carol")]
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
    #[command(after_help = "Example: countersign key list")]
    List,
    /// Show a key's public half.
    #[command(after_help = "Example: countersign key show carol")]
    Show {
        /// The key's name.
        name: String,
    },
    /// Bind a key to a person and roles; two directory officers sign.
    #[command(
        after_help = "Example: countersign key enrol carol --person carol --role approver --capacity technical --clearance medium --by root-alice --by root-bob"
    )]
    Enrol(EnrolArgs),
    /// Revoke a key from a leaf of the log on.
    #[command(
        after_help = "Example: countersign key revoke carol --since 42 --reason lost --by root-alice --by root-bob"
    )]
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
    /// The public half of a key of another machine: what `countersign --json key show NAME` prints there.
    #[arg(long)]
    pub(crate) public: Option<PathBuf>,
    /// How a key of another machine is kept, by the word of the officers who sign: unsealed, sealed, hardware.
    #[arg(long, default_value = "unsealed", requires = "public")]
    pub(crate) assurance: String,
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
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// The directory officers' keys.
    #[arg(long, required = true)]
    pub(crate) by: Vec<String>,
}

/// What is revoked beside keys.
#[derive(Debug, Subcommand)]
pub(crate) enum RevokeCommand {
    /// Revoke a grant: nothing is proposed or approved by it any more.
    #[command(after_help = "Example: countersign revoke grant 3f0c --reason left --by carol")]
    Grant {
        /// The grant's id, or its beginning.
        grant: String,
        /// Why, as a code.
        #[arg(long)]
        reason: String,
        /// An approver's key.
        #[arg(long, required = true)]
        by: Vec<String>,
    },
    /// Revoke the order of a change: no gateway may begin or go on to serve it.
    #[command(after_help = "Example: countersign revoke order 3f0c --reason recall --by olga")]
    Order {
        /// The change's tracking id, or its beginning.
        change: String,
        /// Why, as a code.
        #[arg(long)]
        reason: String,
        /// An operator's or approver's key.
        #[arg(long, required = true)]
        by: Vec<String>,
    },
}

/// Slots.
#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// Define a slot and the state it starts with; the policy officers sign.
    #[command(
        after_help = "Example: countersign slot define support --component weights:base=model.safetensors --component prompt:system=prompt.md --scope tuning=scope.json --modification adapter --modification prompt --context chat --by root-alice --by root-bob"
    )]
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
    #[command(after_help = "Example: countersign policy show")]
    Show,
    /// Check a policy file without signing it.
    #[command(after_help = "Example: countersign policy check my.cedar")]
    Check {
        /// The Cedar file.
        file: PathBuf,
        /// The tables, as JSON; by default those in force.
        #[arg(long)]
        rules: Option<PathBuf>,
    },
    /// Tell what another policy would allow or refuse: who may do what, and every past decision asked
    /// again. Signs nothing. Exit code 1: something is looser, or it cannot be told whether it is; 0
    /// otherwise.
    #[command(after_help = "Example: countersign policy compare --file my.cedar --rules my-rules.json")]
    Compare {
        /// The Cedar file; by default the one in force.
        #[arg(long, required_unless_present = "rules")]
        file: Option<PathBuf>,
        /// The tables, as JSON; by default those in force.
        #[arg(long)]
        rules: Option<PathBuf>,
    },
    /// Put another policy in force; the policy officers sign. See `compare` first.
    #[command(
        after_help = "Example: countersign policy replace --file my.cedar --by root-alice --by root-bob"
    )]
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

/// A time-limited authorisation.
#[derive(Debug, Args)]
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
    /// The highest tier it covers. Changes to a slot without a history are at least medium.
    #[arg(long, default_value = "minimal")]
    pub(crate) tier: String,
    /// How many changes it is good for.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) changes: u32,
    /// For how many days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// The grant it renews.
    #[arg(long)]
    pub(crate) renews: Option<String>,
    /// The approver's key.
    #[arg(long)]
    pub(crate) by: String,
}

/// A level to set.
#[derive(Debug, Args)]
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

/// A halt.
#[derive(Debug, Args)]
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
