use super::*;
use crate::made::{Mix, random_rows};

fn dense(kind: Kind, bytes: &[u8], columns: usize) -> Vec<f32> {
    let row_bytes = kind.row_bytes(columns).unwrap();
    let mut out = vec![0.0; bytes.len() / row_bytes * columns];
    for (row, out) in bytes.chunks_exact(row_bytes).zip(out.chunks_exact_mut(columns)) {
        expand(kind, row, out);
    }
    out
}

#[test]
fn every_level_gives_the_same_bits_and_the_right_values() {
    let mut mix = Mix(7);
    for kind in Kind::ALL {
        for (rows, columns, batch) in [(16, 256, 1), (37, 512, 5), (3, 768, 14), (64, 256, 33)] {
            let bytes = random_rows(&mut mix, kind, rows, columns);
            let x: Vec<f32> = (0..batch * columns).map(|_| mix.normal()).collect();
            let w = Rows { kind, columns, bytes: &bytes };
            let mut expected = vec![0.0; batch * rows];
            Kernels::at(Level::Portable).product(w, &x, &mut expected);
            for &level in Level::available() {
                let mut out = vec![0.0; batch * rows];
                Kernels::at(level).product(w, &x, &mut out);
                assert_eq!(
                    out.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                    expected.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                    "{kind:?} {level:?}"
                );
            }
            // Against double precision: activations have eight bits where the weights are quantised.
            let dense = dense(kind, &bytes, columns);
            for row in 0..batch {
                for i in 0..rows {
                    let pairs = dense[i * columns..][..columns].iter().zip(&x[row * columns..][..columns]);
                    let exact: f64 = pairs.clone().map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    let size: f64 =
                        pairs.map(|(w, x)| (f64::from(*w) * f64::from(*x)).powi(2)).sum::<f64>().sqrt();
                    let allowed = if kind.group_len().is_some() { 0.03 } else { 1e-5 };
                    let found = f64::from(expected[row * rows + i]);
                    assert!((found - exact).abs() <= allowed * size + 1e-6, "{kind:?}: {found} for {exact}");
                }
            }
        }
    }
}

#[test]
fn a_row_alone_and_in_a_batch_has_the_same_bits() {
    let mut mix = Mix(11);
    for kind in [Kind::Q4_1, Kind::Q6K, Kind::F16] {
        let bytes = random_rows(&mut mix, kind, 48, 256);
        let x: Vec<f32> = (0..23 * 256).map(|_| mix.normal()).collect();
        let w = Rows { kind, columns: 256, bytes: &bytes };
        let kernels = Kernels::at(Level::detect());
        let mut together = vec![0.0; 23 * 48];
        kernels.product(w, &x, &mut together);
        for (row, expected) in together.chunks_exact(48).enumerate() {
            let mut alone = vec![0.0; 48];
            kernels.product(w, &x[row * 256..][..256], &mut alone);
            assert_eq!(alone, expected, "{kind:?}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_visible() {
    let mut mix = Mix(3);
    for kind in Kind::ALL {
        let bytes = random_rows(&mut mix, kind, 16, 256);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 256];
            x[100] = bad;
            for &level in Level::available() {
                let mut out = vec![0.0; 16];
                let w = Rows { kind, columns: 256, bytes: &bytes };
                Kernels::at(level).product(w, &x, &mut out);
                assert!(out.iter().all(|x| !x.is_finite()), "{kind:?} {level:?} {bad}: {out:?}");
            }
        }
    }
}

#[test]
fn elementary_functions_are_accurate_and_the_same_at_every_level() {
    let values: Vec<f32> = (-20_000..20_000).map(|i| i as f32 * 0.005).collect();
    for &value in &values {
        let exact = f64::from(value).exp();
        let found = f64::from(math::exp(value));
        if (1.2e-38..3.4e38).contains(&exact) {
            assert!((found / exact - 1.0).abs() < 3e-7, "exp({value}) = {found}");
        }
        let value64 = f64::from(value);
        assert!((f64::from(math::tanh(value)) - value64.tanh()).abs() < 4e-7, "tanh({value})");
        assert!((f64::from(math::erf(value)) - libm::erf(value64)).abs() < 6e-7, "erf({value})");
    }
    assert_eq!(math::exp(f32::NEG_INFINITY), 0.0);
    assert_eq!(math::exp(0.0), 1.0);
    assert!(math::exp(f32::NAN).is_nan());
    for &level in Level::available() {
        let kernels = Kernels::at(level);
        for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
            let (mut a, mut b) = (values.clone(), values.clone());
            Kernels::at(Level::Portable).activate(activation, &mut a);
            kernels.activate(activation, &mut b);
            assert_eq!(a, b);
        }
        let (mut a, mut b) = (values[10_000..30_001].to_vec(), values[10_000..30_001].to_vec());
        assert_eq!(kernels.log_sum_exp(&a).to_bits(), Kernels::at(Level::Portable).log_sum_exp(&a).to_bits());
        Kernels::at(Level::Portable).softmax(&mut a);
        kernels.softmax(&mut b);
        assert_eq!(a, b);
        assert!((a.iter().map(|&x| f64::from(x)).sum::<f64>() - 1.0).abs() < 1e-5);
        assert_eq!(kernels.squares(&a, 0.25), Kernels::at(Level::Portable).squares(&a, 0.25));
    }
}

#[test]
fn numbers_of_threads_do_not_change_results() {
    let mut mix = Mix(5);
    let bytes = random_rows(&mut mix, Kind::Q4K, 400, 512);
    let x: Vec<f32> = (0..3 * 512).map(|_| mix.normal()).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = vec![0.0; 3 * 400];
        pool.install(|| {
            let w = Rows { kind: Kind::Q4K, columns: 512, bytes: &bytes };
            Kernels::at(Level::detect()).product(w, &x, &mut out);
        });
        out
    };
    assert_eq!(run(1), run(3));
}
