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
    /// Threads that pass on requests (default: as many as there are cores).
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
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
    /// Bring the stage reports that a gateway has signed into the log.
    #[command(after_help = "Example: countersign rollout submit --gateway ./gateway-state")]
    Submit {
        /// The gateway's folder: `state` in its configuration.
        #[arg(long, value_name = "FOLDER")]
        gateway: PathBuf,
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
