//! Reading a log on a thread of its own, so that one that is slow, or feigns to be, keeps nobody from deciding.
//!
//! What was read is handed over and believed by nobody here: [`Follower`](crate::Follower) verifies it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::follow::{Found, Wanted};
use crate::{Error, Source};

/// The thread that reads, and what is under way on it.
#[derive(Debug)]
pub(crate) struct Reader {
    wanted: SyncSender<Wanted>,
    found: Receiver<Result<Found, Error>>,
    under_way: bool,
}

impl Reader {
    /// Begins a thread. It ends with the reader, once what it reads has come or been given up.
    pub(crate) fn begin(source: Box<dyn Source>) -> Result<Self, Error> {
        let (wanted, asked) = sync_channel::<Wanted>(1);
        let (answer, found) = sync_channel(1);
        let read = move || {
            for wanted in asked {
                if answer.send(wanted.read(&*source)).is_err() {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(read);
        spawned.map_err(|source| Error::System { what: "thread", source })?;
        Ok(Self { wanted, found, under_way: false })
    }

    /// What was read, if it comes within `patience`; else it comes at a later look. Nothing else is read meanwhile.
    pub(crate) fn look(
        &mut self,
        wanted: impl FnOnce() -> Wanted,
        patience: Duration,
    ) -> Option<Result<Found, Error>> {
        let gone = || Error::System { what: "thread", source: std::io::Error::other("it has ended") };
        if !self.under_way {
            if self.wanted.send(wanted()).is_err() {
                return Some(Err(gone()));
            }
            self.under_way = true;
        }
        let found = match self.found.recv_timeout(patience) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        };
        self.under_way = false;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    /// A log that answers when it is told to.
    struct Slow(Mutex<Receiver<()>>);

    impl Source for Slow {
        fn read(&self, _: &str, _: usize) -> Result<Option<Vec<u8>>, Error> {
            self.0.lock().unwrap().recv().unwrap();
            Ok(None)
        }
    }

    #[test]
    fn a_log_that_does_not_answer_is_not_waited_for_and_its_answer_is_not_lost() {
        let (tell, told) = channel();
        let mut reader = Reader::begin(Box::new(Slow(Mutex::new(told)))).unwrap();
        let wanted = || Wanted::of("realm");
        assert!(reader.look(wanted, Duration::ZERO).is_none());
        assert!(reader.look(|| panic!("one look at a time"), Duration::ZERO).is_none());
        tell.send(()).unwrap();
        let found = reader.look(|| panic!("one look at a time"), Duration::MAX).unwrap();
        assert_eq!(found.unwrap_err().code(), "CS-GWY-010");
        assert!(!reader.under_way);
    }
}
