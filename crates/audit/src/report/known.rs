//! What an auditor should know, and what is not against the record.

use std::collections::{BTreeMap, BTreeSet};

use dossier::Code;
use merkle::VerifiedCheckpoint;
use statement::{Body, Content, Digest, PersonId};

use super::attestation::Attested;
use super::bound::unbound;
use super::gather::{about, attested, persons_behind, witness};
use super::realm::{Belongs, NotCarriedReport};
use super::remark::{Remark, RemarkCode};
use super::{Compared, Report, WitnessReport, text};
use crate::check::{Record, SchemaMatch};

/// From which age on a checkpoint is remarked upon, whatever the auditor accepts.
const OLD_MS: u64 = 24 * 60 * 60 * 1000;

/// The persons behind all cosignatures, where each of them also acts in the realm.
fn inside(record: &Record<'_>, report: &Report) -> Option<String> {
    let world = record.ledger.world();
    let officers = world.root().into_iter().flat_map(|root| root.body.keys.values().map(|key| &key.person));
    let acting: BTreeSet<&PersonId> = officers.chain(world.actors().map(|actor| &actor.person)).collect();
    let behind: BTreeSet<&PersonId> =
        report.checkpoint.witnesses.iter().filter_map(|witness| witness.person.as_ref()).collect();
    if behind.is_empty() || !behind.is_subset(&acting) {
        return None;
    }
    let names: Vec<String> = behind.iter().map(|person| format!("`{}`", person.as_str())).collect();
    Some(format!("run by {}, who acts in the realm", names.join(", ")))
}

/// What an export that begins later leaves open.
fn beginning(record: &Record<'_>, report: &Report) -> Vec<Remark> {
    let Some(from) = record.heads.from.as_ref().map(VerifiedCheckpoint::size).filter(|from| *from > 0) else {
        return Vec::new();
    };
    let covers = format!("leaves 0 to {} are in no population", from.saturating_sub(1));
    let mut remarks = vec![Remark::new(RemarkCode::BeginsLater, covers)];
    let root = record.ledger.world().root();
    let witnesses: Vec<WitnessReport> =
        record.heads.from_seen.iter().map(|seen| witness(root, seen)).collect();
    let seen = persons_behind(&witnesses);
    let needed = report.checkpoint.witnesses_needed;
    if seen < u64::from(needed) {
        remarks
            .push(Remark::new(RemarkCode::BeginUnwitnessed, format!("at leaf {from}: {seen} of {needed}")));
    }
    remarks
}

/// What an export carries and this one does not: scopes that slots name, steps that findings sign, evidence of the
/// hosts that they name, and what examinations rest on. What was destroyed is told elsewhere.
pub(super) fn not_carried(record: &Record<'_>) -> Vec<NotCarriedReport> {
    let carried: BTreeSet<&Digest> = record.attachments.iter().map(|(digest, _)| digest).collect();
    let is_absent =
        |digest: &Digest| !carried.contains(digest) && record.ledger.world().purged_at(digest).is_none();
    let mut absent = BTreeMap::new();
    let mut note = |digest: Digest, what: Belongs, named_by: u64, of: String| {
        if is_absent(&digest) {
            let first = NotCarriedReport { digest, what, named_by, of };
            absent.entry((what, digest)).or_insert(first);
        }
    };
    for leaf in record.leaves.iter().filter_map(|entry| entry.leaf().ok()) {
        if let Content::Known(statement) = &leaf.content
            && let Body::Slot(slot) = &statement.body
        {
            for scope in slot.scopes.values() {
                note(*scope, Belongs::Scope, leaf.index, slot.slot.to_string());
            }
        }
    }
    for dossier in record.ledger.dossiers() {
        let of = || dossier.change.to_string();
        for finding in dossier.findings.values() {
            if let Some(trace) = &finding.body.trace {
                note(trace.attachment, Belongs::Trace, finding.index, of());
            }
            if let Some(attested) = &finding.body.attested {
                note(attested.attachment, Belongs::Attestation, finding.index, of());
            }
            if super::examination::is_by_worker(&finding.body) {
                for digest in &finding.body.attachments {
                    note(*digest, Belongs::Examination, finding.index, of());
                }
            }
        }
    }
    absent.into_values().collect()
}

