//! From the checked record to the report.

use std::collections::{BTreeMap, BTreeSet};

use dossier::{Checked, Current, Refusal};
use merkle::{VerifiedCheckpoint, WitnessSeen};
use statement::kind::{TrustRoot, WitnessKey};
use statement::{Body, ChangeId, Content, Digest, Leaf, StatementError};

use super::attestation::{AttestationReport, Attestations, Attested};
use super::change::{Attached, Audited, ChangeReport, FindingReport};
use super::examination::{self, Again, Examinations};
use super::known::{not_carried, warnings};
use super::realm::{
    AttachmentReport, AttemptReport, EmergencyReport, FreezeReport, GrantReport, NoOpReport, PurgedReport,
    ReasonNote, RevokedKeyReport,
};
use super::remark::{Remark, RemarkCode};
use super::text;
use super::{
    CheckpointReport, Compared, Control, Count, FORMAT, Outcome, Population, Report, Trust, WitnessReport,
};
use crate::check::Record;
use crate::export::count;

/// How far the log's clock may be ahead of the witnesses'.
const CLOCK_AHEAD_MS: u64 = 300_000;

impl Report {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let leaves = Leaves::read(record);
        let mut report = Self {
            format: FORMAT.to_owned(),
            outcome: Outcome::Clean,
            reasons: Vec::new(),
            warnings: Vec::new(),
            realm: record.realm.clone(),
            trust: trust(record),
            checkpoint: checkpoint(record),
            changes: changes(record, &leaves.noops),
            population: leaves.population,
            noops: leaves.noops,
            attempts: leaves.attempts,
            grants: grants(record),
            freezes: leaves.freezes,
            revoked_keys: revoked_keys(record),
            purged: record
                .ledger
                .world()
                .purged()
                .map(|(digest, index)| PurgedReport { digest: *digest, index })
                .collect(),
            emergencies: leaves.emergencies,
            attachments: attachments(record),
            not_carried: not_carried(record),
        };
        let from = report.population.from;
        report.population.changes =
            count(report.changes.iter().filter(|change| change.is_since(from)).count());
        report.reasons = reasons(&report);
        report.reasons.extend(too_old(record, &report.checkpoint));
        report.reasons.extend(unattested(record, &report));
        report.warnings = warnings(record, &report);
        if !report.reasons.is_empty() {
            report.outcome = Outcome::NotClean;
        }
        report
    }
}

/// What is read off the leaves one by one.
struct Leaves {
    population: Population,
    noops: Vec<NoOpReport>,
    attempts: Vec<AttemptReport>,
    freezes: Vec<FreezeReport>,
    emergencies: Vec<EmergencyReport>,
}

impl Leaves {
    fn read(record: &Record<'_>) -> Self {
        let from = record.heads.from.as_ref().map_or(0, VerifiedCheckpoint::size);
        let population = Population {
            from,
            to: count(record.leaves.len()),
            statements: 0,
            effective: 0,
            no_ops: 0,
            changes: 0,
            controls: Control::ALL.into_iter().map(|control| (control, Count::default())).collect(),
            kinds: BTreeMap::new(),
        };
        let mut read = Self {
            population,
            noops: Vec::new(),
            attempts: Vec::new(),
            freezes: Vec::new(),
            emergencies: Vec::new(),
        };
        for entry in &record.leaves {
            let refusal = record.ledger.noops().get(&entry.index());
            if entry.index() >= from {
                read.count(entry, refusal.is_none());
            }
            match refusal {
                Some(refusal) => read.noops.push(noop(entry, refusal)),
                None => read.effective(entry),
            }
        }
        read
    }

    fn count(&mut self, entry: &Checked, is_effective: bool) {
        let kinds = self.population.kinds.entry(kind_name(entry).to_owned()).or_default();
        let control =
            body(entry).and_then(control).and_then(|control| self.population.controls.get_mut(&control));
        let effective = u64::from(is_effective);
        for count in [Some(kinds), control].into_iter().flatten() {
            count.statements += 1;
            count.effective += effective;
        }
        self.population.statements += 1;
        self.population.effective += effective;
        self.population.no_ops += 1 - effective;
    }

