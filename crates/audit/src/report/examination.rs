//! Examinations under findings: judged again from the evidence that the export carries.
//!
//! What examiners saw is their word, as every finding is. What follows from it is not: by the evidence and the calibration
//! that it names, the outcome is computed here once more, by the same function, and must be the one that was signed.

use std::collections::BTreeMap;

use calibration::{Evidence, Level, Outcome as Judged};
use dossier::Recorded;
use schemars::JsonSchema;
use serde::Serialize;
use statement::kind::{EvidenceKind, Finding, Outcome};
use statement::{Digest, Name};

use crate::export::Attachment;

/// What judging an examination again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Again {
    /// The outcome that was signed follows from the evidence.
    Follows,
    /// It does not, or the evidence is about something else.
    Contradicts,
    /// The export carries no evidence, or not the calibration that it names.
    Absent,
}

/// An examination under a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExaminationReport {
    /// Whether what was signed follows.
    pub again: Again,
    /// The attachment with the evidence, where it is carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// SHA-256 of the calibration that it was judged by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Digest>,
    /// The level of significance, in millionths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha_ppm: Option<u64>,
    /// Of how many calibrated changes, this one included, score at least as high how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<[u64; 2]>,
    /// Classes of attack that were looked for.
    pub looked_for: Vec<String>,
    /// Classes of attack that nobody looked for.
    pub not_looked_for: Vec<String>,
    /// Why it does not follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The contents that the export carries, by which examinations are judged.
pub(super) struct Examinations<'a> {
    evidence: BTreeMap<Digest, &'a [u8]>,
    /// By the SHA-256 of the content itself, as evidence names them; attachments' own names are salted.
    contents: BTreeMap<Digest, &'a [u8]>,
}

impl<'a> Examinations<'a> {
    pub(super) fn new(attachments: &'a [(Digest, Attachment<'a>)]) -> Self {
        let carried = || attachments.iter().map(|(digest, attachment)| (*digest, attachment.content));
        let evidence: BTreeMap<_, _> = carried().filter(|(_, content)| Evidence::is_meant(content)).collect();
        let named = evidence.values().filter_map(|content| Evidence::read(content).ok()?.calibration);
        let named: std::collections::BTreeSet<Digest> = named.collect();
        let contents = carried().map(|(_, content)| (Digest::of(content), content));
        Self { contents: contents.filter(|(digest, _)| named.contains(digest)).collect(), evidence }
    }

    /// The examination of a finding; none where it is not a worker's, or of another kind.
    pub(super) fn of(&self, finding: &Recorded<Finding>) -> Option<ExaminationReport> {
        let body = &finding.body;
        let level = body.worker.and(level(body.evidence))?;
        let mut report = ExaminationReport {
            again: Again::Absent,
            evidence: None,
            calibration: None,
            alpha_ppm: None,
            p_value: None,
            looked_for: Vec::new(),
            not_looked_for: Vec::new(),
            text: None,
        };
        let carried = body.attachments.iter();
        let carried = carried.filter_map(|digest| Some((*digest, *self.evidence.get(digest)?)));
        for (digest, content) in carried {
            if report.evidence.replace(digest).is_some() {
                report.again = Again::Contradicts;
                report.text = Some("it has two examinations' evidence".to_owned());
                break;
            }
            self.judge(&mut report, content, body, level);
        }
        Some(report)
    }

    fn judge(&self, report: &mut ExaminationReport, content: &[u8], body: &Finding, level: Level) {
        report.again = Again::Contradicts;
        let evidence = match Evidence::read(content) {
            Ok(evidence) => evidence,
            Err(error) => {
                report.text = Some(format!("{} {error}", error.code()));
                return;
            }
        };
        report.calibration = evidence.calibration;
        report.alpha_ppm = ppm(evidence.alpha.0);
        let mut classes: BTreeMap<&str, bool> = BTreeMap::new();
        for cell in &evidence.coverage {
            *classes.entry(&cell.class).or_default() |= !cell.by.is_empty();
        }
        for (class, looked) in classes {
            let list = if looked { &mut report.looked_for } else { &mut report.not_looked_for };
            list.push(class.to_owned());
        }
        let about = [
            (evidence.proposal == body.proposal, "its evidence is about another proposal"),
            (evidence.level == level, "its evidence is of another level"),
            (
                evidence.calibration.is_none_or(|digest| body.inputs.contains(&digest)),
                "it does not name the calibration of its evidence",
            ),
        ];
        if let Some((_, why)) = about.into_iter().find(|(holds, _)| !holds) {
            report.text = Some(why.to_owned());
            return;
        }
        let calibration = evidence.calibration.and_then(|digest| self.contents.get(&digest).copied());
        if evidence.calibration.is_some() && calibration.is_none() {
            report.again = Again::Absent;
            report.text = Some("the calibration is not carried".to_owned());
            return;
        }
        match evidence.judge(calibration) {
            Ok(judgement) => {
                report.p_value = judgement.p_value.map(|share| [share.at_least, share.of]);
                let follows = match judgement.outcome {
                    Judged::Pass => Outcome::Pass,
                    Judged::Fail => Outcome::Fail,
                    Judged::Inconclusive => Outcome::Inconclusive,
                };
                if follows == body.outcome {
                    report.again = Again::Follows;
                } else {
                    let outcome = judgement.outcome.name();
                    report.text = Some(format!("from its evidence follows `{outcome}`"));
                }
            }
            Err(error) => report.text = Some(format!("{} {error}", error.code())),
        }
    }
}

/// Whether a finding is a worker's examination, so that its evidence belongs into an export.
pub(super) fn is_by_worker(finding: &Finding) -> bool {
    finding.worker.is_some() && level(finding.evidence).is_some()
}

/// The level that a kind of evidence is of.
const fn level(kind: EvidenceKind) -> Option<Level> {
    match kind {
        EvidenceKind::Screen => Some(Level::Screen),
        EvidenceKind::Probe => Some(Level::Probe),
        EvidenceKind::Alignment => Some(Level::Align),
        _ => None,
    }
}

/// A share of a million; none where it is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million")]
fn ppm(share: f64) -> Option<u64> {
    (0.0..=1.0).contains(&share).then(|| (share * 1e6).round() as u64)
}

/// What stands in the remark about it.
pub(super) fn about(examiner: &Name, report: &ExaminationReport) -> String {
    format!("{examiner}: {}", report.text.as_deref().unwrap_or_default())
}
