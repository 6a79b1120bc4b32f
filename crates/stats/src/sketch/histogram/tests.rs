use proptest::prelude::*;

use super::*;

#[test]
fn buckets_follow_each_other_without_gap() {
    for bits in 1..=12 {
        let mut at = 0_u64;
        let last = bucket(u64::MAX, bits);
        for number in 0..last.min(2_000) {
            assert_eq!(bucket(at, bits), number, "{at} at {bits} bits");
            at = highest(number, bits) + 1;
        }
        assert_eq!(highest(last, bits), u64::MAX);
    }
}

#[test]
fn quantiles_of_nothing_are_none() {
    let mut histogram = Histogram::new(5).unwrap();
    assert_eq!(histogram.quantile_ppm(500_000), None);
    histogram.add(7, 0).unwrap();
    assert_eq!((histogram.count(), histogram.at_rank(1)), (0, None));
    assert_eq!(histogram.add(7, u64::MAX).unwrap_err().code(), "CS-STA-002");
    assert_eq!(histogram.merge(&Histogram::new(6).unwrap()).unwrap_err().code(), "CS-STA-008");
}

proptest! {
    #[test]
    fn values_are_known_to_their_relative_error(value in any::<u64>(), bits in 1_u32..=12) {
        let top = highest(bucket(value, bits), bits);
        prop_assert!(top >= value);
        prop_assert!((top - value) as f64 <= value as f64 / f64::from(1_u32 << bits));
    }

    #[test]
    fn parts_merge_to_the_whole(first in prop::collection::vec(any::<u32>(), 0..50), second in prop::collection::vec(any::<u32>(), 1..50)) {
        let of = |values: &[u32]| {
            let mut histogram = Histogram::new(6).unwrap();
            for value in values {
                histogram.add(u64::from(*value), 1).unwrap();
            }
            histogram
        };
        let mut merged = of(&first);
        merged.merge(&of(&second)).unwrap();
        let mut all = [first, second].concat();
        prop_assert_eq!(&merged, &of(&all));
        let again = Histogram::from_counts(6, merged.counts().clone()).unwrap();
        prop_assert_eq!(&again, &merged);
        all.sort_unstable();
        let median = u64::from(all[all.len().div_ceil(2) - 1]);
        let sketched = merged.quantile_ppm(500_000).unwrap();
        prop_assert!(sketched >= median && (sketched - median) as f64 <= median as f64 / 64.0);
        prop_assert_eq!(merged.above(u64::MAX), 0);
    }
}
