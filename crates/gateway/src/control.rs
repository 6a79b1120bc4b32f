//! The operator's way in: a Unix socket in the gateway's folder, one JSON line in, one out.
//!
//! Who may reach it is decided by the folder, which is readable by its owner alone. What comes this way never takes the
//! place of a release order: rollouts of admitted orders are begun, paused and taken back; statements that stop or take
//! back are verified as if they were in the log, and act at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;

/// Bytes of a line at most.
const LINE_BYTES_MAX: u64 = 256 << 10;
/// How long a peer may say nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// Requests that wait.
const WAITING: usize = 16;

/// What is asked of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Asked {
    /// How everything stands.
    Status,
    /// Begin the rollout of an admitted order.
    Start {
        /// The change, or an unambiguous beginning of its id.
        change: String,
    },
    /// Leave a rollout where it is.
    Pause {
        /// The change.
        change: String,
    },
    /// Let a paused rollout go on.
    Resume {
        /// The change.
        change: String,
    },
    /// Take a rollout back.
    Abort {
        /// The change.
        change: String,
    },
    /// Serve a slot again that the monitors have stopped.
    Reopen {
        /// The slot.
        slot: String,
    },
    /// Act by a statement that stops or takes back, before it is in the log.
    Statement {
        /// The envelope's JSON text.
        envelope: String,
    },
}

/// What wakes the thread that decides.
pub(crate) enum Call {
    /// An operator asks.
    Asked(Waiting),
    /// Monitors have said something.
    Heard,
}

/// A request that waits for its answer.
pub(crate) struct Waiting {
    pub(crate) asked: Asked,
    pub(crate) answer: Sender<Value>,
}

/// Where a gateway with this folder listens.
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Listens on a thread of its own, until the process ends.
pub(crate) fn listen(state: &Path) -> Result<(SyncSender<Call>, Receiver<Call>), Error> {
    let path = socket_path(state);
    let failed = || Error::file(&path, "listened on");
    if UnixStream::connect(&path).is_ok() {
        return Err(failed()(std::io::Error::other("another gateway uses this folder")));
    }
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed()(error));
    }
    let listener = UnixListener::bind(&path).map_err(failed())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed())?;
    let (sender, receiver) = sync_channel(WAITING);
    let bell = sender.clone();
    let spawned = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(error) = one(stream, &sender) {
                tracing::debug!(%error, "a request on the control socket failed");
            }
        }
    });
    spawned.map_err(|source| Error::System { what: "thread", source })?;
    Ok((bell, receiver))
}

fn one(mut stream: UnixStream, sender: &SyncSender<Call>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(LINE_BYTES_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str(&line) {
        Err(error) => refused(&Error::Request { reason: error.to_string() }),
        Ok(asked) => {
            let (answer, wait) = channel();
            sender.send(Call::Asked(Waiting { asked, answer })).map_err(std::io::Error::other)?;
            wait.recv_timeout(SILENCE).map_err(std::io::Error::other)?
        }
    };
    stream.write_all(format!("{answer}\n").as_bytes())
}

/// An answer to what is refused.
pub(crate) fn refused(error: &Error) -> Value {
    json!({ "refused": { "code": error.code(), "message": told(error), "hint": error.hint() } })
}

/// An error and its causes, in one line.
pub(crate) fn told(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}

/// Asks a gateway, from another process. Its answer, or `refused` with code, message and hint.
///
/// # Errors
/// [`Error::File`] where nobody listens; [`Error::Request`] where the answer cannot be read.
pub fn ask(socket: &Path, asked: &Asked) -> Result<Value, Error> {
    let failed = || Error::file(socket, "asked");
    let mut stream = UnixStream::connect(socket).map_err(failed())?;
    stream.set_read_timeout(Some(SILENCE + SILENCE)).map_err(failed())?;
    let unreadable = |error: serde_json::Error| Error::Request { reason: error.to_string() };
    let line = serde_json::to_string(asked).map_err(unreadable)?;
    stream.write_all(format!("{line}\n").as_bytes()).map_err(failed())?;
    let mut text = String::new();
    BufReader::new(stream.take(16 << 20)).read_line(&mut text).map_err(failed())?;
    serde_json::from_str(&text).map_err(unreadable)
}
