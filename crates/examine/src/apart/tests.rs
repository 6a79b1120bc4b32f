//! What a taken-over worker may say of an examination is held against what follows from the question.

use super::*;
use crate::examination::{Behaviour, Place, SliceDelta};
use crate::finding::{Finding, Gap, Score};

const KIND: Kind = Kind::Quantised;

fn table() -> Table {
    Table::built_in().unwrap()
}

/// Each examiner's part, with nothing found; one examiner could not look.
fn whole() -> Examination {
    let table = table();
    let mut apart = Apart::new(KIND, &table);
    while let Some(name) = apart.next_examiner() {
        apart.take(part(name)).unwrap();
    }
    apart.finish()
}

fn part(name: &str) -> Examination {
    let examiner = EXAMINERS.iter().find(|examiner| examiner.name == name).unwrap();
    let missed = matches!(name, "suite" | "drift").then(|| "no suite was given".to_owned());
    let gap = |why: &String| Gap { examiner: name.to_owned(), why: why.clone() };
    let mut part = Examination {
        gaps: missed.iter().map(gap).collect(),
        examiners: vec![Ran::of(examiner, 7, missed)],
        ..Examination::default()
    };
    part.settle(KIND);
    part
}

fn refusal(examiner: &str) -> Finding {
    let (what, text) = ("made-up".to_owned(), "made up".to_owned());
    Finding { examiner: examiner.to_owned(), what, weight: Weight::Refusal, class: None, text }
}

/// The part of `drift` with these counts, as an examiner would tell it.
fn drifted(lost: u64, at_risk: u64) -> Examination {
    let examiner = EXAMINERS.iter().find(|examiner| examiner.name == "drift").unwrap();
    let bounds = bounded(lost, at_risk).unwrap();
    let (what, weight) = match bounds.against(table().drift_max) {
        Decision::Pass => ("drift-within", Weight::Note),
        Decision::Fail => ("refusals-lost", Weight::Refusal),
        Decision::Inconclusive => ("drift-undecided", Weight::Suspicion),
    };
    let mut found = refusal("drift");
    (found.what, found.weight) = (what.to_owned(), weight);
    let mut part = Examination {
        examiners: vec![Ran::of(examiner, 7, None)],
        findings: vec![found],
        scores: vec![scored("align.flips", lost as f64 / at_risk as f64)],
        behaviour: Some(Behaviour {
            asked: at_risk,
            at_risk,
            refuse_to_comply: lost,
            answered: 0,
            comply_to_refuse: 0,
            refuse_to_comply_upper: bounds.upper,
            refuse_to_comply_lower: bounds.lower,
        }),
        ..Examination::default()
    };
    part.settle(KIND);
    part
}

fn scored(detector: &str, value: f64) -> Score {
    Score { detector: detector.to_owned(), value, grain: 0.01 }
}

/// The whole with the part of `drift` put in its place.
fn with_drift(drift: Examination) -> Result<Examination, String> {
    let table = table();
    let mut apart = Apart::new(KIND, &table);
    let mut drift = Some(drift);
    while let Some(name) = apart.next_examiner() {
        let part = if name == "drift" { drift.take().unwrap() } else { part(name) };
        apart.take(part)?;
    }
    let whole = apart.finish();
    whole.check(KIND, &table)?;
    Ok(whole)
}

#[test]
fn what_is_said_of_drift_follows_from_its_counts() {
    for (lost, at_risk) in [(0, 59), (1, 59), (50, 100), (100, 100)] {
        with_drift(drifted(lost, at_risk)).unwrap();
    }
    let lies: &[Lie] = &[
        ("refusals are lost, and that is not found", |told| told.findings.clear()),
        ("refusals are lost, and that is worth knowing", |told| told.findings[0].weight = Weight::Note),
        ("refusals are lost, and the drift is within", |told| {
            told.findings[0].what = "drift-within".to_owned();
            told.findings[0].weight = Weight::Note;
        }),
        ("a bound that does not follow", |told| {
            told.behaviour.as_mut().unwrap().refuse_to_comply_upper = 0.01;
        }),
        ("a score that does not follow", |told| told.scores[0].value = 0.0),
        ("no score", |told| told.scores.clear()),
        ("no counts", |told| told.behaviour = None),
        ("nobody was at risk", |told| {
            let behaviour = told.behaviour.as_mut().unwrap();
            (behaviour.at_risk, behaviour.refuse_to_comply) = (0, 0);
        }),
    ];
    for (name, lie) in lies {
        let mut told = drifted(50, 100);
        lie(&mut told);
        assert!(with_drift(told).is_err(), "{name}");
        let mut whole = with_drift(drifted(50, 100)).unwrap();
        let mut part = drifted(50, 100);
        lie(&mut part);
        (whole.behaviour, whole.scores, whole.findings) = (part.behaviour, part.scores, part.findings);
        assert!(whole.check(KIND, &table()).is_err(), "{name}, in one run");
    }
}

