//! Whether contents are whole in the vault: what is about to be ordered, and everything that the record names.
//!
//! What this module does not do: mend anything, or say what a purge means. That content was destroyed is told by the
//! record, and gates refuse what rests on it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use dossier::Dossier;
use indicatif::ProgressBar;
use serde::Serialize;
use statement::kind::Artefact;
use statement::{Body, Content, Digest, Leaf};

use crate::busy;
use crate::failure::{Done, Failure};
use crate::realm::{Heads, Record};
use crate::shelf::{self, Shelf};

/// The artefacts of a change were read to their end, and are what their digests say.
pub(crate) struct Intact(BTreeSet<Digest>);

impl Intact {
    /// Reads the artefacts of a change, folders with their files. What the record says was destroyed is left to the gates,
    /// which refuse it by their own code.
    ///
    /// Fails with `CS-CLI-080` at the first that is missing or damaged.
    pub(crate) fn of(shelf: &impl Shelf, dossier: &Dossier) -> Done<Self> {
        let world = shelf.ledger().world();
        let artefacts = &dossier.proposal.body.artefacts;
        let present: Vec<&Artefact> =
            artefacts.iter().filter(|artefact| world.purged_at(&artefact.digest).is_none()).collect();
        let total = present.iter().fold(0_u64, |sum, artefact| sum.saturating_add(artefact.bytes));
        let bar = busy::bytes("reading the artefacts", total);
        for artefact in present {
            read(shelf, &artefact.digest, &bar).map_err(|cause| {
                let message =
                    format!("artefact `{}` (`{}`) is not whole in the vault", artefact.name, artefact.digest);
                let hint = "restore the vault from a copy, or propose the artefact again; `countersign log fsck` \
                            tells what else is missing";
                Failure::new("CS-CLI-080", message, hint).and(cause)
            })?;
        }
        bar.finish_and_clear();
        Ok(Self(digests(dossier)))
    }

    /// For artefacts that are in the vault of another process, which reads them before it takes an order.
    pub(crate) fn elsewhere(dossier: &Dossier) -> Self {
        Self(digests(dossier))
    }

    /// Whether these are the artefacts of the change as it is proposed now.
    pub(crate) fn covers(&self, dossier: &Dossier) -> bool {
        self.0 == digests(dossier)
    }
}

fn digests(dossier: &Dossier) -> BTreeSet<Digest> {
    dossier.proposal.body.artefacts.iter().map(|artefact| artefact.digest).collect()
}

/// Reads a content to its end, and of a folder every file. Answers how many bytes.
fn read(shelf: &impl Shelf, digest: &Digest, bar: &ProgressBar) -> Done<u64> {
    let mut bytes = one(shelf, digest, bar)?;
    for file in shelf::files(shelf, digest) {
        bytes = bytes.saturating_add(one(shelf, &file, bar)?);
    }
    Ok(bytes)
}

fn one(shelf: &impl Shelf, digest: &Digest, bar: &ProgressBar) -> Result<u64, vault::Error> {
    let vault = shelf.vault();
    let told = |bytes| busy::advance(bar, bytes);
    let verified = vault.block_on(vault.vault().verify_telling(shelf.tenant(), digest, told))?;
    Ok(verified.length)
}

/// What is the matter with a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Matter {
    /// It is not there.
    Missing,
    /// It was destroyed, and no statement says so.
    Destroyed,
    /// It is there and is not what its digest says.
    Damaged,
    /// It cannot be read, so that nobody can say.
    Unreadable,
}

/// A content that the record names and the vault does not have whole.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    pub(crate) digest: Digest,
    /// What it is to the record, in words.
    pub(crate) named: String,
    pub(crate) matter: Matter,
    /// What the vault says.
    pub(crate) cause: Failure,
}

