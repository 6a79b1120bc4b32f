//! Who asks, and how much they may.
//!
//! Keys are random and long, so a plain hash hides them as well as a slow one would. A request's key is hashed, and looked
//! up by the beginning of its hash; the whole hash is then compared in constant time. What the look-up's time tells about
//! the beginning of a hash helps nobody to a key.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::Refusal;
use crate::config::{Context, KeyEntry};

/// The part of a minute's requests that may come at once.
const BURST: u64 = 10;
const MINUTE_US: u64 = 60_000_000;

/// Everybody who may ask.
#[derive(Debug)]
pub(crate) struct Callers(HashMap<Beginning, Vec<Arc<Caller>>>);

/// The beginning of a hash.
type Beginning = [u8; 8];

/// Somebody who may ask.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) context: Context,
    pub(crate) hash: [u8; 32],
    concurrent: u32,
    per_minute: u32,
    under_way: AtomicU32,
    /// When the next request would come at an even pace (the generic cell rate algorithm), in microseconds.
    due_us: AtomicU64,
}

/// A request under way: given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Caller>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Callers {
    pub(crate) fn new(keys: &[KeyEntry]) -> Self {
        let mut callers: HashMap<Beginning, Vec<Arc<Caller>>> = HashMap::new();
        for key in keys {
            let hash = *key.sha256.as_bytes();
            let caller = Caller {
                context: key.context,
                hash,
                concurrent: key.concurrent,
                per_minute: key.per_minute,
                under_way: AtomicU32::new(0),
                due_us: AtomicU64::new(0),
            };
            callers.entry(beginning(&hash)).or_default().push(Arc::new(caller));
        }
        Self(callers)
    }

    /// Whose key stands in an `Authorization` header.
    pub(crate) fn find(&self, authorization: Option<&[u8]>) -> Option<&Arc<Caller>> {
        let text = std::str::from_utf8(authorization?).ok()?;
        let (scheme, key) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(key.trim().as_bytes()).into();
        self.0.get(&beginning(&hash))?.iter().find(|caller| secret::equal(&caller.hash, &hash))
    }
}

fn beginning(hash: &[u8; 32]) -> Beginning {
    hash.first_chunk().copied().unwrap_or_default()
}

impl Caller {
    /// Takes a turn, or says why there is none now. `now_us` is of a clock that never goes back.
    pub(crate) fn turn(self: &Arc<Self>, now_us: u64) -> Result<Turn, Refusal> {
        let free = |count: u32| (count < self.concurrent).then(|| count + 1);
        if self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_err() {
            return Err(Refusal::Concurrency { limit: self.concurrent });
        }
        let turn = Turn(Arc::clone(self));
        let pace = MINUTE_US / u64::from(self.per_minute);
        let burst = pace.saturating_mul((u64::from(self.per_minute) / BURST).max(1));
        let next = |due: u64| {
            let due = due.max(now_us);
            ((due - now_us).saturating_add(pace) <= burst).then(|| due.saturating_add(pace.max(1)))
        };
        match self.due_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(turn),
            Err(_) => Err(Refusal::Rate { limit: self.per_minute }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers(concurrent: u32, per_minute: u32) -> Callers {
        let entry = KeyEntry {
            concurrent,
            context: Context::NonCritical,
            name: "one".to_owned(),
            per_minute,
            sha256: statement::Digest::of(b"a-long-random-key"),
        };
        Callers::new(&[entry])
    }

    #[test]
    fn only_the_key_itself_is_found() {
        let callers = callers(1, 60);
        assert!(callers.find(Some(b"Bearer a-long-random-key")).is_some());
        assert!(callers.find(Some(b"bearer  a-long-random-key ")).is_some());
        for wrong in
            [&b"Bearer other"[..], b"a-long-random-key", b"Basic a-long-random-key", b"Bearer ", b"\xff \xff"]
        {
            assert!(callers.find(Some(wrong)).is_none());
        }
        assert!(callers.find(None).is_none());
    }

    /// Of two whose hashes begin alike each finds its own, and a third nobody: the whole hash decides.
    #[test]
    fn the_whole_hash_decides() {
        let real = statement::Digest::of(b"a-long-random-key");
        let mut alike = *real.as_bytes();
        alike[31] ^= 1;
        let entry = |sha256, per_minute| KeyEntry {
            concurrent: 1,
            context: Context::NonCritical,
            name: "one".to_owned(),
            per_minute,
            sha256,
        };
        let alike = statement::Digest::from_bytes(alike);
        let both = Callers::new(&[entry(alike, 1), entry(real, 2)]);
        assert_eq!(both.find(Some(b"Bearer a-long-random-key")).unwrap().per_minute, 2);
        let other = Callers::new(&[entry(alike, 1)]);
        assert!(other.find(Some(b"Bearer a-long-random-key")).is_none());
    }

    #[test]
    fn turns_are_bounded_and_given_back() {
        let callers = callers(2, 6000);
        let caller = callers.find(Some(b"Bearer a-long-random-key")).unwrap();
        let one = caller.turn(0).unwrap();
        let _two = caller.turn(0).unwrap();
        assert_eq!(caller.turn(0).unwrap_err(), Refusal::Concurrency { limit: 2 });
        drop(one);
        assert!(caller.turn(0).is_ok());
    }

    #[test]
    fn a_tenth_of_a_minute_comes_at_once_and_then_the_pace_holds() {
        let callers = callers(1, 60);
        let caller = callers.find(Some(b"Bearer a-long-random-key")).unwrap();
        for _ in 0..6 {
            drop(caller.turn(0).unwrap());
        }
        assert_eq!(caller.turn(0).unwrap_err(), Refusal::Rate { limit: 60 });
        assert_eq!(caller.turn(999_999).unwrap_err(), Refusal::Rate { limit: 60 });
        drop(caller.turn(1_000_000).unwrap());
        assert_eq!(caller.turn(1_000_000).unwrap_err(), Refusal::Rate { limit: 60 });
    }
}
