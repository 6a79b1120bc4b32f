//! Waiting for another writer of the log: commands that write take turns.
//!
//! What this module does not do: wait for a process that serves. That keeps the log, and takes statements itself.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::failure::{Done, Failure};

/// The code of a log that another process writes.
pub(crate) const LOCKED: &str = "CS-LOG-004";

/// How often it is asked whether the log is free.
const GLANCE: Duration = Duration::from_millis(50);

/// How long a person waits before they are told what for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long another writer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(Duration);

impl Wait {
    pub(crate) const fn of(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Tries until another writer has ended, `hopeless` says of its refusal that it will not, or the time is over. The last
    /// refusal then stands.
    pub(crate) fn until_free<T>(
        self,
        mut attempt: impl FnMut() -> Done<T>,
        hopeless: impl Fn(&Failure) -> bool,
    ) -> Done<T> {
        let began = Instant::now();
        let mut told = false;
        loop {
            let failure = match attempt() {
                Err(failure) if failure.is(LOCKED) && !hopeless(&failure) => failure,
                done => return done,
            };
            let waited = began.elapsed();
            if waited >= self.0 {
                return Err(failure);
            }
            if waited >= PATIENCE && !told {
                told = true;
                eprintln!("waiting up to {} s (--wait): {}", self.0.as_secs(), failure.message);
            }
            std::thread::sleep(GLANCE.min(self.0.saturating_sub(waited)));
        }
    }
}
