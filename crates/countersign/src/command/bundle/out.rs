//! Writing bundles: piece by piece from the vault to the medium, each piece verified before it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use bundle::{About, Direction, Head, Header, Section, SectionKind, SignedHeader};
use serde_json::json;
use signer::FileKey;
use statement::{Bytes, ChangeId, Digest, Envelope, KeyId, RealmId, StatementId};

use super::{expiry, sign};
use crate::act;
use crate::busy::while_busy;
use crate::cli::BundleOutArgs;
use crate::command::{Setting, export};
use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::outfile::{OutFile, Readers};
use crate::realm::{Heads, Record};
use crate::shelf::{self, Shelf};
use crate::station::Station;

/// Where a section's bytes come from.
enum Source {
    /// They are here.
    Memory(Vec<u8>),
    /// A file that this process has made and holds open.
    File(File),
    /// A content of the vault.
    Vault,
}

/// The sections of a bundle, in their order.
#[derive(Default)]
struct Parts(BTreeMap<(SectionKind, Digest), (u64, Source)>);

impl Parts {
    fn add(&mut self, kind: SectionKind, bytes: Vec<u8>) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.insert((kind, Digest::of(&bytes)), (length, Source::Memory(bytes)));
    }

    fn add_content(&mut self, shelf: &impl Shelf, digest: &Digest) -> Done {
        let length = shelf::length(shelf, digest)?;
        self.0.insert((SectionKind::Content, *digest), (length, Source::Vault));
        Ok(())
    }

    fn list(&self) -> Vec<Section> {
        let section = |((kind, sha256), (bytes, _)): (&(SectionKind, Digest), &(u64, Source))| Section {
            bytes: *bytes,
            kind: *kind,
            sha256: *sha256,
        };
        self.0.iter().map(section).collect()
    }

    /// Writes the bundle whole or not at all.
    fn write(self, shelf: &impl Shelf, signed: &SignedHeader, path: &Path) -> Done<u64> {
        let failed = |error: std::io::Error| Failure::file(path, &error);
        let mut file = OutFile::begin(path, Readers::Owner)?;
        let opening = signed.opening();
        file.write_all(&opening).map_err(failed)?;
        let mut bytes = u64::try_from(opening.len()).unwrap_or(u64::MAX);
        for ((_, digest), (length, source)) in self.0 {
            match source {
                Source::Memory(content) => file.write_all(&content).map_err(failed)?,
                Source::File(mut from) => {
                    std::io::copy(&mut from, &mut file).map_err(failed)?;
                }
                Source::Vault => {
                    shelf::copy(shelf, &digest, &mut file, path)?;
                }
            }
            bytes = bytes.saturating_add(length);
        }
        file.finish()?;
        Ok(bytes)
    }
}

/// From whom a bundle is, for whom, and for how long it may be taken.
struct Post<'a> {
    key: &'a FileKey,
    realm: &'a RealmId,
    root: StatementId,
    to: KeyId,
    now_ms: u64,
    days: u64,
}

impl Post<'_> {
    /// The header of a bundle of these parts, without what only some directions have.
    fn header(&self, direction: Direction, about: Option<About>, parts: &Parts) -> Header {
        Header {
            about,
            answers: None,
            created_ms: self.now_ms,
            direction,
            expires_ms: expiry(self.now_ms, self.days),
            from: id(self.key),
            head: None,
            leaf: None,
            // Filled in where it is signed.
            nonce: Bytes::new(Vec::new()),
            realm: self.realm.clone(),
            refused: None,
            root: self.root,
            sections: parts.list(),
            to: self.to,
        }
    }
}

/// `countersign bundle out` at the realm: a change, its artefacts and the record it stands in.
pub(super) fn request(setting: &Setting, args: &BundleOutArgs) -> Done {
    let realm = setting.read()?;
    let to = args.to.as_deref().ok_or_else(|| Failure::usage("give --to: the key of the station"))?;
    let to = act::key_id(&realm, to)?;
    let key = realm.keys.open(&args.by)?;
    let change = realm.dossier(&args.change)?.change.clone();
    let (signed, bytes) = while_busy("writing the bundle", || {
        write_request(&realm, &key, &change, (to, args.days), &args.out)
    })?;
    told(setting, args, &signed, bytes, "countersign bundle in FILE, at the station");
    Ok(())
}

/// Writes a request about a change to whom, for how many days.
pub(crate) fn write_request(
    realm: &Record<impl Heads>,
    key: &FileKey,
    change: &ChangeId,
    (to, days): (KeyId, u64),
    path: &Path,
) -> Done<(SignedHeader, u64)> {
    let (ledger, now_ms) = (realm.ledger(), realm.now_ms());
    if !bundle::may_send(ledger, &id(key), now_ms) {
        return Err(bundle::BundleError::SenderRole { key: id(key) }.into());
    }
    if !bundle::may_examine(ledger, &to, now_ms) {
        return Err(bundle::BundleError::NoExaminer { key: to }.into());
    }
    let dossier = ledger.dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let about = About { change: change.clone(), proposal: dossier.proposal.id };
    let mut parts = Parts::default();
    for digest in bundle::needed(dossier) {
        parts.add_content(realm, &digest)?;
        for file in shelf::files(realm, &digest) {
            parts.add_content(realm, &file)?;
        }
    }
    // What the change replaces or is applied to; where it is held elsewhere, the examiner says so.
    if let Some(base) = act::base_component(realm, dossier)
        && shelf::length(realm, &base).is_ok()
    {
        parts.add_content(realm, &base)?;
    }
    let head = add_record(realm, &mut parts)?;
    let post = Post { key, realm: &realm.settings.realm, root: realm.settings.root, to, now_ms, days };
    let plain = post.header(Direction::Request, Some(about), &parts);
    let signed = sign(key, Header { head: Some(head), ..plain })?;
    let bytes = parts.write(realm, &signed, path)?;
    Ok((signed, bytes))
}

