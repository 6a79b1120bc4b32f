use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(failures: u64, trials: u64, per_mille: i64, ppm: i64) {
    assert_eq!(failure_upper_bound(failures, trials).unwrap().number(), per_mille, "{failures}/{trials}");
    assert_eq!(failure_upper_bound_ppm(failures, trials).unwrap().number(), ppm, "{failures}/{trials}");
}

/// Failures, trials, bound in thousandths and in parts per million: `ceil(beta.ppf(0.95, k + 1, n - k) * unit)` from
/// SciPy 1.17.1; up to a thousand trials also held against the exact binomial sum in rational arithmetic.
const SCIPY: &[(u64, u64, i64, i64)] = &[
    (0, 2, 777, 776_394),
    (0, 5, 451, 450_720),
    (0, 10, 259, 258_866),
    (0, 20, 140, 139_109),
    (0, 22, 128, 127_306),
    (0, 29, 99, 98_145),
    (0, 30, 96, 95_034),
    (0, 58, 51, 50_340),
    (0, 59, 50, 49_508),
    (0, 60, 49, 48_703),
    (0, 100, 30, 29_514),
    (0, 148, 21, 20_038),
    (0, 149, 20, 19_905),
    (0, 150, 20, 19_774),
    (0, 298, 11, 10_003),
    (0, 299, 10, 9_970),
    (0, 300, 10, 9_937),
    (0, 1_000, 3, 2_992),
    (0, 2_995, 1, 1_000),
    (0, 10_000, 1, 300),
    (0, 100_000, 1, 30),
    (0, 1_000_000, 1, 3),
    (1, 2, 975, 974_680),
    (1, 10, 395, 394_164),
    (1, 59, 78, 77_898),
    (1, 93, 50, 49_994),
    (1, 100, 47, 46_560),
    (1, 1_000, 5, 4_735),
    (2, 5, 811, 810_745),
    (2, 20, 283, 282_619),
    (3, 7, 775, 774_679),
    (3, 100, 76, 75_711),
    (5, 10, 778, 777_559),
    (5, 100, 103, 102_254),
    (9, 10, 995, 994_884),
    (10, 100, 164, 163_718),
    (10, 1_000, 17, 16_904),
    (17, 523, 49, 48_359),
    (50, 100, 587, 586_379),
    (99, 100, 1_000, 999_488),
    (100, 1_000, 117, 116_992),
    (500, 1_000, 527, 526_483),
    (999, 1_000, 1_000, 999_949),
    (123, 100_000, 2, 1_429),
    (40_000, 100_000, 403, 402_556),
    (500_000, 1_000_000, 501, 500_823),
    (999_999, 1_000_000, 1_000, 1_000_000),
];

#[test]
fn agrees_with_scipy() {
    for (failures, trials, per_mille, ppm) in SCIPY {
        check(*failures, *trials, *per_mille, *ppm);
    }
}

#[test]
fn a_tie_goes_to_the_higher_bound() {
    // One trial without failure: the bound is 0.95 exactly, which rounding cannot tell from a little more.
    check(0, 1, 951, 950_001);
}

#[test]
fn published_sample_sizes_are_the_smallest() {
    // Changes without failure that are needed for a bound of 5, 2 and 1 %.
    for (trials, most) in [(59, 50), (149, 20), (299, 10)] {
        assert!(failure_upper_bound(0, trials).unwrap().number() <= most);
        assert!(failure_upper_bound(0, trials - 1).unwrap().number() > most);
    }
}

#[test]
fn no_history_and_nothing_but_failures_are_certain_failure() {
    check(0, 0, 1000, 1_000_000);
    for trials in [1, 2, 59, 1000, TRIALS_COUNTED_MAX, u64::MAX] {
        check(trials, trials, 1000, 1_000_000);
    }
}

#[test]
fn more_failures_than_trials_is_refused() {
    let error = failure_upper_bound(2, 1).unwrap_err();
    assert_eq!(error.code(), "CS-POL-012");
    assert_eq!(failure_upper_bound_ppm(1, 0).unwrap_err().code(), "CS-POL-012");
}

#[test]
fn trials_beyond_the_counted_ones_do_not_help() {
    let most = failure_upper_bound_ppm(7, TRIALS_COUNTED_MAX).unwrap();
    assert_eq!(failure_upper_bound_ppm(7, u64::MAX).unwrap(), most);
    // So many failures that the counted trials are all failures: the bound is 1, though a smaller one would be true.
    check(TRIALS_COUNTED_MAX, u64::MAX, 1000, 1_000_000);
}

/// P(X <= failures) summed from the bottom, term by term, for small counts.
fn cumulative(failures: u32, trials: u32, rate: f64) -> f64 {
    let mut sum = 0.0;
    for i in 0..=failures {
        let mut term = 1.0_f64;
        for j in 0..i {
            term *= f64::from(trials - j) / f64::from(j + 1) * rate;
        }
        for _ in i..trials {
            term *= 1.0 - rate;
        }
        sum += term;
    }
    sum
}

proptest! {
    #[test]
    fn is_the_smallest_bound_on_its_grid(trials in 2_u32..200, seed in 0_u32..1000) {
        let failures = seed % trials;
        let bound = failure_upper_bound(failures.into(), trials.into()).unwrap().0;
        if bound < 1000 {
            prop_assert!(cumulative(failures, trials, f64::from(bound) / 1000.0) <= 0.05 + 1e-12);
        }
        prop_assert!(cumulative(failures, trials, f64::from(bound - 1) / 1000.0) > 0.05 - 1e-8);
    }

    #[test]
    fn rises_with_failures_and_falls_with_trials(
        trials in 0_u64..2_000_000, failures in 0_u64..2_000_000, more in 0_u64..1000,
    ) {
        let failures = failures % (trials + 1);
        let bound = failure_upper_bound_ppm(failures, trials).unwrap();
        prop_assert!(failure_upper_bound_ppm(failures + more, trials + more).unwrap() >= bound);
        prop_assert!(failure_upper_bound_ppm(failures, trials + more).unwrap() <= bound);
        let coarse = failure_upper_bound(failures, trials).unwrap().number();
        prop_assert!(coarse * 1000 >= bound.number() && (coarse - 1) * 1000 < bound.number());
    }
}
