//! `countersign export`: one file for an outsider.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use audit::export::{Attachment, Writer};
use evidence::Attestation;
use merkle::note::VerifierKey;
use merkle::{SignedCheckpoint, VerifiedCheckpoint};
use serde_json::json;
use statement::{Body, Content, Digest};
use trace::Trace;

use super::Setting;
use crate::busy::while_busy;
use crate::cli::ExportArgs;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::outfile::{OutFile, Readers};
use crate::realm::{Heads, Published, Record};

/// The largest checkpoint file.
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;
/// The largest content of the vault that goes into an export.
const ATTACHMENT_BYTES_MAX: u64 = 1 << 20;

/// `countersign export`.
pub(super) fn run(setting: &Setting, args: &ExportArgs) -> Done {
    let realm = setting.read()?;
    let from = args.from_checkpoint.as_deref().map(|path| earlier(&realm, path)).transpose()?;
    let (leaves, bytes) = write(&realm, &args.out, from.as_deref())?;
    let value = json!({ "file": args.out, "leaves": leaves, "bytes": bytes, "root": realm.settings.root });
    let text = format!(
        "{leaves} leaves, {bytes} bytes written to {}\n  check it anywhere: countersign-audit {} --root {}\n",
        args.out.display(),
        args.out.display(),
        realm.settings.root,
    );
    setting.print(&value, &text);
    Ok(())
}

/// An earlier checkpoint of this log, by its signature and its root: what the auditor would refuse is not written.
fn earlier(realm: &Published, path: &Path) -> Done<Vec<u8>> {
    let bytes = read_bounded(path, CHECKPOINT_BYTES_MAX)?;
    let key: VerifierKey = realm.settings.log_key.parse()?;
    let earlier = VerifiedCheckpoint::open(&bytes, &realm.settings.origin, &[key])
        .map_err(|error| Failure::not_a("checkpoint of this log", path, error))?;
    if realm.log().root(earlier.size())? != *earlier.root() {
        let message = format!("`{}` is signed by this log's key and is no head of it", path.display());
        let (theirs, ours) = (earlier.to_bytes(), realm.log().checkpoint());
        let evidence = format!("{}\n{}", String::from_utf8_lossy(&theirs), String::from_utf8_lossy(&ours));
        return Err(Failure::contradicted(message, &evidence));
    }
    Ok(bytes)
}

/// Writes the export of the published log. Answers how many leaves and bytes.
pub(super) fn write(realm: &Record<impl Heads>, path: &Path, from: Option<&[u8]>) -> Done<(u64, u64)> {
    let log = realm.log();
    let checkpoint = log.checkpoint();
    let size = SignedCheckpoint::parse(&checkpoint)?.claims().size();
    let mut writer = Writer::new(realm.settings.realm.clone());
    let bar = crate::busy::bar("reading the log", size);
    for index in 0..size {
        writer.entry(&log.entry(index)?)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    // What was purged is not there to be carried; the report says so by its digest.
    for digest in scopes(realm).iter().filter(|digest| realm.ledger().world().purged_at(digest).is_none()) {
        let content = realm.vault.read(&realm.tenant, digest, ATTACHMENT_BYTES_MAX)?;
        writer.attach(Attachment { salt: None, content: &content })?;
    }
    for attachment in evidence_of(realm) {
        writer.attach(Attachment { salt: Some(*attachment.salt()), content: attachment.content() })?;
    }
    let finished = while_busy("proving each entry", || Ok(writer.finish(&checkpoint, from)?))?;
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let mut file = OutFile::begin(path, Readers::Owner)?;
    let mut bytes = 0_u64;
    for part in finished.parts() {
        file.write_all(part).map_err(failed)?;
        bytes = bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
    }
    file.finish()?;
    Ok((size, bytes))
}

/// What a record shows beside statements: the steps that findings sign, and what hosts say about the runs. Only what is
/// one or the other goes out, whatever a finding names: reports of persons stay in the vault. What is not there, or is
/// something else, is not carried, and the audit says so.
fn evidence_of(realm: &Record<impl Sized>) -> Vec<vault::Attachment> {
    let world = realm.ledger().world();
    let findings = realm.ledger().dossiers().flat_map(|dossier| dossier.findings.values());
    let mut carried = BTreeMap::new();
    for finding in findings.filter(|finding| finding.body.worker.is_some()) {
        for digest in finding.body.attachments.iter().filter(|digest| world.purged_at(digest).is_none()) {
            let Ok(attachment) = realm.attachment(digest, ATTACHMENT_BYTES_MAX) else { continue };
            let steps = finding.body.trace.is_some_and(|trace| trace.attachment == *digest);
            let is_evidence = if steps {
                Trace::parse(attachment.content()).is_ok_and(|trace| trace.agrees(&finding.body).is_ok())
            } else {
                Attestation::is_meant(attachment.content())
            };
            if is_evidence {
                carried.insert(*digest, attachment);
            }
        }
    }
    carried.into_values().collect()
}

/// The scope files that slots name: what an auditor needs to read findings by. Words of persons stay in the vault.
fn scopes(realm: &Record<impl Sized>) -> BTreeSet<Digest> {
    let leaves = realm.entries().iter().filter_map(|entry| entry.leaf().ok());
    let slots = leaves.filter_map(|leaf| match &leaf.content {
        Content::Known(statement) => match &statement.body {
            Body::Slot(slot) => Some(slot.scopes.values().copied().collect::<Vec<_>>()),
            _ => None,
        },
        Content::Opaque(_) => None,
    });
    slots.flatten().collect()
}
