//! What monitors say together, and what follows from it at once.
//!
//! A monitor's word counts where the record gives its key the role. Each says in its own incident what it would have done; what
//! a quorum of distinct persons says, as the trust root numbers it, is done: of the responses, the highest that so many
//! reach. What monitors sign together, rollback orders and freezes, acts once the quorum has signed, before it is in the
//! log. Nothing that they say goes forward.

use std::collections::{BTreeMap, BTreeSet};

use dossier::Ledger;
use serde_json::{Value, json};
use statement::kind::{FreezeAction, Incident, Response, Role};
use statement::{Body, Content, Envelope, KeyId, PersonId, SlotId, Statement, StatementId};

use super::Warden;
use crate::decide::Standing;
use crate::keep::Responded;
use crate::{Error, log};

/// How far from the gateway's time a statement may have been made.
const FRESH_MS: u64 = 60_000;
/// How long ago a monitor that watches has spoken at most.
const BLIND_MS: u64 = 10_000;
/// How long what was said is told to others.
const TOLD_MS: u64 = 600_000;
/// Statements of one person that wait for others' signatures at most: a monitor that lies fills nobody's place but its own.
const JOINT_MAX: usize = 4;
/// Incidents at most.
const INCIDENTS_MAX: usize = 256;

/// What monitors have said last.
#[derive(Debug, Default)]
pub(super) struct Panel {
    /// By key and slot: a monitor that watches several says one thing of each.
    votes: BTreeMap<(KeyId, SlotId), Vote>,
    /// By order and person.
    incidents: BTreeMap<(StatementId, PersonId), Told>,
    /// What several sign together, by its id.
    joint: BTreeMap<StatementId, Joint>,
    /// What was left for the log.
    logged: BTreeSet<StatementId>,
    refused: u64,
}

/// A monitor's last observation.
#[derive(Debug)]
struct Vote {
    at_ms: u64,
    person: PersonId,
    envelope: Envelope,
}

/// An incident as one monitor has it.
#[derive(Debug)]
struct Told {
    at_ms: u64,
    response: Response,
    envelope: Envelope,
    /// The observations that it rests on, as far as they were heard.
    observations: Vec<Envelope>,
}

#[derive(Debug)]
struct Joint {
    at_ms: u64,
    /// Who brought it first, of those whose signature was on it.
    begun_by: PersonId,
    envelope: Envelope,
    has_acted: bool,
}

impl Warden {
    /// Hears what monitors have said, does what follows, and decides about every slot.
    pub(super) fn heed(&mut self) {
        let now_ms = self.now_ms();
        let said = self.plane.tap.said();
        for envelope in &said {
            if let Err(error) = self.hear(envelope, now_ms) {
                self.panel.refused = self.panel.refused.saturating_add(1);
                tracing::warn!(code = error.code(), %error, "a monitor is not heard");
            }
        }
        if self.plane.tap.is_on() {
            self.leave_rest(now_ms);
            self.panel.fade(now_ms);
            self.plane.tap.tell(self.panel.told());
        }
        self.decide();
    }

    fn hear(&mut self, envelope: &Envelope, now_ms: u64) -> Result<(), Error> {
        let content = Content::parse(envelope.payload.as_slice())?;
        let Content::Known(statement) = &content else {
            return Err(Error::GoesForward { kind: content.header().kind.to_string() });
        };
        if statement.header.realm != self.config.realm.name {
            return Err(not_heard("it is of another realm"));
        }
        if now_ms.abs_diff(statement.issued_ms) > FRESH_MS {
            return Err(not_heard("it was made at another time"));
        }
        let persons = self.signers(envelope, now_ms)?;
        match &statement.body {
            Body::Observation(observation) => {
                if !self.config.slots.iter().any(|own| own.slot == observation.slot) {
                    return Err(not_heard("it is about a slot that is not served here"));
                }
                let of_key = envelope.signatures.first().map(|signature| signature.keyid);
                if let (Some(key), Some(person)) = (of_key, persons.into_iter().next()) {
                    let (at_ms, place) = (statement.issued_ms, (key, observation.slot.clone()));
                    if self.panel.votes.get(&place).is_none_or(|last| last.at_ms <= at_ms) {
                        self.panel.votes.insert(place, Vote { at_ms, person, envelope: envelope.clone() });
                    }
                }
                Ok(())
            }
            Body::Incident(incident) => self.incident(envelope, statement, incident, &persons, now_ms),
            Body::RollbackOrder(_) => self.join(envelope, &persons, statement.issued_ms, now_ms),
            Body::Freeze(freeze) if freeze.action == FreezeAction::Begin => {
                self.join(envelope, &persons, statement.issued_ms, now_ms)
            }
            _ => Err(Error::GoesForward { kind: content.header().kind.to_string() }),
        }
    }