/// What was found in the vault of what the record names.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Survey {
    /// Contents that are whole.
    pub(crate) whole: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Contents that are not there because a statement says that they were destroyed.
    pub(crate) purged: BTreeSet<Digest>,
    /// Contents that a statement says were destroyed, and that are still there.
    pub(crate) kept: BTreeSet<Digest>,
    pub(crate) faults: Vec<Fault>,
}

/// Reads every content that a statement with effect names: artefacts, components, scopes, attachments, and the files of
/// folders.
pub(crate) fn survey(record: &Record<impl Heads>) -> Survey {
    let mut named = named(record);
    let total = named.keys().map(|digest| shelf::length(record, digest).unwrap_or(0));
    let bar = busy::bytes("reading the vault", total.fold(0, u64::saturating_add));
    let mut survey = Survey::default();
    let mut seen = BTreeSet::new();
    while let Some((digest, words)) = named.pop_first() {
        if !seen.insert(digest) {
            continue;
        }
        let purged = record.ledger().world().purged_at(&digest).is_some();
        match one(record, &digest, &bar) {
            Ok(_) if purged => {
                survey.kept.insert(digest);
            }
            Ok(bytes) => {
                survey.whole = survey.whole.saturating_add(1);
                survey.bytes = survey.bytes.saturating_add(bytes);
                let inside = shelf::files(record, &digest);
                bar.inc_length(
                    inside.iter().fold(0, |sum: u64, file| {
                        sum.saturating_add(shelf::length(record, file).unwrap_or(0))
                    }),
                );
                for file in inside.into_iter().filter(|file| !seen.contains(file)) {
                    named.entry(file).or_insert_with(|| format!("a file of {words}"));
                }
            }
            Err(_) if purged => {
                survey.purged.insert(digest);
            }
            Err(error) => survey.faults.push(Fault {
                digest,
                named: words,
                matter: matter(&error),
                cause: error.into(),
            }),
        }
    }
    bar.finish_and_clear();
    survey.faults.sort_by_key(|fault| fault.digest);
    survey
}

fn matter(error: &vault::Error) -> Matter {
    use vault::Error;
    match error {
        Error::NotFound { .. } | Error::ContentMissing { .. } => Matter::Missing,
        Error::Purged { .. } => Matter::Destroyed,
        Error::Corrupt { .. }
        | Error::RecordCorrupt { .. }
        | Error::DigestMismatch { .. }
        | Error::RootMismatch { .. } => Matter::Damaged,
        _ => Matter::Unreadable,
    }
}

/// What statements with effect name, and as what.
fn named(record: &Record<impl Heads>) -> BTreeMap<Digest, String> {
    let mut named = BTreeMap::new();
    for entry in record.entries() {
        let Ok(leaf) = entry.leaf() else { continue };
        if record.ledger().noops().contains_key(&leaf.index) {
            continue;
        }
        let Content::Known(statement) = &leaf.content else { continue };
        for digest in bundle::named(&statement.body) {
            named.entry(digest).or_insert_with(|| words(leaf, &statement.body, &digest));
        }
    }
    named
}

/// What a content is to the statement that names it.
fn words(leaf: &Leaf, body: &Body, digest: &Digest) -> String {
    let what = match body {
        Body::Proposal(proposal) => {
            let artefact = proposal.artefacts.iter().find(|artefact| artefact.digest == *digest);
            artefact.map_or_else(
                || "the summary of a proposal".to_owned(),
                |artefact| format!("artefact `{}`", artefact.name),
            )
        }
        Body::ServedState(state) => {
            let mut components = state.manifest.components.iter();
            let component = components.find(|component| component.digest == *digest);
            component.map_or_else(
                || "a component".to_owned(),
                |component| format!("component `{}` ({})", component.name, component.role),
            )
        }
        Body::Slot(slot) => format!("a scope of slot `{}`", slot.slot),
        Body::Finding(finding) => format!("an attachment of a finding ({})", finding.evidence),
        body => format!("an attachment of `{}`", body.kind().name()),
    };
    format!("{what}, leaf {}", leaf.index)
}
