//! Which version a session is on: kept from its first request to its last, whatever the shares become meanwhile.
//!
//! A hash decides for every new session, so a gateway that remembers nothing assigns alike; what is remembered here is
//! that a session had begun before the share grew, before an order was admitted at all, or on a version that has been
//! replaced since. Only a version that is taken
//! back loses its sessions at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rollout::assign::Arm;

use crate::limits::Limits;

const SHARDS: usize = 64;

/// A state, as sessions remember it: the beginning of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) u64);

#[derive(Debug, Clone, Copy)]
struct Session {
    /// The release it was assigned under.
    epoch: u64,
    on: Version,
    /// The arm it was assigned to; none of a session that began before the release.
    arm: Option<Arm>,
    since_ms: u64,
    last_ms: u64,
}

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) on: Version,
    /// Whether it began in the arm that it is in now. Who began in another is compared in neither: counting those who
    /// come into the control and not those who would come into the candidate's arm would make the arms unequal.
    pub(crate) compared: bool,
}

/// What a lane offers to a session that begins now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    /// Tells releases apart.
    pub(crate) epoch: u64,
    /// The version and arm of a session that begins now.
    pub(crate) fresh: (Version, Arm),
    /// The versions that are served.
    pub(crate) served: [Option<Version>; 3],
}

/// The sessions of a gateway.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: Vec<Mutex<HashMap<u64, Session>>>,
    room: usize,
    idle_ms: u64,
    whole_ms: u64,
}