    /// The persons who have signed: all of them monitors, by the record.
    fn signers(&mut self, envelope: &Envelope, now_ms: u64) -> Result<BTreeSet<PersonId>, Error> {
        let found = if self.pending.is_empty() && self.follower.view().is_some() {
            // Asked for every statement, every second: the record is not copied for it.
            log::signers(&self.follower, self.follower.ledger(), envelope, Role::Monitor, now_ms)?
        } else {
            let Some((ledger, _)) = self.present(now_ms) else { return Err(Error::Unverified) };
            let ledger = ledger.into_owned();
            log::signers(&self.follower, &ledger, envelope, Role::Monitor, now_ms)?
        };
        match found {
            Some(found) => Ok(found.into_values().collect()),
            None => Err(not_heard("a signature is by no monitor's key")),
        }
    }

    /// One monitor's incident: what a quorum says is done.
    fn incident(
        &mut self,
        envelope: &Envelope,
        statement: &Statement,
        incident: &Incident,
        persons: &BTreeSet<PersonId>,
        now_ms: u64,
    ) -> Result<(), Error> {
        let Some((ledger, _)) = self.present(now_ms) else { return Err(Error::Unverified) };
        let mut ledger: Ledger = ledger.into_owned();
        // Whether it is about the order that the slot has is the fold's rule.
        self.try_out(&mut ledger, envelope, now_ms)?;
        let Some(person) = persons.first().cloned() else { return Err(not_heard("nobody has signed it")) };
        let place = (incident.order, person);
        let known = self.panel.incidents.get(&place);
        if known.is_some_and(|known| known.at_ms > statement.issued_ms) {
            return Ok(());
        }
        if known.is_none() && self.panel.incidents.len() >= INCIDENTS_MAX {
            return Err(not_heard("there are too many incidents"));
        }
        let votes = self.panel.votes.values().map(|vote| &vote.envelope);
        let observations: Vec<Envelope> =
            votes.filter(|vote| incident.observations.contains(&vote.id())).cloned().collect();
        let told = Told {
            at_ms: statement.issued_ms,
            response: incident.response,
            envelope: envelope.clone(),
            observations,
        };
        self.panel.incidents.insert(place, told);
        let quorum = ledger.world().threshold(Role::Monitor).max(1);
        let Some(response) = self.panel.agreed(incident.order, quorum) else { return Ok(()) };
        let present = self.kept.responses.get(&incident.slot);
        // What was stopped stays so until people reopen it, whatever is said of another order.
        let is_covered = |present: &Responded| {
            present.response >= response
                && (present.order == incident.order || present.response >= Response::Stop)
        };
        if present.is_some_and(is_covered) {
            return Ok(());
        }
        let slot = ledger.world().slot(&incident.slot).map(|slot| slot.state);
        let Some(state) = slot else { return Err(not_heard("the slot is not in the record")) };
        tracing::warn!(slot = %incident.slot, response = name(response), "the monitors have decided");
        let responded =
            Responded { at_ms: now_ms, incident: envelope.id(), order: incident.order, response, state };
        self.kept.responses.insert(incident.slot.clone(), responded);
        if response >= Response::Quarantine {
            self.plane.cut.send_modify(|cut| {
                cut.insert((incident.slot.clone(), state));
            });
        }
        self.leave_incidents(incident.order, response, now_ms)
    }

    /// Leaves the incidents that made a decision for the log, each after what it rests on.
    fn leave_incidents(&mut self, order: StatementId, response: Response, now_ms: u64) -> Result<(), Error> {
        let of_order = self.panel.incidents.iter().filter(|((of, _), _)| *of == order);
        let told = of_order.map(|(_, told)| told).filter(|told| told.response >= response);
        let envelopes: Vec<Envelope> = told
            .flat_map(|told| told.observations.iter().chain(std::iter::once(&told.envelope)).cloned())
            .collect();
        envelopes.iter().try_for_each(|envelope| self.leave(envelope, now_ms))
    }

