//! A running engine, and the channel that leads to it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use channel::ChannelKey;
use rustix::process::{Pid, Signal, kill_process_group};
use statement::PublicKey;
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::front::{Callers, Front, SOCKET_BYTES_MAX, is_healthy, serve, socket_in};
use crate::{Error, Placed, Program, filled};

/// How often an engine that begins is asked whether it is healthy.
const ASKED_EVERY: Duration = Duration::from_millis(100);
/// What of the environment an engine gets, besides what is named: nothing that tells the loader what to load.
const ENVIRONMENT: [&str; 6] = ["HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ"];

/// Where the engine itself listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// A Unix socket in the private folder: nobody but this account reaches it.
    Socket(PathBuf),
    /// A port of the loopback: others on this machine can ask the engine, and nobody can stand in for the channel.
    Port(u16),
}

/// Whose engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Our own: it ends with its standard input, and so with its launcher, however that ends; what it prints on its
    /// standard output is known.
    Own,
    /// Any other: what it prints goes where errors go, because what this program prints belongs to scripts.
    Other,
}

/// What is to be launched.
#[derive(Debug)]
pub struct Plan {
    /// The files.
    pub placed: Placed,
    /// The engine.
    pub program: Program,
    /// Its arguments, with placeholders.
    pub arguments: Vec<String>,
    /// What fills the placeholders, besides `{socket}` and `{port}`.
    pub places: BTreeMap<String, String>,
    /// Names of the environment that it gets as they are here.
    pub environment: Vec<String>,
    /// Whose engine it is.
    pub kind: Kind,
    /// Where the channel is.
    pub listener: TcpListener,
    /// Who may ask over it.
    pub callers: Callers,
    /// The path at which the engine says that it is healthy.
    pub health: String,
    /// How long it has until it does.
    pub ready: Duration,
    /// How often blocks of its files are looked at again.
    pub look_every: Duration,
    /// How long answers that have begun may go on, and then how long the engine has to end.
    pub drain: Duration,
}

/// A running engine.
#[derive(Debug)]
pub struct Launched {
    runtime: Runtime,
    /// The engine's standard input, which ends with this process.
    held: Option<ChildStdin>,
    child: Child,
    entrance: Entrance,
    plan: Plan,
    key: ChannelKey,
    address: SocketAddr,
    /// The engine and what it has started.
    group: Option<Pid>,
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.end();
    }
}

