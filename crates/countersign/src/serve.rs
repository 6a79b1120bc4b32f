//! `countersign serve`: the roles of a realm as processes of their own, each with its key and its folder.
//!
//! ```text
//!  client ──submission──► intake ──submission──► authority ──request──► examiner
//!         ◄──receipt────         ◄──receipt────            ◄──findings─
//! ```
//!
//! What goes over a channel is a bundle (crate `bundle`): a header signed by its sender that names every byte. The receiver
//! looks at the sender's key and signature before it takes the body, keeps the body in its own folder, and decides then.
//! No process writes another's files. Only the authority has the log; the others could not add a leaf if they wanted.
//!
//! What this does not do: give a role to a key. Whether a statement has effect is the fold's matter, whoever brings it.

mod asking;
mod authority;
mod channel;
mod door;
mod examiner;
mod intake;
mod patience;
mod places;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use attest::Sources;
use clap::{Args, ValueEnum};
use sandbox::{Level, SandboxError};
use statement::KeyId;

use crate::cli::{AttestKeyArgs, GatewayArgs, Isolation, MonitorArgs};
use crate::command::Setting;
use crate::command::attest::sources;
use crate::command::live::{gateway, monitor};
use crate::failure::{Done, Failure};
use crate::worker::Worker;

pub(crate) use channel::{Receipt, send_file};

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Everything in one process, for a laptop: takes statements, keeps the log, examines.
    All,
    /// Takes what clients bring, checks it, sends it on to the authority.
    Intake,
    /// Examines what the authority sends, in the box.
    Examiner,
    /// Keeps the log.
    Authority,
    /// Serves models.
    Gateway,
    /// Watches.
    Monitor,
}

/// A process to run.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// What it is. Its folder is --home: a realm's for `all` and `authority`, a station's for `intake` and `examiner`; a
    /// gateway's and a monitor's stand in their configurations.
    #[arg(value_enum)]
    pub(crate) part: Part,
    /// The Unix socket to listen on: for all but `gateway` and `monitor`.
    #[arg(long)]
    pub(crate) listen: Option<PathBuf>,
    /// The configuration: for `gateway` and `monitor`, as `countersign gateway` and `countersign monitor` take it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "authority", "authority_key", "intake_key",
        "intake_socket", "examiners", "examine_by", "attest"])]
    pub(crate) config: Option<PathBuf>,
    /// Bring what the gateway and its monitors have signed to the log by itself: for `gateway`.
    #[arg(long, requires = "config")]
    pub(crate) submit: bool,
    /// Where the authority listens: for `intake` and `examiner`.
    #[arg(long)]
    pub(crate) authority: Option<PathBuf>,
    /// The authority's key (the realm's `automation` key): for `intake` and `examiner`.
    #[arg(long)]
    pub(crate) authority_key: Option<KeyId>,
    /// The intake's key: for `authority`. Submissions by another are refused.
    #[arg(long)]
    pub(crate) intake_key: Option<KeyId>,
    /// Where the intake listens: for `authority`. Commands in the realm's folder then bring there what they sign.
    #[arg(long)]
    pub(crate) intake_socket: Option<PathBuf>,
    /// Where the examiner listens, as KEY-ID=SOCKET: for `authority`; may be repeated.
    #[arg(long = "examiner")]
    pub(crate) examiners: Vec<String>,
    /// The name of the key that examines: for `all`.
    #[arg(long, conflicts_with = "examiners")]
    pub(crate) examine_by: Option<String>,
    /// What is around the worker that examines: for `all` and `examiner`. A host that cannot enforce it is refused.
    #[arg(long, value_enum, default_value_t = Isolation::Standard)]
    pub(crate) isolation: Isolation,
    /// Have this host say where the worker ran, by the TPM or the confidential machine that it is: for `all` and `examiner`.
    #[arg(long)]
    pub(crate) attest: bool,
    #[command(flatten)]
    pub(crate) host: AttestKeyArgs,
    /// When started as root: become this user, as UID:GID, before anything is opened.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// How a process examines.
#[derive(Debug)]
struct Manner {
    level: Level,
    sources: Option<Sources>,
}

