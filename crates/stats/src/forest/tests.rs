use super::*;

#[test]
fn what_is_far_from_all_is_the_most_unusual() {
    let mut random = Random::new(3);
    let vectors: Vec<Vec<f64>> = (0..400).map(|_| vec![random.normal(), random.normal()]).collect();
    let growth = Growth { trees: 100, subsample: 256, seed: 9 };
    let forest = Forest::grow(&vectors, growth).unwrap();
    let usual = forest.score(&[0.0, 0.0]).unwrap();
    let unusual = forest.score(&[6.0, -6.0]).unwrap();
    assert!(usual < 0.5 && unusual > 0.7, "{usual} {unusual}");
    assert_eq!(forest, Forest::grow(&vectors, growth).unwrap());
    assert_ne!(forest, Forest::grow(&vectors, Growth { seed: 10, ..growth }).unwrap());
    assert_eq!(forest.score(&[0.0]).unwrap_err().code(), "CS-STA-007");
}

#[test]
fn vectors_that_are_all_equal_grow_a_stump() {
    let forest = Forest::grow(&vec![vec![1.0, 2.0]; 9], Growth { trees: 3, subsample: 8, seed: 1 }).unwrap();
    assert!((forest.score(&[7.0, 7.0]).unwrap() - 0.5).abs() < 1e-12);
    let extreme = [vec![f64::MAX], vec![f64::MIN], vec![0.0]];
    let forest = Forest::grow(&extreme, Growth { trees: 5, subsample: 8, seed: 1 }).unwrap();
    assert!(forest.score(&[0.0]).unwrap().is_finite());
    assert_eq!(
        Forest::grow(&[], Growth { trees: 1, subsample: 2, seed: 1 }).unwrap_err().code(),
        "CS-STA-005"
    );
}

#[test]
fn the_usual_path_is_as_in_the_paper() {
    assert!(usual_path(1).abs() < 1e-12 && (usual_path(2) - 1.0).abs() < 1e-12);
    // 2 H(255) - 2 * 255 / 256, with the approximation of the harmonic number that the paper gives.
    assert!((usual_path(256) - 10.244_77).abs() < 1e-4, "{}", usual_path(256));
}
