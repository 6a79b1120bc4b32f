//! The examiner: a station whose medium is a channel. It has no log and no vault but its own; what it says is a finding
//! under its own key.
//!
//! One thread takes requests and answers them at once; another examines, one request after another, and brings what it
//! found. What is to be done is in the station's folder, so that nothing is lost when the process is started again.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use bundle::{Direction, Header, SignedHeader};
use statement::{Digest, KeyId};

use super::channel::{Receipt, Receipts, ended, send};
use super::door::{self, Came};
use super::patience::{ABSENT, FAILED, Patience};
use super::{Manner, ServeArgs, declined, wanted};
use crate::command::Setting;
use crate::command::bundle::{find, out, take};
use crate::failure::{Done, Failure};
use crate::home::Home;
use crate::keys::PassphraseSource;
use crate::station::Station;
use crate::worker::Worker;

/// For how many days the authority may take the findings.
const FINDINGS_DAYS: u64 = 1;
/// How many requests wait here; the authority keeps the others.
const WAITING_MAX: usize = 64;
/// How often the folder is looked at where nothing has happened.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Runs until it is ended.
pub(super) fn run(setting: &Setting, args: &ServeArgs) -> Done {
    let listen = args.listen()?;
    let worker = Worker::find(setting.worker.as_deref())?;
    let manner = Manner::of(args, &worker)?;
    let authority = wanted(args.authority.clone(), "--authority")?;
    let authority_key = wanted(args.authority_key, "--authority-key")?;
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let receipts = Receipts::new(&station.keys.open(&station.setup.key_name)?);
    let may_bring = Arc::new(move |header: &Header| {
        header.direction == Direction::Request && header.from == authority_key
    });
    let spool = setting.home.path().join("spool");
    let opened = door::open::<Infallible>(listen, &spool, may_bring, receipts.clone())?;
    drop(opened.tell);
    door::told(listen);
    let (wake, woken) = sync_channel(1);
    let desk = Desk {
        home: setting.home.clone(),
        passphrase: setting.passphrase.clone(),
        worker,
        manner,
        authority: (authority, authority_key),
    };
    std::thread::spawn(move || desk.work(&woken));
    for came in opened.comes {
        let arrived = match came {
            Came::Bundle(arrived) => arrived,
            Came::Ended => break,
            Came::Told(never) => match never {},
        };
        let taken = take_in(setting, &arrived.whole, &arrived.file);
        let receipt = taken.map_or_else(Receipt::refusal, |()| Receipt::taken(None));
        arrived.answer(&receipts, &receipt);
        // One that is full will be awake anyway, and then reads the folder.
        if let Err(TrySendError::Disconnected(())) = wake.try_send(()) {
            return Err(Failure::outside("the thread that examines has ended", "report this as a defect"));
        }
    }
    Err(ended(listen))
}

/// Takes a request into the folder, if it may be and there is room for it.
fn take_in(setting: &Setting, whole: &bundle::Whole, file: &Arc<std::fs::File>) -> Done {
    // Opened for each: what was taken before belongs to what is known now.
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    if station.unanswered()?.len() >= WAITING_MAX {
        return Err(door::busy());
    }
    take::accept(&station, whole, file, Path::new("the channel")).map(drop)
}

/// What the examining thread needs.
struct Desk {
    home: Home,
    passphrase: PassphraseSource,
    worker: Worker,
    manner: Manner,
    authority: (PathBuf, KeyId),
}

impl Desk {
    /// Answers requests until nobody can wake this thread any more.
    fn work(&self, woken: &Receiver<()>) {
        let mut patience = Patience::new();
        loop {
            if let Err(failure) = self.round(&mut patience) {
                tracing::warn!(code = %failure.code, "{}", failure.message);
            }
            match woken.recv_timeout(patience.wait(Instant::now()).unwrap_or(LOOK_AGAIN)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Answers what has no answer yet, oldest first.
    fn round(&self, patience: &mut Patience<Digest>) -> Done {
        loop {
            let station = Station::open(&self.home, self.passphrase.clone())?;
            let requests = station.unanswered()?;
            patience.keep(|id| requests.iter().any(|request| request.id() == id));
            let ripe = |request: &&SignedHeader| patience.is_ripe(request.id(), Instant::now());
            let Some(request) = requests.iter().find(ripe) else { return Ok(()) };
            let change = &request.header().about()?.change;
            match self.report(&station, request) {
                Ok(()) => {
                    crate::text::print(&format!("examined {change}\n"));
                    station.answered(request)?;
                }
                Err(Unheard::Declined(failure)) => {
                    tracing::warn!(code = %failure.code, %change, "{}", failure.message);
                    station.answered(request)?;
                }
                Err(Unheard::Later(failure, longest)) => {
                    tracing::warn!(code = %failure.code, %change, "{}", failure.message);
                    patience.failed(request.id(), Instant::now(), longest);
                }
            }
        }
    }

    /// Examines the change in the box, if that was not done before, and brings the findings to the authority.
    fn report(&self, station: &Station, request: &SignedHeader) -> Result<(), Unheard> {
        let about = request.header().about().map_err(Failure::from)?;
        let key = &station.setup.key_name;
        if !out::has_findings(station, about)? {
            let (level, sources) = (self.manner.level, self.manner.sources.as_ref());
            find(station, &self.worker, &about.change, key, level, sources)?;
        }
        let folder = crate::home::private_folder()?;
        let path = folder.path().join("findings.bundle");
        let (signed, _) = out::write_findings(station, request, FINDINGS_DAYS, &path)?;
        let mut file = std::fs::File::open(&path).map_err(|error| Failure::file(&path, &error))?;
        let (socket, authority) = &self.authority;
        let absent = |failure| Unheard::Later(failure, ABSENT);
        match send(socket, &signed, &mut file, *authority).map_err(absent)?.refused {
            None => Ok(()),
            Some(code) if door::is_passing_refusal(&code) => Err(absent(declined(&code))),
            Some(code) => Err(Unheard::Declined(declined(&code))),
        }
    }
}

/// Why findings did not get into the log.
enum Unheard {
    /// They were refused for good.
    Declined(Failure),
    /// It is tried again, after pauses that grow up to this.
    Later(Failure, Duration),
}

impl From<Failure> for Unheard {
    fn from(failure: Failure) -> Self {
        Self::Later(failure, FAILED)
    }
}
