//! Examinations under findings, judged again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use calibration::{Evidence, Figure, Level, Looked, Number, Ran, Stratum, Table};
use statement::Digest;
use statement::kind::{Finding, Outcome};

use super::*;
use crate::report::Again;

/// A hundred and sixty benign changes, whose scores lie between nothing and one.
fn table() -> Vec<u8> {
    let benign =
        |at: u32| BTreeMap::from([("screen.delta".to_owned(), (f64::from(at * 37 % 100) / 100.0, 0.01))]);
    let (fitted, held): (Vec<_>, Vec<_>) = ((0..100).map(benign).collect(), (100..160).map(benign).collect());
    let strata = BTreeMap::from([("adapter".to_owned(), Stratum::new(&fitted, &held).unwrap())]);
    let (set, made) = ("00".to_owned(), "by this test".to_owned());
    serde_json::to_vec(&Table { form: calibration::FORM.to_owned(), set, made, strata }).unwrap()
}

/// What a screen saw that scored this.
fn evidence(finding: &Finding, score: f64) -> Evidence {
    let ran = |examiner: &str| Ran { examiner: examiner.to_owned(), missed: None };
    Evidence {
        form: calibration::EVIDENCE_FORM.to_owned(),
        proposal: finding.proposal,
        level: Level::Screen,
        alpha: Number(0.05),
        calibration: Some(Digest::of(&table())),
        depth: Digest::of(b"depth"),
        looked: Looked {
            kind: "adapter".to_owned(),
            unable: None,
            examiners: vec![ran("files"), ran("fit"), ran("delta")],
            refusals: Vec::new(),
            undecided: Vec::new(),
            gaps: Vec::new(),
            scores: vec![Figure { detector: "screen.delta".to_owned(), value: Number(score) }],
            compared: false,
        },
        coverage: Vec::new(),
    }
}

/// What of it the export carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    Evidence,
    CalibrationAlone,
}

/// A report on a realm with a screen's finding that says `outcome`, with this evidence and calibration carried.
fn report(outcome: Outcome, carried: impl Fn(&Finding) -> Vec<Vec<u8>>, tables: &[Vec<u8>]) -> Report {
    report_with(outcome, carried, tables, Carried::Evidence)
}

fn report_with(
    outcome: Outcome,
    carried: impl Fn(&Finding) -> Vec<Vec<u8>>,
    tables: &[Vec<u8>],
    which: Carried,
) -> Report {
    let mut realm = Realm::new();
    let change = realm.propose(Plan::tuning("first"));
    let mut finding = realm.finding(&change, EvidenceKind::Screen);
    finding.outcome = outcome;
    finding.inputs.insert(Digest::of(&self::table()));
    let carried = carried(&finding);
    finding.attachments = carried.iter().map(|bytes| Digest::of(bytes)).collect::<BTreeSet<_>>();
    let carried = carried.into_iter().filter(|_| which == Carried::Evidence);
    for bytes in carried.chain(tables.iter().cloned()) {
        realm.attach(bytes);
    }
    realm.establish(&Tracking::Change(change), finding, &[Who::Ben]);
    audit(&realm.export(), &realm.expectations()).unwrap()
}

fn one(score: f64) -> impl Fn(&Finding) -> Vec<Vec<u8>> {
    move |finding| vec![evidence(finding, score).to_bytes().unwrap()]
}

#[track_caller]
fn again(report: &Report) -> (Again, Option<&str>) {
    let judged = report.changes[0].findings[0].examination.as_ref().unwrap();
    (judged.again, judged.text.as_deref())
}

#[test]
fn what_follows_from_its_evidence_is_clean() {
    for (outcome, score) in [(Outcome::Pass, 0.5), (Outcome::Fail, 7.0)] {
        let report = report(outcome, one(score), &[table()]);
        remarks(&report, &[], &[]);
        assert_eq!(again(&report), (Again::Follows, None), "{outcome:?}");
    }
}

#[test]
fn what_does_not_follow_from_its_evidence_is_an_error() {
    for (outcome, score, text) in [
        (Outcome::Pass, 7.0, "from its evidence follows `fail`"),
        (Outcome::Fail, 0.5, "from its evidence follows `pass`"),
        (Outcome::Inconclusive, 0.5, "from its evidence follows `pass`"),
    ] {
        let report = report(outcome, one(score), &[table()]);
        assert_eq!(again(&report), (Again::Contradicts, Some(text)), "{outcome:?}");
        remarks(&report, &[RemarkCode::ExaminationFalse], &[]);
        assert!(!report.is_clean(), "{outcome:?}");
    }
}

#[test]
fn evidence_of_something_else_is_an_error() {
    let other = |alter: fn(&mut Evidence)| {
        move |finding: &Finding| {
            let mut evidence = evidence(finding, 0.5);
            alter(&mut evidence);
            vec![evidence.to_bytes().unwrap()]
        }
    };
    let twice = |finding: &Finding| vec![one(0.5)(finding).remove(0), one(0.6)(finding).remove(0)];
    for report in [
        report(
            Outcome::Pass,
            other(|one| one.proposal = StatementId::from_digest(Digest::of(b"x"))),
            &[table()],
        ),
        report(Outcome::Pass, other(|one| one.level = Level::Align), &[table()]),
        report(Outcome::Pass, other(|one| one.calibration = Some(Digest::of(b"x"))), &[table()]),
        report(Outcome::Pass, other(|one| one.alpha = Number(2.0)), &[table()]),
        report(Outcome::Pass, twice, &[table()]),
    ] {
        assert_eq!(again(&report).0, Again::Contradicts);
        remarks(&report, &[RemarkCode::ExaminationFalse], &[]);
    }
}

#[test]
fn what_cannot_be_judged_again_is_said_to_be_absent() {
    let without_table = report(Outcome::Pass, one(0.5), &[]);
    assert_eq!(again(&without_table), (Again::Absent, Some("the calibration is not carried")));
    let without_evidence = report_with(Outcome::Pass, one(0.5), &[table()], Carried::CalibrationAlone);
    assert_eq!(again(&without_evidence).0, Again::Absent);
    remarks(&without_evidence, &[], &[RemarkCode::NotCarried]);
    assert!(without_evidence.warnings[0].text.contains("1 examinations' evidence"), "{without_evidence:#?}");
}
