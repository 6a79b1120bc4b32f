//! Asking launchers which key they hold, each on a thread of its own, so that one that is slow keeps nobody from deciding.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use statement::PublicKey;

use crate::Error;

/// What was found at an address: a key that was proven, or the code and the text of why there is none.
pub(crate) type Found = Result<PublicKey, (String, String)>;

/// How long each wait of a handshake may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who knocks at one address.
#[derive(Debug)]
pub(crate) struct Knocker {
    wanted: SyncSender<()>,
    found: Receiver<Found>,
    under_way: bool,
    /// Whether it was asked in this turn: what took longer than a turn already is not waited for again.
    is_new: bool,
    last: Option<Found>,
}

impl Knocker {
    /// Begins a thread for an address, `HOST:PORT`. It ends with the knocker.
    pub(crate) fn begin(address: String) -> Result<Self, Error> {
        let (wanted, asked) = sync_channel::<()>(1);
        let (answer, found) = sync_channel(1);
        let knock = move || {
            for () in asked {
                let told = |error: Error| (error.code().to_owned(), crate::control::told(&error));
                let found = channel::knock(&address, PATIENCE).map_err(|error| told(error.into()));
                if answer.send(found).is_err() {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("knock".to_owned()).spawn(knock);
        spawned.map_err(|source| Error::System { what: "thread", source })?;
        Ok(Self { wanted, found, under_way: false, is_new: false, last: None })
    }

    /// Asks, unless an answer is still awaited.
    pub(crate) fn ask(&mut self) {
        self.is_new = !self.under_way;
        if self.is_new {
            // A thread that has ended is found when its answer is waited for.
            self.under_way = self.wanted.try_send(()).is_ok();
        }
    }

    /// Takes the answer, if it comes by then; else what was found before stands.
    pub(crate) fn take(&mut self, until: Instant) {
        if !self.under_way {
            return;
        }
        let patience = until.saturating_duration_since(Instant::now());
        match self.found.recv_timeout(if self.is_new { patience } else { Duration::ZERO }) {
            Ok(found) => self.last = Some(found),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => self.last = None,
        }
        self.under_way = false;
    }

    /// What was found last.
    pub(crate) const fn last(&self) -> Option<&Found> {
        self.last.as_ref()
    }
}
