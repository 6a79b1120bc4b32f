use super::*;

fn seen(range: std::ops::Range<u32>) -> Distinct {
    let mut distinct = Distinct::new().unwrap();
    for thing in range {
        distinct.add(&thing.to_le_bytes());
    }
    distinct
}

#[test]
fn what_two_saw_is_counted_once() {
    let merged = seen(0..60_000).merged(&seen(40_000..100_000)).unwrap();
    let (low, about, high) = merged.estimate();
    assert!(low < 100_000.0 && 100_000.0 < high && (about / 100_000.0 - 1.0).abs() < 0.05, "{about}");
    let again = Distinct::from_bytes(&merged.to_bytes()).unwrap();
    assert_eq!(again.to_bytes(), merged.to_bytes());
    assert_eq!(Distinct::from_bytes(b"no sketch").unwrap_err().code(), "CS-STA-010");
    assert_eq!(Distinct::from_bytes(&vec![0; 2 << 20]).unwrap_err().code(), "CS-STA-006");
}

#[test]
fn frequent_things_are_found_with_bounds() {
    let of = |offset: u64| {
        let mut frequent = Frequent::new(64).unwrap();
        for id in 0..2_000 {
            frequent.add(1_000 + offset + id, 1).unwrap();
        }
        frequent.add(7, 5_000).unwrap();
        frequent
    };
    let mut merged = of(0);
    merged.merge(&of(2_000)).unwrap();
    let first = merged.items()[0];
    assert_eq!(first.id, 7);
    assert!(first.at_least <= 10_000 && 10_000 <= first.at_most, "{first:?}");
    assert_eq!(Frequent::new(9).unwrap_err().code(), "CS-STA-008");
}
