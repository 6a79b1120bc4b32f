//! What operators ask: how everything stands, and that something begins, stays, stops or goes back.

use dossier::{Code, Refusal};
use serde_json::{Value, json};
use statement::kind::{FreezeAction, RevocationTarget};
use statement::{Body, Content, Envelope};

use super::Warden;
use crate::Error;
use crate::config::SlotEntry;
use crate::control::Asked;
use crate::live::Drive;

impl Warden {
    /// Does what an operator asks.
    ///
    /// # Errors
    /// Whatever does not apply, with its code.
    pub fn ask(&mut self, asked: &Asked) -> Result<Value, Error> {
        let now_ms = self.now_ms();
        match asked {
            Asked::Status => return Ok(self.status()),
            Asked::Start { change } => self.unfrozen(change)?.start(now_ms)?,
            Asked::Pause { change } => self.drive(change)?.pause(now_ms)?,
            Asked::Resume { change } => self.unfrozen(change)?.resume_from_pause(now_ms)?,
            Asked::Abort { change } => self.drive(change)?.abort(now_ms)?,
            Asked::Reopen { slot } => self.reopen(slot)?,
            Asked::Statement { envelope } => self.act_by(&Envelope::parse(envelope.as_bytes())?, now_ms)?,
        }
        self.decide();
        Ok(self.status())
    }

    /// Acts by a statement that stops or takes back.
    pub(super) fn act_by(&mut self, envelope: &Envelope, now_ms: u64) -> Result<(), Error> {
        let content = Content::parse(envelope.payload.as_slice())?;
        let takes_away = match &content {
            Content::Known(statement) => match &statement.body {
                Body::RollbackOrder(_) => true,
                Body::Freeze(freeze) => freeze.action == FreezeAction::Begin,
                Body::Revocation(revocation) => matches!(revocation.target, RevocationTarget::Order(_)),
                _ => false,
            },
            Content::Opaque(_) => false,
        };
        if !takes_away {
            return Err(Error::GoesForward { kind: content.header().kind.to_string() });
        }
        let Some((ledger, _)) = self.present(now_ms) else {
            return Err(Error::GoesForward { kind: content.header().kind.to_string() });
        };
        let mut ledger = ledger.into_owned();
        self.try_out(&mut ledger, envelope, now_ms)?;
        // It acts even where it cannot be kept.
        self.pending.push(envelope.clone());
        self.keep.add_pending(envelope)
    }

    /// A rollout that may go forward.
    fn unfrozen(&mut self, name: &str) -> Result<&mut Drive, Error> {
        let order = self.drive(name)?.order;
        let frozen = self.standings.values().find_map(|standing| {
            let released = standing.order.as_ref()?;
            (released.order == order).then_some(released.frozen)
        });
        match frozen {
            // The order may not be served now.
            None => Err(Error::NoRollout { name: name.to_owned() }),
            Some(Some(freeze)) => Err(Refusal::new(Code::Frozen, freeze).into()),
            Some(None) => self.drive(name),
        }
    }

    fn drive(&mut self, name: &str) -> Result<&mut Drive, Error> {
        let wanted = if name.starts_with("chg-") { name.to_owned() } else { format!("chg-{name}") };
        let mut found = self.drives.values_mut().filter(|drive| drive.change.as_str().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(drive), None) => Ok(drive),
            _ => Err(Error::NoRollout { name: name.to_owned() }),
        }
    }

    /// How everything stands.
    pub fn status(&self) -> Value {
        let slot = |slot: &SlotEntry| {
            let standing = self.standings.get(&slot.slot);
            let reasons: Vec<_> = standing
                .iter()
                .flat_map(|standing| &standing.reasons)
                .map(|(code, about)| json!({ "code": code, "about": about }))
                .collect();
            json!({
                "slot": slot.slot, "model": slot.model,
                "binding": standing.and_then(|standing| standing.base).map(|base| self.shown_level(slot, base)),
                "engines": self.shown_engines(slot),
                "base": standing.and_then(|standing| standing.base),
                "order": standing.and_then(|standing| standing.order.as_ref()).map(|order| json!({
                    "order": order.order, "change": order.change, "state": order.state, "serving": order.serving, "frozen": order.frozen,
                })),
                "reasons": reasons,
                "monitors": self.shown_response(&slot.slot),
                "rollout": self.drives.get(&slot.slot).map(Drive::status),
            })
        };
        let view = self.follower.view();
        json!({
            "slots": self.config.slots.iter().map(slot).collect::<Vec<_>>(),
            "log": {
                "size": view.map(|view| view.size), "witnessed_ms": view.map(|view| view.witnessed_ms),
                "witnesses": view.map(|view| view.witnesses), "trouble": self.trouble, "pending": self.pending.len(),
            },
            "floor_ms": self.kept.floor_ms,
        })
    }
}
