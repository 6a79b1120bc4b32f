use super::*;

/// `best_index_int8` as it stands.
fn by_distance(x: f32) -> usize {
    let value = |at: usize| f32::from(LEVELS[at]);
    if x <= value(0) {
        return 0;
    }
    if x >= value(15) {
        return 15;
    }
    let (mut low, mut high) = (0, 15);
    while high - low > 1 {
        let mid = usize::midpoint(low, high);
        if x < value(mid) {
            high = mid;
        } else {
            low = mid;
        }
    }
    if x - value(high - 1) < value(high) - x { high - 1 } else { high }
}

#[track_caller]
fn check(x: f32) {
    let expected = by_distance(x);
    assert_eq!(usize::from(indices(&[x], 1.0)[0]), expected, "{x}");
    assert_eq!(nearest_levels([x; LANES])[0].to_bits(), f32::from(LEVELS[expected]).to_bits(), "{x}");
}

#[test]
fn the_middles_decide_as_the_distances_do() {
    for at in 1..16 {
        let centre = middle(at);
        let (mut below, mut above) = (centre, centre);
        for _ in 0..20_000 {
            check(below);
            check(above);
            below = below.next_down();
            above = above.next_up();
        }
    }
    for bits in (0..=u32::MAX).step_by(65_521) {
        check(f32::from_bits(bits));
    }
}
