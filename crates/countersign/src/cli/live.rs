//! Arguments of the commands on what is served: the gateway, and rollouts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A gateway to run.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// The configuration; `docs/gateway.md` describes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Listen on the socket that is standard input, and not on the configuration's `listen`. Whoever keeps the socket, as
    /// systemd does with `StandardInput=socket`, can start the gateway anew without a client being refused.
    #[arg(long)]
    pub(crate) socket_is_stdin: bool,
    /// Bring the gateway's signed stage reports, and what monitors have signed, to the log by itself: into the realm of --home,
    /// or the process that serves it.
    #[arg(long)]
    pub(crate) submit: bool,
    /// Threads that pass on requests (default: as many as there are cores).
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// A monitor to run.
#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// The configuration; `docs/watch.md` describes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// End after so many cycles.
    #[arg(long, value_name = "N")]
    pub(crate) cycles: Option<u64>,
}

/// Incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Show a change's incidents, or all, each with the observations that it rests on.
    #[command(after_help = "Example: countersign incident show 3f0c --json")]
    Show {
        /// The change's tracking id, or its beginning; by default all changes that had one.
        change: Option<String>,
    },
}

/// An engine to launch.
#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// The change's tracking id, or its beginning: one that has a release order.
    pub(crate) change: String,
    /// The key that signs the binding; its directory entry has the role `engine`.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: String,
    /// Where gateways reach the channel. Addresses that other machines reach need --api-key-file.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
    /// Keys that gateways must send, one a line: the gateway's `key_file` has one of them.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// The name of the model at our own engine.
    #[arg(long, value_name = "NAME", default_value = "model")]
    pub(crate) name: String,
    /// Threads of our own engine that compute for one answer (default: as many as there are cores).
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Where the folder with the files is made (default: where temporary files are).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) within: Option<PathBuf>,
    /// The path at which the engine says that it is healthy.
    #[arg(long, value_name = "PATH", default_value = "/health")]
    pub(crate) health: String,
    /// How long the engine has until it is healthy.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) ready_seconds: u64,
    /// How often blocks of the files, chosen by chance, are compared with what was checked.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) look_seconds: u64,
    /// How long answers that have begun may go on after SIGTERM or SIGINT.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain_seconds: u64,
    /// A name of the environment that the engine gets too, beside PATH, HOME, LANG, LC_ALL, TMPDIR and TZ.
    #[arg(long, value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,
    /// The engine's command line, in which `{model}`, `{prompt}` and `{component:NAME}` are paths of the state's components,
    /// and `{socket}` or `{port}` is where it listens (default: our own engine).
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// What is done with a rollout.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Begin the rollout of an admitted order, where the configuration says `stages-by-hand`.
    #[command(after_help = "Example: countersign rollout start 3f0c --gateway ./gateway-state")]
    Start(RolloutArgs),
    /// Show what is served, why, and how far every rollout is.
    #[command(after_help = "Example: countersign rollout status --gateway ./gateway-state --json")]
    Status {
        /// The gateway's folder: `state` in its configuration.
        #[arg(long, value_name = "FOLDER")]
        gateway: PathBuf,
    },
    /// Leave a rollout at its share until it is resumed. It is still taken back where it is worse.
    #[command(after_help = "Example: countersign rollout pause 3f0c --gateway ./gateway-state")]
    Pause(RolloutArgs),
    /// Let a paused rollout go on.
    #[command(after_help = "Example: countersign rollout resume 3f0c --gateway ./gateway-state")]
    Resume(RolloutArgs),
    /// Take a rollout back on this gateway. The record follows with `countersign rollback`.
    #[command(after_help = "Example: countersign rollout abort 3f0c --gateway ./gateway-state")]
    Abort(RolloutArgs),
    /// Sign off the latest stage report, where a hold point waits for it. The report has to be in the log: `submit` brings it.
    #[command(after_help = "Example: countersign rollout sign-off 3f0c --by olga --role operator")]
    SignOff {
        /// The change's tracking id, or its beginning.
        change: String,
        /// The key of who signs.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// What they speak as: the role that the plan's hold point names.
        #[arg(long, value_name = "ROLE", default_value = "operator")]
        role: String,
    },
    /// Serve a slot again that the monitors have stopped, once the record has taken back what was wrong.
    #[command(after_help = "Example: countersign rollout reopen support --gateway ./gateway-state")]
    Reopen {
        /// The slot.
        slot: String,
        /// The gateway's folder: `state` in its configuration.
        #[arg(long, value_name = "FOLDER")]
        gateway: PathBuf,
    },
    /// Bring the stage reports that a gateway has signed, and what monitors have signed there, into the log.
    #[command(after_help = "Example: countersign rollout submit --gateway ./gateway-state --by rollout")]
    Submit {
        /// The gateway's folder: `state` in its configuration.
        #[arg(long, value_name = "FOLDER")]
        gateway: PathBuf,
        /// Where another process has the log: the gateway's key, which brings what monitors have signed. Its directory entry has
        /// the role `rollout`.
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

/// Which rollout.
#[derive(Debug, Args)]
pub(crate) struct RolloutArgs {
    /// The change's tracking id, or its beginning.
    pub(crate) change: String,
    /// The gateway's folder: `state` in its configuration.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) gateway: PathBuf,
}
