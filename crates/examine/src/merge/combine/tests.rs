use super::*;

fn recipe(method: Method, coefficients: &[f32]) -> Recipe {
    Recipe { method, density: 0.5, seed: 7, ..Recipe::weighted(coefficients.to_vec()) }
}

const BASE: [f32; 4] = [1.0, 1.0, 1.0, 1.0];

fn parents() -> Vec<Vec<f32>> {
    vec![vec![2.0, 1.5, 0.0, 1.1], vec![2.0, 0.0, 0.5, 1.0]]
}

#[track_caller]
fn check(found: &[f32], wanted: &[f32]) {
    let near = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near, "{found:?} is not {wanted:?}");
}

#[test]
fn a_weighted_sum_adds_differences() {
    let plain = recipe(Method::Weighted, &[0.5, 0.25]);
    check(&combined(&plain, 0, &BASE, &parents()), &[1.75, 1.0, 0.375, 1.05]);
    let same = Recipe { only: vec!["**".parse().unwrap()], ..plain };
    assert!(!same.is_plain());
    check(&combined(&same, 0, &BASE, &parents()), &[1.75, 1.0, 0.375, 1.05]);
}

#[test]
fn ties_keeps_the_largest_and_elects_a_sign() {
    // Differences: [1, 0.5, -1, 0.1] and [1, -1, -0.5, 0]; the larger halves: [1, 0, -1, 0] and [1, -1, 0, 0].
    let found = combined(&recipe(Method::Ties, &[0.5, 0.5]), 0, &BASE, &parents());
    check(&found, &[2.0, 0.0, 0.0, 1.0]);
    // With everything kept, the second element is disputed: the larger side wins alone.
    let all = Recipe { density: 1.0, ..recipe(Method::Ties, &[0.5, 0.5]) };
    check(&combined(&all, 0, &BASE, &parents()), &[2.0, 0.0, 0.25, 1.1]);
}

#[test]
fn dare_keeps_the_mean_and_follows_its_seed() {
    let (base, parent) = (vec![0.0; 20_000], vec![vec![1.0; 20_000]]);
    let found = combined(&recipe(Method::Dare, &[1.0]), 3, &base, &parent);
    assert!(found.iter().all(|value| *value == 0.0 || (*value - 2.0).abs() < 1e-6));
    let mean = found.iter().map(|value| f64::from(*value)).sum::<f64>() / 20_000.0;
    assert!((mean - 1.0).abs() < 0.03, "{mean}");
    assert_eq!(found, combined(&recipe(Method::Dare, &[1.0]), 3, &base, &parent));
    assert_ne!(found, combined(&recipe(Method::Dare, &[1.0]), 4, &base, &parent));
}

#[test]
fn slerp_goes_along_the_circle() {
    let parents = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    let half = combined(&recipe(Method::Slerp, &[0.5, 0.5]), 0, &[0.0, 0.0], &parents);
    let side = std::f32::consts::FRAC_1_SQRT_2;
    check(&half, &[side, side]);
    check(&combined(&recipe(Method::Slerp, &[1.0, 0.0]), 0, &[0.0, 0.0], &parents), &[1.0, 0.0]);
    let parallel = vec![vec![1.0, 1.0], vec![3.0, 3.0]];
    check(&combined(&recipe(Method::Slerp, &[0.5, 0.5]), 0, &[0.0, 0.0], &parallel), &[2.0, 2.0]);
}

#[test]
fn what_is_protected_is_written_as_the_base_writes_it() {
    let shape = [2_usize, 2];
    let data: Vec<u8> = BASE.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view =
        View { name: "model.layers.0.mlp.down_proj.weight", dtype: Dtype::F32, shape: &shape, data: &data };
    let mut merged = vec![3.0, 4.0, 5.0, 6.0];
    let protected = Protected { direction: vec![0.6, 0.8] };
    protect(&view, &protected, &BASE, &mut merged).unwrap();
    for column in 0..2 {
        let along = 0.6 * (merged[column] - 1.0) + 0.8 * (merged[2 + column] - 1.0);
        assert!(along.abs() < 1e-5, "{along}");
    }
    assert_ne!(merged, BASE, "what lies across is kept");
    let wide = Protected { direction: vec![1.0] };
    assert_eq!(protect(&view, &wide, &BASE, &mut merged).unwrap_err().code(), "CS-EXM-008");
    let other = View { name: "model.norm.weight", ..view };
    protect(&other, &wide, &BASE, &mut merged).unwrap();
}

#[test]
fn recipes_that_cannot_be_followed_are_refused() {
    let refused = |recipe: Recipe| assert_eq!(recipe.check(2).unwrap_err().code(), "CS-EXM-008");
    refused(recipe(Method::Weighted, &[1.0]));
    refused(recipe(Method::Weighted, &[f32::NAN, 1.0]));
    refused(recipe(Method::Slerp, &[-1.0, 2.0]));
    refused(recipe(Method::Slerp, &[0.0, 0.0]));
    refused(recipe(Method::Ties, &[-0.5, 0.5]));
    refused(Recipe { density: 0.0, ..recipe(Method::Dare, &[0.5, 0.5]) });
    refused(Recipe {
        protected: Some(Protected { direction: Vec::new() }),
        ..recipe(Method::Weighted, &[0.5, 0.5])
    });
    assert_eq!(recipe(Method::Slerp, &[0.5, 0.5, 0.5]).check(3).unwrap_err().code(), "CS-EXM-008");
    recipe(Method::Slerp, &[0.0, 1.0]).check(2).unwrap();
}

#[test]
fn parents_join_one_after_the_other_first_in_part() {
    let steps = recipe(Method::Weighted, &[0.4, 0.6]).steps(&[0.5, 1.0]);
    let coefficients: Vec<Vec<f32>> = steps.into_iter().map(|(_, _, coefficients)| coefficients).collect();
    assert_eq!(coefficients, [vec![0.2, 0.0], vec![0.4, 0.0], vec![0.4, 0.3], vec![0.4, 0.6]]);
    let along = recipe(Method::Slerp, &[0.4, 0.6]).steps(&[0.5, 1.0]);
    assert_eq!(along.len(), 3);
}

#[test]
fn coefficients_follow_what_parents_keep() {
    let mut recipe = recipe(Method::Weighted, &[0.5, 0.5]);
    recipe.follow(&[1.0, 0.5]);
    check(&recipe.coefficients, &[0.8, 0.2]);
}