    fn effective(&mut self, entry: &Checked) {
        let index = entry.index();
        match body(entry) {
            Some(Body::Attempt(attempt)) => self.attempts.push(AttemptReport {
                index,
                action: attempt.action.clone(),
                change: change(entry),
                requester: attempt.requester,
                reasons: attempt.reasons.clone(),
            }),
            Some(Body::Freeze(freeze)) => self.freezes.push(FreezeReport {
                index,
                action: freeze.action,
                target: freeze.target.clone(),
                reason: freeze.reason.clone(),
            }),
            Some(Body::BreakGlass(act)) => self.emergencies.push(EmergencyReport {
                index,
                action: act.action.clone(),
                slot: act.slot.clone(),
                skipped: act.skipped.clone(),
                review_by_ms: act.review_by_ms,
            }),
            _ => {}
        }
    }
}

/// The control that a statement belongs to.
fn control(body: &Body) -> Option<Control> {
    match body {
        Body::Grant(_) | Body::CapabilityLevel(_) => Some(Control::Authorisation),
        // Where no code ran, a person looked.
        Body::Finding(finding) if finding.worker.is_none() => Some(Control::Review),
        Body::Finding(_) => Some(Control::Test),
        Body::Approval(_) | Body::Rejection(_) => Some(Control::Approval),
        Body::ReleaseOrder(_) | Body::RollbackOrder(_) | Body::Retirement(_) | Body::SignOff(_) => {
            Some(Control::Deployment)
        }
        Body::TrustRoot(_)
        | Body::DirectoryEntry(_)
        | Body::Policy(_)
        | Body::Slot(_)
        | Body::Proposal(_)
        | Body::Verdict(_)
        | Body::Revocation(_)
        | Body::Freeze(_)
        | Body::EngineBinding(_)
        | Body::StageReport(_)
        | Body::Observation(_)
        | Body::Incident(_)
        | Body::BreakGlass(_)
        | Body::ServedState(_)
        | Body::Hold(_)
        | Body::Purge(_)
        | Body::Attempt(_) => None,
    }
}

fn body(entry: &Checked) -> Option<&Body> {
    match entry.leaf() {
        Ok(Leaf { content: Content::Known(statement), .. }) => Some(&statement.body),
        Ok(_) | Err(_) => None,
    }
}

fn change(entry: &Checked) -> Option<ChangeId> {
    entry.leaf().ok().and_then(|leaf| leaf.content.header().change.change().cloned())
}

fn kind_name(entry: &Checked) -> &'static str {
    match entry.leaf() {
        Ok(Leaf { content: Content::Known(statement), .. }) => statement.body.kind().name(),
        Ok(_) | Err(StatementError::UnknownCritical(_)) => "unknown",
        Err(_) => "malformed",
    }
}

fn noop(entry: &Checked, refusal: &Refusal) -> NoOpReport {
    let note = |reason: &dossier::Reason| ReasonNote {
        code: reason.code.as_str().to_owned(),
        text: reason.code.text().to_owned(),
        about: reason.about.clone(),
    };
    NoOpReport {
        index: entry.index(),
        kind: kind_name(entry).to_owned(),
        change: change(entry),
        reasons: refusal.reasons().map(note).collect(),
    }
}

fn trust(record: &Record<'_>) -> Trust {
    let world = record.ledger.world();
    let compared = |is_given: Option<()>| is_given.map_or(Compared::NotCompared, |()| Compared::Same);
    Trust {
        roots: world.roots().to_vec(),
        // Had they differed, there would be no report.
        first_root: compared(record.expectations.root.map(drop)),
        log_key: world.root().map(|root| root.body.log.key.clone()).unwrap_or_default(),
        log_key_compared: compared(record.expectations.log_key.as_ref().map(drop)),
        expires_ms: world.root().map_or(0, |root| root.body.expires_ms),
    }
}

fn checkpoint(record: &Record<'_>) -> CheckpointReport {
    let head = &record.heads.checkpoint;
    let world = record.ledger.world();
    let newest = record.heads.seen.iter().map(WitnessSeen::latest).max();
    let age = |(newest_s, now_ms): (u64, u64)| now_ms.saturating_sub(newest_s.saturating_mul(1000));
    CheckpointReport {
        newest_witnessed_s: newest,
        age_ms: newest.zip(record.expectations.now_ms).map(age),
        origin: head.origin().to_owned(),
        size: head.size(),
        root: *head.root(),
        last_stamp_ms: world.stamp_ms(),
        witnesses: record.heads.seen.iter().map(|seen| witness(world.root(), seen)).collect(),
        witnesses_needed: world.root().map_or(0, |root| root.body.witnesses.threshold),
    }
}

