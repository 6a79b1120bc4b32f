//! What a monitor says: its vote as an observation, its incident, and its signature under what several sign together.

use std::collections::{BTreeMap, BTreeSet};

use signer::{Signer as _, countersign, review, sign_statement};
use statement::kind::{Incident, Observation, Response, RollbackOrder, Severity};
use statement::{
    Body, ChangeId, Content, Digest, Envelope, KeyId, Name, SlotId, StateId, Statement, StatementId, Tracking,
};
use watch::drift::Level;
use watch::vote::{Outcome, Vote};
use watch::watcher::Judged;

use crate::eyes::Said;
use crate::notices::Told;
use crate::{Error, Monitor, Sight};

/// The detector's name of votes.
const ENSEMBLE: &str = "ensemble-1";
/// Why monitors roll back.
const REASON: &str = "monitors-agree";
/// How far from the own time a statement to be signed together may have been made.
const FRESH_MS: u64 = 45_000;
/// How often an incident that lasts is said again: a gateway may have been started anew.
const AGAIN_MS: u64 = 15_000;

/// A vote as it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    slot: SlotId,
    state: StateId,
    by: KeyId,
    vote: Vote,
}

/// What is being released in a slot.
#[derive(Debug, Clone)]
struct Released {
    change: ChangeId,
    order: StatementId,
    from_state: StateId,
    to_state: StateId,
}

impl Monitor {
    /// The votes among what others have said.
    pub(crate) fn votes(&self, heard: &[Envelope], now_ms: u64) -> Vec<Heard> {
        let vote = |envelope: &Envelope| {
            let Ok(Content::Known(statement)) = Content::parse(envelope.payload.as_slice()) else {
                return None;
            };
            let Body::Observation(said) = &statement.body else { return None };
            if said.detector.as_str() != ENSEMBLE || statement.header.realm != self.config.realm.name {
                return None;
            }
            let signers = self.monitors(envelope, now_ms);
            let [by] = signers.as_slice() else { return None };
            let level = level_of(*said.measures.get(&word("level").ok()?)?)?;
            let vote = Vote { level, at_ms: statement.issued_ms };
            Some(Heard { slot: said.slot.clone(), state: said.state, by: *by, vote })
        };
        heard.iter().filter_map(vote).collect()
    }

    /// Looks at a slot, and says what follows.
    pub(crate) fn look(
        &mut self,
        slot: &SlotId,
        votes: &[Heard],
        heard: &[Envelope],
        now_ms: u64,
    ) -> Result<(Sight, Vec<Envelope>), Error> {
        let released = self.released(slot);
        let present = self.log.ledger().world().slot(slot).map(|record| record.state);
        let own = self.key();
        let second = (now_ms / 1000).saturating_sub(1);
        let Some(eyes) = self.eyes.get_mut(slot) else { return Ok((Sight::learning(), Vec::new())) };
        let (Some(watcher), Some(state)) = (&mut eyes.watcher, present) else {
            return Ok((Sight::learning(), Vec::new()));
        };
        let judged = watcher.judge(state, second)?;
        let vote = self.vote(slot, state, &judged, now_ms)?;
        let Some(eyes) = self.eyes.get_mut(slot) else { return Ok((Sight::learning(), Vec::new())) };
        let mine =
            Heard { slot: slot.clone(), state, by: own, vote: Vote { level: judged.level, at_ms: now_ms } };
        for heard in votes.iter().chain([&mine]) {
            if heard.slot == *slot
                && heard.state == state
                && let Ok(name) = heard.by.to_string().parse::<Name>()
                && let Err(error) = eyes.panel.cast(&name, heard.vote)
            {
                tracing::debug!(code = error.code(), %error, "a vote does not count");
            }
        }
        let outcome = eyes.panel.outcome(now_ms);
        eyes.course.see(outcome, now_ms);
        let response = match outcome {
            // That nobody sees is the gateway's to know: it goes no further while too few have spoken.
            Outcome::Blind { .. } => None,
            Outcome::Agreed(_) => self.table.respond(&eyes.course, now_ms),
        };
        // What was taken back shows nothing wrong any more, and the record has to follow all the same: while the order is
        // the slot's, what was said of it is never answered with less.
        let order = released.as_ref().map(|released| released.order);
        let said = eyes.said.as_ref().filter(|said| Some(said.order) == order).map(|said| said.response);
        let response = response.max(said);
        let mut say = vec![vote.clone()];
        if let (Some(released), Some(response)) = (&released, response) {
            say.extend(self.incident(slot, released, response, &vote, now_ms)?);
            if response >= Response::RollBack {
                say.extend(self.rollback(slot, released, heard, now_ms)?);
            }
        }
        Ok((Sight::of(&judged, outcome, response), say))
    }

    fn released(&self, slot: &SlotId) -> Option<Released> {
        let ledger = self.log.ledger();
        let (change, order) = ledger.world().slot(slot)?.order.clone()?;
        let body = &ledger.dossier(&change)?.order.as_ref()?.body;
        let (from_state, to_state) = (body.from_state, body.to_state);
        Some(Released { change, order, from_state, to_state })
    }

    fn signed(&self, about: Tracking, at_ms: u64, body: impl Into<Body>) -> Result<Envelope, Error> {
        let statement = Statement::new(self.config.realm.name.clone(), about, at_ms, body);
        Ok(sign_statement(&self.key, &statement.signed_by(&[self.key.public_key().id()]))?)
    }

