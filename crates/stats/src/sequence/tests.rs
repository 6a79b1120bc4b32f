use super::*;

#[test]
fn ranks_open_one_after_the_other() {
    let few = quantile_ranks(10, 0.99, 0.01, 500).unwrap();
    assert_eq!(few.upper, None);
    let many = quantile_ranks(1_000_000, 0.5, 0.01, 1_000_000).unwrap();
    assert!(many.lower.unwrap() < 500_000 && many.upper.unwrap() > 500_000);
    assert_eq!(quantile_ranks(10, 1.0, 0.01, 500).unwrap_err().code(), "CS-STA-001");
}

#[test]
fn the_mean_of_levels_is_between_its_bounds() {
    let bounds = mean(&[500, 300, 200], 0.01).unwrap();
    assert!(bounds.lower < 0.35 && 0.35 < bounds.upper && bounds.radius() < 0.06, "{bounds:?}");
    let none = mean(&[1_000, 0], 0.01).unwrap();
    assert!(none.lower <= 0.0 && none.upper < 0.02, "{none:?}");
}
