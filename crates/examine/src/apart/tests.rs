//! What a taken-over worker may say of an examination is held against what follows from the question.

use super::*;
use crate::examination::{Behaviour, SliceDelta};
use crate::finding::{Finding, Gap, Weight};

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
    let missed = (name == "suite").then(|| "no suite was given".to_owned());
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