impl Sessions {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            room: limits.sessions / SHARDS,
            idle_ms: limits.session_idle_ms,
            whole_ms: limits.session_ms,
        }
    }

    /// Which version the session is on. One that is not served any more is left at once.
    pub(crate) fn find(&self, key: u64, now_ms: u64, offer: Offer) -> Found {
        let (on, arm) = offer.fresh;
        let shard = self.shards.get(usize::try_from(key % SHARDS as u64).unwrap_or(0));
        let fresh = Found { on, compared: true };
        let Some(shard) = shard else { return fresh };
        let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = known.get_mut(&key)
            && self.is_live(session, now_ms)
            && offer.served.contains(&Some(session.on))
        {
            session.last_ms = now_ms.max(session.last_ms);
            if session.epoch != offer.epoch {
                // It began before this release did.
                (session.epoch, session.arm) = (offer.epoch, None);
            }
            return Found { on: session.on, compared: session.arm == Some(arm) };
        }
        if known.len() >= self.room.min(known.capacity()) && !known.contains_key(&key) {
            // Sessions that have ended make room before more is taken. Where few have, as much again is: so that they are not
            // looked through for every new one.
            known.retain(|_, session| self.is_live(session, now_ms));
            let (live, room) = (known.len(), self.room);
            if live > known.capacity() / 4 * 3 && live < room {
                known.reserve(live.min(room - live).max(1));
            }
        }
        if known.len() < self.room || known.contains_key(&key) {
            let session =
                Session { epoch: offer.epoch, on, arm: Some(arm), since_ms: now_ms, last_ms: now_ms };
            known.insert(key, session);
        }
        fresh
    }

    fn is_live(&self, session: &Session, now_ms: u64) -> bool {
        now_ms.saturating_sub(session.last_ms) < self.idle_ms
            && now_ms.saturating_sub(session.since_ms) < self.whole_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(room: usize) -> Sessions {
        Sessions::new(&Limits {
            sessions: room * SHARDS,
            session_idle_ms: 10,
            session_ms: 100,
            ..Limits::ORDINARY
        })
    }

    const OLD: Version = Version(1);
    const NEW: Version = Version(2);
    const NEWER: Version = Version(3);
    const REST: (Version, Arm) = (OLD, Arm::Rest);
    const CONTROL: (Version, Arm) = (OLD, Arm::Control);
    const CANDIDATE: (Version, Arm) = (NEW, Arm::Candidate);

    fn offer(fresh: (Version, Arm)) -> Offer {
        Offer { epoch: 1, fresh, served: [Some(OLD), None, Some(NEW)] }
    }

    fn found(on: Version, compared: bool) -> Found {
        Found { on, compared }
    }

    #[test]
    fn a_session_keeps_its_version_while_it_lasts() {
        let sessions = sessions(4);
        assert_eq!(sessions.find(1, 0, offer(REST)), found(OLD, true));
        // The share has grown, and the session goes on.
        assert_eq!(sessions.find(1, 9, offer(CANDIDATE)), found(OLD, false));
        assert_eq!(sessions.find(1, 18, offer(CANDIDATE)), found(OLD, false));
        // It has ended, and another begins.
        assert_eq!(sessions.find(1, 28, offer(CANDIDATE)), found(NEW, true));
    }

    #[test]
    fn who_comes_into_an_arm_in_the_middle_is_in_neither() {
        let sessions = sessions(4);
        sessions.find(1, 0, offer(REST));
        sessions.find(2, 0, offer(REST));
        assert_eq!(sessions.find(1, 1, offer(CANDIDATE)), found(OLD, false));
        assert_eq!(sessions.find(2, 1, offer(CONTROL)), found(OLD, false));
    }

    #[test]
    fn a_session_that_is_always_busy_moves_on_in_the_end() {
        let sessions = sessions(4);
        for now in (0..100).step_by(9) {
            let arm = if now == 0 { REST } else { CANDIDATE };
            assert_eq!(sessions.find(1, now, offer(arm)).on, OLD);
        }
        assert_eq!(sessions.find(1, 105, offer(CANDIDATE)).on, NEW);
    }

    #[test]
    fn a_session_from_before_a_release_stays_on_what_it_had_and_is_not_compared() {
        let sessions = sessions(4);
        sessions.find(1, 0, offer(CANDIDATE));
        sessions.find(2, 0, offer(CONTROL));
        // The candidate of then is what is served to everybody now; what was served before is gone.
        let next = |fresh| Offer { epoch: 2, fresh, served: [Some(NEW), None, Some(NEWER)] };
        assert_eq!(sessions.find(1, 5, next((NEWER, Arm::Candidate))), found(NEW, false));
        assert_eq!(sessions.find(1, 6, next((NEW, Arm::Control))), found(NEW, false));
        assert_eq!(sessions.find(2, 5, next((NEWER, Arm::Candidate))), found(NEWER, true));
    }

    #[test]
    fn a_version_that_is_taken_back_is_left_at_once() {
        let sessions = sessions(4);
        sessions.find(1, 0, offer(CANDIDATE));
        let back = Offer { epoch: 0, fresh: REST, served: [Some(OLD), None, None] };
        assert_eq!(sessions.find(1, 1, back), found(OLD, true));
    }

    #[test]
    fn the_table_grows_with_the_sessions_of_a_time_and_not_with_all() {
        let sessions = sessions(1 << 16);
        let capacity = || sessions.shards.iter().map(|shard| shard.lock().unwrap().capacity()).sum::<usize>();
        // Fifty sessions last at any time: each is idle for ten milliseconds, and five begin in each.
        for number in 0..100_000_u64 {
            sessions.find(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number / 5, offer(REST));
        }
        assert!(capacity() <= 64 * 7, "{}", capacity());
    }

    #[test]
    fn what_does_not_fit_is_assigned_and_not_remembered() {
        let sessions = sessions(1);
        let (first, second) = (0, SHARDS as u64);
        sessions.find(first, 0, offer(REST));
        assert_eq!(sessions.find(second, 1, offer(CANDIDATE)), found(NEW, true));
        assert_eq!(sessions.find(second, 2, offer(REST)), found(OLD, true));
        // The first has ended, so there is room.
        sessions.find(second, 20, offer(REST));
        assert_eq!(sessions.find(second, 21, offer(CANDIDATE)).on, OLD);
    }
}
