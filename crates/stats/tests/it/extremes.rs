//! Inputs at and beyond the edges: defined or refused, in bounded time.

use proptest::prelude::*;
use stats::cluster::{self, Sums};
use stats::conformal::Calibration;
use stats::detector::Detector;
use stats::eprocess::{
    Bernoulli, Categories, Comparison, Direction, Mean, Multinomial, Null, Paired, Pairs, Prior, Settings,
};
use stats::exact::{self, Alternative, Table};
use stats::forest::{Forest, Growth};
use stats::sketch::Histogram;
use stats::{COUNT_MAX, Error, drift, mmd, sequence};

#[test]
fn nothing_tried_shows_nothing() {
    assert_eq!(exact::upper_bound(0, 0, 0.05).unwrap().to_bits(), 1.0_f64.to_bits());
    assert_eq!(exact::lower_bound(0, 0, 0.05).unwrap().to_bits(), 0.0_f64.to_bits());
    for alternative in [Alternative::Less, Alternative::Greater, Alternative::TwoSided] {
        assert!(exact::binomial_test(0, 0, 0.5, alternative).unwrap() >= 1.0);
        assert!(exact::fisher(Table { first: [0, 0], second: [0, 0] }, alternative).unwrap() >= 1.0);
    }
    let all = sequence::rate(0, 0, 0.05).unwrap();
    assert!(all.lower <= 0.0 && all.upper >= 1.0);
    let all = sequence::mean(&[0, 0], 0.05).unwrap();
    assert!(all.lower <= 0.0 && all.upper >= 1.0);
    assert!(sequence::asymptotic(1, 0.0, 1.0, 0.05, 100).unwrap().radius().is_infinite());
    assert_eq!(Sums::default().estimate().unwrap_err().code(), "CS-STA-005");
}

#[test]
fn successes_without_failures_leave_the_upper_bound_open() {
    assert!(exact::upper_bound(7, 7, 0.05).unwrap() >= 1.0);
    assert!(exact::lower_bound(COUNT_MAX, COUNT_MAX, 0.05).unwrap() < 1.0);
}

#[test]
fn counts_of_ten_thousand_million_are_computed_with_and_more_are_refused() {
    let (s, n) = (COUNT_MAX / 200, COUNT_MAX);
    let bounds = exact::interval(s, n, 0.001).unwrap();
    assert!(bounds.lower < 0.005 && 0.005 < bounds.upper && bounds.radius() < 3e-6, "{bounds:?}");
    let within = exact::binomial_test(s, n, 0.005, Alternative::TwoSided).unwrap();
    assert!(within > 0.99, "{within}");
    let mut test = Bernoulli::new(0.005, Null::AtMost, Prior::UNIFORM).unwrap();
    let ln = test.update(s, n - s).unwrap().ln();
    assert!((-30.0..0.0).contains(&ln), "{ln}");
    let mut comparison = Comparison::new(settings(0.0)).unwrap();
    assert!(comparison.update(&[n - s, s], &[n - s, s]).unwrap().ln() < 0.0);
    assert_eq!(exact::upper_bound(0, COUNT_MAX + 1, 0.05).unwrap_err().code(), "CS-STA-002");
    assert_eq!(test.update(COUNT_MAX, 0).unwrap_err().code(), "CS-STA-002");
    assert_eq!(comparison.update(&[u64::MAX, 1], &[0, 0]).unwrap_err().code(), "CS-STA-002");
    let table = Table { first: [s, COUNT_MAX / 4], second: [s, COUNT_MAX / 4] };
    assert!(exact::fisher(table, Alternative::TwoSided).unwrap() > 0.99);
}

