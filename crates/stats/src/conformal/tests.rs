use super::*;

fn one(scores: &[f64]) -> Calibration {
    Calibration::new([("lora".to_owned(), scores.to_vec())]).unwrap()
}

#[test]
fn ties_count_against_the_change() {
    let calibration = one(&[3.0, 1.0, 2.0, 2.0]);
    assert_eq!(calibration.p_value("lora", 2.0).unwrap(), PValue { at_least: 4, of: 5 });
    assert_eq!(calibration.p_value("lora", 3.5).unwrap(), PValue { at_least: 1, of: 5 });
    assert_eq!(calibration.p_value("lora", f64::NAN).unwrap(), PValue { at_least: 1, of: 5 });
    assert_eq!(calibration.p_value("merge", 3.5).unwrap_err().code(), "CS-STA-009");
}

#[test]
fn smoothing_spreads_a_tie() {
    let calibration = one(&[2.0; 9]);
    assert!(calibration.smoothed_p_value("lora", 2.0, 0.0).unwrap() < 1e-12);
    assert!((calibration.smoothed_p_value("lora", 2.0, 0.5).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(calibration.smoothed_p_value("lora", 2.0, 1.5).unwrap_err().code(), "CS-STA-008");
}

#[test]
fn a_rate_needs_its_number_of_benign_changes() {
    let conditional = Promise::Conditional { beta: 0.05 };
    assert_eq!(exceedances(1_248, 0.0008, Promise::Marginal).unwrap(), None);
    assert_eq!(exceedances(1_249, 0.0008, Promise::Marginal).unwrap(), Some(0));
    assert_eq!(exceedances(3_743, 0.0008, conditional).unwrap(), None);
    assert_eq!(exceedances(3_744, 0.0008, conditional).unwrap(), Some(0));
    assert_eq!(exceedances(10_000, 0.0008, conditional).unwrap(), Some(3));
}

#[test]
fn a_threshold_is_one_of_the_scores_or_none() {
    let scores: Vec<f64> = (0..99).map(f64::from).collect();
    let calibration = one(&scores);
    assert_eq!(calibration.threshold("lora", 0.01, Promise::Marginal).unwrap(), Some(98.0));
    assert_eq!(calibration.threshold("lora", 0.05, Promise::Marginal).unwrap(), Some(94.0));
    assert_eq!(calibration.threshold("lora", 0.001, Promise::Marginal).unwrap(), None);
}