impl Manner {
    /// As the command line says; refused where this host cannot keep to it, before anything is taken.
    fn of(args: &ServeArgs, worker: &Worker) -> Done<Self> {
        let level = args.isolation.level().ok_or_else(|| {
            Failure::usage("what is signed comes from a worker in a box: `--isolation none` is not")
        })?;
        if level == Level::Gvisor {
            sandbox::gvisor::inside().map_err(|why| SandboxError::Gvisor { why })?;
        }
        if let Some((boundary, why)) = worker.boundaries()?.lacks(level).into_iter().next() {
            return Err(SandboxError::Lacks { boundary, level, why }.into());
        }
        let is_asked = args.attest || args.host.tpm.is_some() || args.host.tpm_key.is_some();
        let sources = is_asked.then(|| sources(&args.host)).transpose()?;
        if sources.as_ref().is_some_and(|sources| *sources == Sources::default()) {
            return Err(Failure::new(
                "CS-CLI-088",
                "this host has nothing that could attest what runs on it",
                "leave `--attest` out, name a TPM with `--tpm`, or run the examiner on a host that has one",
            ));
        }
        Ok(Self { level, sources })
    }
}

/// A bundle of statements to bring.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The bundle, of direction `submission`. Where to is told by --socket and --receiver-key.
    pub(crate) file: PathBuf,
}

/// `countersign serve`.
pub(crate) fn run(setting: &Setting, args: &ServeArgs) -> Done {
    if let Some(user) = &args.user {
        return become_user(user);
    }
    match args.part {
        Part::All => authority::run(setting, args, authority::Takes::FromAnybody),
        Part::Authority => authority::run(setting, args, authority::Takes::FromIntake),
        Part::Intake => intake::run(setting, args),
        Part::Examiner => examiner::run(setting, args),
        Part::Gateway => {
            let (config, submit) = (args.config()?, args.submit);
            gateway(setting, &GatewayArgs { config, socket_is_stdin: false, submit, threads: None })
        }
        Part::Monitor => {
            if args.submit {
                return Err(Failure::usage(
                    "`--submit` is a gateway's: it brings what its monitors have signed, too",
                ));
            }
            monitor(setting, &MonitorArgs { config: args.config()?, cycles: None })
        }
    }
}

impl ServeArgs {
    /// The socket of a part that has one.
    fn listen(&self) -> Done<&Path> {
        let wanted = || Failure::usage("this part needs --listen, and no --config");
        self.listen.as_deref().filter(|_| self.config.is_none()).ok_or_else(wanted)
    }

    /// The configuration of a part that has one.
    fn config(&self) -> Done<PathBuf> {
        wanted(self.config.clone(), "--config; where it listens is said there")
    }
}

/// `countersign submit`.
pub(crate) fn submit(setting: &Setting, args: &SubmitArgs) -> Done {
    let route = wanted(setting.route.clone(), "--socket and --receiver-key")?;
    let receipt = send_file(&route.socket, &args.file, route.receiver)?;
    match receipt.refused {
        None => {
            let leaf = receipt.leaf;
            let text = leaf.map_or_else(|| "taken\n".to_owned(), |leaf| format!("taken: leaf {leaf}\n"));
            setting.print(&serde_json::json!({ "taken": true, "leaf": leaf }), &text);
            Ok(())
        }
        Some(code) => Err(declined(&code)),
    }
}

/// What another process has refused: by its code, as it would be refused here, where the gates have that code.
pub(crate) fn declined(code: &str) -> Failure {
    if let Some(known) = dossier::Code::ALL.iter().find(|known| known.as_str() == code) {
        let message = format!("the process that serves refuses it: {}", known.text());
        return Failure::new(code, message, known.hint());
    }
    let message = format!("the receiver refuses it: `{code}`");
    Failure::new("CS-SRV-002", message, "`docs/errors.md` says what the code means and what to do")
}

/// Starts this program anew as another user, without the option that asked for it.
fn become_user(user: &str) -> Done {
    let numbers = user.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let Some((uid, gid)) = numbers else {
        return Err(Failure::usage(format!("`{user}` is not UID:GID, both numbers")));
    };
    let me = std::env::current_exe().map_err(|error| Failure::file(Path::new("/proc/self/exe"), &error))?;
    let mut rest = Vec::new();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--user" {
            // Its value goes with it.
            drop(arguments.next());
        } else if !argument.to_string_lossy().starts_with("--user=") {
            rest.push(argument);
        }
    }
    // The standard library gives up supplementary groups with the user.
    let error = Command::new(me).args(rest).uid(uid).gid(gid).exec();
    let message = format!("this process cannot become user `{user}`: {error}");
    Err(Failure::new("CS-SRV-003", message, "start it as root, or as that user without --user"))
}

/// What an option must say for a part.
fn wanted<T>(option: Option<T>, name: &str) -> Done<T> {
    option.ok_or_else(|| Failure::usage(format!("this needs {name}")))
}
