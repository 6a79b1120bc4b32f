//! Taking a request, on the machine without a network.

use std::collections::BTreeSet;

use audit::Context;
use dossier::{Dossier, Ledger};
use statement::kind::Role;
use statement::{Digest, KeyId, RealmId, StatementId};

use crate::error::BundleError;
use crate::header::{About, Direction, Head, Header};
use crate::reader::Whole;

/// Who may send a change to be examined: those who may start or order what follows from it.
const SENDERS: [Role; 3] = [Role::Automation, Role::Operator, Role::Compliance];

/// The record that a machine has seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The head of the log.
    pub head: Head,
    /// The stamp of its last leaf: no later moment is earlier.
    pub stamp_ms: u64,
}

/// What a machine without a network knows.
#[derive(Debug)]
pub struct Station<'a> {
    /// The realm it was made for.
    pub realm: &'a RealmId,
    /// The realm's first trust root, pinned.
    pub root: StatementId,
    /// Its key.
    pub key: KeyId,
    /// The newest record it has seen.
    pub known: Option<Known>,
    /// The bundles it has taken.
    pub taken: &'a BTreeSet<Digest>,
    /// Its clock, milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// Token: a request that this machine may act on. Only [`accept_request`] makes one.
#[derive(Debug)]
pub struct Request {
    id: Digest,
    about: About,
    known: Known,
    expires_ms: u64,
}

impl Request {
    /// The bundle's id.
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    /// What is to be examined.
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// What the machine knows from now on.
    pub const fn known(&self) -> Known {
        self.known
    }

    /// Until when the id must be remembered.
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

impl Station<'_> {
    /// The present moment: the clock's, or that of the record where the clock is behind it.
    fn now_ms(&self) -> u64 {
        self.known.map_or(self.now_ms, |known| known.stamp_ms.max(self.now_ms))
    }

    /// What can be refused before the record is read; [`accept_request`] asks again.
    ///
    /// # Errors
    /// Another direction, realm, trust root or receiver, taken before, expired.
    pub fn check_header(&self, whole: &Whole) -> Result<(), BundleError> {
        let (id, header) = (whole.signed().id(), whole.signed().header());
        header.goes(Direction::Request)?;
        header.same_realm(self.realm, self.root)?;
        if header.to != self.key {
            return Err(BundleError::Recipient { to: header.to });
        }
        if self.taken.contains(id) {
            return Err(BundleError::Replayed { id: *id });
        }
        header.not_expired(self.now_ms())
    }
}

/// Whether the record gives the key one of the roles now.
pub(crate) fn has_role(ledger: &Ledger, key: &KeyId, roles: &[Role], now_ms: u64) -> bool {
    let in_force = |actor: &dossier::Actor| actor.has_any(roles) && now_ms < actor.not_after_ms;
    !ledger.compromised().contains_key(key) && ledger.world().actor(key).as_ref().is_some_and(in_force)
}

/// Whether the record lets the key send a change to be examined.
pub fn may_send(ledger: &Ledger, key: &KeyId, now_ms: u64) -> bool {
    has_role(ledger, key, &SENDERS, now_ms)
}

/// Whether the key is an examiner's in the record.
pub fn may_examine(ledger: &Ledger, key: &KeyId, now_ms: u64) -> bool {
    has_role(ledger, key, &[Role::Examiner], now_ms)
}

/// The contents that a request about a change must carry: its artefacts and the scope they are held against.
pub fn needed(dossier: &Dossier) -> BTreeSet<Digest> {
    let proposal = &dossier.proposal.body;
    proposal.artefacts.iter().map(|artefact| artefact.digest).chain([proposal.scope]).collect()
}

/// Whether this machine may act on a whole bundle. `context` is the bundle's own record, checked from the pinned trust
/// root; `files` are the digests that the folders among the contents name.
///
/// # Errors
/// The first reason against it: another direction, realm, trust root or receiver, taken before, expired, a record that
/// is older than or contradicts the one known, too few witnesses, a sender without the role, a change or proposal that
/// the record does not have, contents that are lacking or that nothing names.
pub fn accept_request(
    whole: &Whole,
    context: &Context,
    files: &BTreeSet<Digest>,
    station: &Station<'_>,
) -> Result<Request, BundleError> {
    let signed = whole.signed();
    let header = signed.header();
    station.check_header(whole)?;
    let head = check_record(header, context, station.known)?;

    let ledger = context.ledger();
    let now_ms = station.now_ms().max(ledger.world().stamp_ms());
    header.not_expired(now_ms)?;
    if !may_send(ledger, &header.from, now_ms) {
        return Err(BundleError::SenderRole { key: header.from });
    }
    if !may_examine(ledger, &header.to, now_ms) {
        return Err(BundleError::NoExaminer { key: header.to });
    }
    let about = header.about()?;
    let dossier = ledger
        .dossier(&about.change)
        .filter(|dossier| dossier.proposal.id == about.proposal)
        .ok_or_else(|| BundleError::NoSuchProposal { change: about.change.clone() })?;
    check_contents(header, ledger, dossier, files)?;
    Ok(Request {
        id: *signed.id(),
        about: about.clone(),
        known: Known { head, stamp_ms: ledger.world().stamp_ms() },
        expires_ms: header.expires_ms,
    })
}

/// The record is the one that the header names, witnessed, and continues what is known.
fn check_record(header: &Header, context: &Context, known: Option<Known>) -> Result<Head, BundleError> {
    let checkpoint = context.checkpoint();
    let head = Head { root: Digest::from_bytes(*checkpoint.root().as_bytes()), size: checkpoint.size() };
    if header.head != Some(head) {
        return Err(BundleError::OtherRecord { size: head.size });
    }
    let (seen, needed) = (context.witnesses(), context.witnesses_needed());
    if seen < needed {
        return Err(BundleError::Unwitnessed { seen, needed });
    }
    if let Some(Known { head: old, .. }) = known {
        if head.size < old.size {
            return Err(BundleError::RolledBack { known: old.size, found: head.size });
        }
        let continued = context.root_at(old.size).map(|root| Digest::from_bytes(*root.as_bytes()));
        if continued != Some(old.root) {
            return Err(BundleError::Contradicted { size: old.size });
        }
    }
    Ok(head)
}

fn check_contents(
    header: &Header,
    ledger: &Ledger,
    dossier: &Dossier,
    files: &BTreeSet<Digest>,
) -> Result<(), BundleError> {
    let carried: BTreeSet<&Digest> = header.contents().collect();
    let needed = needed(dossier);
    if let Some(lacking) = needed.iter().chain(files).find(|digest| !carried.contains(digest)) {
        return Err(BundleError::ContentMissing { digest: *lacking });
    }
    let proposal = &dossier.proposal.body;
    let states = [proposal.base_state, proposal.target_state];
    let states = states.iter().filter_map(|state| ledger.world().state(state));
    let components: BTreeSet<Digest> =
        states.flat_map(|state| &state.body.manifest.components).map(|component| component.digest).collect();
    let is_named = |digest: &&Digest| {
        needed.contains(*digest) || files.contains(*digest) || components.contains(*digest)
    };
    match carried.into_iter().find(|digest| !is_named(digest)) {
        Some(foreign) => Err(BundleError::ContentForeign { digest: *foreign }),
        None => Ok(()),
    }
}
