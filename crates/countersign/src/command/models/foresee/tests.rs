//! What a worker that was taken over may say of a scope.

use tensor::scope::{Rule, Verdict, Violation};

use super::*;

fn report(within: Verdict, rule: Rule, place: &str, count: usize) -> ScopeReport {
    let violation = Violation { rule, place: place.to_owned(), measured: 2, limit: 1 };
    ScopeReport { within, measures: std::collections::BTreeMap::new(), violations: vec![violation; count] }
}

#[test]
fn a_report_is_believed_that_could_be_one_and_no_other() {
    let rule = Rule::KindNotInScope;
    let worst = rule.verdict();
    assert!(checked(report(worst, rule, "adapter", 1)).is_ok());
    for lie in [
        report(Verdict::Within, rule, "adapter", 1),
        report(worst, rule, "\u{1b}[31m", 1),
        report(worst, rule, &"x".repeat(PLACE_MAX + 1), 1),
        report(worst, rule, "adapter", VIOLATIONS_MAX + 1),
    ] {
        assert_eq!(checked(lie).unwrap_err().code, "CS-BOX-009");
    }
}

/// Both ways: as [`foresee`] asks for it, in this process.
#[test]
fn what_is_not_what_it_should_be_is_left_to_the_examiner() {
    let scope =
        br#"{"modules":["**"],"rank_max":4,"relative_frobenius_ppm_max":1,"max_element_relative_ppm_max":1,
        "prompt":{"sections":["Style"],"length_max_bytes":4096}}"#;
    let prompt = |old: &[u8], new: &[u8]| {
        foresee(Isolation::None, scope, Foreseen::Prompt { old, new }).unwrap().map(|report| report.within)
    };
    assert_eq!(prompt(b"A.\n\n## Style\nx\n", b"A.\n\n## Style\ny\n"), Some(Verdict::Within));
    assert_eq!(prompt(b"A.\n\n## Style\nx\n", b"B.\n\n## Style\nx\n"), Some(Verdict::Outside));
    assert_eq!(prompt(b"A.\n", b"\xff"), None);
}
