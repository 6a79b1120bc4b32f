//! What scipy, statsmodels and ville say (`tests/golden/golden.py`, versions in the file).

use serde_json::Value;
use stats::eprocess::{
    Bernoulli, Comparison, Direction, Mean, Multinomial, Null, Paired, Pairs, Prior, Settings,
};
use stats::exact::{self, Alternative, Table};
use stats::sequence::{self, Sides};
use stats::{cluster, conformal, drift, mmd, multiplicity, special};

fn cases(name: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../golden/golden.json")).unwrap();
    golden[name].as_array().unwrap_or_else(|| panic!("no {name}")).clone()
}

fn number(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap_or_else(|| panic!("{name} of {case}"))
}

fn count(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap_or_else(|| panic!("{name} of {case}"))
}

fn counts(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|entry| entry.as_u64().unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|entry| entry.as_f64().unwrap()).collect()
}

/// Equal up to a relative error, or an absolute one for values around 0.
#[track_caller]
fn near(ours: f64, theirs: f64, relative: f64, case: &Value) {
    let error = (ours - theirs).abs();
    assert!(error <= relative * theirs.abs().max(1e-12), "{ours} and {theirs} ({error:e}): {case}");
}

/// Equal as logarithms: absolute error.
#[track_caller]
fn near_ln(ours: f64, theirs: f64, case: &Value) {
    let error = (ours - theirs).abs();
    assert!(error <= 1e-8 * theirs.abs().max(1.0), "{ours} and {theirs} ({error:e}): {case}");
}

fn alternative(case: &Value) -> Alternative {
    match case["alternative"].as_str().unwrap() {
        "less" => Alternative::Less,
        "greater" => Alternative::Greater,
        _ => Alternative::TwoSided,
    }
}

#[test]
fn clopper_pearson_is_that_of_statsmodels() {
    for case in cases("bounds") {
        let bounds = exact::interval(count(&case, "s"), count(&case, "n"), number(&case, "alpha")).unwrap();
        near(bounds.lower, number(&case, "low"), 1e-8, &case);
        near(bounds.upper, number(&case, "high"), 1e-8, &case);
    }
}

#[test]
fn exact_tests_are_those_of_scipy() {
    for case in cases("binomial") {
        let (s, n, p) = (count(&case, "s"), count(&case, "n"), number(&case, "p"));
        let value = exact::binomial_test(s, n, p, alternative(&case)).unwrap();
        near(value, number(&case, "value"), 1e-7, &case);
    }
    for case in cases("mcnemar") {
        let value =
            exact::mcnemar(count(&case, "worse"), count(&case, "better"), Alternative::TwoSided).unwrap();
        near(value, number(&case, "value"), 1e-9, &case);
    }
    for case in cases("fisher") {
        let row = |at: usize| {
            let row = counts(&case["table"][at]);
            [row[0], row[1]]
        };
        let value = exact::fisher(Table { first: row(0), second: row(1) }, alternative(&case)).unwrap();
        near(value, number(&case, "value"), 1e-8, &case);
    }
}

#[test]
fn distributions_are_those_of_scipy() {
    for case in cases("beta") {
        let (lower, upper) = special::beta_tails(number(&case, "a"), number(&case, "b"), number(&case, "x"));
        near(lower, number(&case, "lower"), 1e-8, &case);
        near(upper, number(&case, "upper"), 1e-8, &case);
    }
    for case in cases("normal") {
        near(special::normal_quantile(number(&case, "alpha")), number(&case, "z"), 1e-12, &case);
    }
    for case in cases("t") {
        let ours = special::t_quantile(number(&case, "alpha"), number(&case, "degrees"));
        near(ours, number(&case, "t"), 1e-9, &case);
    }
}

fn bernoulli(case: &Value, null: Null) -> f64 {
    let (s, n) = (count(case, "s"), count(case, "n"));
    let mut test = Bernoulli::new(number(case, "p"), null, Prior::UNIFORM).unwrap();
    test.update(s, n - s).unwrap().ln()
}

#[test]
fn mixtures_of_bernoulli_ratios_are_those_of_ville_and_of_quadrature() {
    for case in cases("bernoulli_equal") {
        near_ln(bernoulli(&case, Null::Equal), number(&case, "ln"), &case);
    }
    for case in cases("bernoulli_sided") {
        let null = if case["null"] == "at-most" { Null::AtMost } else { Null::AtLeast };
        near_ln(bernoulli(&case, null), number(&case, "ln"), &case);
    }
}

#[test]
fn the_multinomial_test_is_a_dirichlet_mixture() {
    for case in cases("multinomial") {
        let mut test = Multinomial::new(&numbers(&case["shares"]), 100.0).unwrap();
        let ln = test.update(&counts(&case["counts"])).unwrap().ln();
        assert!((ln - number(&case, "ln")).abs() < 1e-6, "{ln}: {case}");
    }
}

#[test]
fn bets_on_counts_are_bets_on_each_value() {
    for case in cases("mean") {
        let by_level = counts(&case["counts"]);
        let mut test = Mean::new(number(&case, "m"), by_level.len()).unwrap();
        near_ln(test.update(&by_level).unwrap().ln(), number(&case, "ln"), &case);
    }
    for case in cases("paired") {
        let by_kind = counts(&case["pairs"]);
        let pairs = Pairs { worse: by_kind[0], equal: by_kind[1], better: by_kind[2] };
        let ln = Paired::new(number(&case, "delta")).unwrap().update(pairs).unwrap().ln();
        near_ln(ln, number(&case, "ln"), &case);
    }
    for case in cases("comparison") {
        let worse = case["worse"].as_bool().unwrap();
        let mut test = Comparison::new(Settings {
            delta: number(&case, "delta"),
            direction: if worse { Direction::ExceedsByAtMost } else { Direction::ExceedsByAtLeast },
            expected: number(&case, "expected"),
            levels: count(&case, "levels") as usize,
        })
        .unwrap();
        for row in case["rows"].as_array().unwrap() {
            test.update(&counts(&row[0]), &counts(&row[1])).unwrap();
        }
        near_ln(test.evidence().ln(), number(&case, "ln"), &case);
    }
}

