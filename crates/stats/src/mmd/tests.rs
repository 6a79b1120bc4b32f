use super::*;

fn cloud(seed: u64, count: usize, shift: f64) -> Vec<Vec<f64>> {
    let mut random = Random::new(seed);
    (0..count).map(|_| (0..4).map(|_| random.normal() + shift).collect()).collect()
}

#[test]
fn the_same_seed_gives_the_same_answer_and_a_shift_is_found() {
    let far = test(&cloud(1, 60, 0.0), &cloud(2, 60, 1.0), 499, 5).unwrap();
    assert_eq!(far, test(&cloud(1, 60, 0.0), &cloud(2, 60, 1.0), 499, 5).unwrap());
    assert!((far.p_value - 0.002).abs() < 1e-12, "{far:?}");
}

#[test]
fn p_values_of_equal_distributions_are_not_small_too_often() {
    let small = (0..200).filter(|run| {
        let found = test(&cloud(1_000 + run, 15, 0.0), &cloud(9_000 + run, 15, 0.0), 99, *run).unwrap();
        found.p_value <= 0.1
    });
    let small = small.count() as u64;
    assert!(crate::exact::lower_bound(small, 200, 1e-6).unwrap() <= 0.1, "{small}");
}

#[test]
fn equal_vectors_are_not_apart() {
    let same = vec![vec![1.0]; 5];
    let found = test(&same, &same, 99, 1).unwrap();
    assert!(found.squared.abs() < 1e-12 && found.p_value >= 1.0);
}