    /// Leaves a statement for the log, once.
    fn leave(&mut self, envelope: &Envelope, now_ms: u64) -> Result<(), Error> {
        if !self.panel.logged.contains(&envelope.id()) {
            self.reports = self.reports.wrapping_add(1);
            self.keep.report((now_ms, self.reports), envelope, &[])?;
            // What could not be written is written in a later turn.
            self.panel.logged.insert(envelope.id());
        }
        Ok(())
    }

    /// Adds signatures to what several sign together, and acts by it once they are enough.
    fn join(
        &mut self,
        envelope: &Envelope,
        persons: &BTreeSet<PersonId>,
        at_ms: u64,
        now_ms: u64,
    ) -> Result<(), Error> {
        let id = envelope.id();
        let Some(begun_by) = persons.first().cloned() else { return Err(not_heard("nobody has signed it")) };
        let begun = self.panel.joint.values().filter(|joint| joint.begun_by == begun_by).count();
        if !self.panel.joint.contains_key(&id) && begun >= JOINT_MAX {
            return Err(not_heard("too many statements of this monitor wait for signatures"));
        }
        let joint = self.panel.joint.entry(id).or_insert_with(|| {
            let unsigned = Envelope { signatures: Vec::new(), ..envelope.clone() };
            Joint { at_ms, begun_by, envelope: unsigned, has_acted: false }
        });
        for signature in &envelope.signatures {
            if !joint.envelope.signatures.iter().any(|present| present.keyid == signature.keyid) {
                joint.envelope.add(signature.clone())?;
            }
        }
        if joint.has_acted {
            return Ok(());
        }
        let whole = joint.envelope.clone();
        let persons = self.signers(&whole, now_ms)?;
        let Some((ledger, _)) = self.present(now_ms) else { return Err(Error::Unverified) };
        // A freeze that one monitor may sign in the log acts here by the quorum alone: one that lies stops nothing at once.
        if persons.len() < ledger.world().threshold(Role::Monitor).max(1) {
            return Ok(());
        }
        let kept = self.act_by(&whole, now_ms);
        if let Some(joint) = self.panel.joint.get_mut(&id) {
            // It acts even where it cannot be kept.
            joint.has_acted = self.pending.iter().any(|pending| pending.id() == id);
        }
        kept?;
        self.leave(&whole, now_ms)
    }

    /// Leaves for the log what was decided and could not be written before.
    fn leave_rest(&mut self, now_ms: u64) {
        let decided: Vec<(StatementId, Response)> =
            self.kept.responses.values().map(|responded| (responded.order, responded.response)).collect();
        let acted = self.panel.joint.values().filter(|joint| joint.has_acted);
        let acted: Vec<Envelope> = acted.map(|joint| joint.envelope.clone()).collect();
        let left = decided
            .into_iter()
            .try_for_each(|(order, response)| self.leave_incidents(order, response, now_ms))
            .and_then(|()| acted.iter().try_for_each(|envelope| self.leave(envelope, now_ms)));
        if let Err(error) = left {
            tracing::warn!(code = error.code(), %error, "what monitors have decided waits to be written");
        }
    }

    /// What follows for a slot from what the monitors have decided.
    pub(super) fn respond(&mut self, slot: &SlotId, standing: &mut Standing) -> Option<Response> {
        if let Some(order) = &standing.order
            && self.kept.responses.get(slot).is_none_or(|responded| responded.state != order.state)
        {
            // People have gone forward with it again.
            self.plane.cut.send_if_modified(|cut| cut.remove(&(slot.clone(), order.state)));
        }
        let responded = self.kept.responses.get(slot)?.clone();
        let response = responded.response;
        let is_present = standing.in_record == Some(responded.order);
        if !is_present && response < Response::Stop && self.has_seen(responded.order) {
            // The record has taken it back.
            self.kept.responses.remove(slot);
            return None;
        }
        let error = Error::Responded { slot: slot.clone(), response: name(response) };
        standing.reasons.push((error.code().to_owned(), error.to_string()));
        if let Some(order) = &mut standing.order
            && order.order == responded.order
        {
            if response >= Response::Freeze {
                order.frozen.get_or_insert(responded.incident);
            }
            if response >= Response::RollBack {
                standing.order = None;
            }
        }
        if response >= Response::Stop {
            (standing.base, standing.order) = (None, None);
        }
        Some(response)
    }

