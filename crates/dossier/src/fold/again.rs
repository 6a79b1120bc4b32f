//! Folding again when keys turn out to have been stolen: once, however many revocations reach back.
//!
//! A reader who takes leaf after leaf begins again at every revocation that reaches back, knowing it beforehand. What
//! matters for the result is which revocations are known at the end, and those follow from few leaves: who may revoke
//! keys, and which keys there are, is said by trust roots, directory entries, policies and revocations alone, and none
//! of these asks what became of a change. So [`replay`] looks ahead through these leaves, which costs little, and folds
//! everything once with what it found. The slow way is written down in the tests, which compare the two.
//!
//! What this module does not do: decide whether a revocation applies. It asks the same functions as the fold.

use std::collections::BTreeMap;

use statement::kind::RevocationTarget;
use statement::{Body, Content, KeyId};

use super::{Applied, Judge, Ledger, Stop};
use crate::keybook::Checked;

/// Folds all the leaves, from the first. Where a revocation reaches back, the state is the one of a reader who began
/// again at once, knowing it beforehand, and again at the next: what the rest of the log says is judged by what is left
/// of the world.
pub fn replay(entries: &[Checked], judge: &dyn Judge) -> Result<Ledger, Stop> {
    let mut known = Ledger::new();
    loop {
        let mut ledger = known.begin_again();
        let mut again = false;
        for entry in entries {
            again = ledger.apply(entry, judge)? == Applied::Refold;
            if again {
                break;
            }
        }
        if !again {
            return Ok(ledger);
        }
        // Revocations only ever add keys or move their beginning back, so this ends; as a rule after one round.
        known = look_ahead(&ledger, entries, judge)?;
    }
}

impl Ledger {
    /// A ledger before the first leaf that knows beforehand which keys this one found revoked, and from where.
    #[must_use]
    pub fn begin_again(&self) -> Self {
        Self { compromised: self.compromised.clone(), revoked: self.revoked.clone(), ..Self::default() }
    }
}

/// What a reader knows about revoked keys after the last leaf, found from the leaves that bear on it.
fn look_ahead(known: &Ledger, entries: &[Checked], judge: &dyn Judge) -> Result<Ledger, Stop> {
    let mut known = known.begin_again();
    loop {
        let mut ledger = known.begin_again();
        let mut spoke = BTreeMap::new();
        let mut again = false;
        for entry in entries {
            again = ledger.take_authority(entry, judge, &mut spoke)?;
            if again {
                break;
            }
        }
        if !again {
            return Ok(ledger);
        }
        known = ledger;
    }
}

impl Ledger {
    /// Takes in the next leaf if it bears on who may say what about keys, and passes over it otherwise. `spoke` is the
    /// last such leaf that each key signed in a role that the leaf's kind takes: only then does it make a difference
    /// here that the key does not count. Whether the leaf revokes a key from before such a leaf.
    fn take_authority(
        &mut self,
        entry: &Checked,
        judge: &dyn Judge,
        spoke: &mut BTreeMap<KeyId, u64>,
    ) -> Result<bool, Stop> {
        let index = entry.index();
        if index != self.world.size {
            return Err(Stop::OutOfOrder { index, expected: self.world.size });
        }
        let Ok(leaf) = self.open(entry)? else {
            self.world.size = index + 1;
            return Ok(false);
        };
        let mut again = false;
        if let Content::Known(statement) = &leaf.content
            && bears_on_keys(&statement.body)
        {
            let wanted = statement.body.kind().signers();
            let speaks = |key: &&KeyId| self.world.actor(key).is_some_and(|actor| actor.has_any(wanted));
            let speakers: Vec<KeyId> = entry.good().iter().filter(speaks).copied().collect();
            let revoked = revoked_key(&statement.body);
            let since = |ledger: &Self| revoked.and_then(|key| ledger.compromised.get(&key).copied());
            let before = since(self);
            let outcome = self.take(entry, leaf.stamp_ms, leaf.id, statement);
            if outcome.and_then(|act| self.perform(&act, judge)).is_ok() {
                self.applied.insert(leaf.id);
            }
            let last = revoked.and_then(|key| spoke.get(&key).copied());
            again = since(self) != before && last.zip(since(self)).is_some_and(|(leaf, since)| leaf >= since);
            spoke.extend(speakers.into_iter().map(|key| (key, index)));
        }
        self.close(entry, leaf);
        Ok(again)
    }
}

/// Whether a statement bears on who may revoke keys and which keys there are. Policies do, for they say how far clocks
/// may be apart.
const fn bears_on_keys(body: &Body) -> bool {
    match body {
        Body::TrustRoot(_) | Body::DirectoryEntry(_) | Body::Policy(_) => true,
        _ => revoked_key(body).is_some(),
    }
}

/// The key that a statement revokes, if it does.
const fn revoked_key(body: &Body) -> Option<KeyId> {
    match body {
        Body::Revocation(revocation) => match revocation.target {
            RevocationTarget::Key { key, .. } => Some(key),
            RevocationTarget::Grant(_) | RevocationTarget::Order(_) => None,
        },
        _ => None,
    }
}
