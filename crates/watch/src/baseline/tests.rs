use super::*;
use crate::fingerprint::Dimension;

fn window(yes: u64) -> Fingerprint {
    let mut window = Fingerprint::default();
    window.add(&"refusals".parse().unwrap(), &Dimension::Events { yes, of: 1_000 }).unwrap();
    window
}

fn yes(fingerprint: &Fingerprint) -> Option<u64> {
    match fingerprint.dimension(&"refusals".parse().unwrap()) {
        Some(Dimension::Events { yes, .. }) => Some(*yes),
        _ => None,
    }
}

#[test]
fn nights_and_days_are_learnt_apart() {
    let mut baseline = Baseline::default();
    baseline.learn(&window(10), 3 * HOUR_MS, Learn::Yes).unwrap();
    baseline.learn(&window(90), 15 * HOUR_MS, Learn::Yes).unwrap();
    assert_eq!(yes(&baseline.usual(3 * HOUR_MS + 5)), Some(10));
    assert_eq!(yes(&baseline.usual(24 * HOUR_MS + 15 * HOUR_MS)), Some(90));
    assert_eq!(yes(&baseline.usual(4 * HOUR_MS)), None);
}

#[test]
fn older_days_fade_and_anomalies_are_not_learnt() {
    let mut baseline = Baseline::default();
    let day = 24 * HOUR_MS;
    baseline.learn(&window(80), 0, Learn::Yes).unwrap();
    baseline.learn(&window(80), 60_000, Learn::Yes).unwrap();
    assert_eq!(yes(&baseline.usual(0)), Some(160));
    baseline.learn(&window(0), day, Learn::Yes).unwrap();
    assert_eq!(yes(&baseline.usual(0)), Some(80));
    baseline.learn(&window(999), day, Learn::No).unwrap();
    assert_eq!(yes(&baseline.usual(0)), Some(80));
    baseline.learn(&window(1), u64::MAX, Learn::Yes).unwrap();
    assert_eq!(yes(&baseline.usual(u64::MAX)), Some(1));
}

#[test]
fn another_shape_changes_nothing() {
    let mut baseline = Baseline::default();
    baseline.learn(&window(5), 0, Learn::Yes).unwrap();
    let mut other = Fingerprint::default();
    other.add(&"refusals".parse().unwrap(), &Dimension::Categories(vec![1, 2])).unwrap();
    assert_eq!(baseline.learn(&other, 0, Learn::Yes).unwrap_err().code(), "CS-WCH-001");
    assert_eq!(yes(&baseline.usual(0)), Some(5));
}
