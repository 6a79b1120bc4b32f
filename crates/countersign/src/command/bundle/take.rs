//! Taking bundles: read twice, once to know that every byte is signed for, once to take in what was decided to be taken.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bundle::{BundleError, Desk, Place, Reader, Request, SectionKind, Submission, Whole};
use statement::{Digest, KeyId, RealmId, StatementId, Tracking};
use vault::{Manifest, Outcome};

use super::told;
use crate::command::{Setting, change};
use crate::failure::{Done, Failure};
use crate::keys::Keys;
use crate::realm::Realm;
use crate::shelf::Shelf;
use crate::station::{RECORD_BYTES_MAX, Station};

/// How much is read at once.
const PIECE: usize = 1 << 20;
/// The longest folder manifest that is looked into: more than a bundle can carry the files of.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// A part of an open file.
struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Part {
    fn of(file: &Arc<File>, place: &Place) -> Self {
        Self { file: Arc::clone(file), at: place.at, left: place.section.bytes }
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted) else { return Ok(0) };
        let read = self.file.read_at(buffer, self.at)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(count);
        self.left = self.left.saturating_sub(count);
        Ok(read)
    }
}

/// Reads a bundle from end to end. Memory does not grow with it.
pub(crate) fn whole(path: &Path) -> Done<(Whole, Arc<File>)> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let mut file = crate::home::open_at_once(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Failure::not_a("bundle", path, "it is no regular file"));
    }
    let bar = crate::busy::bytes("reading the bundle", metadata.len());
    let mut reader = Reader::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        reader.feed(piece)?;
        crate::busy::advance(&bar, u64::try_from(count).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    Ok((reader.finish()?, Arc::new(file)))
}

/// The bytes of a section of at most `limit`, hashed again: a medium need not answer the same twice.
fn bytes(file: &Arc<File>, number: usize, place: &Place, limit: u64, path: &Path) -> Done<Vec<u8>> {
    if place.section.bytes > limit {
        let message = format!("a `{}` of {} bytes", place.section.kind.name(), place.section.bytes);
        return Err(Failure::not_a("bundle that can be taken", path, message));
    }
    let mut bytes = Vec::new();
    Part::of(file, place).read_to_end(&mut bytes).map_err(|error| Failure::file(path, &error))?;
    same(number, place, Digest::of(&bytes))?;
    Ok(bytes)
}

fn same(number: usize, place: &Place, found: Digest) -> Done {
    if found == place.section.sha256 {
        return Ok(());
    }
    let (kind, expected) = (place.section.kind.name(), place.section.sha256);
    Err(BundleError::SectionDigest { number, kind, expected, found }.into())
}

/// The sections of a kind, with their numbers.
fn of_kind(whole: &Whole, kind: SectionKind) -> impl Iterator<Item = (usize, &Place)> {
    whole.places().iter().enumerate().filter(move |(_, place)| place.section.kind == kind)
}

/// Puts the contents into a vault; what turns out to be another content than was signed for is taken out again.
pub(crate) fn store(shelf: &impl Shelf, whole: &Whole, file: &Arc<File>) -> Done {
    let (vault, tenant) = (shelf.vault(), shelf.tenant());
    for (number, place) in of_kind(whole, SectionKind::Content) {
        let stored = vault.block_on(vault.vault().put_reader(tenant, Part::of(file, place)))?;
        if let Err(failure) = same(number, place, stored.digest) {
            // What the vault had before is not this bundle's to take out.
            if stored.outcome == Outcome::New {
                vault.block_on(vault.vault().remove(tenant, &stored.digest))?;
            }
            return Err(failure);
        }
    }
    Ok(())
}

/// The sections of a whole bundle, end to end.
pub(crate) fn body(whole: &Whole, file: &Arc<File>) -> impl Read {
    let at = u64::try_from(whole.signed().opening().len()).unwrap_or(u64::MAX);
    Part { file: Arc::clone(file), at, left: whole.signed().header().body_bytes() }
}

/// The statements of a submission, if they may be looked at.
pub(crate) fn submission(
    whole: &Whole,
    file: &Arc<File>,
    here: (&RealmId, StatementId, KeyId),
    now_ms: u64,
) -> Done<Submission> {
    let path = Path::new("the channel");
    let read = |kind, limit: usize| -> Done<Vec<Vec<u8>>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        of_kind(whole, kind).map(|(number, place)| bytes(file, number, place, limit, path)).collect()
    };
    let statements = read(SectionKind::Statement, statement::envelope::ENVELOPE_BYTES_MAX)?;
    let forwarded = read(SectionKind::Request, bundle::HEADER_BYTES_MAX)?.pop();
    let files = manifests(whole, file, |_| true, path)?;
    Ok(bundle::accept_submission(whole, forwarded.as_deref(), &statements, &files, here, now_ms)?)
}

/// `countersign bundle in` at a station.
pub(super) fn request(setting: &Setting, path: &Path) -> Done {
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let (whole, file) = whole(path)?;
    let request = accept(&station, &whole, &file, path)?;
    let change = &request.about().change;
    let text = format!(
        "taken: change {change}, {} contents, a record of {} leaves\n  next: countersign examine {} --by {}\n",
        of_kind(&whole, SectionKind::Content).count(),
        request.known().head.size,
        change.short(),
        station.setup.key_name,
    );
    setting.print(&told(&whole), &text);
    Ok(())
}

