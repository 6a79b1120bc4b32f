//! `countersign export`: one file for an outsider.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use audit::export::{Attachment, Writer};
use evidence::Attestation;
use serde_json::json;
use statement::{Body, Content, Digest};
use trace::Trace;

use super::Setting;
use crate::busy::while_busy;
use crate::cli::ExportArgs;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::realm::Realm;

/// The largest checkpoint file.
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;
/// The largest content of the vault that goes into an export.
const ATTACHMENT_BYTES_MAX: u64 = 1 << 20;

/// `countersign export`.
pub(super) fn run(setting: &Setting, args: &ExportArgs) -> Done {
    let realm = setting.open()?;
    let from =
        args.from_checkpoint.as_deref().map(|path| read_bounded(path, CHECKPOINT_BYTES_MAX)).transpose()?;
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

/// Writes the export of the published log. Answers how many leaves and bytes.
pub(super) fn write(realm: &Realm, path: &Path, from: Option<&[u8]>) -> Done<(u64, u64)> {
    realm.publish()?;
    let log = realm.log();
    let size = log.size();
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
    let finished = while_busy("proving each entry", || Ok(writer.finish(&log.checkpoint(), from)?))?;
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut bytes = 0_u64;
    for part in finished.parts() {
        file.write_all(part).map_err(failed)?;
        bytes = bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok((size, bytes))
}

/// What a record shows beside statements: the steps that findings sign, and what hosts say about the runs. Only what is
/// one or the other goes out, whatever a finding names: reports of persons stay in the vault. What is not there, or is
/// something else, is not carried, and the audit says so.
fn evidence_of(realm: &Realm) -> Vec<vault::Attachment> {
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
fn scopes(realm: &Realm) -> BTreeSet<Digest> {
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
