use super::*;

#[test]
fn what_stays_at_its_baseline_is_quiet_and_a_rise_is_not() {
    let mut detector = Detector::new(0.05, 2, 2_592_000.0).unwrap();
    for _ in 0..600 {
        assert_eq!(detector.look(&[95, 5]).unwrap().alarm, Alarm::Quiet);
    }
    let found = (1..60).find(|_| detector.look(&[85, 15]).unwrap().alarm == Alarm::Raised);
    assert!(found.is_some_and(|look| look <= 5), "{found:?}");
    assert_eq!(Detector::new(0.05, 2, f64::NAN).unwrap_err().code(), "CS-STA-008");
    assert_eq!(Detector::new(0.05, 1, 1e6).unwrap_err().code(), "CS-STA-008");
}
