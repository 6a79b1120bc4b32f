//! The audit: from bytes to a report.

mod heads;
mod proofs;
#[cfg(test)]
pub(crate) mod tests;

use std::num::NonZeroUsize;

use dossier::{Applied, Checked, KeyBook, Ledger, Parsed, replay};
use merkle::leaf_hash;
use policy::gate::Bench;
use statement::{Digest, RealmId, StatementId};
use trace::Trace;

use crate::error::AuditError;
use crate::export::{self, Attachment, Export, Nodes, Section};
use crate::parallel::{in_order, in_runs};
use crate::report::Report;

/// What the auditor knows from elsewhere.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// The id of the realm's first trust root. Without it the audit shows that the record is whole and consistent, not
    /// whose it is, and the report says so.
    pub root: Option<StatementId>,
    /// The log's key, as a signed-note verifier key.
    pub log_key: Option<String>,
    /// The auditor's clock, milliseconds since the Unix epoch: only to say what has expired since.
    pub now_ms: Option<u64>,
    /// Which attestations of hosts the auditor accepts; the default is [`evidence::Policy::none_required`].
    pub attestation: Option<evidence::Policy>,
    /// What Intel says of platforms, as `dcap-qvl` writes it: for quotes of TDX and SGX that carry none. Each is tried.
    pub collateral: Vec<Vec<u8>>,
    /// The oldest that the checkpoint may be by the newest time a witness cosigned it, milliseconds before
    /// [`Expectations::now_ms`]; older is against the record.
    pub age_max_ms: Option<u64>,
    /// Checkpoints of the log that the auditor has from elsewhere or from an earlier audit, as signed notes: the export
    /// must hold what they held, and no less.
    pub known: Vec<Vec<u8>>,
    /// Over how many threads work is shared out. The report does not depend on it.
    pub threads: NonZeroUsize,
}

impl Expectations {
    /// Nothing known from elsewhere, two threads.
    pub const fn none() -> Self {
        Self {
            root: None,
            log_key: None,
            now_ms: None,
            attestation: None,
            collateral: Vec::new(),
            age_max_ms: None,
            known: Vec::new(),
            threads: NonZeroUsize::MIN.saturating_add(1),
        }
    }
}

/// The record, checked: what a report is made from.
pub(crate) struct Record<'a> {
    pub(crate) expectations: &'a Expectations,
    pub(crate) realm: RealmId,
    pub(crate) ledger: Ledger,
    pub(crate) leaves: Vec<Checked>,
    pub(crate) heads: heads::Heads,
    pub(crate) schemas: SchemaMatch,
    pub(crate) attachments: Vec<(Digest, Attachment<'a>)>,
}

/// Whether the export's schemas are those of this program.
pub(crate) enum SchemaMatch {
    /// They are.
    Same,
    /// Those of these kinds are not.
    Different(Vec<String>),
}

/// Checks a whole export. What is refused has an error with a code; what an auditor should know stands in the report.
pub fn audit(file: &[u8], expectations: &Expectations) -> Result<Report, AuditError> {
    let (record, _) = record(file, expectations)?;
    Ok(Report::of(&record))
}

/// The record of an export, checked whole, and the tree of its leaves.
pub(crate) fn record<'a>(
    file: &'a [u8],
    expectations: &'a Expectations,
) -> Result<(Record<'a>, Nodes), AuditError> {
    let export = Export::parse(file)?;
    let head = heads::read(&export, Section::Checkpoint)?;
    let (parsed, nodes) = leaves(&export, head.claims().size(), expectations.threads)?;
    if nodes.root() != *head.claims().root() {
        return Err(AuditError::RootMismatch {
            size: head.claims().size(),
            signed: *head.claims().root(),
            computed: nodes.root(),
            checkpoint: head.note().text().to_owned(),
        });
    }
    let mut book = KeyBook::new();
    for entry in &parsed {
        book.learn(entry);
    }
    let (leaves, ledger) = fold(parsed, &book, expectations.threads)?;

    let realm = check_identity(&export, &ledger, expectations)?;
    let heads = heads::open(&export, head, &ledger, &leaves, &nodes)?;
    heads::check_known(&expectations.known, &heads.checkpoint, &ledger, &leaves, &nodes)?;
    proofs::check(export.required(Section::Proofs)?, &leaves, &nodes, &heads.checkpoint)?;
    let attachments = export::attachments(export.section(Section::Attachments).unwrap_or_default())?;
    traces(&ledger, &attachments)?;
    let record = Record {
        expectations,
        realm,
        schemas: compare_schemas(export.required(Section::Schemas)?)?,
        attachments,
        ledger,
        leaves,
        heads,
    };
    Ok((record, nodes))
}