#[test]
fn confidence_sequences_are_those_of_ville() {
    for case in cases("rate_sequence") {
        let ours = sequence::rate(count(&case, "s"), count(&case, "n"), number(&case, "alpha")).unwrap();
        near(ours.lower, number(&case, "low"), 1e-7, &case);
        near(ours.upper, number(&case, "high"), 1e-7, &case);
    }
    for case in cases("boundary") {
        let sides = if case["one_sided"] == true { Sides::One } else { Sides::Two };
        let [v, alpha, rho] = ["v", "alpha", "rho"].map(|name| number(&case, name));
        near(sequence::boundary(v, alpha, rho, sides), number(&case, "value"), 1e-9, &case);
    }
    for case in cases("best_rho") {
        let sides = if case["one_sided"] == true { Sides::One } else { Sides::Two };
        let [v, alpha] = ["v", "alpha"].map(|name| number(&case, name));
        let best = sequence::best_precision(v, alpha, sides);
        near(sequence::boundary(v, alpha, best, sides), number(&case, "height"), 1e-7, &case);
    }
    for case in cases("quantile_ranks") {
        let (n, q, alpha) = (count(&case, "n"), number(&case, "q"), number(&case, "alpha"));
        let ranks = sequence::quantile_ranks(n, q, alpha, 500).unwrap();
        assert_eq!((ranks.lower, ranks.upper), (case["lower"].as_u64(), case["upper"].as_u64()), "{case}");
    }
    for case in cases("asymptotic") {
        let [mean, deviation, alpha] = ["mean", "deviation", "alpha"].map(|name| number(&case, name));
        let ours = sequence::asymptotic(count(&case, "n"), mean, deviation, alpha, 500).unwrap();
        near(ours.lower, number(&case, "low"), 1e-6, &case);
        near(ours.upper, number(&case, "high"), 1e-6, &case);
    }
}

#[test]
fn many_tests_are_those_of_statsmodels() {
    let golden: Value = serde_json::from_str(include_str!("../golden/golden.json")).unwrap();
    let case = &golden["multiple"];
    let marks = |name: &str| -> Vec<bool> {
        case[name].as_array().unwrap().iter().map(|mark| mark.as_bool().unwrap()).collect()
    };
    let p = numbers(&case["p"]);
    assert_eq!(multiplicity::holm(&p, 0.05).unwrap(), marks("holm"));
    assert_eq!(multiplicity::benjamini_hochberg(&p, 0.05).unwrap(), marks("bh"));
}

#[test]
fn clustered_errors_are_those_of_statsmodels() {
    for case in cases("cluster") {
        let mut sums = cluster::Sums::default();
        for unit in case["units"].as_array().unwrap() {
            let requests = u32::try_from(unit[0].as_u64().unwrap()).unwrap();
            sums.add(requests, unit[1].as_i64().unwrap()).unwrap();
        }
        let estimate = sums.estimate().unwrap();
        near(estimate.mean, number(&case, "mean"), 1e-12, &case);
        near(estimate.variance.sqrt(), number(&case, "error"), 1e-10, &case);
    }
}

#[test]
fn drift_is_that_of_scipy() {
    for case in cases("drift") {
        let (first, second) = (numbers(&case["first"]), numbers(&case["second"]));
        let ks = drift::kolmogorov_smirnov(&first, &second).unwrap();
        near(ks.statistic, number(&case, "ks"), 1e-12, &case);
        near(ks.p_value, number(&case, "p"), 1e-8, &case);
        near(drift::wasserstein(&first, &second).unwrap(), number(&case, "wasserstein"), 1e-10, &case);
    }
    for case in cases("shares") {
        let (first, second) = (counts(&case["first"]), counts(&case["second"]));
        near(drift::jensen_shannon(&first, &second).unwrap(), number(&case, "js"), 1e-10, &case);
        near(drift::stability(&first, &second).unwrap(), number(&case, "psi"), 1e-10, &case);
    }
}

#[test]
fn the_discrepancy_is_that_of_numpy() {
    let golden: Value = serde_json::from_str(include_str!("../golden/golden.json")).unwrap();
    let case = &golden["mmd"];
    let vectors =
        |name: &str| -> Vec<Vec<f64>> { case[name].as_array().unwrap().iter().map(numbers).collect() };
    let found = mmd::test(&vectors("first"), &vectors("second"), 199, 1).unwrap();
    near(found.squared, number(case, "squared"), 1e-10, &Value::Null);
    near(found.width, number(case, "width"), 1e-12, &Value::Null);
}

#[test]
fn calibration_allows_as_many_exceedances_as_the_beta_distribution_does() {
    for case in cases("exceedances") {
        let promise = conformal::Promise::Conditional { beta: number(&case, "beta") };
        let allowed = conformal::exceedances(count(&case, "n"), number(&case, "alpha"), promise).unwrap();
        assert_eq!(allowed, case["k"].as_u64(), "{case}");
    }
}