pub(super) fn witness(root: Option<&Current<TrustRoot>>, seen: &WitnessSeen) -> WitnessReport {
    // A verifier key is its name, `+` and the rest.
    let is_its = |witness: &&WitnessKey| witness.key.split('+').next() == Some(seen.name());
    let key = root.and_then(|root| root.body.witnesses.keys.iter().find(is_its));
    let person = key.map(|key| key.person.clone());
    WitnessReport { name: seen.name().to_owned(), person, times_s: seen.times().to_vec() }
}

fn changes(record: &Record<'_>, noops: &[NoOpReport]) -> Vec<ChangeReport> {
    let mut without_effect: BTreeMap<&ChangeId, Vec<u64>> = BTreeMap::new();
    for noop in noops {
        if let Some(change) = &noop.change {
            without_effect.entry(change).or_default().push(noop.index);
        }
    }
    let world = record.ledger.world();
    let carried = Attached {
        attestations: Attestations::new(&record.attachments, record.expectations),
        examinations: Examinations::new(&record.attachments),
        digests: record.attachments.iter().map(|(digest, _)| *digest).collect(),
    };
    let report = |dossier: &dossier::Dossier| {
        let noops = without_effect.get(&dossier.change).cloned().unwrap_or_default();
        ChangeReport::of(world, &carried, dossier, noops)
    };
    let mut changes: Vec<ChangeReport> = record.ledger.dossiers().map(report).collect();
    changes.sort_by_key(|change| change.index);
    changes
}

fn grants(record: &Record<'_>) -> Vec<GrantReport> {
    let report = |grant: &dossier::GrantRecord| {
        let body = &grant.grant.body;
        GrantReport {
            id: grant.grant.id,
            index: grant.grant.index,
            persons: grant.grant.signers.iter().map(|signer| signer.person.clone()).collect(),
            grantee: body.grantee,
            purpose: body.purpose,
            level_max: body.level_max,
            tier_max: body.tier_max,
            slots: body.slots.clone(),
            not_before_ms: body.not_before_ms,
            expires_ms: body.expires_ms,
            changes_max: body.changes_max,
            used: count(grant.used_by.len()),
            revoked_at: grant.revoked_at,
        }
    };
    let mut grants: Vec<GrantReport> = record.ledger.world().grants().map(report).collect();
    grants.sort_by_key(|grant| grant.index);
    grants
}

fn revoked_keys(record: &Record<'_>) -> Vec<RevokedKeyReport> {
    let keys = record.ledger.compromised().iter();
    keys.map(|(key, since)| RevokedKeyReport {
        key: *key,
        person: record.ledger.world().actor(key).map(|actor| actor.person),
        since: *since,
    })
    .collect()
}

fn attachments(record: &Record<'_>) -> Vec<AttachmentReport> {
    let mut named: BTreeMap<Digest, Option<u64>> =
        record.attachments.iter().map(|(digest, _)| (*digest, None)).collect();
    if !named.is_empty() {
        for leaf in record.leaves.iter().filter_map(|entry| entry.leaf().ok()) {
            // Digests stand in payloads as strings of 64 digits, whatever the kind.
            let strings = leaf.envelope.payload.as_slice().split(|byte| *byte == b'"');
            let digests =
                strings.filter(|text| text.len() == 64).filter_map(|text| std::str::from_utf8(text).ok());
            for digest in digests.filter_map(|text| text.parse::<Digest>().ok()) {
                if let Some(first @ None) = named.get_mut(&digest) {
                    *first = Some(leaf.index);
                }
            }
        }
    }
    let report = |(digest, attachment): &(Digest, crate::export::Attachment<'_>)| AttachmentReport {
        digest: *digest,
        bytes: count(attachment.content.len()),
        named_by: named.get(digest).copied().flatten(),
    };
    record.attachments.iter().map(report).collect()
}

/// How many persons run the witnesses who have cosigned: who runs two is one.
pub(super) fn persons_behind(witnesses: &[WitnessReport]) -> u64 {
    let persons = witnesses.iter().filter_map(|witness| witness.person.as_ref());
    count(persons.collect::<BTreeSet<_>>().len())
}

/// Whether the checkpoint is older than the auditor accepts. Where nobody says how old it is, it is.
fn too_old(record: &Record<'_>, head: &CheckpointReport) -> Option<Remark> {
    let most_ms = record.expectations.age_max_ms?;
    let told = match head.age_ms {
        Some(age_ms) if age_ms <= most_ms => return None,
        Some(age_ms) => format!("{} old, not {}", text::span(age_ms), text::span(most_ms)),
        None => {
            format!("no witness says when it was signed; it is to be {} old at most", text::span(most_ms))
        }
    };
    Some(Remark::new(RemarkCode::TooOld, told))
}