fn settings(delta: f64) -> Settings {
    Settings { delta, direction: Direction::ExceedsByAtMost, expected: 0.01, levels: 2 }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn what_is_no_number_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.0, -0.1] {
        refused(exact::upper_bound(1, 2, bad), "CS-STA-001");
        refused(exact::binomial_test(1, 2, bad, Alternative::Less), "CS-STA-001");
        refused(sequence::rate(1, 2, bad), "CS-STA-001");
        refused(Bernoulli::new(bad, Null::Equal, Prior::UNIFORM), "CS-STA-001");
        refused(Mean::new(bad, 2), "CS-STA-001");
        refused(Detector::new(bad, 2, 1e6), "CS-STA-001");
        refused(Multinomial::new(&[bad, 0.5], 100.0), "CS-STA-001");
        refused(cluster::difference(&Sums::default(), &Sums::default(), bad), "CS-STA-001");
    }
    for bad in [f64::NAN, f64::INFINITY, 2.0, -1.5] {
        refused(Comparison::new(settings(bad)), "CS-STA-008");
        refused(Paired::new(bad), "CS-STA-008");
        refused(Categories::new(bad, &[0.5, 0.5]), "CS-STA-008");
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(drift::wasserstein(&[1.0, bad], &[1.0]), "CS-STA-004");
        refused(mmd::test(&[vec![bad], vec![1.0]], &[vec![1.0], vec![2.0]], 9, 1), "CS-STA-004");
        refused(Calibration::new([("lora".to_owned(), vec![bad])]), "CS-STA-004");
        let growth = Growth { trees: 2, subsample: 4, seed: 1 };
        refused(Forest::grow(&[vec![1.0], vec![bad]], growth), "CS-STA-004");
        refused(sequence::asymptotic(9, bad, 1.0, 0.05, 100), "CS-STA-004");
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    refused(exact::upper_bound(3, 2, 0.05), "CS-STA-003");
    refused(Mean::new(0.5, 2).unwrap().update(&[1, 2, 3]), "CS-STA-007");
    refused(Multinomial::new(&[0.5, 0.6], 100.0), "CS-STA-008");
    refused(Categories::new(0.1, &[0.5, 0.5]).unwrap().update(&[1, 2], &[1]), "CS-STA-007");
    refused(drift::stability(&[1], &[1, 2]), "CS-STA-007");
    refused(drift::stability(&[0], &[1]), "CS-STA-005");
    refused(mmd::test(&[vec![1.0], vec![1.0, 2.0]], &[vec![1.0], vec![2.0]], 9, 1), "CS-STA-007");
    refused(mmd::test(&vec![vec![0.0]; 3_000], &vec![vec![0.0]; 3], 9, 1), "CS-STA-006");
    refused(Histogram::new(13), "CS-STA-008");
    refused(Histogram::from_counts(4, [(u32::MAX, 1)]), "CS-STA-002");
    refused(Calibration::default().p_value("merge", 1.0), "CS-STA-009");
    refused(Sums::default().add(0, 1), "CS-STA-005");
    refused(Sums::default().add(1, i64::MIN), "CS-STA-002");
}

proptest! {
    #[test]
    fn bounds_enclose_the_share_and_tighten_with_alpha(n in 1_u64..2_000_000, part in 0.0_f64..=1.0) {
        let s = ((n as f64 * part) as u64).min(n);
        let share = s as f64 / n as f64;
        let tight = exact::interval(s, n, 0.1).unwrap();
        let wide = exact::interval(s, n, 0.001).unwrap();
        prop_assert!(wide.lower <= tight.lower && tight.lower <= share);
        prop_assert!(share <= tight.upper && tight.upper <= wide.upper);
    }

    #[test]
    fn tails_of_a_binomial_overlap_in_what_was_seen(n in 1_u64..5_000, part in 0.0_f64..=1.0, p in 0.001_f64..0.999) {
        let s = ((n as f64 * part) as u64).min(n);
        let (at_most, at_least) = exact::binomial_tails(s, n, p).unwrap();
        let seen = stats::special::ln_binomial(s as f64, n as f64, p, 1.0 - p).exp();
        prop_assert!((at_most + at_least - 1.0 - seen).abs() < 1e-9, "{at_most} {at_least} {seen}");
    }

    #[test]
    fn evidence_does_not_depend_on_the_order_of_pairs(worse in 0_u64..50, equal in 0_u64..500, better in 0_u64..50) {
        let once = Paired::new(0.01).unwrap().update(Pairs { worse, equal, better }).unwrap().ln();
        let mut apart = Paired::new(0.01).unwrap();
        apart.update(Pairs { better, ..Pairs::default() }).unwrap();
        apart.update(Pairs { worse, ..Pairs::default() }).unwrap();
        let apart = apart.update(Pairs { equal, ..Pairs::default() }).unwrap().ln();
        prop_assert!((once - apart).abs() < 1e-9);
    }

    #[test]
    fn any_rows_give_evidence_that_is_a_number(
        rows in proptest::collection::vec((0_u64..1_000_000, 0_u64..1_000, 0_u64..1_000_000, 0_u64..1_000), 1..40),
        delta in -0.9_f64..0.9,
        up in proptest::bool::ANY,
    ) {
        let direction = if up { Direction::ExceedsByAtMost } else { Direction::ExceedsByAtLeast };
        let mut test = Comparison::new(Settings { delta, direction, expected: 0.01, levels: 2 }).unwrap();
        for (a, b, c, d) in rows {
            let evidence = test.update(&[a, b], &[c, d]).unwrap();
            prop_assert!(!evidence.ln().is_nan() && evidence.ln() < f64::INFINITY);
            prop_assert!(evidence.ln_most() >= 0.0 && (0.0..=1.0).contains(&evidence.p_value()));
        }
    }
}