/// Takes a request in, if it may be taken: its contents, its record, and that it was taken.
pub(crate) fn accept(station: &Station, whole: &Whole, file: &Arc<File>, path: &Path) -> Done<Request> {
    let taken = station.taken()?;
    let clock = translog::system_clock();
    let here = bundle::Station {
        realm: &station.setup.realm,
        root: station.setup.root,
        key: station.setup.key,
        known: station.known(),
        taken: &taken,
        now_ms: clock(),
    };
    here.check_header(whole)?;
    let Some((number, place)) = of_kind(whole, SectionKind::Record).next() else {
        return Err(BundleError::HeaderForm { reason: "it brings no record" }.into());
    };
    let record = bytes(file, number, place, RECORD_BYTES_MAX, path)?;
    let context = station.check(&record)?;
    let files = folders(whole, file, &context, path)?;
    let request = bundle::accept_request(whole, &context, &files, &here)?;

    store(station, whole, file)?;
    crate::home::replace(&station.record_path(), &record)?;
    station.remember(whole.signed())?;
    Ok(request)
}

/// The files of the folders among the change's artefacts.
fn folders(whole: &Whole, file: &Arc<File>, context: &audit::Context, path: &Path) -> Done<BTreeSet<Digest>> {
    let Ok(about) = whole.signed().header().about() else { return Ok(BTreeSet::new()) };
    let Some(dossier) = context.ledger().dossier(&about.change) else { return Ok(BTreeSet::new()) };
    let needed = bundle::needed(dossier);
    manifests(whole, file, |digest| needed.contains(digest), path)
}

/// The files that folders among some of the contents name.
fn manifests(
    whole: &Whole,
    file: &Arc<File>,
    is_looked_into: impl Fn(&Digest) -> bool,
    path: &Path,
) -> Done<BTreeSet<Digest>> {
    let mut files = BTreeSet::new();
    for (number, place) in of_kind(whole, SectionKind::Content) {
        if is_looked_into(&place.section.sha256) && place.section.bytes <= MANIFEST_BYTES_MAX {
            let bytes = bytes(file, number, place, MANIFEST_BYTES_MAX, path)?;
            // What is no manifest is a file.
            if let Ok(manifest) = Manifest::parse(&bytes) {
                files.extend(manifest.entries().iter().map(|entry| entry.digest));
            }
        }
    }
    Ok(files)
}

/// `countersign bundle in` at the realm. A refusal of what could be read is an attempt in the log.
pub(super) fn findings(setting: &Setting, path: &Path) -> Done {
    // Asked first, so that a folder without a realm is refused by name.
    setting.home.settings()?;
    let (whole, file) = whole(path)?;
    let (change, decision) = setting.act(|realm| {
        let about = whole.signed().header().about()?;
        match admit(realm, &whole, &file, path) {
            Ok(()) => Ok((about.change.clone(), change::conclude(realm, &about.change)?)),
            Err(failure) => {
                note(realm, &whole, &failure)?;
                Err(failure)
            }
        }
    })?;
    change::report(setting, &change, &decision);
    Ok(())
}

/// Notes in the log that a bundle was refused. What the log itself refused is noted there already.
pub(crate) fn note(realm: &mut Realm, whole: &Whole, failure: &Failure) -> Done {
    if !failure.code.starts_with("CS-BUN-") {
        return Ok(());
    }
    let header = whole.signed().header();
    let tracking = tracking(realm, whole);
    let codes = [failure.code.as_str()];
    realm.attempt("bundle-in", tracking, Some(header.from), &codes, Some(*whole.signed().id()))
}

/// What a refused bundle was about, as far as the record knows it.
pub(crate) fn tracking(realm: &Realm, whole: &Whole) -> Tracking {
    let about = whole.signed().header().about.as_ref().map(|about| &about.change);
    let known = about.filter(|change| realm.ledger().dossier(change).is_some());
    known.map_or(Tracking::Realm, |change| Tracking::Change(change.clone()))
}

/// Submits the findings, if they may be.
pub(crate) fn admit(realm: &mut Realm, whole: &Whole, file: &Arc<File>, path: &Path) -> Done {
    let request_limit = u64::try_from(bundle::HEADER_BYTES_MAX).unwrap_or(u64::MAX);
    let envelope_limit = u64::try_from(statement::envelope::ENVELOPE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = |kind, limit| -> Done<Vec<Vec<u8>>> {
        of_kind(whole, kind).map(|(number, place)| bytes(file, number, place, limit, path)).collect()
    };
    let request = read(SectionKind::Request, request_limit)?.pop().unwrap_or_default();
    let envelopes = read(SectionKind::Finding, envelope_limit)?;
    let keys = own_keys(&realm.keys)?;
    let desk = Desk {
        realm: &realm.settings.realm,
        root: realm.settings.root,
        ledger: realm.ledger(),
        keys: &keys,
        now_ms: realm.now_ms(),
    };
    let findings = bundle::accept_findings(whole, &request, &envelopes, &desk)?;
    store(realm, whole, file)?;
    for envelope in findings.envelopes() {
        realm.submit(envelope)?;
    }
    Ok(())
}

fn own_keys(keys: &Keys) -> Done<BTreeSet<statement::KeyId>> {
    keys.names()?.iter().map(|name| Ok(keys.public(name)?.0.id())).collect()
}

#[cfg(test)]
mod tests;
