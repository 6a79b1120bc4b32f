//! Why a gateway does not start, or does not believe what it reads, each with a stable code.

use std::net::SocketAddr;
use std::path::PathBuf;

use statement::kind::BindingLevel;
use statement::{KeyId, SlotId, StateId, StatementId};

use crate::binding::{level_name, shown};

/// A refusal of the configuration, of the log, or of an operator's request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that cannot be used.
    #[error("the configuration's {what}: {reason}")]
    Config {
        /// Which part.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody could be told from anybody.
    #[error("the configuration names no `keys`: everybody could ask")]
    Unauthenticated,
    /// The address cannot be listened on.
    #[error("`{address}` cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file or folder cannot be read or written.
    #[error("`{}` cannot be {act}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// What was tried.
        act: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of the gateway's own is not what it wrote.
    #[error("`{}` is not what this gateway wrote: {reason}", path.display())]
    Kept {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system gives no threads.
    #[error("the system gives no {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The plan compares what this gateway does not measure.
    #[error("the plan of slot `{slot}` asks for {what}, which this gateway does not do")]
    Plan {
        /// The slot.
        slot: String,
        /// What it asks for.
        what: String,
    },
    /// The plan cannot be read, or a step of it does not apply.
    #[error("the rollout cannot go on")]
    Rollout(#[source] Box<rollout::Error>),
    /// A report could not be signed.
    #[error("the stage report cannot be signed")]
    Signer(#[source] Box<signer::SignerError>),
    /// The log is not within reach.
    #[error("the log cannot be read at `{place}`: {reason}")]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// What came is not a log's.
    #[error("`{place}` is not what a log publishes: {reason}")]
    Malformed {
        /// Where.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The checkpoint is not signed by the log's key.
    #[error("the checkpoint is not the log's")]
    Checkpoint(#[source] Box<merkle::MerkleError>),
    /// The log has become shorter than it was.
    #[error("the log was rolled back: it has {found} leaves, and {kept} were seen")]
    RolledBack {
        /// Leaves that were seen.
        kept: u64,
        /// Leaves that it has now.
        found: u64,
    },
    /// The log says something else than it said.
    #[error("the log does not continue what was seen: {size} leaves do not hash to its root")]
    Forked {
        /// The size at which they differ.
        size: u64,
    },
    /// The log begins with another trust root than the pinned one.
    #[error("the log begins with another trust root than `{pinned}`")]
    OtherRoot {
        /// The pinned one.
        pinned: StatementId,
    },
    /// The log holds something that a reader must know and this one does not.
    #[error("the log cannot be read any further")]
    Stopped(#[from] dossier::Stop),
    /// A statement that was handed over has no effect.
    #[error("the statement has no effect")]
    NoEffect(#[from] dossier::Refusal),
    /// A statement that was handed over only counts once it is in the log.
    #[error("a `{kind}` only counts once it is in the log")]
    GoesForward {
        /// Its kind.
        kind: String,
    },
    /// What was handed over is not a statement.
    #[error("this is no statement")]
    Statement(#[source] Box<statement::StatementError>),
    /// A rollout that is not there.
    #[error("no rollout of `{name}` is under way")]
    NoRollout {
        /// The change or slot that was named.
        name: String,
    },
    /// A sign-off that is not one.
    #[error("the sign-off does not count: {reason}")]
    SignOff {
        /// Why.
        reason: String,
    },
    /// A state that may be served, and nobody says where it runs.
    #[error("no engine is declared for state `{state}`")]
    NoEngineDeclared {
        /// The state.
        state: statement::StateId,
    },
    /// No engine is tied to the state as strongly as it has to be.
    #[error("state `{state}` needs an engine binding of `{}`, and has `{}`", level_name(*needed), shown(*found))]
    Unbound {
        /// The state.
        state: StateId,
        /// The least level.
        needed: BindingLevel,
        /// The strongest that an engine of the state has.
        found: Option<BindingLevel>,
    },
    /// Who answers at a launcher's address holds a key that no binding in the record names.
    #[error("`{at}` proves the channel key `{key}`, which no engine binding in the log names")]
    UnknownChannel {
        /// The address.
        at: String,
        /// The key.
        key: KeyId,
    },
    /// A binding that the log has and that has no effect there.
    #[error("the engine binding at leaf {leaf} names the channel key that `{at}` proves, and has no effect")]
    VoidBinding {
        /// The address.
        at: String,
        /// Its place in the log.
        leaf: u64,
        /// Why it has none.
        #[source]
        refusal: dossier::Refusal,
    },
    /// A launcher that stands before an engine of another state.
    #[error("engine binding `{binding}` is about state `{found}`, where `{state}` is to be served")]
    BoundElsewhere {
        /// The binding.
        binding: StatementId,
        /// What is to be served.
        state: StateId,
        /// What the engine serves.
        found: StateId,
    },
    /// A binding from before the machine was started anew.
    #[error("engine binding `{binding}` is of another start of this machine")]
    OtherBoot {
        /// The binding.
        binding: StatementId,
    },
    /// Whoever signed a binding may no longer say so.
    #[error("the key that signed engine binding `{binding}` no longer has the role `engine`")]
    SignerGone {
        /// The binding.
        binding: StatementId,
    },
    /// A certificate or its key that cannot be used.
    #[error("TLS cannot be spoken with `{}`: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A launcher's channel that cannot be used.
    #[error("the engine's channel cannot be used")]
    Channel(#[from] channel::Error),
    /// Nothing is known about the realm yet.
    #[error("nothing of the log has been verified yet")]
    Unverified,
    /// Too few witnesses have cosigned the checkpoint.
    #[error("the checkpoint over {size} leaves is cosigned by {witnesses} witnesses of {threshold}")]
    Unwitnessed {
        /// Leaves.
        size: u64,
        /// Who has cosigned.
        witnesses: u32,
        /// Who has to.
        threshold: u32,
    },
    /// A quorum of monitors has said what is to be done about what an order brought.
    #[error("the monitors have decided `{response}` about slot `{slot}`")]
    Responded {
        /// The slot.
        slot: SlotId,
        /// What they decided.
        response: &'static str,
    },
    /// Too few monitors watch.
    #[error("fewer monitors than the quorum have looked in the last ten seconds: nothing goes further")]
    Unwatched,
    /// What a monitor says does not count.
    #[error("a statement by a monitor is not heard: {reason}")]
    NotHeard {
        /// Why.
        reason: String,
    },
    /// A slot that is not stopped, or whose order is still in the record.
    #[error("slot `{slot}` cannot be served again: {reason}")]
    NotReopened {
        /// The slot.
        slot: String,
        /// Why.
        reason: &'static str,
    },
    /// What was counted for monitors cannot be given out.
    #[error("what was counted for monitors cannot be added up")]
    Tap(#[from] Box<watch::Error>),
    /// What came over the control socket cannot be read.
    #[error("the request cannot be read: {reason}")]
    Request {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "CS-GWY-001",
            Self::Unauthenticated => "CS-GWY-002",
            Self::Listen { .. } => "CS-GWY-003",
            Self::File { .. } => "CS-GWY-004",
            Self::Kept { .. } => "CS-GWY-005",
            Self::System { .. } => "CS-GWY-006",
            Self::Plan { .. } => "CS-GWY-007",
            Self::Rollout(error) => error.code(),
            Self::Signer(error) => error.code(),
            Self::Unreachable { .. } => "CS-GWY-010",
            Self::Malformed { .. } => "CS-GWY-011",
            Self::Checkpoint(_) => "CS-GWY-012",
            Self::RolledBack { .. } => "CS-GWY-013",
            Self::Forked { .. } => "CS-GWY-014",
            Self::OtherRoot { .. } => "CS-GWY-015",
            Self::Stopped(stop) => stop.code(),
            Self::NoEffect(_) => "CS-GWY-016",
            Self::GoesForward { .. } => "CS-GWY-017",
            Self::Statement(error) => error.code(),
            Self::NoRollout { .. } => "CS-GWY-018",
            Self::SignOff { .. } => "CS-GWY-019",
            Self::Request { .. } => "CS-GWY-020",
            Self::NoEngineDeclared { .. } => "CS-GWY-021",
            Self::Unverified => "CS-GWY-022",
            Self::Unwitnessed { .. } => "CS-GWY-023",
            Self::Unbound { .. } => "CS-GWY-024",
            Self::UnknownChannel { .. } => "CS-GWY-025",
            Self::VoidBinding { .. } => "CS-GWY-026",
            Self::BoundElsewhere { .. } => "CS-GWY-027",
            Self::OtherBoot { .. } => "CS-GWY-028",
            Self::SignerGone { .. } => "CS-GWY-029",
            Self::Tls { .. } => "CS-GWY-030",
            Self::Responded { .. } => "CS-GWY-031",
            Self::NotHeard { .. } => "CS-GWY-032",
            Self::NotReopened { .. } => "CS-GWY-033",
            Self::Unwatched => "CS-GWY-034",
            Self::Tap(error) => error.code(),
            Self::Channel(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Config { .. } => "correct the configuration; `docs/gateway.md` describes every member",
            Self::Unauthenticated => "name at least one key by its SHA-256 under `keys`",
            Self::Listen { .. } => "another program may use the address; name another under `listen`",
            Self::File { .. } => "check the path and its permissions",
            Self::Kept { .. } => {
                "move the gateway's state folder away; it reads the log anew and admits anew"
            }
            Self::System { .. } => "the system is out of threads or memory",
            Self::Plan { .. } => {
                "use a plan of canary, ramp and full stages with the metrics that `docs/gateway.md` names"
            }
            Self::Rollout(error) => error.hint(),
            Self::Signer(error) => error.hint(),
            Self::Unreachable { .. } => {
                "check that the log is served there; what was admitted is served on as long as its order allows"
            }
            Self::Malformed { .. } => "check the address of the log, and what stands between",
            Self::Checkpoint(_) => {
                "check `log_key` and `origin`: this is another log, or it was tampered with"
            }
            Self::RolledBack { .. } | Self::Forked { .. } => {
                "keep both checkpoints in the state folder as evidence, and find out which copy of the log is true"
            }
            Self::OtherRoot { .. } => "this is another realm's log, or the pinned trust root is wrong",
            Self::Stopped(stop) => stop.hint(),
            Self::NoEffect(_) => "the reasons have codes of their own; `docs/errors.md` says what to do",
            Self::GoesForward { .. } => "submit it to the log; stops, rollbacks and revocations act at once",
            Self::Statement(error) => error.hint(),
            Self::NoRollout { .. } => "`countersign rollout status` shows what is under way",
            Self::SignOff { .. } => "let somebody sign who has the role that the plan names",
            Self::NoEngineDeclared { .. } => "name the state's engines under `states` of its slot",
            Self::Unwitnessed { .. } => {
                "the checkpoint before it is used; check that the log's witnesses answer"
            }
            Self::Unbound { .. } => {
                "start its engine with `countersign launch`, which ties it to the state, and name the address as `channel://HOST:PORT`"
            }
            Self::UnknownChannel { .. } => {
                "another program answers there, or the launcher's binding has not reached the published log yet"
            }
            Self::VoidBinding { .. } => {
                "sign with a key that has the role `engine`, while the order is in force; then launch again"
            }
            Self::BoundElsewhere { .. } => "name the address under the state that its launcher serves",
            Self::OtherBoot { .. } => "launch the engine again: a binding ends with the machine's start",
            Self::SignerGone { .. } => "launch the engine again, with a key that has the role `engine`",
            Self::Tls { .. } => "give a certificate and its own unencrypted key, both in PEM",
            Self::Responded { .. } => {
                "`countersign incident show` says what they saw; going forward again is for people"
            }
            Self::NotHeard { .. } => {
                "run monitors on clocks that agree, with keys that the directory gives the role `monitor`"
            }
            Self::NotReopened { .. } => {
                "roll the change back in the record first; `countersign rollout status` shows what is stopped"
            }
            Self::Unwatched => "start the monitors, or give the configuration no `monitors`",
            Self::Tap(error) => error.hint(),
            Self::Channel(error) => error.hint(),
            Self::Unverified => "check that the log is served where `log` says",
            Self::Request { .. } => "use the command of the same version",
        }
    }

    pub(crate) fn checkpoint(error: merkle::MerkleError) -> Self {
        Self::Checkpoint(Box::new(error))
    }

    pub(crate) fn file(
        path: &std::path::Path,
        act: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, act, source }
    }
}

macro_rules! from_boxed {
    ($($error:ty => $variant:ident),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })+
    };
}

from_boxed!(rollout::Error => Rollout, signer::SignerError => Signer, statement::StatementError => Statement);
