//! The door of a part: takes connections, looks who is there, reads what they bring.
//!
//! A connection begins with a signed header, and has it within [`HEADER_WITHIN`]; until then nothing is kept of it but those
//! bytes. Only after the header was accepted it gets a room, and a file in the spool for the body ([`super::places`]). A
//! body keeps a pace: each [`PIECE`] of it arrives within [`PIECE_WITHIN`], and all of it within the time that its length
//! allows. Whatever bad peers do, then, costs a bounded amount, for a bounded time, and nobody else's place.
//!
//! What it does not do: decide what becomes of a bundle. That is one other thread's, which hears of each whole bundle.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bundle::{HEADER_BYTES_MAX, Header, MAGIC, Reader, SignedHeader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::channel::{Arrived, Receipt, Receipts, broken};
use super::places::{Bounds, Lodging, Places, Room};
use crate::failure::{Done, Failure};

/// Within what time a connection has its header here, however it trickles.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// Within what time each piece of a body arrives.
const PIECE_WITHIN: Duration = Duration::from_secs(5);
/// How long a whole body may take beside a second for each mebibyte.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long an accepted header waits for a room.
const ROOM_WITHIN: Duration = Duration::from_secs(30);
/// How much is read at once.
const PIECE: usize = 1 << 18;
/// The longest body of a bundle on a channel.
const BODY_BYTES_MAX: u64 = 64 << 30;
/// Headers longer than this are read a few at a time: strangers cannot make many of them stand in memory.
const HEADER_BYTES_USUAL: usize = 1 << 18;
/// How many of the longer ones are read at once.
const LONG_HEADERS: usize = 4;
/// What there is for everybody together.
const BOUNDS: Bounds = Bounds {
    lobby: 64,
    rooms: 32,
    rooms_of_one: 24,
    waiting: 128,
    waiting_of_one: 96,
    spool: 96 << 30,
    spool_of_one: 64 << 30,
};
/// How long the door rests when the system gives it no more descriptors.
const REST: Duration = Duration::from_millis(50);

/// Which senders may bring what.
pub(super) type MayBring = Arc<dyn Fn(&Header) -> bool + Send + Sync>;

/// What a part hears.
pub(super) enum Came<T> {
    /// A bundle, whole.
    Bundle(Box<Arrived>),
    /// Something that a thread of its own tells it.
    Told(T),
    /// Nobody can come any more.
    Ended,
}

/// A door that is open.
pub(super) struct Opened<T> {
    /// What comes, one after another.
    pub(super) comes: Receiver<Came<T>>,
    /// For the part's own threads.
    pub(super) tell: SyncSender<Came<T>>,
}

/// What every connection needs.
struct Door<T> {
    spool: PathBuf,
    may_bring: MayBring,
    receipts: Receipts,
    places: Arc<Places>,
    long_headers: Semaphore,
    tell: SyncSender<Came<T>>,
}

/// Opens the door at `path`. Bodies are kept in the folder `spool` while they are looked at.
pub(super) fn open<T: Send + 'static>(
    path: &Path,
    spool: &Path,
    may_bring: MayBring,
    receipts: Receipts,
) -> Done<Opened<T>> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        // Left behind by a process that has ended.
        std::fs::remove_file(path).map_err(failed)?;
    }
    std::fs::create_dir_all(spool).map_err(|error| Failure::file(spool, &error))?;
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    // Who may speak is decided by keys; who may reach the socket, by the folder that it is in.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(
            |error| Failure::outside(format!("no runtime: {error}"), "the system is out of threads"),
        )?;
    // Each room holds one bundle at most, each thread of the part waits with one: nobody waits to tell.
    let (tell, comes) = sync_channel(BOUNDS.rooms * 2);
    let door = Arc::new(Door {
        spool: spool.to_owned(),
        may_bring,
        receipts,
        places: Places::new(BOUNDS),
        long_headers: Semaphore::new(LONG_HEADERS),
        tell: tell.clone(),
    });
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(door.listen(listener)) {
            tracing::error!(%error, "the socket no longer accepts");
        }
        // That nobody listens any more is no matter either.
        drop(door.tell.send(Came::Ended));
    });
    Ok(Opened { comes, tell })
}