/// How much is not carried, by what it is.
fn counted(absent: &[NotCarriedReport]) -> Option<String> {
    let kinds = [
        (Belongs::Scope, "scopes that slots name"),
        (Belongs::Trace, "traces that findings sign"),
        (Belongs::Attestation, "attestations that findings name"),
        (Belongs::Examination, "examinations' evidence that findings name"),
    ];
    let counts = kinds.map(|(kind, words)| (absent.iter().filter(|it| it.what == kind).count(), words));
    let told = counts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}"));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// What an auditor should know.
pub(super) fn warnings(record: &Record<'_>, report: &Report) -> Vec<Remark> {
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Remark::new(code, text));
    if report.trust.first_root == Compared::NotCompared {
        let first = report.trust.roots.first().map(ToString::to_string).unwrap_or_default();
        warn(RemarkCode::RootNotCompared, format!("the record says that its first trust root is `{first}`"));
    }
    if record.expectations.now_ms.is_some_and(|now_ms| now_ms >= report.trust.expires_ms) {
        warn(RemarkCode::RootExpired, format!("it ended {}", text::utc(report.trust.expires_ms)));
    }
    if let Some(age_ms) = report.checkpoint.age_ms.filter(|age_ms| *age_ms > OLD_MS) {
        warn(RemarkCode::Old, format!("{} old", text::span(age_ms)));
    }
    if let Some(text) = inside(record, report) {
        warn(RemarkCode::WitnessesInside, text);
    }
    for text in unbound(record) {
        warn(RemarkCode::Unbound, text);
    }
    for remark in beginning(record, report) {
        warn(remark.code, remark.text);
    }
    if let SchemaMatch::Different(kinds) = &record.schemas {
        warn(RemarkCode::SchemasDiffer, format!("of: {}", kinds.join(", ")));
    }
    if !report.purged.is_empty() {
        let findings = report.changes.iter().flat_map(|change| &change.findings);
        let purged = findings.filter(|finding| !finding.purged.is_empty()).count();
        warn(RemarkCode::Purged, format!("{} digests, under {purged} findings", report.purged.len()));
    }
    for attachment in &report.attachments {
        if let Some(index) = record.ledger.world().purged_at(&attachment.digest) {
            warn(RemarkCode::PurgedCarried, format!("`{}`, purged at leaf {index}", attachment.digest));
        }
        if attachment.named_by.is_none() {
            warn(RemarkCode::AttachmentUnnamed, format!("`{}`", attachment.digest));
        }
    }
    if let Some(text) = counted(&report.not_carried) {
        warn(RemarkCode::NotCarried, text);
    }
    for act in &report.emergencies {
        let due = text::utc(act.review_by_ms);
        warn(
            RemarkCode::Emergency,
            format!("leaf {}: `{}` on `{}`, review due {due}", act.index, act.action, act.slot),
        );
    }
    let without = |codes: &[Code]| {
        let named = |code: &str| codes.iter().any(|one| one.as_str() == code);
        report.noops.iter().filter(|it| it.reasons.iter().any(|reason| named(&reason.code))).count()
    };
    let unread: [(&[Code], RemarkCode); 2] = [
        (&[Code::Malformed], RemarkCode::Malformed),
        (&[Code::OpaqueKind, Code::KindNotIntroduced], RemarkCode::Unknown),
    ];
    for (codes, remark) in unread {
        let leaves = without(codes);
        if leaves > 0 {
            warn(remark, format!("{leaves} leaves"));
        }
    }
    for (leaf, found) in attested(report, Attested::NotAccepted) {
        warn(RemarkCode::AttestationNotAccepted, about(leaf, found));
    }
    for key in &report.revoked_keys {
        let person = key.person.as_ref().map_or("nobody now enrolled", |person| person.as_str());
        warn(RemarkCode::KeyRevoked, format!("`{}` of `{person}`, from leaf {}", key.key.short(), key.since));
    }
    warnings
}
