//! `countersign export`: one file for an outsider.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use audit::export::{Attachment, Writer};
use calibration::Evidence;
use evidence::Attestation;
use merkle::note::VerifierKey;
use merkle::{SignedCheckpoint, VerifiedCheckpoint};
use serde::Serialize;
use serde_json::json;
use statement::{Body, Content, Digest, SlotId};
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
    let Written { leaves, bytes, left_out } = write(&realm, &args.out, from.as_deref())?;
    let value = json!({ "file": args.out, "leaves": leaves, "bytes": bytes, "root": realm.settings.root,
                        "not_carried": left_out });
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

/// What belongs into an export and is not in it.
#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) digest: Digest,
    /// What it is to the record, in words.
    pub(super) named: String,
    /// Why it is not carried.
    pub(super) cause: Failure,
}

/// What an export holds.
pub(super) struct Written {
    pub(super) leaves: u64,
    pub(super) bytes: u64,
    pub(super) left_out: Vec<LeftOut>,
}

/// Writes the export of the published log. What the vault does not have whole is told on standard error, and by the
/// auditor, who sees what is lacking; the rest of the record proves what it proves without it.
pub(super) fn write(realm: &Record<impl Heads>, path: &Path, from: Option<&[u8]>) -> Done<Written> {
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
    let mut left_out = Vec::new();
    // What was purged is not there to be carried; the report says so by its digest.
    let world = realm.ledger().world();
    for (digest, slot) in scopes(realm).into_iter().filter(|(digest, _)| world.purged_at(digest).is_none()) {
        match realm.vault.read(&realm.tenant, &digest, ATTACHMENT_BYTES_MAX) {
            Ok(content) => writer.attach(Attachment { salt: None, content: &content })?,
            Err(error) => {
                let named = format!("a scope of slot `{slot}`");
                left_out.push(LeftOut { digest, named, cause: error.into() });
            }
        }
    }
    for attachment in evidence_of(realm, &mut left_out) {
        writer.attach(Attachment { salt: Some(*attachment.salt()), content: attachment.content() })?;
    }
    for lacking in &left_out {
        let LeftOut { digest, named, cause } = lacking;
        eprintln!("warning [{}]: not carried: {named}, `{digest}`: {}", cause.code, cause.message);
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
    Ok(Written { leaves: size, bytes, left_out })
}

/// What a record shows beside statements: the steps that findings sign, what hosts say about the runs, and what
/// examinations were judged by. Only what is one of these goes out, whatever a finding names: reports of persons stay in the
/// vault. What is not there, or is
/// something else, is not carried, and the audit says so.
fn evidence_of(realm: &Record<impl Sized>, left_out: &mut Vec<LeftOut>) -> Vec<vault::Attachment> {
    let world = realm.ledger().world();
    let findings = realm.ledger().dossiers().flat_map(|dossier| dossier.findings.values());
    let mut carried = BTreeMap::new();
    for finding in findings.filter(|finding| finding.body.worker.is_some()) {
        let mut calibrations = BTreeSet::new();
        let mut others = Vec::new();
        for digest in finding.body.attachments.iter().filter(|digest| world.purged_at(digest).is_none()) {
            let steps = finding.body.trace.is_some_and(|trace| trace.attachment == *digest);
            let attested = finding.body.attested.as_ref().is_some_and(|said| said.attachment == *digest);
            let attachment = match realm.attachment(digest, ATTACHMENT_BYTES_MAX) {
                Ok(attachment) => attachment,
                Err(cause) if steps || attested => {
                    let what = if steps { "the steps" } else { "the attestation" };
                    let named = format!("{what} of finding {}", finding.id.short());
                    left_out.push(LeftOut { digest: *digest, named, cause });
                    continue;
                }
                // Reports of persons would not be carried either.
                Err(_) => continue,
            };
            let is_evidence = if steps {
                Trace::parse(attachment.content()).is_ok_and(|trace| trace.agrees(&finding.body).is_ok())
            } else {
                Attestation::is_meant(attachment.content()) || Evidence::is_meant(attachment.content())
            };
            if is_evidence {
                let examined = Evidence::read(attachment.content()).ok();
                calibrations.extend(examined.and_then(|evidence| evidence.calibration));
                carried.insert(*digest, attachment);
            } else {
                others.push((*digest, attachment));
            }
        }
        // The scores that it was judged by: no more of what a finding names than its evidence does.
        others.retain(|(_, attachment)| calibrations.contains(&Digest::of(attachment.content())));
        carried.extend(others);
    }
    carried.into_values().collect()
}

/// The scope files that slots name, each with a slot: what an auditor needs to read findings by. Words of persons stay in
/// the vault.
fn scopes(realm: &Record<impl Sized>) -> BTreeMap<Digest, SlotId> {
    let leaves = realm.entries().iter().filter_map(|entry| entry.leaf().ok());
    let slots = leaves.filter_map(|leaf| match &leaf.content {
        Content::Known(statement) => match &statement.body {
            Body::Slot(slot) => {
                let scopes = slot.scopes.values().map(|scope| (*scope, slot.slot.clone()));
                Some(scopes.collect::<Vec<_>>())
            }
            _ => None,
        },
        Content::Opaque(_) => None,
    });
    slots.flatten().collect()
}
