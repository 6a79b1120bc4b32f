//! Writing into a realm: what is said is tried first, and what would change nothing is refused and noted as an attempt.
//!
//! What this module does not do: decide whether a statement has effect. It asks the fold.

use dossier::{Applied, Checked, Ledger, replay};
use signer::{FileKey, sign_statement};
use statement::kind::Attempt;
use statement::{
    Body, ChangeId, Content, Digest, Envelope, KeyId, Leaf, Name, Statement, StatementId, Tracking,
};
use translog::Log;

use super::{AUTOMATION_KEY, Heads as _, Realm};
use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::witness::Unwitnessed;

/// How many attempts of keys that nobody has enrolled are logged in [`STRANGERS_MS`]. Anybody can make such a key, and a
/// log never forgets: beyond this, strangers are refused without a leaf. That somebody knocked is in the record; how often
/// is in the output of the process that was knocked at, because a number that only this machine knows proves nothing.
const STRANGERS_MAX: usize = 8;
/// An hour, by the log's stamps.
const STRANGERS_MS: u64 = 60 * 60 * 1000;

impl Realm {
    /// A statement of this realm, made now, as these keys are to sign it.
    pub(crate) fn statement(&self, change: Tracking, body: impl Into<Body>, by: &[KeyId]) -> Statement {
        Statement::new(self.settings.realm.clone(), change, self.log_time_ms(), body).signed_by(by)
    }

    /// Signs with a key of this machine and submits.
    pub(crate) fn say(
        &mut self,
        key: &FileKey,
        change: Tracking,
        body: impl Into<Body>,
    ) -> Done<StatementId> {
        let statement = self.statement(change, body, &[id(key)]);
        let envelope = sign_statement(key, &statement)?;
        self.submit(&envelope)
    }

    /// As [`Realm::statement`], of one key of this machine.
    pub(crate) fn statement_of(&self, key: &FileKey, about: &Tracking, body: impl Into<Body>) -> Statement {
        self.statement(about.clone(), body, &[id(key)])
    }

    /// The record as it would be with these statements by the key, which are not submitted; none if one has no effect.
    pub(crate) fn trial(&self, key: &FileKey, statements: &[Statement]) -> Done<Option<Ledger>> {
        let (mut ledger, mut book) = (self.ledger.clone(), self.book.clone());
        for (index, statement) in (self.log.size()..).zip(statements) {
            let bytes = sign_statement(key, statement)?.to_bytes()?;
            let stamp_ms = self.now_ms().max(ledger.world().stamp_ms());
            let checked = Checked::read(index, &statement::stamp(&bytes, stamp_ms), &mut book);
            if let Applied::NoOp(_) = ledger.apply(&checked, &self.bench)? {
                return Ok(None);
            }
        }
        Ok(Some(ledger))
    }

    /// The duties of the policy in force in a world of this realm.
    pub(crate) fn duties(&self, world: &dossier::World) -> Done<std::rc::Rc<policy::duties::Duties>> {
        Ok(self.bench.duties(world)?)
    }

    /// Submits a signed statement. What would change nothing is refused, and the attempt is logged in its place. Where
    /// another process has the log, the statement is kept to be brought.
    pub(crate) fn submit(&mut self, envelope: &Envelope) -> Done<StatementId> {
        if self.is_served() {
            return self.lay_out(envelope);
        }
        let bytes = envelope.to_bytes()?;
        let stamp_ms = self.log_time_ms();
        let entry = statement::stamp(&bytes, stamp_ms);
        let mut trial = self.ledger.clone();
        let checked = Checked::read(self.log.size(), &entry, &mut self.book.clone());
        if let Applied::NoOp(refusal) = trial.apply(&checked, &self.bench)? {
            self.log_attempt(envelope, &refusal)?;
            return Err(refusal.into());
        }
        self.append(bytes)?;
        Ok(envelope.id())
    }

    /// Logs a statement as it is, without asking first whether it will have effect: what a hostile client could do.
    pub(crate) fn submit_unasked(&mut self, envelope: &Envelope) -> Done<Applied> {
        self.append(envelope.to_bytes()?)
    }

