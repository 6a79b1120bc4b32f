//! How long to wait before something that did not work is tried again: longer each time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first pause.
const FIRST: Duration = Duration::from_millis(250);
/// The longest before somebody is asked again who was not there.
pub(super) const ABSENT: Duration = Duration::from_mins(1);
/// The longest before work is done again that did not succeed.
pub(super) const FAILED: Duration = Duration::from_hours(1);

/// Things that are to be tried again, and when.
#[derive(Debug)]
pub(super) struct Patience<K> {
    pauses: BTreeMap<K, (Duration, Instant)>,
}

impl<K: Ord + Clone> Patience<K> {
    pub(super) const fn new() -> Self {
        Self { pauses: BTreeMap::new() }
    }

    /// It did not work now. Pauses grow up to the longest.
    pub(super) fn failed(&mut self, thing: &K, now: Instant, longest: Duration) {
        let pause = self.pauses.get(thing).map_or(FIRST, |(pause, _)| (*pause * 2).min(longest));
        self.pauses.insert(thing.clone(), (pause, now + pause));
    }

    /// It worked, or is wanted no more.
    pub(super) fn forget(&mut self, thing: &K) {
        self.pauses.remove(thing);
    }

    /// Forgets what is wanted no more.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&K) -> bool) {
        self.pauses.retain(|thing, _| is_wanted(thing));
    }

    /// Whether it may be tried now.
    pub(super) fn is_ripe(&self, thing: &K, now: Instant) -> bool {
        self.pauses.get(thing).is_none_or(|(_, until)| *until <= now)
    }

    /// How long until this may be tried again; nothing where it may be now.
    pub(super) fn wait_for(&self, thing: &K, now: Instant) -> Option<Duration> {
        let wait = self.pauses.get(thing)?.1.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// How long until something may be tried again; nothing where nothing waits.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.pauses.values().map(|(_, until)| until.saturating_duration_since(now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::{ABSENT, FIRST, Patience};
    use std::time::Instant;

    #[test]
    fn pauses_grow_up_to_a_bound_and_are_forgotten() {
        let now = Instant::now();
        let mut patience = Patience::new();
        assert!(patience.is_ripe(&1, now) && patience.wait(now).is_none());
        patience.failed(&1, now, ABSENT);
        assert_eq!((patience.wait(now), patience.wait_for(&1, now)), (Some(FIRST), Some(FIRST)));
        assert_eq!(patience.wait_for(&1, now + FIRST), None);
        assert!(!patience.is_ripe(&1, now) && patience.is_ripe(&1, now + FIRST) && patience.is_ripe(&2, now));
        for _ in 0..40 {
            patience.failed(&1, now, ABSENT);
        }
        assert_eq!(patience.wait(now), Some(ABSENT));
        patience.keep(|thing| *thing != 1);
        assert_eq!(patience.wait(now), None);
        patience.failed(&1, now, ABSENT);
        patience.forget(&1);
        assert!(patience.is_ripe(&1, now));
    }
}
