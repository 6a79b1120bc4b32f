//! A realm's log, followed by another program than a gateway, as a gateway follows it.

use std::collections::BTreeMap;
use std::path::Path;

use dossier::{Checked, Ledger};
use statement::kind::Role;
use statement::{Envelope, KeyId, PersonId, leaf};

use crate::config::{LogPlace, Realm};
use crate::keep::Keep;
use crate::warden::source;
use crate::{Error, Follower, Source};

/// A log that is read, verified and folded.
pub struct Log {
    follower: Follower,
    keep: Keep,
    source: Box<dyn Source>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("follower", &self.follower).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens what was kept of it in a folder.
    ///
    /// # Errors
    /// Kept files that are not what was kept.
    pub fn open(realm: &Realm, place: &LogPlace, folder: &Path) -> Result<Self, Error> {
        let keep = Keep::open(folder)?;
        let follower = Follower::open(realm, &keep)?;
        Ok(Self { follower, keep, source: source(place) })
    }

    /// Reads what is new; whether anything was.
    ///
    /// # Errors
    /// Whatever cannot be read or is not believed; what was seen before stays.
    pub fn look(&mut self) -> Result<bool, Error> {
        let found = self.follower.wanted().read(&*self.source)?;
        self.follower.take_in(found, &self.keep)
    }

    /// What it folds to.
    pub const fn ledger(&self) -> &Ledger {
        self.follower.ledger()
    }

    /// Who has signed a statement that is not in the log: keys that have the role now, by the record. None where any of its
    /// signatures is something else.
    ///
    /// # Errors
    /// A statement that is no leaf.
    pub fn signers(
        &self,
        envelope: &Envelope,
        role: Role,
        now_ms: u64,
    ) -> Result<Option<BTreeMap<KeyId, PersonId>>, Error> {
        signers(&self.follower, self.follower.ledger(), envelope, role, now_ms)
    }
}

/// As [`Log::signers`], by a world that is ahead of the log.
pub(crate) fn signers(
    follower: &Follower,
    ledger: &Ledger,
    envelope: &Envelope,
    role: Role,
    now_ms: u64,
) -> Result<Option<BTreeMap<KeyId, PersonId>>, Error> {
    let world = ledger.world();
    let entry = leaf::stamp(&envelope.to_bytes()?, now_ms.max(world.stamp_ms()));
    let checked = Checked::read(world.size(), &entry, &mut follower.book().clone());
    let mut found = BTreeMap::new();
    for signature in &envelope.signatures {
        let known = checked.good().contains(&signature.keyid);
        let actor = world.actor(&signature.keyid);
        let actor = actor.filter(|actor| known && actor.roles.contains(&role) && now_ms < actor.not_after_ms);
        let Some(actor) = actor else { return Ok(None) };
        found.insert(signature.keyid, actor.person);
    }
    Ok((!found.is_empty()).then_some(found))
}