    /// Whether the record as it was verified last knows an order: one that does not says nothing of its end.
    fn has_seen(&self, order: StatementId) -> bool {
        self.follower.view().is_some() && self.follower.ledger().has_applied(&order)
    }

    /// Whether too few monitors have looked at a slot lately: then nothing goes further, for nobody would see what it does.
    pub(super) fn is_blind(&self, slot: &SlotId, now_ms: u64) -> bool {
        if !self.plane.tap.is_on() {
            return false;
        }
        let quorum = self.follower.ledger().world().threshold(Role::Monitor).max(1);
        let of_slot = self.panel.votes.iter().filter(|((_, of), _)| of == slot).map(|(_, vote)| vote);
        let fresh = of_slot.filter(|vote| now_ms.abs_diff(vote.at_ms) <= BLIND_MS);
        let persons: BTreeSet<&PersonId> = fresh.map(|vote| &vote.person).collect();
        persons.len() < quorum
    }

    /// A slot that was stopped is served again: an operator says so, after the record has taken back what was wrong.
    pub(super) fn reopen(&mut self, name: &str) -> Result<(), Error> {
        let refuse = |reason| Err(Error::NotReopened { slot: name.to_owned(), reason });
        let Ok(slot) = name.parse::<SlotId>() else { return refuse("there is no such slot") };
        let Some(responded) = self.kept.responses.get(&slot) else { return refuse("nothing has stopped it") };
        if !self.has_seen(responded.order) {
            return refuse("the record that is known here does not have the order that was stopped");
        }
        let in_record = self.standings.get(&slot).and_then(|standing| standing.in_record);
        if in_record == Some(responded.order) {
            return refuse("the order that was stopped is still in the record");
        }
        self.kept.responses.remove(&slot);
        Ok(())
    }

    /// What the monitors have decided about a slot, for people and scripts.
    pub(super) fn shown_response(&self, slot: &SlotId) -> Value {
        let responded = self.kept.responses.get(slot).map(|responded| {
            json!({ "response": responded.response, "order": responded.order, "incident": responded.incident,
                    "at_ms": responded.at_ms })
        });
        let speaking = self.panel.votes.keys().filter(|(_, of)| of == slot).count();
        json!({ "decided": responded, "speaking": speaking, "not_heard": self.panel.refused })
    }
}

impl Panel {
    /// The highest response that a quorum of persons reaches about an order.
    fn agreed(&self, order: StatementId, quorum: usize) -> Option<Response> {
        let of_order = self.incidents.iter().filter(|((of, _), _)| *of == order);
        let mut responses: Vec<Response> = of_order.map(|(_, told)| told.response).collect();
        responses.sort_unstable_by(|left, right| right.cmp(left));
        responses.get(quorum.saturating_sub(1)).copied()
    }

    /// Forgets what is old.
    fn fade(&mut self, now_ms: u64) {
        let is_told = |at_ms: u64| now_ms.abs_diff(at_ms) <= TOLD_MS;
        self.votes.retain(|_, vote| now_ms.abs_diff(vote.at_ms) <= FRESH_MS);
        self.incidents.retain(|_, told| is_told(told.at_ms));
        let logged = &self.logged;
        let waits = |joint: &Joint| joint.has_acted && !logged.contains(&joint.envelope.id());
        self.joint.retain(|_, joint| now_ms.abs_diff(joint.at_ms) <= FRESH_MS || waits(joint));
    }

    /// What others are told.
    fn told(&self) -> Vec<Envelope> {
        let votes = self.votes.values().map(|vote| &vote.envelope);
        let incidents = self.incidents.values().map(|told| &told.envelope);
        votes.chain(incidents).chain(self.joint.values().map(|joint| &joint.envelope)).cloned().collect()
    }
}

fn not_heard(reason: &str) -> Error {
    Error::NotHeard { reason: reason.to_owned() }
}

/// A response as people read it.
pub(super) const fn name(response: Response) -> &'static str {
    match response {
        Response::Watch => "watch",
        Response::Freeze => "freeze",
        Response::Restrict => "restrict",
        Response::RollBack => "roll-back",
        Response::Quarantine => "quarantine",
        Response::Stop => "stop",
    }
}