/// Says that the part can be reached.
pub(super) fn told(path: &Path) {
    crate::text::print(&format!("listening on {}\n", path.display()));
}

impl<T: Send + 'static> Door<T> {
    async fn listen(self: &Arc<Self>, listener: std::os::unix::net::UnixListener) -> std::io::Result<()> {
        let listener = UnixListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let door = Arc::clone(self);
                    tokio::spawn(async move {
                        if let Err(failure) = door.receive(stream).await {
                            tracing::warn!(code = %failure.code, "a connection was refused: {}", failure.message);
                        }
                    });
                }
                // The peer has thought better of it.
                Err(error) if is_passing(&error) => {}
                // Out of descriptors: connections end by their deadlines, and then there are some again.
                Err(error) if is_scarcity(&error) => {
                    tracing::warn!(%error, "the socket rests");
                    tokio::time::sleep(REST).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one connection. Who is not known, or does not keep to the form, gets no answer: the connection ends.
    async fn receive(&self, mut stream: UnixStream) -> Done {
        let user = stream.peer_cred().map_err(|error| broken(&error))?.uid();
        let (ticket, gone) = self.places.enter(user);
        let mut reader = Reader::new();
        let read = timeout(HEADER_WITHIN, self.header(&mut stream, &mut reader));
        let opening = tokio::select! {
            read = read => read.map_err(|_| too_slow("its header"))??,
            _ = gone => return Err(given_way()),
        };
        let signed = reader.header().ok_or_else(|| too_slow("its header"))?;
        let header = signed.header();
        if !(self.may_bring)(header) {
            let message = format!("key `{}` brings {}", header.from, header.direction.brings());
            return Err(Failure::new("CS-SRV-004", message, "this process takes it from other keys only"));
        }
        let bytes = header.body_bytes();
        if bytes > BODY_BYTES_MAX {
            let message = format!("a bundle of {bytes} bytes");
            let refused = Failure::new("CS-SRV-005", message, "a channel takes at most 64 GiB at once");
            return self.refuse(stream, signed, refused).await;
        }
        drop(ticket);
        let Some(room) = self.room(user).await else {
            return self.refuse(stream, signed, busy()).await;
        };
        let Some(spool) = self.places.spool(user, bytes, free(&self.spool)?) else {
            return self.refuse(stream, signed, full(bytes)).await;
        };
        let file = self.body(&mut stream, &mut reader, &opening, bytes).await?;
        let whole = reader.finish()?;
        let stream = stream.into_std().map_err(|error| broken(&error))?;
        let arrived = Arrived::new(whole, Arc::new(file), stream, (room, spool));
        if self.tell.try_send(Came::Bundle(Box::new(arrived))).is_err() {
            tracing::warn!("a bundle came while the process ends");
        }
        Ok(())
    }

    /// Reads until the header is complete, and answers all that was read.
    async fn header(&self, stream: &mut UnixStream, reader: &mut Reader) -> Done<Vec<u8>> {
        let mut opening = Vec::new();
        let mut long = None;
        let mut buffer = vec![0; 1 << 14];
        while reader.header().is_none() {
            let piece = read(stream, &mut buffer).await?;
            if piece.is_empty() {
                return Err(bundle::BundleError::Truncated { at: 0 }.into());
            }
            reader.feed(piece)?;
            opening.extend_from_slice(piece);
            if long.is_none() && length(&opening) > HEADER_BYTES_USUAL {
                let permit = self.long_headers.acquire().await;
                long = Some(permit.map_err(|_| busy())?);
            }
        }
        Ok(opening)
    }

    async fn room(&self, user: u32) -> Option<Room> {
        match self.places.room(user) {
            Lodging::Now(room) => Some(room),
            Lodging::Later(later) => timeout(ROOM_WITHIN, later).await.ok()?.ok(),
            Lodging::Full => None,
        }
    }

    /// Reads the body into a file without a name, after what was read with the header.
    async fn body(
        &self,
        stream: &mut UnixStream,
        reader: &mut Reader,
        opening: &[u8],
        bytes: u64,
    ) -> Done<File> {
        let failed = |error: std::io::Error| Failure::file(&self.spool, &error);
        let mut file = tempfile::tempfile_in(&self.spool).map_err(failed)?;
        file.write_all(opening).map_err(failed)?;
        let mut buffer = vec![0; PIECE];
        let whole = Instant::now() + BODY_WITHIN + Duration::from_secs(bytes >> 20);
        let mut pace = Pace::from(Instant::now());
        while !reader.is_complete() {
            let piece = timeout_at(whole.min(pace.until), read(stream, &mut buffer)).await;
            let piece = piece.map_err(|_| too_slow("its body"))??;
            if piece.is_empty() {
                break;
            }
            reader.feed(piece)?;
            file.write_all(piece).map_err(failed)?;
            pace.advance(piece.len());
        }
        file.rewind().map_err(failed)?;
        Ok(file)
    }

    /// Tells a sender whose header was good why it is not taken, before its body is.
    async fn refuse(&self, mut stream: UnixStream, signed: &SignedHeader, refused: Failure) -> Done {
        let receipt = Receipt { refused: Some(refused.code.clone()), leaf: None };
        let receipt = self.receipts.answer(signed, &receipt)?;
        let written = timeout(PIECE_WITHIN, stream.write_all(&receipt.opening())).await;
        written.map_err(|_| too_slow("taking its receipt"))?.map_err(|error| broken(&error))?;
        Err(refused)
    }
}