#[test]
fn nobody_speaks_for_another() {
    let others: &[Lie] = &[
        ("another's score", |told| told.scores.push(scored("probe.trigger", 0.0))),
        ("a score that is nobody's", |told| told.scores.push(scored("made.up", 0.0))),
        ("another's counts", |told| told.behaviour = drifted(0, 59).behaviour),
        ("another's slices", |told| {
            let slice = SliceDelta {
                slice: "harm".to_owned(),
                cases: 1,
                base_right: 1,
                candidate_right: 1,
                base_refuses: 0,
                candidate_refuses: 0,
            };
            told.slices.push(slice);
        }),
        ("another's map", |told| {
            told.heat.push(Place { family: "*".to_owned(), layer: None, relative: 0.0 });
        }),
        ("an order that was not given", |told| {
            told.examiners[0].missed = Some(REFUSED_ALREADY.to_owned());
            told.gaps.push(Gap { examiner: "files".to_owned(), why: REFUSED_ALREADY.to_owned() });
            told.coverage = told.covered();
        }),
    ];
    for (name, lie) in others {
        let table = table();
        let mut apart = Apart::new(KIND, &table);
        assert_eq!(apart.next_examiner(), Some("files"));
        let mut part = part("files");
        lie(&mut part);
        assert!(apart.take(part).is_err(), "{name}");
    }
    let table = table();
    let mut apart = Apart::new(KIND, &table);
    let measured = |name: &str| {
        let mut part = part(name);
        part.measures.insert("scan_errors".to_owned(), 0.0);
        part
    };
    assert_eq!(apart.next_examiner(), Some("files"));
    apart.take(measured("files")).unwrap();
    let next = apart.next_examiner().unwrap();
    assert!(apart.take(measured(next)).is_err(), "another's measure is written over");
}

#[test]
fn a_score_stands_once() {
    let mut told = with_drift(drifted(0, 59)).unwrap();
    told.scores.push(told.scores[0].clone());
    assert!(told.check(KIND, &table()).is_err());
}

#[test]
fn the_parts_make_what_one_run_makes() {
    whole().check(KIND, &table()).unwrap();
    assert!(whole().check(Kind::Prompt, &table()).is_err(), "of another kind");
}

#[test]
fn nothing_is_examined_after_a_refusal_but_what_needs_no_model() {
    let table = table();
    let mut apart = Apart::new(KIND, &table);
    let mut worked = Vec::new();
    while let Some(name) = apart.next_examiner() {
        let mut part = part(name);
        if name == "files" {
            part.findings.push(refusal("files"));
        }
        apart.take(part).unwrap();
        worked.push(name);
    }
    assert!(worked.contains(&"fit") && !worked.contains(&"suite"), "{worked:?}");
    apart.finish().check(KIND, &table).unwrap();
}

/// What is wrong, and how it is made so.
type Lie = (&'static str, fn(&mut Examination));

#[test]
fn each_lie_is_seen() {
    let lies: &[Lie] = &[
        ("another form", |told| told.form.push('2')),
        ("an examiner left out", |told| drop(told.examiners.pop())),
        ("an examiner that is none", |told| told.examiners[0].examiner = "nobody".to_owned()),
        ("a stage that is another's", |told| told.examiners[0].stage = Stage::Align),
        ("a source that is another's", |told| told.examiners[0].reference.push('!')),
        ("an examiner that worked in spite of the table", |told| {
            let not_part = not_part(KIND);
            let ran = told.examiners.iter_mut().find(|ran| ran.missed.as_ref() == Some(&not_part)).unwrap();
            ran.missed = None;
            told.coverage = told.covered();
        }),
        ("an examiner that did not work, untold", |told| {
            told.examiners[0].missed = Some("no time".to_owned());
            told.coverage = told.covered();
        }),
        ("a refusal after which others worked", |told| told.findings.push(refusal("files"))),
        ("a finding by nobody", |told| told.findings.push(refusal("nobody"))),
        ("coverage of what nobody looked for", |told| {
            told.coverage.cells[0].looked = crate::coverage::Looked::For { by: vec!["files".to_owned()] };
            told.coverage.cells.pop();
        }),
        ("more lost than there was", |told| {
            told.behaviour = Some(Behaviour {
                asked: 2,
                at_risk: 1,
                refuse_to_comply: 2,
                answered: 1,
                comply_to_refuse: 0,
                refuse_to_comply_upper: 1.0,
                refuse_to_comply_lower: 0.0,
            });
        }),
        ("more right answers than cases", |told| {
            told.slices.push(SliceDelta {
                slice: "harm".to_owned(),
                cases: 1,
                base_right: 2,
                candidate_right: 0,
                base_refuses: 0,
                candidate_refuses: 0,
            });
        }),
        ("a text without end", |told| {
            let mut finding = refusal("files");
            finding.weight = Weight::Note;
            finding.text = "a".repeat(TEXT_BYTES_MAX + 1);
            told.findings.push(finding);
        }),
    ];
    for (name, lie) in lies {
        let mut told = whole();
        lie(&mut told);
        assert!(told.check(KIND, &table()).is_err(), "{name}");
    }
}

#[test]
fn a_part_is_that_of_the_one_who_was_asked() {
    let table = table();
    let mut apart = Apart::new(KIND, &table);
    assert_eq!(apart.next_examiner(), Some("files"));
    assert!(apart.take(part("fit")).is_err());
    assert!(apart.take(whole()).is_err());
    apart.take(part("files")).unwrap();
}
