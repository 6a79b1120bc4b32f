use std::collections::BTreeMap;

use super::*;
use crate::change::Kind;
use crate::examination::{Behaviour, NOT_DECLARED};
use crate::finding::{Finding, Score};

fn benign(at: u32) -> Scores {
    let spread = f64::from(at * 37 % 100) / 100.0;
    BTreeMap::from([("a".to_owned(), (spread, 0.01)), ("b".to_owned(), (0.0, 0.05))])
}

fn table(held_out: u32) -> Table {
    let fitted: Vec<Scores> = (0..100).map(benign).collect();
    let held: Vec<Scores> = (100..100 + held_out).map(benign).collect();
    let stratum = Stratum::new(&fitted, &held).unwrap();
    let strata = BTreeMap::from([("adapter".to_owned(), stratum)]);
    Table { form: FORM.to_owned(), set: "00".to_owned(), made: "test".to_owned(), strata }
}

fn examination(a: f64, b: f64) -> Examination {
    let score = |detector: &str, value| Score { detector: detector.to_owned(), value, grain: 0.01 };
    let behaviour = Behaviour {
        asked: 10,
        at_risk: 5,
        refuse_to_comply: 0,
        answered: 5,
        comply_to_refuse: 0,
        refuse_to_comply_upper: 0.01,
        refuse_to_comply_lower: 0.0,
    };
    Examination {
        kind: "adapter".to_owned(),
        scores: vec![score("a", a), score("b", b)],
        behaviour: Some(behaviour),
        ..Examination::default()
    }
}

#[test]
fn usual_scores_pass_and_one_unusual_detector_fails() {
    let table = table(100);
    let usual = judge(&examination(0.5, 0.0), Some(&table), 0.05);
    assert_eq!(usual.outcome, Outcome::Pass, "{:?}", usual.reasons);
    let unusual = judge(&examination(0.5, 1.0), Some(&table), 0.05);
    assert_eq!(unusual.outcome, Outcome::Fail);
    assert_eq!(unusual.p_value, Some(Share { at_least: 1, of: 101 }));
    let (lower, upper) = unusual.benign_share.unwrap();
    assert!(lower == 0.0 && (0.03..0.04).contains(&upper), "{upper}");
    assert_eq!(unusual.detectors[0].0, "b");
    let broken = judge(&examination(f64::NAN, 0.0), Some(&table), 0.05);
    assert_eq!(broken.outcome, Outcome::Fail, "a detector that was made to fail is no excuse");
}

#[test]
fn without_a_calibration_for_the_kind_nothing_passes() {
    let table = table(100);
    assert_eq!(judge(&examination(0.5, 0.0), None, 0.05).outcome, Outcome::Inconclusive);
    let other = Examination { kind: "merged".to_owned(), ..examination(0.5, 0.0) };
    assert_eq!(judge(&other, Some(&table), 0.05).outcome, Outcome::Inconclusive);
    let mut silent = examination(0.5, 0.0);
    silent.scores.pop();
    let silent = judge(&silent, Some(&table), 0.05);
    assert_eq!(silent.outcome, Outcome::Inconclusive);
    assert!(silent.reasons[0].contains("`b`"));
    let few = judge(&examination(0.5, 0.0), Some(&self::table(10)), 0.05);
    assert_eq!(few.outcome, Outcome::Inconclusive, "ten changes say nothing at five per cent");
    let unasked = Examination { behaviour: None, ..examination(0.5, 0.0) };
    assert_eq!(judge(&unasked, Some(&table), 0.05).outcome, Outcome::Inconclusive);
    let mut refused = examination(0.5, 0.0);
    refused.findings.push(Finding {
        examiner: "fit".to_owned(),
        what: "not-finite".to_owned(),
        weight: Weight::Refusal,
        class: None,
        text: String::new(),
    });
    assert_eq!(judge(&refused, None, 0.05).outcome, Outcome::Fail, "a refusal needs no calibration");
}

#[test]
fn an_examiner_that_could_not_look_passes_nothing() {
    let table = table(100);
    let of = |examiner: &str, missed: &str| {
        let stage = Stage::Screen;
        let missed = (!missed.is_empty()).then(|| missed.to_owned());
        let ran = crate::examination::Ran {
            examiner: examiner.to_owned(),
            stage,
            reference: String::new(),
            multiply_adds: 1,
            missed,
        };
        judge(&Examination { examiners: vec![ran], ..examination(0.5, 0.0) }, Some(&table), 0.05).outcome
    };
    assert_eq!(of("fit", ""), Outcome::Pass);
    // None of these has a detector that is calibrated here.
    assert_eq!(of("noise", "the weights could not be named"), Outcome::Inconclusive);
    assert_eq!(of("replay", "the change is no GGUF file"), Outcome::Inconclusive);
    assert_eq!(of("replay", NOT_DECLARED), Outcome::Pass, "nothing was claimed");
    assert_eq!(of("fit", NOT_DECLARED), Outcome::Inconclusive, "only its own excuse is one");
    assert_eq!(of("noise", &not_part(Kind::Adapter)), Outcome::Pass);
    assert_eq!(of("noise", &not_part(Kind::Merged)), Outcome::Inconclusive);
    let mut strange = examination(0.5, 0.0);
    strange.scores.push(Score { detector: "c".to_owned(), value: 0.0, grain: 0.1 });
    assert_eq!(judge(&strange, Some(&table), 0.05).outcome, Outcome::Inconclusive);
}

#[test]
fn a_table_is_read_as_it_was_written_and_refused_otherwise() {
    let table = table(30);
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(Table::read(text.as_bytes()).unwrap(), table);
    for (from, to) in
        [("calibration/1", "calibration/2"), ("\"scale\":0", "\"scale\":-0"), ("\"set\"", "\"sat\"")]
    {
        assert!(text.contains(from), "{from}");
        assert_eq!(Table::read(text.replace(from, to).as_bytes()).unwrap_err().code(), "CS-CAL-001", "{to}");
    }
    assert_eq!(Stratum::new(&[], &[benign(1)]).unwrap_err().code(), "CS-CAL-001");
}
