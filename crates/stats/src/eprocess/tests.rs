use super::*;

#[test]
fn a_crossing_is_never_taken_back() {
    let mut test = Bernoulli::new(0.1, Null::AtMost, Prior::UNIFORM).unwrap();
    assert!(test.update(30, 30).unwrap().rejects(0.01).unwrap());
    let later = test.update(0, 1_000).unwrap();
    assert!(later.ln() < 0.0 && later.rejects(0.01).unwrap());
    assert!(later.p_value() < 0.01);
    assert_eq!(later.rejects(0.0).unwrap_err().code(), "CS-STA-001");
}

#[test]
fn an_average_of_none_is_refused() {
    assert_eq!(average(&[]).unwrap_err().code(), "CS-STA-005");
    assert!((average(&[0.0, f64::NEG_INFINITY]).unwrap() + std::f64::consts::LN_2).abs() < 1e-12);
}

#[test]
fn an_arm_without_units_moves_nothing() {
    let settings = Settings { delta: 0.0, direction: Direction::ExceedsByAtMost, expected: 0.01, levels: 2 };
    let mut test = Comparison::new(settings).unwrap();
    test.update(&[100, 0], &[0, 0]).unwrap();
    assert!(test.update(&[0, 0], &[0, 50]).unwrap().ln().abs() < 1e-12);
}

#[test]
fn a_larger_control_arm_finds_the_same_fault_earlier() {
    let seconds = |control: u64| {
        let settings =
            Settings { delta: 0.0, direction: Direction::ExceedsByAtMost, expected: 0.005, levels: 2 };
        let mut test = Comparison::new(settings).unwrap();
        // Errors at exactly their rates: 0.5 % of control, 5 % of 40 units a second.
        (1..1_000).find(|_| {
            let errors = control / 200;
            test.update(&[control - errors, errors], &[38, 2]).unwrap().rejects(0.001).unwrap()
        })
    };
    let (equal, larger) = (seconds(200).unwrap(), seconds(20_000).unwrap());
    assert!(larger < equal, "{larger} {equal}");
}
