use super::*;

fn sums(units: &[(u32, i64)]) -> Sums {
    let mut sums = Sums::default();
    for (requests, total) in units {
        sums.add(*requests, *total).unwrap();
    }
    sums
}

#[test]
fn parts_merge_to_the_whole() {
    let whole = sums(&[(1, 5), (2, 7), (3, -4), (9, 0)]);
    assert_eq!(sums(&[(1, 5), (9, 0)]).merged(sums(&[(2, 7), (3, -4)])), whole);
}

#[test]
fn arms_that_do_not_vary_give_a_point() {
    let arm = sums(&[(2, 4), (3, 6)]);
    let interval = difference(&arm, &arm, 0.05).unwrap();
    assert!(interval.radius() <= 0.0);
    assert_eq!(difference(&arm, &sums(&[(1, 1)]), 0.05).unwrap_err().code(), "CS-STA-005");
}

#[test]
fn the_largest_totals_do_not_overflow() {
    let mut arm = Sums::default();
    for _ in 0..1_000 {
        arm.add(u32::MAX, UNIT_TOTAL_MAX).unwrap();
        arm.add(u32::MAX, -UNIT_TOTAL_MAX).unwrap();
    }
    let estimate = arm.estimate().unwrap();
    assert!(estimate.mean.abs() < 1e-9 && estimate.variance.is_finite() && estimate.variance > 0.0);
}