/// Every leaf parsed, each with the hash that the export lists for it; and the tree of those hashes.
fn leaves(export: &Export<'_>, size: u64, threads: NonZeroUsize) -> Result<(Vec<Parsed>, Nodes), AuditError> {
    let entries = export::entries(export.required(Section::Entries)?)?;
    let hash_bytes = export.required(Section::Hashes)?;
    let hashes = export::hashes(hash_bytes)
        .filter(|hashes| hashes.len() == entries.len() && export::count(entries.len()) == size);
    let Some(hashes) = hashes else {
        let (entries, hash_bytes) = (export::count(entries.len()), export::count(hash_bytes.len()));
        return Err(AuditError::LeafCount { entries, hash_bytes, size });
    };
    let mut nodes = Nodes::default();
    for hash in &hashes {
        nodes.push(*hash);
    }
    let numbered = (0_u64..).zip(entries.into_iter().zip(hashes)).collect();
    let parsed = in_runs(numbered, threads, |run: Vec<(u64, (&[u8], Digest))>| {
        let parse = |(index, (entry, expected)): (u64, (&[u8], Digest))| {
            let found = leaf_hash(entry);
            if found == expected {
                Ok(Parsed::new(index, entry))
            } else {
                Err(AuditError::LeafAltered { index, expected, found })
            }
        };
        run.into_iter().map(parse).collect()
    })?;
    Ok((parsed, nodes))
}

/// The leaves with their signatures checked, and the fold of them. Leaves are folded in order while the signatures of
/// later ones are still being checked.
fn fold(
    parsed: Vec<Parsed>,
    book: &KeyBook,
    threads: NonZeroUsize,
) -> Result<(Vec<Checked>, Ledger), AuditError> {
    let bench = Bench::new();
    let mut leaves: Vec<Checked> = Vec::with_capacity(parsed.len());
    let mut ledger = Ledger::new();
    let mut is_final = true;
    let check = |batch: Vec<Parsed>| batch.into_iter().map(|entry| Checked::new(entry, book)).collect();
    in_order(parsed, threads, check, |batch: Vec<Checked>| {
        for leaf in &batch {
            let applied = ledger.apply(leaf, &bench).map_err(AuditError::Stopped)?;
            is_final &= applied != Applied::Refold;
        }
        leaves.extend(batch);
        Ok(())
    })?;
    if !is_final {
        // A revocation reaches back: what it takes back, and what rests on that, is decided again.
        ledger = replay(&leaves, &bench).map_err(AuditError::Stopped)?;
    }
    Ok((leaves, ledger))
}

/// Whether the log is the one asked for.
fn check_identity(
    export: &Export<'_>,
    ledger: &Ledger,
    expectations: &Expectations,
) -> Result<RealmId, AuditError> {
    let Some(found) = ledger.world().roots().first().copied() else { return Err(AuditError::NoTrustRoot) };
    if let Some(expected) = expectations.root
        && expected != found
    {
        return Err(AuditError::OtherTrustRoot { expected, found });
    }
    if let (Some(expected), Some(root)) = (&expectations.log_key, ledger.world().root())
        && *expected != root.body.log.key
    {
        let (expected, found) = (expected.clone(), root.body.log.key.clone());
        return Err(AuditError::OtherLogKey { expected, found });
    }
    match ledger.realm() {
        Some(realm) if realm != export.realm() => {
            Err(AuditError::OtherRealm { header: export.realm().clone(), log: realm.clone() })
        }
        Some(realm) => Ok(realm.clone()),
        None => Err(AuditError::NoTrustRoot),
    }
}

/// The steps that findings sign, where the export carries them.
fn traces(ledger: &Ledger, attachments: &[(Digest, Attachment<'_>)]) -> Result<(), AuditError> {
    let findings = ledger.dossiers().flat_map(|dossier| dossier.findings.values());
    for finding in findings {
        let Some(signed) = &finding.body.trace else { continue };
        // They rise by digest: the parser saw to that.
        let carried = attachments.binary_search_by(|(digest, _)| digest.cmp(&signed.attachment));
        let Some((_, attachment)) = carried.ok().and_then(|at| attachments.get(at)) else { continue };
        Trace::parse(attachment.content)
            .and_then(|trace| trace.agrees(&finding.body))
            .map_err(|source| AuditError::Trace { finding: finding.id, source: Box::new(source) })?;
    }
    Ok(())
}

fn compare_schemas(bytes: &[u8]) -> Result<SchemaMatch, AuditError> {
    let theirs: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(AuditError::SchemasForm)?;
    let ours = export::schemas();
    let known = ours.as_object().into_iter().flatten();
    let mut different: Vec<String> = known
        .filter(|(kind, schema)| theirs.get(*kind) != Some(schema))
        .map(|(kind, _)| kind.clone())
        .collect();
    different.extend(theirs.keys().filter(|kind| ours.get(*kind).is_none()).cloned());
    Ok(if different.is_empty() { SchemaMatch::Same } else { SchemaMatch::Different(different) })
}
