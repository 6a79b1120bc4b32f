//! Who gets the candidate.

use proptest::prelude::*;
use rollout::assign::{Arm, BUCKETS, Salt, Share, arm, arm_of_bucket, bucket};

fn share(ppm: u32) -> Share {
    Share::from_ppm(ppm).unwrap()
}

proptest! {
    #[test]
    fn who_has_the_candidate_keeps_it(salt in any::<[u8; 32]>(), unit in any::<Vec<u8>>(), shares in prop::collection::vec(0..=BUCKETS, 2..8)) {
        let salt = Salt::new(salt);
        let mut shares = shares;
        shares.sort_unstable();
        let arms: Vec<Arm> = shares.iter().map(|ppm| arm(&salt, &unit, share(*ppm))).collect();
        let first = arms.iter().position(|arm| *arm == Arm::Candidate).unwrap_or(arms.len());
        prop_assert!(arms[first..].iter().all(|arm| *arm == Arm::Candidate), "{arms:?}");
        // Below one half, control stays control as well.
        let below: Vec<Arm> = shares.iter().zip(&arms).filter(|(ppm, _)| **ppm <= BUCKETS / 2).map(|(_, arm)| *arm).collect();
        let first = below.iter().position(|arm| *arm == Arm::Control).unwrap_or(below.len());
        prop_assert!(below[first..].iter().all(|arm| *arm == Arm::Control), "{below:?}");
    }

    #[test]
    fn arms_are_equal_and_apart(ppm in 0..=BUCKETS) {
        let share = share(ppm);
        let control = (0..BUCKETS).step_by(97).filter(|b| arm_of_bucket(*b, share) == Arm::Control).count();
        let candidate = (0..BUCKETS).step_by(97).filter(|b| arm_of_bucket(*b, share) == Arm::Candidate).count();
        let expected = |ppm: u32| (ppm / 97) as usize;
        prop_assert!(candidate.abs_diff(expected(ppm)) <= 1);
        prop_assert!(control.abs_diff(expected(ppm.min(BUCKETS - ppm))) <= 2);
    }
}

#[test]
fn units_fall_into_buckets_evenly_and_by_salt() {
    let salts = [Salt::new([1; 32]), Salt::new([2; 32])];
    let mut counts = [[0_u64; 10]; 10];
    for unit in 0..100_000_u32 {
        let [first, second] = salts.map(|salt| bucket(&salt, &unit.to_be_bytes()) as usize / 100_000);
        counts[first][second] += 1;
    }
    // A hundred cells of 1,000 each: chi-squared with 99 degrees of freedom is below 162 in all but 1 in 20,000.
    let chi: f64 = counts.as_flattened().iter().map(|n| (*n as f64 - 1_000.0).powi(2) / 1_000.0).sum();
    assert!(chi < 162.0, "{chi}");
}

#[test]
fn the_assignment_is_fixed_for_all_versions() {
    // A gateway of another version, or in another language, has to decide alike. The numbers are from a few lines of Python's hashlib.
    let salt = Salt::new([7; 32]);
    let buckets = [&b""[..], b"alice", b"bob", b"carol"].map(|unit| bucket(&salt, unit));
    assert_eq!(buckets, [967_104, 455_564, 554_047, 582_915]);
}
