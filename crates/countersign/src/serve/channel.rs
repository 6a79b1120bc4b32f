//! Channels: bundles over Unix sockets. One connection carries one bundle and one receipt.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bundle::{Direction, Header, Reader, SignedHeader, Unsigned, Whole};
use signer::{FileKey, Signer as _, sign_bundle};
use statement::{Bytes, KeyId, Name};

use crate::act::DAY_MS;
use crate::failure::{Done, Failure};

/// How long a peer may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How many connections are read at once; others wait in the system's queue.
const AT_ONCE: usize = 16;
/// How much is read at once.
const PIECE: usize = 1 << 18;
/// The longest body of a bundle on a channel.
const BODY_BYTES_MAX: u64 = 64 << 30;

/// A bundle that came, whole, and the connection that waits for its receipt.
pub(super) struct Arrived {
    pub(super) whole: Whole,
    pub(super) file: Arc<File>,
    stream: UnixStream,
}

/// Which senders may bring what.
pub(super) type MayBring = Arc<dyn Fn(&Header) -> bool + Send + Sync>;

/// Listens, and answers what arrives, one after another. Each connection is read on a thread of its own, so that a slow
/// peer keeps one of them busy, and not for long.
pub(super) fn listen(path: &Path, spool: &Path, may_bring: &MayBring) -> Done<Receiver<Arrived>> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        // Left behind by a process that has ended.
        std::fs::remove_file(path).map_err(failed)?;
    }
    std::fs::create_dir_all(spool).map_err(|error| Failure::file(spool, &error))?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Who may speak is decided by keys; who may reach the socket, by the folder that it is in.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    let (sender, receiver) = sync_channel(AT_ONCE);
    for _ in 0..AT_ONCE {
        let listener = listener.try_clone().map_err(failed)?;
        let (sender, spool, may_bring) = (sender.clone(), spool.to_owned(), Arc::clone(may_bring));
        std::thread::spawn(move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => read_one(stream, &spool, &may_bring, &sender),
                    // The peer has thought better of it.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                    Err(error) => {
                        tracing::error!(%error, "the socket no longer accepts");
                        return;
                    }
                }
            }
        });
    }
    crate::text::print(&format!("listening on {}\n", path.display()));
    Ok(receiver)
}

fn read_one(mut stream: UnixStream, spool: &Path, may_bring: &MayBring, to: &SyncSender<Arrived>) {
    match receive(&mut stream, spool, |header| may_bring(header)) {
        Ok((whole, file)) => {
            if to.send(Arrived { whole, file, stream }).is_err() {
                tracing::warn!("a bundle came while the process ends");
            }
        }
        // Who is not known, or does not keep to the form, gets no answer: the connection ends.
        Err(failure) => tracing::warn!(code = %failure.code, "a connection was refused: {}", failure.message),
    }
}

/// Reads a bundle from a stream into a file without a name. Its sender is looked at before its body is read.
fn receive(
    stream: &mut UnixStream,
    spool: &Path,
    may_bring: impl Fn(&Header) -> bool,
) -> Done<(Whole, Arc<File>)> {
    let broken = |error: std::io::Error| broken(&error);
    stream.set_read_timeout(Some(SILENCE)).map_err(broken)?;
    stream.set_write_timeout(Some(SILENCE)).map_err(broken)?;
    let mut file = tempfile::tempfile_in(spool).map_err(|error| Failure::file(spool, &error))?;
    let mut reader = Reader::new();
    let mut buffer = vec![0; PIECE];
    let mut deadline = Instant::now() + SILENCE;
    let mut known = false;
    while !reader.is_complete() {
        let count = stream.read(&mut buffer).map_err(broken)?;
        if Instant::now() > deadline {
            return Err(Failure::new(
                "CS-SRV-006",
                "the channel is too slow",
                "see what the other process does",
            ));
        }
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        reader.feed(piece)?;
        if !known && let Some(signed) = reader.header() {
            let header = signed.header();
            if !may_bring(header) {
                let message = format!("key `{}` brings {}", header.from, header.direction.brings());
                return Err(Failure::new(
                    "CS-SRV-004",
                    message,
                    "this process takes it from other keys only",
                ));
            }
            if header.body_bytes() > BODY_BYTES_MAX {
                let message = format!("a bundle of {} bytes", header.body_bytes());
                return Err(Failure::new("CS-SRV-005", message, "a channel takes at most 64 GiB at once"));
            }
            // A mebibyte a second is asked for.
            deadline = Instant::now() + SILENCE + Duration::from_secs(header.body_bytes() >> 20);
            known = true;
        }
        file.write_all(piece).map_err(|error| Failure::file(spool, &error))?;
    }
    file.rewind().map_err(|error| Failure::file(spool, &error))?;
    Ok((reader.finish()?, Arc::new(file)))
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new(
        "CS-SRV-006",
        format!("the channel broke off: {error}"),
        "see whether the other process still runs",
    )
}