impl Launched {
    /// Starts the engine, and waits until it is healthy. Nobody reaches it before [`Launched::run`].
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::NoEntrance`], [`Error::Placeholder`], [`Error::Start`], [`Error::NotHealthy`],
    /// [`Error::Ended`], [`Error::Channel`], [`Error::System`].
    pub fn start(plan: Plan) -> Result<Self, Error> {
        let address = plan.listener.local_addr().map_err(|error| Error::system("address", error))?;
        if plan.callers.is_open() && !address.ip().is_loopback() {
            return Err(Error::Open { address });
        }
        let key = ChannelKey::generate()?;
        let (entrance, arguments) = arguments(&plan)?;
        plan.placed.close()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Error::system("threads", error))?;
        let mut command = Command::new(plan.program.descriptor());
        command.arg0(plan.program.path()).args(arguments).env_clear();
        let named = ENVIRONMENT.into_iter().chain(plan.environment.iter().map(String::as_str));
        for name in named {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.process_group(0).kill_on_drop(true);
        match plan.kind {
            Kind::Own => command.stdin(Stdio::piped()).stdout(Stdio::null()),
            Kind::Other => command.stdin(Stdio::null()).stdout(std::io::stderr()),
        };
        let path = plan.program.path().to_owned();
        let mut child = {
            let _inside = runtime.enter();
            command.spawn().map_err(|source| Error::Start { path, source })?
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let held = child.stdin.take();
        let mut launched = Self { runtime, held, child, entrance, plan, key, address, group };
        launched.wait()?;
        Ok(launched)
    }

    fn wait(&mut self) -> Result<(), Error> {
        let (child, entrance, plan) = (&mut self.child, &self.entrance, &self.plan);
        self.runtime.block_on(async {
            let until = Instant::now() + plan.ready;
            loop {
                if let Some(status) = child.try_wait().map_err(|error| Error::system("process", error))? {
                    return Err(Error::Ended { status: told(status) });
                }
                if is_healthy(entrance, &plan.health).await {
                    return Ok(());
                }
                if Instant::now() >= until {
                    return Err(Error::NotHealthy { after: plan.ready });
                }
                sleep(ASKED_EVERY).await;
            }
        })
    }

    /// The channel's key: what a binding names.
    pub const fn key(&self) -> &PublicKey {
        self.key.public()
    }

    /// Where the channel is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine's process.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stands before the engine until `stop` is done, then lets what has begun end, and ends the engine.
    ///
    /// # Errors
    /// [`Error::Ended`] where the engine ended by itself, [`Error::Changed`] where a served file is no longer what was
    /// checked: in both cases everything ends at once. [`Error::Listen`], [`Error::Channel`].
    pub fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let address = self.address;
        let failed = |source| Error::Listen { address, source };
        let acceptor = self.key.acceptor()?;
        let listener = self.plan.listener.try_clone().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let front = Arc::new(Front { entrance: self.entrance.clone(), callers: self.plan.callers.clone() });
        let (child, placed, plan) = (&mut self.child, &self.plan.placed, &self.plan);
        let done = self.runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            let (leave, leaving) = watch::channel(false);
            let served = tokio::spawn(serve(front, listener, acceptor, leaving, plan.drain));
            let looked = async {
                loop {
                    sleep(plan.look_every).await;
                    // A few megabytes of each file: short enough to be done here.
                    if let Err(error) = placed.look() {
                        return error;
                    }
                }
            };
            let done = tokio::select! {
                () = stop => Ok(()),
                status = child.wait() => Err(Error::Ended {
                    status: status.map_or_else(|error| error.to_string(), told),
                }),
                error = looked => Err(error),
            };
            if done.is_ok() {
                leave.send_replace(true);
                if served.await.is_err() {
                    tracing::warn!("the entrance ended unexpectedly");
                }
            } else {
                // Nothing more may be answered.
                served.abort();
            }
            done
        });
        // The engine ends with this.
        drop(self);
        done
    }

    /// Tells the engine to end, and ends it.
    fn end(&mut self) {
        let Some(group) = self.group.take() else { return };
        let tell = |signal| {
            if let Err(error) = kill_process_group(group, signal) {
                tracing::debug!(%error, "the engine has ended");
            }
        };
        drop(self.held.take());
        tell(Signal::TERM);
        let (child, drain) = (&mut self.child, self.plan.drain);
        let ended = self.runtime.block_on(async { timeout(drain, child.wait()).await.is_ok() });
        // What it has started and left behind.
        tell(Signal::KILL);
        if !ended {
            let child = &mut self.child;
            if let Err(error) = self.runtime.block_on(child.wait()) {
                tracing::warn!(%error, "the engine cannot be waited for");
            }
        }
    }
}

/// The engine's arguments with every place filled, and where it will listen.
fn arguments(plan: &Plan) -> Result<(Entrance, Vec<String>), Error> {
    let has = |place: &str| plan.arguments.iter().any(|argument| argument.contains(place));
    let mut places = plan.places.clone();
    let entrance = if has("{socket}") {
        let path = socket_in(plan.placed.folder());
        if path.as_os_str().len() > SOCKET_BYTES_MAX {
            return Err(Error::Name { name: path.display().to_string() });
        }
        places.insert("socket".to_owned(), shown(&path));
        Entrance::Socket(path)
    } else if has("{port}") {
        let port = free_port()?;
        places.insert("port".to_owned(), port.to_string());
        Entrance::Port(port)
    } else {
        return Err(Error::NoEntrance);
    };
    Ok((entrance, filled(&plan.arguments, &places)?))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn free_port() -> Result<u16, Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let failed = |source| Error::Listen { address, source };
    Ok(TcpListener::bind(address).map_err(failed)?.local_addr().map_err(failed)?.port())
}

fn told(status: std::process::ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
