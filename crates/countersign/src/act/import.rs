//! Results of other tools as a finding, labelled as imported.
//!
//! No listed worker has run them, and no box was around them: by the gates' own rules such a finding stops a change where it
//! fails, and never counts as passing evidence, whatever it says.

use std::collections::BTreeMap;

use examine::import::{Format, Imported, Limit};
use examine::verdict;
use serde_json::json;
use statement::kind::{EvidenceKind, Finding, Isolation, Outcome};
use statement::{ChangeId, Digest, StatementId, Tracking};

use super::examine::{Said, reported};
use crate::failure::{Done, Failure};
use crate::realm::Realm;

/// What is imported, and who answers for it.
pub(crate) struct ImportRequest<'a> {
    pub(crate) change: &'a ChangeId,
    pub(crate) by: &'a str,
    /// The file's own digest.
    pub(crate) file: Digest,
    pub(crate) imported: &'a Imported,
    pub(crate) limits: &'a [Limit],
}

/// Figures that are kept in the record: those with limits are kept in any case.
const FIGURES_KEPT: usize = 1_000;

/// Signs what the figures come to; they and the limits go into the vault as a salted attachment.
pub(crate) fn import(realm: &mut Realm, request: &ImportRequest<'_>) -> Done<StatementId> {
    let key = realm.keys.open(request.by)?;
    let dossier =
        realm.ledger().dossier(request.change).ok_or_else(|| Failure::missing("change", request.change))?;
    let (imported, held) = (request.imported, request.imported.held(request.limits));
    let named = |name: &str| request.limits.iter().any(|limit| limit.name == name);
    let kept: Vec<_> = imported
        .figures
        .iter()
        .enumerate()
        .filter(|(at, figure)| *at < FIGURES_KEPT || named(&figure.name))
        .map(|(_, figure)| figure)
        .collect();
    let report = json!({
        "form": "countersign-import/1",
        "label": "imported: not run in the box",
        "file_sha256": request.file,
        "tool": imported.tool, "version": imported.version, "about": imported.about,
        "figures": kept, "figures_left_out": imported.figures.len() - kept.len(),
        "limits": request.limits, "outcome": held.outcome, "reasons": held.reasons,
    });
    let report = realm.attach(&format!("{report:#}\n"))?;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX).min(statement::json::INTEGER_MAX);
    let measures = BTreeMap::from([
        ("imported-figures".parse()?, count(imported.figures.len())),
        ("imported-limits".parse()?, count(request.limits.len())),
    ]);
    let said = Said {
        examiner: format!("imported-{}/1", imported.tool.name()).parse()?,
        evidence: match imported.tool {
            Format::LmEval => EvidenceKind::Regression,
            Format::Garak => EvidenceKind::RedTeam,
            Format::Inspect => EvidenceKind::Alignment,
        },
        isolation: Isolation::Process,
        outcome: match held.outcome {
            verdict::Outcome::Pass => Outcome::Pass,
            verdict::Outcome::Fail => Outcome::Fail,
            verdict::Outcome::Inconclusive => Outcome::Inconclusive,
        },
    };
    let finding = Finding { measures, ..reported(dossier, report, said) };
    realm.say(&key, Tracking::Change(request.change.clone()), finding)
}