/// What is against the record.
fn reasons(report: &Report) -> Vec<Remark> {
    let mut reasons = Vec::new();
    let head = &report.checkpoint;
    let seen = persons_behind(&head.witnesses);
    if seen < u64::from(head.witnesses_needed) {
        let text = format!("unwitnessed: {seen} of {}", head.witnesses_needed);
        reasons.push(Remark::new(RemarkCode::Unwitnessed, text));
    }
    for witness in &head.witnesses {
        // A witness that saw the checkpoint saw its last leaf.
        let earliest_ms = witness.times_s.first().map(|time| time.saturating_mul(1000));
        if let Some(seen_ms) =
            earliest_ms.filter(|seen| head.last_stamp_ms > seen.saturating_add(CLOCK_AHEAD_MS))
        {
            let (stamp, seen) = (text::utc(head.last_stamp_ms), text::utc(seen_ms));
            let text = format!("the last leaf is stamped {stamp}; `{}` saw it at {seen}", witness.name);
            reasons.push(Remark::new(RemarkCode::StampAhead, text));
        }
    }
    for (leaf, found) in attested(report, Attested::Contradicts) {
        reasons.push(Remark::new(RemarkCode::AttestationFalse, about(leaf, found)));
    }
    for finding in report.changes.iter().flat_map(|change| &change.findings) {
        let examination = finding.examination.as_ref().filter(|it| it.again == Again::Contradicts);
        if let Some(found) = examination {
            let text = format!("leaf {}: {}", finding.index, examination::about(&finding.examiner, found));
            reasons.push(Remark::new(RemarkCode::ExaminationFalse, text));
        }
    }
    reasons
}

/// Decided changes without an attestation that the auditor's policy requires of their tier.
fn unattested(record: &Record<'_>, report: &Report) -> Vec<Remark> {
    let Some(policy) = &record.expectations.attestation else { return Vec::new() };
    let decided = report.changes.iter().filter_map(|change| Some((change, change.verdict.as_ref()?)));
    let remark = |(change, verdict): (&ChangeReport, &super::VerdictReport)| {
        let required = policy.required(verdict.score.tier);
        // Only a finding that the decision rests on: what else somebody attested says nothing of it.
        let world = record.ledger.world();
        let rules = world.policy().map(|policy| &policy.body.rules);
        let dossier = record.ledger.dossier(&change.change);
        let by_listed = |finding: &&FindingReport| {
            let found = dossier.and_then(|dossier| dossier.findings.get(&finding.id));
            let said = found.and_then(|found| Some((found.body.worker?, found.body.evidence)));
            said.zip(rules).is_some_and(|((worker, kind), rules)| rules.lists(&worker, kind))
        };
        let passing = change.findings.iter().filter(|finding| finding.outcome == Audited::Pass);
        let attestations = passing.filter(by_listed).flat_map(|finding| &finding.attestations);
        let mut hosts = attestations.flat_map(|attestation| &attestation.hosts);
        let is_met = hosts.any(|host| required.iter().any(|kind| kind.name() == host.kind));
        let kinds: Vec<&str> = required.iter().map(|kind| kind.name()).collect();
        let tier = text::word(&verdict.score.tier);
        let text = format!("change `{}`, tier {tier}: one of {}", change.change.short(), kinds.join(", "));
        (!required.is_empty() && !is_met).then(|| Remark::new(RemarkCode::AttestationMissing, text))
    };
    decided.filter_map(remark).collect()
}

/// The attestations with an outcome, each with the leaf of its finding.
pub(super) fn attested(
    report: &Report,
    outcome: Attested,
) -> impl Iterator<Item = (u64, &AttestationReport)> {
    let findings = report.changes.iter().flat_map(|change| &change.findings);
    let all = findings.flat_map(|finding| finding.attestations.iter().map(|one| (finding.index, one)));
    all.filter(move |(_, one)| one.outcome == outcome)
}

pub(super) fn about(leaf: u64, found: &AttestationReport) -> String {
    let (code, text) = (found.code.as_deref().unwrap_or_default(), found.text.as_deref().unwrap_or_default());
    format!("leaf {leaf}: {code} {text}")
}