    /// What was seen, signed.
    fn vote(&self, slot: &SlotId, state: StateId, judged: &Judged, now_ms: u64) -> Result<Envelope, Error> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut measures = BTreeMap::from([
            (word("level")?, judged.level as i64),
            (word("blind")?, number(judged.blind as u64)),
            (word("requests")?, number(judged.requests)),
        ]);
        for finding in &judged.findings {
            measures.insert(
                word(&format!("found/{}", finding.detector))?,
                finding.level.map_or(-1, |level| level as i64),
            );
        }
        for (dimension, effect) in &judged.effects {
            measures.insert(word(&format!("effect-ppm/{dimension}"))?, number(*effect));
        }
        for notice in &judged.notices {
            measures.insert(word(&format!("notice/{notice}"))?, 1);
        }
        let data = serde_json::to_vec(&measures).unwrap_or_default();
        let window_ms = self.config.window_seconds.saturating_mul(1000);
        let observation = Observation {
            data: Digest::of(&data),
            detector: word(ENSEMBLE)?,
            from_ms: now_ms.saturating_sub(window_ms),
            measures,
            slot: slot.clone(),
            state,
            to_ms: now_ms,
        };
        self.signed(Tracking::Realm, now_ms, observation)
    }

    /// What this monitor would have done, where it is more than it has said, or was said a while ago.
    fn incident(
        &mut self,
        slot: &SlotId,
        released: &Released,
        response: Response,
        vote: &Envelope,
        now_ms: u64,
    ) -> Result<Option<Envelope>, Error> {
        let Some(eyes) = self.eyes.get(slot) else { return Ok(None) };
        let known = eyes.said.as_ref().filter(|said| said.order == released.order);
        let rises = known.is_none_or(|said| said.response < response);
        let is_due = known.is_none_or(|said| now_ms.saturating_sub(said.at_ms) >= AGAIN_MS);
        if !rises && !is_due {
            return Ok(None);
        }
        let response = known.map_or(response, |said| said.response.max(response));
        let severity = if response >= Response::RollBack { Severity::Critical } else { Severity::Warning };
        let body = Incident {
            observations: BTreeSet::from([vote.id()]),
            order: released.order,
            response,
            severity,
            slot: slot.clone(),
            summary: None,
        };
        let envelope = self.signed(Tracking::Change(released.change.clone()), now_ms, body.clone())?;
        if let Some(eyes) = self.eyes.get_mut(slot) {
            eyes.said = Some(Said { order: released.order, response, at_ms: now_ms });
        }
        tracing::warn!(%slot, ?response, change = %released.change, "an incident");
        if rises {
            let realm = &self.config.realm.name;
            let told = Told::of(&envelope, &body, released.change.as_str(), realm, self.key())?;
            self.notices.tell(&told);
        }
        Ok(Some(envelope))
    }

    /// The order to go back, with this monitor's signature: under one that another has begun, where there is one.
    fn rollback(
        &self,
        slot: &SlotId,
        released: &Released,
        heard: &[Envelope],
        now_ms: u64,
    ) -> Result<Vec<Envelope>, Error> {
        let wanted = RollbackOrder {
            from_state: released.to_state,
            incident: None,
            order: released.order,
            reason: word(REASON)?,
            slot: slot.clone(),
            to_state: released.from_state,
        };
        let about = Tracking::Change(released.change.clone());
        let same = Body::from(wanted.clone());
        let mut begun = 0;
        let mut signed = Vec::new();
        for envelope in heard {
            let Ok(Content::Known(statement)) = Content::parse(envelope.payload.as_slice()) else { continue };
            let is_wanted = statement.body == same
                && statement.header.change == about
                && statement.header.realm == self.config.realm.name
                && statement.header.signer.is_none()
                && now_ms.abs_diff(statement.issued_ms) <= FRESH_MS;
            if !is_wanted {
                continue;
            }
            begun += 1;
            if envelope.signatures.iter().any(|signature| signature.keyid == self.key()) {
                continue;
            }
            // Only what was read here is signed, and only this signature is sent.
            let mut own = Envelope { signatures: Vec::new(), ..envelope.clone() };
            countersign(&self.key, review(&own)?, &mut own)?;
            signed.push(own);
        }
        if begun == 0 {
            let statement = Statement::new(self.config.realm.name.clone(), about, now_ms, wanted);
            signed.push(sign_statement(&self.key, &statement)?);
        }
        Ok(signed)
    }
}

impl Sight {
    fn learning() -> Self {
        Self {
            learning: true,
            level: "quiet".to_owned(),
            agreed: "unknown".to_owned(),
            response: None,
            detectors: BTreeMap::new(),
            notices: Vec::new(),
            requests: 0,
        }
    }

    fn of(judged: &Judged, outcome: Outcome, response: Option<Response>) -> Self {
        let found = |finding: &watch::ensemble::Finding| {
            (finding.detector.to_string(), finding.level.map(|level| level_name(level).to_owned()))
        };
        Self {
            learning: false,
            level: level_name(judged.level).to_owned(),
            agreed: match outcome {
                Outcome::Agreed(level) => level_name(level).to_owned(),
                Outcome::Blind { speaking } => format!("blind: {speaking} speak"),
            },
            response,
            detectors: judged.findings.iter().map(found).collect(),
            notices: judged.notices.iter().map(ToString::to_string).collect(),
            requests: judged.requests,
        }
    }
}

/// A name.
pub(crate) fn word(text: &str) -> Result<Name, Error> {
    text.parse()
        .map_err(|error: statement::IdError| Error::Config { what: "name", reason: error.to_string() })
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Quiet => "quiet",
        Level::Notable => "notable",
        Level::Serious => "serious",
        Level::Critical => "critical",
    }
}

const fn level_of(number: i64) -> Option<Level> {
    match number {
        0 => Some(Level::Quiet),
        1 => Some(Level::Notable),
        2 => Some(Level::Serious),
        3 => Some(Level::Critical),
        _ => None,
    }
}
