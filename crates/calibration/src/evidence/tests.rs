use std::collections::BTreeMap;

use super::*;
use crate::looked::{Figure, Missed, Ran, Why};
use crate::{Outcome, Scores, Stratum};

fn benign(at: u32) -> Scores {
    let spread = f64::from(at * 37 % 100) / 100.0;
    BTreeMap::from([
        ("screen.delta".to_owned(), (spread, 0.01)),
        ("probe.trigger".to_owned(), (spread / 2.0, 0.05)),
    ])
}

fn calibration() -> Vec<u8> {
    let (fitted, held): (Vec<_>, Vec<_>) = ((0..100).map(benign).collect(), (100..160).map(benign).collect());
    let strata = BTreeMap::from([("adapter".to_owned(), Stratum::new(&fitted, &held).unwrap())]);
    let table = Table { form: crate::FORM.to_owned(), set: "00".to_owned(), made: "test".to_owned(), strata };
    serde_json::to_vec(&table).unwrap()
}

fn evidence(scores: &[(&str, f64)]) -> Evidence {
    let figure =
        |(detector, value): &(&str, f64)| Figure { detector: (*detector).to_owned(), value: Number(*value) };
    let ran = |examiner: &str| Ran { examiner: examiner.to_owned(), missed: None };
    Evidence {
        form: FORM.to_owned(),
        proposal: StatementId::from_digest(Digest::of(b"proposal")),
        level: Level::Screen,
        alpha: Number(0.05),
        calibration: Some(Digest::of(&calibration())),
        depth: Digest::of(b"depth"),
        looked: Looked {
            kind: "adapter".to_owned(),
            unable: None,
            examiners: vec![ran("files"), ran("fit"), ran("delta")],
            refusals: Vec::new(),
            undecided: Vec::new(),
            gaps: Vec::new(),
            scores: scores.iter().map(figure).collect(),
            compared: false,
        },
        coverage: Vec::new(),
    }
}

#[test]
fn what_is_read_is_what_was_written_and_judged_alike() {
    for value in [0.5, 0.1 + 0.2, 1e-300, f64::INFINITY, f64::NAN] {
        let made = evidence(&[("screen.delta", value)]);
        let bytes = made.to_bytes().unwrap();
        assert!(Evidence::is_meant(&bytes));
        let read = Evidence::read(&bytes).unwrap();
        assert_eq!(read.looked.scores[0].value.0.to_bits(), value.to_bits());
        let outcome = |evidence: &Evidence| evidence.judge(Some(&calibration())).unwrap().outcome;
        assert_eq!(outcome(&read), outcome(&made));
        let expected = if value < 1.0 { Outcome::Pass } else { Outcome::Fail };
        assert_eq!(outcome(&read), expected, "{value}");
    }
}

#[test]
fn another_calibration_or_none_judges_nothing() {
    let made = evidence(&[("screen.delta", 0.5)]);
    assert_eq!(made.judge(None).unwrap_err().code(), "CS-CAL-001");
    let mut other = calibration();
    other.push(b' ');
    assert_eq!(made.judge(Some(&other)).unwrap_err().code(), "CS-CAL-001");
    let without = Evidence { calibration: None, ..made };
    assert_eq!(without.judge(Some(&calibration())).unwrap().outcome, Outcome::Inconclusive);
}

#[test]
fn who_could_not_look_passes_nothing_whatever_is_calibrated() {
    let outcome = |change: &dyn Fn(&mut Looked)| {
        let mut made = evidence(&[("screen.delta", 0.5)]);
        change(&mut made.looked);
        made.judge(Some(&calibration())).unwrap().outcome
    };
    assert_eq!(outcome(&|_| ()), Outcome::Pass);
    let gap = |what: &str| Why { what: what.to_owned(), why: "for a reason".to_owned() };
    // `fit` has no detector.
    assert_eq!(outcome(&|looked| looked.examiners[1].missed = Some(Missed::Unable)), Outcome::Inconclusive);
    assert_eq!(outcome(&|looked| looked.examiners[1].missed = Some(Missed::NotGiven)), Outcome::Pass);
    assert_eq!(outcome(&|looked| looked.gaps.push(gap("files"))), Outcome::Inconclusive);
    assert_eq!(outcome(&|looked| looked.gaps.push(gap("delta"))), Outcome::Pass, "how far it went");
    assert_eq!(outcome(&|looked| looked.unable = Some("no base".to_owned())), Outcome::Inconclusive);
    assert_eq!(outcome(&|looked| looked.scores.clear()), Outcome::Inconclusive);
    let strange = Figure { detector: "screen.new".to_owned(), value: Number(0.0) };
    assert_eq!(outcome(&|looked| looked.scores.push(strange.clone())), Outcome::Inconclusive);
    assert_eq!(outcome(&|looked| looked.refusals.push(gap("not-finite"))), Outcome::Fail);
    assert_eq!(outcome(&|looked| looked.kind = "weights".to_owned()), Outcome::Inconclusive);
}

#[test]
fn a_level_asks_for_its_own_detectors_and_behaviour_alone() {
    let mut made = evidence(&[("screen.delta", 0.5)]);
    let outcome = |evidence: &Evidence| evidence.judge(Some(&calibration())).unwrap().outcome;
    assert_eq!(outcome(&made), Outcome::Pass);
    made.level = Level::Probe;
    assert_eq!(outcome(&made), Outcome::Inconclusive, "the trigger search is missing");
    made.looked.scores.push(Figure { detector: "probe.trigger".to_owned(), value: Number(0.1) });
    assert_eq!(outcome(&made), Outcome::Pass);
    made.level = Level::Align;
    assert_eq!(outcome(&made), Outcome::Inconclusive, "answers were not compared");
    made.looked.compared = true;
    assert_eq!(outcome(&made), Outcome::Pass);
}

#[test]
fn other_forms_are_refused() {
    let bytes = evidence(&[("screen.delta", 0.5)]).to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("examined/1", "examined/2"),
        ("\"0.5\"", "\"0.50\""),
        ("\"0.5\"", "0.5"),
        ("\"0.05\"", "\"0.0\""),
        ("\"0.05\"", "\"NaN\""),
        ("\"level\"", "\"lever\""),
        ("\"screen\"", "\"all\""),
    ] {
        assert!(text.contains(from), "{from}");
        let refused = Evidence::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(refused.code(), "CS-CAL-002", "{to}");
    }
    assert!(Evidence::read(&vec![b' '; BYTES_MAX + 1]).is_err());
}
