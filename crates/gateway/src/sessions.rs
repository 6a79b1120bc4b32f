//! Which version a session is on: kept from its first request to its last, whatever the shares become meanwhile.
//!
//! A hash decides for every new session, so a gateway that remembers nothing assigns alike; what is remembered here is
//! that a session had begun before the share grew, or before an order was admitted at all. Only a version that is taken
//! back loses its sessions at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rollout::assign::Arm;

use crate::limits::Limits;

const SHARDS: usize = 64;

/// Which of a lane's two versions a session is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// What was served before.
    Base,
    /// What is being released.
    Candidate,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    /// The release it was assigned under.
    epoch: u64,
    on: On,
    /// The arm it was assigned to; none of a session that began before the release.
    arm: Option<Arm>,
    since_ms: u64,
    last_ms: u64,
}

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) on: On,
    /// Whether it began in the arm that it is in now. Who began in another is compared in neither: counting those who
    /// come into the control and not those who would come into the candidate's arm would make the arms unequal.
    pub(crate) compared: bool,
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

    /// Which version the session is on under a release, if a session that begins now is assigned like this.
    pub(crate) fn find(&self, key: u64, epoch: u64, now_ms: u64, (on, arm): (On, Arm)) -> Found {
        let shard = self.shards.get(usize::try_from(key % SHARDS as u64).unwrap_or(0));
        let fresh = Found { on, compared: true };
        let Some(shard) = shard else { return fresh };
        let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = known.get_mut(&key)
            && self.is_live(session, now_ms)
        {
            session.last_ms = now_ms.max(session.last_ms);
            if session.epoch != epoch {
                // It began before this release did. What was the candidate then is the base now.
                (session.epoch, session.on, session.arm) = (epoch, On::Base, None);
            }
            return Found { on: session.on, compared: session.arm == Some(arm) };
        }
        if known.len() >= self.room && !known.contains_key(&key) {
            known.retain(|_, session| self.is_live(session, now_ms));
        }
        if known.len() < self.room || known.contains_key(&key) {
            known.insert(key, Session { epoch, on, arm: Some(arm), since_ms: now_ms, last_ms: now_ms });
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

    const REST: (On, Arm) = (On::Base, Arm::Rest);
    const CONTROL: (On, Arm) = (On::Base, Arm::Control);
    const CANDIDATE: (On, Arm) = (On::Candidate, Arm::Candidate);

    fn found(on: On, compared: bool) -> Found {
        Found { on, compared }
    }

    #[test]
    fn a_session_keeps_its_version_while_it_lasts() {
        let sessions = sessions(4);
        assert_eq!(sessions.find(1, 1, 0, REST), found(On::Base, true));
        // The share has grown, and the session goes on.
        assert_eq!(sessions.find(1, 1, 9, CANDIDATE), found(On::Base, false));
        assert_eq!(sessions.find(1, 1, 18, CANDIDATE), found(On::Base, false));
        // It has ended, and another begins.
        assert_eq!(sessions.find(1, 1, 28, CANDIDATE), found(On::Candidate, true));
    }

    #[test]
    fn who_comes_into_an_arm_in_the_middle_is_in_neither() {
        let sessions = sessions(4);
        sessions.find(1, 1, 0, REST);
        sessions.find(2, 1, 0, REST);
        assert_eq!(sessions.find(1, 1, 1, CANDIDATE), found(On::Base, false));
        assert_eq!(sessions.find(2, 1, 1, CONTROL), found(On::Base, false));
    }

    #[test]
    fn a_session_that_is_always_busy_moves_on_in_the_end() {
        let sessions = sessions(4);
        for now in (0..100).step_by(9) {
            let arm = if now == 0 { REST } else { CANDIDATE };
            assert_eq!(sessions.find(1, 1, now, arm).on, On::Base);
        }
        assert_eq!(sessions.find(1, 1, 105, CANDIDATE).on, On::Candidate);
    }

    #[test]
    fn a_session_from_before_a_release_stays_on_what_it_had() {
        let sessions = sessions(4);
        sessions.find(1, 1, 0, CANDIDATE);
        sessions.find(2, 1, 0, CONTROL);
        // That candidate is what was served before, now.
        assert_eq!(sessions.find(1, 2, 5, CANDIDATE), found(On::Base, false));
        assert_eq!(sessions.find(2, 2, 5, CONTROL), found(On::Base, false));
        assert_eq!(sessions.find(2, 2, 6, CONTROL), found(On::Base, false));
    }

    #[test]
    fn what_does_not_fit_is_assigned_and_not_remembered() {
        let sessions = sessions(1);
        let (first, second) = (0, SHARDS as u64);
        sessions.find(first, 1, 0, REST);
        assert_eq!(sessions.find(second, 1, 1, CANDIDATE), found(On::Candidate, true));
        assert_eq!(sessions.find(second, 1, 2, REST), found(On::Base, true));
        // The first has ended, so there is room.
        sessions.find(second, 1, 20, REST);
        assert_eq!(sessions.find(second, 1, 21, CANDIDATE).on, On::Base);
    }
}
