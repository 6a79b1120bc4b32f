//! Legal holds, and the destruction of content.

use std::collections::BTreeSet;

use statement::kind::{Hold, HoldAction, Purge};
use statement::{Body, Content, Digest, Name, StatementId, Tracking};
use vault::Presence;

use super::say_together;
use crate::failure::{Done, Failure};
use crate::realm::Realm;

/// Places content under legal hold, or lifts one; a folder's files with it.
pub(crate) fn hold(
    realm: &mut Realm,
    action: HoldAction,
    digests: &[Digest],
    matter: Name,
    by: &[String],
) -> Done<StatementId> {
    let mut targets: BTreeSet<Digest> = digests.iter().copied().collect();
    for digest in digests {
        if realm.vault.presence(&realm.tenant, digest)? == Presence::Absent {
            return Err(missing(digest));
        }
        targets.extend(files(realm, digest));
    }
    say_together(realm, by, Tracking::Realm, Hold { action, matter, targets })
}

/// What was destroyed.
pub(crate) struct Destroyed {
    /// The statement that says so.
    pub(crate) statement: StatementId,
    /// Folders and files.
    pub(crate) targets: BTreeSet<Digest>,
}

/// Says that content is destroyed, then destroys it. In this order: what is gone must be in the record, and a crash
/// between the two is mended by purging again.
pub(crate) fn purge(realm: &mut Realm, digests: &[Digest], basis: Name, by: &[String]) -> Done<Destroyed> {
    let mut all_gone = true;
    for digest in digests {
        match realm.vault.presence(&realm.tenant, digest)? {
            Presence::Absent => return Err(missing(digest)),
            Presence::Present => all_gone = false,
            Presence::Purged => {}
        }
    }
    if all_gone && digests.iter().all(|digest| realm.ledger().world().purged_at(digest).is_some()) {
        return Err(Failure::new(
            "CS-CLI-017",
            "all of it is purged already",
            "there is nothing left to destroy",
        ));
    }
    let targets = doomed(realm, digests);
    if let Some(served) = served_files(realm).intersection(&targets).next() {
        return Err(dossier::Refusal::new(dossier::Code::InForce, served).into());
    }
    let statement = say_together(realm, by, Tracking::Realm, Purge { basis, targets: targets.clone() })?;
    realm.settle()?;
    // Folders last: they say which files are theirs, should this have to be done again.
    let (folders, files): (Vec<&Digest>, Vec<&Digest>) =
        targets.iter().partition(|digest| digests.contains(digest));
    for digest in files.into_iter().chain(folders) {
        realm.vault.purge(&realm.tenant, digest)?;
    }
    Ok(Destroyed { statement, targets })
}

fn missing(digest: &Digest) -> Failure {
    let hint = "`countersign show` names the digests of a change";
    Failure::new("CS-CLI-002", format!("there is no content `{digest}`"), hint)
}

/// What was asked for, and of folders the files that nothing else in the record has.
fn doomed(realm: &Realm, digests: &[Digest]) -> BTreeSet<Digest> {
    let mut targets: BTreeSet<Digest> = digests.iter().copied().collect();
    let inside: BTreeSet<Digest> = digests.iter().flat_map(|digest| files(realm, digest)).collect();
    if inside.is_empty() {
        return targets;
    }
    let mut spared = BTreeSet::new();
    for digest in named(realm).into_iter().filter(|digest| !targets.contains(digest)) {
        spared.extend(files(realm, &digest));
        spared.insert(digest);
    }
    targets.extend(inside.difference(&spared));
    targets
}

/// The files of a folder; none where the digest is that of a file, or of nothing that can be read.
fn files(realm: &Realm, digest: &Digest) -> Vec<Digest> {
    let manifest = realm.vault.block_on(realm.vault.vault().manifest(&realm.tenant, digest));
    manifest
        .map_or_else(|_| Vec::new(), |manifest| manifest.entries().iter().map(|entry| entry.digest).collect())
}

/// The files of folders that a slot rests on now. The fold knows the folders by their digests, and not what is in them.
fn served_files(realm: &Realm) -> BTreeSet<Digest> {
    let world = realm.ledger().world();
    let mut states = BTreeSet::new();
    for slot in world.slots() {
        let definition = &slot.definition.body;
        states.extend([slot.state, definition.baseline, definition.fallback]);
    }
    let manifests = states.iter().filter_map(|state| world.state(state));
    let components = manifests.flat_map(|state| state.body.manifest.components.iter());
    components.flat_map(|component| files(realm, &component.digest)).collect()
}

/// Every content that a state, a proposal or a slot of the record names.
fn named(realm: &Realm) -> BTreeSet<Digest> {
    let mut named = BTreeSet::new();
    for leaf in realm.entries().iter().filter_map(|entry| entry.leaf().ok()) {
        let Content::Known(statement) = &leaf.content else { continue };
        match &statement.body {
            Body::ServedState(state) => {
                named.extend(state.manifest.components.iter().map(|component| component.digest));
            }
            Body::Proposal(proposal) => {
                named.extend(proposal.artefacts.iter().map(|artefact| artefact.digest));
                named.insert(proposal.scope);
            }
            Body::Slot(slot) => named.extend(slot.scopes.values().copied()),
            _ => {}
        }
    }
    named
}
