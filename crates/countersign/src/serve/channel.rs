//! Channels: bundles over Unix sockets. One connection carries one bundle and one receipt. Here is what is said on them;
//! who is let in is the matter of [`super::door`].

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle::{Direction, Header, Reader, SignedHeader, Unsigned, Whole};
use signer::{FileKey, Signer as _, sign_bundle};
use statement::{Bytes, KeyId, Name};
use translog::Clock;

use super::places::{Room, Spool};
use crate::act::DAY_MS;
use crate::failure::{Done, Failure};

/// How long a receiver may take no byte of a bundle: it may have many before this one.
const TAKEN_WITHIN: Duration = Duration::from_mins(1);
/// How long a receiver may take to decide. While it runs, the connection stands; when it ends, so does the wait.
const RECEIPT_WITHIN: Duration = Duration::from_mins(10);
/// The longest receipt, with its opening.
const RECEIPT_BYTES_MAX: usize = 1 << 16;

/// A bundle that came, whole, and the connection that waits for its receipt.
pub(super) struct Arrived {
    pub(super) whole: Whole,
    pub(super) file: Arc<File>,
    stream: UnixStream,
    /// Given back when this was answered.
    _place: (Room, Spool),
}

/// What a receiver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The code of the refusal; none where it was taken.
    pub(crate) refused: Option<String>,
    /// The leaf of the last statement that was taken.
    pub(crate) leaf: Option<u64>,
}

impl Receipt {
    /// It was taken.
    pub(super) const fn taken(leaf: Option<u64>) -> Self {
        Self { refused: None, leaf }
    }

    /// It was refused; whoever runs this process is told why, too.
    pub(super) fn refusal(failure: Failure) -> Self {
        tracing::warn!(code = %failure.code, "{}", failure.message);
        Self { refused: Some(failure.code), leaf: None }
    }
}

/// What makes receipts: the receiver's key, and its clock.
#[derive(Clone)]
pub(super) struct Receipts {
    key: Arc<FileKey>,
    clock: Clock,
}

impl Receipts {
    pub(super) fn new(key: &Arc<FileKey>) -> Self {
        Self { key: Arc::clone(key), clock: translog::system_clock() }
    }

    /// The id of the key.
    pub(super) fn key(&self) -> KeyId {
        self.key.public_key().id()
    }

    /// The receipt for what was asked.
    pub(super) fn answer(&self, asked: &SignedHeader, receipt: &Receipt) -> Done<SignedHeader> {
        // Codes are names; what were none would be no code.
        let name = |code: &String| code.parse::<Name>().or_else(|_| "CS-SRV-006".parse());
        let header = Header {
            answers: Some(*asked.id()),
            direction: Direction::Receipt,
            leaf: receipt.leaf,
            refused: receipt.refused.as_ref().map(name).transpose()?,
            sections: Vec::new(),
            to: asked.header().from,
            ..header_like(asked.header(), (self.clock)())
        };
        seal(&self.key, header)
    }
}

impl Arrived {
    pub(super) const fn new(whole: Whole, file: Arc<File>, stream: UnixStream, place: (Room, Spool)) -> Self {
        Self { whole, file, stream, _place: place }
    }

    /// Gives the receipt.
    pub(super) fn answer(mut self, receipts: &Receipts, receipt: &Receipt) {
        let sent = receipts.answer(self.whole.signed(), receipt).and_then(|signed| {
            let patient = self.stream.set_nonblocking(false);
            // A receipt is shorter than what the system keeps for a peer that does not read.
            let patient = patient.and_then(|()| self.stream.set_write_timeout(Some(Duration::from_secs(1))));
            patient.and_then(|()| self.stream.write_all(&signed.opening())).map_err(|error| broken(&error))
        });
        if let Err(failure) = sent {
            tracing::warn!(code = %failure.code, "a receipt was not given: {}", failure.message);
        }
    }
}

pub(super) fn broken(error: &std::io::Error) -> Failure {
    Failure::new(
        "CS-SRV-006",
        format!("the channel broke off: {error}"),
        "see whether the other process still runs",
    )
}

/// A header about the same, in the same realm, for a day.
pub(super) fn header_like(header: &Header, now_ms: u64) -> Header {
    Header {
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(DAY_MS),
        head: None,
        leaf: None,
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

/// Brings a bundle that stands in a file.
pub(crate) fn send_file(socket: &Path, path: &Path, receiver: KeyId) -> Done<Receipt> {
    let (whole, file) = crate::command::bundle::take::whole(path)?;
    // The file that was looked at, whatever has its name by now.
    let mut body = file.as_ref();
    body.rewind().map_err(|error| Failure::file(path, &error))?;
    send(socket, whole.signed(), &mut body, receiver)
}

/// Brings a bundle; `body` is all of it, its opening too.
pub(super) fn send(
    socket: &Path,
    signed: &SignedHeader,
    body: &mut dyn std::io::Read,
    receiver: KeyId,
) -> Done<Receipt> {
    let mut stream = UnixStream::connect(socket).map_err(|error| Failure::file(socket, &error))?;
    stream.set_write_timeout(Some(TAKEN_WITHIN)).map_err(|error| broken(&error))?;
    // A receiver that does not take this from this key ends the connection, before or after all was written.
    let silent = |error: &dyn std::fmt::Display| {
        let message = format!("`{}` gave no receipt: {error}", socket.display());
        Failure::new(
            "CS-SRV-007",
            message,
            "it may have been taken all the same: look with `countersign show` before signing again. The receiver takes it from other keys, or has ended; its own output says which",
        )
    };
    // A receiver may say no before it has read everything, and closes then: its receipt is there all the same.
    let written = std::io::copy(body, &mut stream).and_then(|_| stream.flush());
    let receipt = receipt(&mut stream).map_err(|failure| match &written {
        Err(error) => silent(error),
        Ok(()) => silent(&failure.message),
    })?;
    let refused = bundle::accept_receipt(&receipt, signed, receiver)?.map(str::to_owned);
    Ok(Receipt { refused, leaf: receipt.signed().header().leaf })
}

/// Reads a receipt, which is short, in bounded time.
fn receipt(stream: &mut UnixStream) -> Done<Whole> {
    let until = Instant::now() + RECEIPT_WITHIN;
    let mut reader = Reader::new();
    let mut buffer = vec![0; RECEIPT_BYTES_MAX];
    let mut left = RECEIPT_BYTES_MAX;
    while !reader.is_complete() {
        // No time left would mean any time to the system.
        let wait = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(wait)).map_err(|error| broken(&error))?;
        let count = stream.read(&mut buffer).map_err(|error| broken(&error))?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        reader.feed(piece)?;
        left = left.saturating_sub(count);
        if left == 0 || Instant::now() >= until {
            return Err(super::door::too_slow("its receipt"));
        }
    }
    Ok(reader.finish()?)
}