/// By when the next piece of a body must be there.
struct Pace {
    until: Instant,
    left: usize,
}

impl Pace {
    fn from(now: Instant) -> Self {
        Self { until: now + PIECE_WITHIN, left: PIECE }
    }

    fn advance(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        if self.left == 0 {
            *self = Self::from(Instant::now());
        }
    }
}

async fn read<'a>(stream: &mut UnixStream, buffer: &'a mut [u8]) -> Done<&'a [u8]> {
    let count = stream.read(buffer).await.map_err(|error| broken(&error))?;
    Ok(buffer.get(..count).unwrap_or_default())
}

/// How long the header is that these bytes begin; 0 while that is not known.
fn length(opening: &[u8]) -> usize {
    let length = opening.get(MAGIC.len()..).and_then(|tail| tail.first_chunk::<4>());
    length.map_or(0, |length| usize::try_from(u32::from_be_bytes(*length)).unwrap_or(HEADER_BYTES_MAX))
}

/// What bodies may take of the disk: half of what is free, so that what else is on it goes on.
fn free(spool: &Path) -> Done<u64> {
    let found = rustix::fs::statvfs(spool).map_err(|error| Failure::file(spool, &error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize) / 2)
}

/// Whether a refusal says no more than that it is too early.
pub(super) fn is_passing_refusal(code: &str) -> bool {
    matches!(code, "CS-SRV-009" | "CS-SRV-010")
}

fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

fn is_scarcity(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let scarce = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    scarce.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

pub(super) fn too_slow(what: &str) -> Failure {
    let message = format!("the channel is too slow: {what}");
    Failure::new("CS-SRV-006", message, "see what the other process does")
}

fn given_way() -> Failure {
    Failure::new(
        "CS-SRV-006",
        "the channel was silent while others waited",
        "see what the other process does",
    )
}

fn full(bytes: u64) -> Failure {
    let message = format!("there is no place for {bytes} bytes now");
    let hint = "bring it again when other submissions are done; the receiver's disk may be full";
    Failure::new("CS-SRV-009", message, hint)
}

/// What a part says that has too much to do.
pub(super) fn busy() -> Failure {
    let hint = "bring it again a little later";
    Failure::new("CS-SRV-010", "the receiver has too much to do", hint)
}