/// The realm's export as a section; answers the head that it ends at.
fn add_record(realm: &Record<impl Heads>, parts: &mut Parts) -> Done<Head> {
    let folder = crate::home::private_folder()?;
    let path = folder.path().join("record");
    let export::Written { leaves: size, bytes, .. } = export::write(realm, &path, None)?;
    let failed = |error: std::io::Error| Failure::file(&path, &error);
    let (digest, _) = vault::hash_file(&path)?;
    let root = Digest::from_bytes(*realm.log().root(size)?.as_bytes());
    let file = File::open(&path).map_err(failed)?;
    parts.0.insert((SectionKind::Record, digest), (bytes, Source::File(file)));
    Ok(Head { root, size })
}

/// `countersign bundle out` at a station: what was found about the change, for who asked.
pub(super) fn findings(setting: &Setting, args: &BundleOutArgs) -> Done {
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    if args.to.is_some() {
        return Err(Failure::usage("findings go to who asked; --to is for a change to examine"));
    }
    let request = station.request(&args.change)?;
    let (signed, bytes) = write_findings(&station, &request, args.days, &args.out)?;
    told(setting, args, &signed, bytes, "countersign bundle in FILE, at the realm");
    Ok(())
}

/// Writes what was found about the change of a request.
pub(crate) fn write_findings(
    station: &Station,
    request: &SignedHeader,
    days: u64,
    path: &Path,
) -> Done<(SignedHeader, u64)> {
    let asked = request.header();
    let about = asked.about()?;
    let mut parts = Parts::default();
    parts.add(SectionKind::Request, request.as_bytes().to_vec());
    let mut count = 0_u32;
    for envelope in station.findings()? {
        let Some(finding) = finding_about(&envelope, about)? else { continue };
        for digest in &finding.attachments {
            parts.add_content(station, digest)?;
        }
        parts.add(SectionKind::Finding, envelope.to_bytes()?);
        count += 1;
    }
    if count == 0 {
        let hint = "examine it first: `countersign examine CHANGE --by KEY`";
        let message = format!("nothing was found out about `{}` yet", about.change);
        return Err(Failure::new("CS-CLI-024", message, hint));
    }
    let key = station.keys.open(&station.setup.key_name)?;
    let now_ms = station.now_ms();
    let setup = &station.setup;
    let post = Post { key: &key, realm: &setup.realm, root: setup.root, to: asked.from, now_ms, days };
    let plain = post.header(Direction::Findings, Some(about.clone()), &parts);
    let signed = sign(&key, Header { answers: Some(*request.id()), ..plain })?;
    let bytes = parts.write(station, &signed, path)?;
    Ok((signed, bytes))
}

/// For how many days a submission may be taken: it is brought at once.
const SUBMISSION_DAYS: u64 = 1;

/// Writes statements of one author, and the contents that go along, for whom they are brought to.
pub(crate) fn write_submission(
    realm: &Record<impl Heads>,
    key: &FileKey,
    about: Option<About>,
    to: KeyId,
    envelopes: &[Envelope],
    contents: &BTreeSet<Digest>,
    path: &Path,
) -> Done {
    let mut parts = Parts::default();
    for envelope in envelopes {
        parts.add(SectionKind::Statement, envelope.to_bytes()?);
    }
    for digest in contents {
        parts.add_content(realm, digest)?;
    }
    let post = Post {
        key,
        realm: &realm.settings.realm,
        root: realm.settings.root,
        to,
        now_ms: realm.now_ms(),
        days: SUBMISSION_DAYS,
    };
    let signed = sign(key, post.header(Direction::Submission, about, &parts))?;
    parts.write(realm, &signed, path).map(drop)
}

/// Whether the station has found something out about this proposal.
pub(crate) fn has_findings(station: &Station, about: &About) -> Done<bool> {
    for envelope in station.findings()? {
        if finding_about(&envelope, about)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The finding, where it is one about this proposal.
fn finding_about(envelope: &statement::Envelope, about: &About) -> Done<Option<statement::kind::Finding>> {
    let statement::Content::Known(known) = statement::Content::parse(envelope.payload.as_slice())? else {
        return Ok(None);
    };
    match known.body {
        statement::Body::Finding(finding) if finding.proposal == about.proposal => Ok(Some(*finding)),
        _ => Ok(None),
    }
}

fn told(setting: &Setting, args: &BundleOutArgs, signed: &SignedHeader, bytes: u64, next: &str) {
    let header = signed.header();
    let change = header.about.as_ref().map(|about| about.change.to_string()).unwrap_or_default();
    let value = json!({ "bundle": signed.id(), "file": args.out, "bytes": bytes, "change": change,
                        "to": header.to, "expires_ms": header.expires_ms });
    let text = format!(
        "bundle {} of change {}: {bytes} bytes written to {}\n  next: {next}\n",
        signed.id().short(),
        change,
        args.out.display(),
    );
    setting.print(&value, &text);
}