impl Arrived {
    /// Gives the receipt: taken, or the code of the refusal.
    pub(super) fn answer(mut self, key: &FileKey, now_ms: u64, refused: Option<&str>) {
        let asked = self.whole.signed();
        // Codes are names; what were none would be no code.
        let refused = refused.map(|code| code.parse::<Name>().or_else(|_| "CS-SRV-006".parse())).transpose();
        let receipt = refused.map_err(Failure::from).and_then(|refused| {
            let header = Header {
                answers: Some(*asked.id()),
                direction: Direction::Receipt,
                refused,
                sections: Vec::new(),
                to: asked.header().from,
                ..header_like(asked.header(), now_ms)
            };
            seal(key, header)
        });
        let sent = receipt
            .and_then(|signed| self.stream.write_all(&signed.opening()).map_err(|error| broken(&error)));
        if let Err(failure) = sent {
            tracing::warn!(code = %failure.code, "a receipt was not given: {}", failure.message);
        }
    }
}

/// A header about the same, in the same realm, for a day.
pub(super) fn header_like(header: &Header, now_ms: u64) -> Header {
    Header {
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(DAY_MS),
        head: None,
        refused: None,
        ..header.clone()
    }
}

/// Signs a header, after a fresh nonce was put into it.
pub(super) fn seal(key: &FileKey, mut header: Header) -> Done<SignedHeader> {
    let mut nonce = [0; bundle::NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| {
        Failure::outside(
            format!("the system gives no randomness: {error}"),
            "this machine cannot make bundles",
        )
    })?;
    header.nonce = Bytes::new(nonce.to_vec());
    header.from = key.public_key().id();
    Ok(sign_bundle(key, Unsigned::new(header)?)?)
}

/// Why a part ends by itself: nobody can reach it any more.
pub(super) fn ended(path: &Path) -> Failure {
    let message = format!("`{}` accepts no more connections", path.display());
    Failure::new(
        "CS-SRV-008",
        message,
        "the process may have run out of files; raise its limit and start it again",
    )
}

/// Brings a bundle that stands in a file; answers the code of the refusal, if it was refused.
pub(crate) fn send_file(socket: &Path, path: &Path, receiver: KeyId) -> Done<Option<String>> {
    let (whole, _) = crate::command::bundle::take::whole(path)?;
    let mut file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    send(socket, whole.signed(), &mut file, receiver)
}

/// Brings a bundle; `body` is all of it, its opening too.
pub(super) fn send(
    socket: &Path,
    signed: &SignedHeader,
    body: &mut dyn std::io::Read,
    receiver: KeyId,
) -> Done<Option<String>> {
    let mut stream = UnixStream::connect(socket).map_err(|error| Failure::file(socket, &error))?;
    stream.set_write_timeout(Some(SILENCE)).map_err(|error| broken(&error))?;
    // A receiver that does not take this from this key ends the connection, before or after all was written.
    let silent = |error: &dyn std::fmt::Display| {
        let message = format!("`{}` gave no receipt: {error}", socket.display());
        Failure::new(
            "CS-SRV-007",
            message,
            "the receiver takes it from other keys, or has ended; its own output says which",
        )
    };
    std::io::copy(body, &mut stream).and_then(|_| stream.flush()).map_err(|error| silent(&error))?;
    let folder: PathBuf = std::env::temp_dir();
    let (receipt, _) = receive(&mut stream, &folder, |header| header.from == receiver)
        .map_err(|failure| if failure.code == "CS-SRV-004" { failure } else { silent(&failure.message) })?;
    Ok(bundle::accept_receipt(&receipt, signed, receiver)?.map(str::to_owned))
}