    fn append(&mut self, bytes: Vec<u8>) -> Done<Applied> {
        let log = self.own_log()?;
        let appended = log.submit(bytes)?.wait()?;
        if appended.duplicate {
            return Ok(Applied::Effective);
        }
        let entry = log.entry(appended.index)?;
        self.entries.push(Checked::read(appended.index, &entry, &mut self.book));
        let Some(last) = self.entries.last() else { return Ok(Applied::Effective) };
        let applied = self.ledger.apply(last, &self.bench)?;
        if applied == Applied::Refold {
            self.ledger = replay(&self.entries, &self.bench)?;
        }
        Ok(applied)
    }

    /// Records that something was asked for and refused, and by whom.
    fn log_attempt(&mut self, envelope: &Envelope, refusal: &dossier::Refusal) -> Done {
        let content = Content::parse(envelope.payload.as_slice())?;
        let requester = envelope.signatures.first().map(|signature| signature.keyid);
        let reasons: Vec<&str> = refusal.reasons().map(|reason| reason.code.as_str()).collect();
        self.attempt(
            content.header().kind.as_str(),
            content.header().change.clone(),
            requester,
            &reasons,
            Some(Digest::of(&envelope.to_bytes()?)),
        )
    }

    /// Records that something was asked for and refused.
    pub(crate) fn attempt(
        &mut self,
        action: &str,
        change: Tracking,
        requester: Option<KeyId>,
        reasons: &[&str],
        request: Option<Digest>,
    ) -> Done {
        // What is refused before it is brought was not asked of the log.
        if self.ledger.world().root().is_none() || self.is_served() {
            return Ok(());
        }
        if requester.is_none_or(|key| self.is_stranger(&key)) && self.strangers() >= STRANGERS_MAX {
            tracing::warn!(
                action,
                ?reasons,
                "an attempt of a stranger is not logged: there were enough this hour"
            );
            return Ok(());
        }
        let reasons = reasons.iter().map(|code| code.parse::<Name>()).collect::<Result<_, _>>()?;
        let body = Attempt { action: action.parse()?, reasons, request, requester, subject: None };
        let key = self.keys.open(AUTOMATION_KEY)?;
        let statement = self.statement(change, body, &[id(&key)]);
        let envelope = sign_statement(key.as_ref(), &statement)?;
        // Not through `submit`: an attempt that could not be logged must not be an attempt again.
        self.append(envelope.to_bytes()?).map(drop)
    }

    /// Whether nobody has enrolled the key.
    fn is_stranger(&self, key: &KeyId) -> bool {
        self.ledger.world().actor(key).is_none()
    }

    /// How many attempts of strangers were logged in the last hour by the log's stamps.
    fn strangers(&self) -> usize {
        let since_ms = self.log_time_ms().saturating_sub(STRANGERS_MS);
        let leaves = self.entries.iter().rev().filter_map(|entry| entry.leaf().ok());
        let late = leaves.take_while(|leaf| leaf.stamp_ms > since_ms);
        let is_strange = |leaf: &&Leaf| match &leaf.content {
            Content::Known(known) => match &known.body {
                Body::Attempt(attempt) => attempt.requester.is_none_or(|key| self.is_stranger(&key)),
                _ => false,
            },
            Content::Opaque(_) => false,
        };
        late.filter(is_strange).count()
    }

    /// Publishes the log's head and has it witnessed. Answers the checkpoint.
    pub(crate) fn publish(&self) -> Done<Vec<u8>> {
        let log = self.own_log()?;
        log.publish()?;
        self.witness_locally(log)?;
        for witness in &self.settings.witnesses {
            match crate::witness::ask(log, witness, &self.settings.origin) {
                Ok(()) => {}
                // A stop or a rollback must not wait for a witness; gates count cosignatures themselves.
                Err(Unwitnessed::Absent(failure)) => eprintln!("not cosigned by a witness: {failure}"),
                Err(Unwitnessed::Refused(failure)) => return Err(failure),
            }
        }
        Ok(log.checkpoint())
    }

    fn witness_locally(&self, log: &Log) -> Done {
        let store = crate::witness::open_local(&self.home, &self.settings, &self.keys, &self.clock)?;
        let known = store.size(&self.settings.origin).unwrap_or(0);
        let response = store.add_checkpoint(&log.witness_request(known)?);
        crate::witness::take(&self.home, log, &response, &self.settings.local_witness)
    }

    /// A fresh tracking id.
    pub(crate) fn new_change() -> Done<ChangeId> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::outside(
                format!("the system gives no randomness: {error}"),
                "this machine cannot make ids",
            )
        })?;
        Ok(ChangeId::from_random(bytes))
    }
}
