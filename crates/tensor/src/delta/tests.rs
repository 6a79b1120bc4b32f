#![expect(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "small numbers, and equality where it is exact"
)]

use half::{bf16, f16};
use proptest::prelude::*;

use super::operand::spacing;
use super::{
    Effort, Pairing, Rank, Relation, TensorChange, adapter_change, between_adapters, leading, pair, place_of,
    tensor,
};
use crate::Error;
use crate::measure::{BaseLayout, Work};
use crate::peft::{Adapter, Config};
use crate::safetensors::{Dtype, SafeTensors, View, write};
use crate::spectrum;

const SEED: u64 = 7;

/// Values spread evenly over ±1, from SplitMix64.
fn draws(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        ((mixed >> 40) as f64 - f64::from(1 << 23)) / f64::from(1 << 23)
    }
}

fn random(count: usize, seed: u64) -> Vec<f64> {
    let mut draw = draws(seed);
    (0..count).map(|_| draw()).collect()
}

/// The values in a type, rounded to it.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
fn stored(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|&value| match dtype {
            Dtype::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
            Dtype::BF16 => bf16::from_f64(value).to_le_bytes().to_vec(),
            Dtype::F64 => value.to_le_bytes().to_vec(),
            Dtype::F32 => (value as f32).to_le_bytes().to_vec(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn view<'a>(dtype: Dtype, shape: &'a [usize], data: &'a [u8]) -> View<'a> {
    View { name: "h.0.w.weight", dtype, shape, data }
}

fn compared(
    shape: &[usize],
    (old_dtype, old): (Dtype, &[f64]),
    (new_dtype, new): (Dtype, &[f64]),
) -> Result<TensorChange, Error> {
    let (old, new) = (stored(old_dtype, old), stored(new_dtype, new));
    tensor(&view(old_dtype, shape, &old), &view(new_dtype, shape, &new), Effort::Spectrum { seed: SEED })
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn product(rows: usize, columns: usize, rank: usize, scaling: f64, seed: u64) -> Vec<f64> {
    let (a, b) = (random(rank * columns, seed), random(rows * rank, seed + 1));
    let a = &a;
    b.chunks(rank)
        .flat_map(|row| {
            (0..columns).map(move |j| {
                scaling * row.iter().enumerate().map(|(k, b)| b * a[k * columns + j]).sum::<f64>()
            })
        })
        .collect()
}

fn sum(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn measures_never_understate_and_are_close(
        pairs in prop::collection::vec((-2.0_f64..2.0, prop::option::of(-2.0_f64..2.0)), 1..9000),
    ) {
        let old: Vec<f64> = pairs.iter().map(|(old, _)| *old).collect();
        let new: Vec<f64> = pairs.iter().map(|(old, new)| new.unwrap_or(*old)).collect();
        let change = compared(&[old.len()], (Dtype::F64, &old), (Dtype::F64, &new)).unwrap();
        let delta: Vec<f64> = new.iter().zip(&old).map(|(new, old)| new - old).collect();
        let changed = delta.iter().filter(|value| value.abs() > 0.0).count() as u64;
        prop_assert_eq!(change.changed, changed);
        prop_assert_eq!(change.elements, old.len() as u64);
        prop_assert_eq!(change.magnitudes.iter().map(|(_, count)| count).sum::<u64>(), changed);
        for (low, count) in &change.magnitudes {
            let class = 2.0_f64.powi(*low)..2.0_f64.powi(low + 2);
            let inside = delta.iter().filter(|value| class.contains(&value.abs())).count() as u64;
            prop_assert_eq!(*count, inside);
        }
        prop_assert_eq!(change.relation, if changed == 0 { Relation::Identical } else { Relation::Changed });
        if changed > 0 {
            let relative = norm(&delta) / norm(&old) * 1e6;
            let found = change.relative_frobenius_ppm as f64;
            prop_assert!(found >= relative * (1.0 - 1e-12), "{found} understates {relative}");
            prop_assert!(found <= relative * (1.0 + 1e-9) + 1.0, "{found} overstates {relative}");
            prop_assert!((change.relative_f64() * 1e6 - relative).abs() <= 1e-9 * relative);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_answered_of_a_large_matrix_bounds_the_truth(
        rows in 2_usize..90,
        columns in 2_usize..90,
        seed in any::<u64>(),
        noise in prop::sample::select(vec![0.0, 1e-3, 1.0]),
    ) {
        let low = product(rows, columns, 3, 1.0, seed);
        let rest: Vec<f64> = random(rows * columns, seed ^ 1).iter().map(|value| value * noise).collect();
        let new = sum(&low, &rest);
        let old = vec![0.0; new.len()];
        let (old, new_bytes) = (stored(Dtype::F64, &old), stored(Dtype::F64, &new));
        let shape = [rows, columns];
        let squares = norm(&new).powi(2);
        let (values, beyond) = leading::leading(
            &view(Dtype::F64, &shape, &old), &view(Dtype::F64, &shape, &new_bytes), rows, columns, squares, seed,
        ).unwrap();
        let truth = spectrum::matrix(&new, rows, columns, "x").unwrap();
        for (at, truth_one) in truth.iter().enumerate() {
            let found = values.get(at).copied().unwrap_or(0.0);
            prop_assert!(found <= truth_one + 1e-10 * truth[0], "{at}: {found} above {truth_one}");
            let most = found.hypot(beyond);
            prop_assert!(*truth_one <= most + 1e-10 * truth[0], "{at}: {truth_one} above {most}");
        }
        if noise < 1.0 {
            prop_assert!((values[0] - truth[0]).abs() <= 1e-6 * truth[0], "the leading value is found");
        }
    }

    #[test]
    fn the_spacing_is_that_of_the_type(bits in any::<u32>()) {
        let value = f32::from_bits(bits & 0x7FFF_FFFF);
        prop_assume!(value.is_finite() && value < f32::MAX);
        let next = f64::from(value.next_up()) - f64::from(value);
        prop_assert_eq!(spacing(f64::from(value), 23, -149), next);
        let value = f16::from_bits((bits & 0x7BFE) as u16);
        let next = f64::from(f16::from_bits(value.to_bits() + 1)) - f64::from(value);
        prop_assert!(spacing(f64::from(value), 10, -24) == next || value.to_bits() == 0x7BFF);
    }
}

#[test]
fn the_same_values_in_another_type_are_no_change() {
    let values: Vec<f64> = random(40, 1).iter().map(|value| f64::from(bf16::from_f64(*value))).collect();
    for (old, new) in [(Dtype::BF16, Dtype::F32), (Dtype::F32, Dtype::BF16), (Dtype::F32, Dtype::F64)] {
        let change = compared(&[8, 5], (old, &values), (new, &values)).unwrap();
        assert_eq!((change.relation, change.changed), (Relation::SameValues, 0));
        assert_eq!((change.relative_frobenius_ppm, change.spectrum), (0, None));
    }
    // Rounding that loses something is a change.
    let finer: Vec<f64> = values.iter().map(|value| value * 1.001).collect();
    let change = compared(&[8, 5], (Dtype::F32, &finer), (Dtype::BF16, &finer)).unwrap();
    assert_eq!(change.relation, Relation::Changed);
    // Minus zero is the same value and other bytes.
    let change = compared(&[1], (Dtype::F32, &[0.0]), (Dtype::F32, &[-0.0])).unwrap();
    assert_eq!((change.relation, change.changed), (Relation::SameValues, 0));
}

#[test]
fn a_merged_adapter_is_told_by_its_rank() {
    // A merge rounds every sum to the type; the rank stands clear of it where the change itself does.
    for (dtype, scaling) in [(Dtype::F64, 1e-3), (Dtype::F32, 1e-3), (Dtype::BF16, 0.05), (Dtype::F16, 0.02)]
    {
        for rank in [1, 3, 8] {
            let base: Vec<f64> = random(96 * 128, 5);
            let mut base_bytes = Vec::new();
            let stored_base = stored(dtype, &base);
            view(dtype, &[96, 128], &stored_base).decode_part(0, 96 * 128, &mut base_bytes);
            let merged = sum(&base_bytes, &product(96, 128, rank, scaling, 50));
            let change = compared(&[96, 128], (dtype, &base_bytes), (dtype, &merged)).unwrap();
            let spectrum = change.spectrum.unwrap();
            assert_eq!(
                spectrum.rank,
                Rank::Of(rank),
                "{dtype:?} {:?} {}",
                &spectrum.values[..10],
                spectrum.rounding
            );
            assert_eq!((spectrum.side, spectrum.values.len(), spectrum.beyond), (96, 96, 0.0));
        }
    }
    let base = random(64 * 64, 1);
    let change = compared(&[64, 64], (Dtype::F32, &base), (Dtype::F32, &random(64 * 64, 2))).unwrap();
    assert!(change.spectrum.unwrap().rank.number() > 60, "a full change is of full rank");
}

#[test]
fn a_large_matrix_is_followed_along_its_leading_directions() {
    let (rows, columns) = (1_100, 1_000);
    let base = random(rows * columns, 3);
    let merged = sum(&base, &product(rows, columns, 6, 0.01, 4));
    let change = compared(&[rows, columns], (Dtype::F32, &base), (Dtype::F32, &merged)).unwrap();
    let spectrum = change.spectrum.unwrap();
    assert_eq!((spectrum.rank, spectrum.side), (Rank::Of(6), 1_000));
    assert_eq!(spectrum.values.len(), 40);
    assert!(spectrum.beyond < 0.01 * spectrum.values[0], "{} {}", spectrum.beyond, spectrum.values[0]);
    let full =
        compared(&[rows, columns], (Dtype::F32, &base), (Dtype::F32, &random(rows * columns, 9))).unwrap();
    assert_eq!(full.spectrum.unwrap().rank, Rank::AtLeast(40));
}

#[test]
fn vectors_and_unasked_spectra_are_left_out() {
    let change = compared(&[4], (Dtype::F32, &[1.0; 4]), (Dtype::F32, &[2.0; 4])).unwrap();
    assert_eq!((change.spectrum, change.changed, change.relative_frobenius_ppm), (None, 4, 1_000_001));
    let bytes = (stored(Dtype::F32, &[1.0; 4]), stored(Dtype::F32, &[2.0; 4]));
    let shape = [2, 2];
    let (old, new) = (view(Dtype::F32, &shape, &bytes.0), view(Dtype::F32, &shape, &bytes.1));
    assert_eq!(tensor(&old, &new, Effort::Norms).unwrap().spectrum, None);
    // A convolution is taken as a matrix, an empty tensor as nothing.
    let change = compared(&[2, 2, 2], (Dtype::F32, &[1.0; 8]), (Dtype::F32, &[2.0; 8])).unwrap();
    assert_eq!(change.spectrum.unwrap().rank, Rank::Of(1));
    let change = compared(&[0, 4], (Dtype::F32, &[]), (Dtype::F64, &[])).unwrap();
    assert_eq!((change.relation, change.relative_frobenius_ppm), (Relation::SameValues, 0));
}

#[test]
fn what_cannot_be_compared_is_refused_by_code() {
    for value in [f64::NAN, f64::INFINITY, 2.0_f64.powi(128), 2.0_f64.powi(-150)] {
        let (old, new) = ([1.0, 2.0, 3.0], [1.0, value, 3.0]);
        let error = compared(&[3], (Dtype::F64, &old), (Dtype::F64, &new)).unwrap_err();
        assert_eq!(error.code(), "CS-TSR-025");
        assert!(error.to_string().contains("element 1 of tensor `h.0.w.weight (new)`"), "{error}");
        // Where nothing differs there is nothing to measure.
        let same = compared(&[3], (Dtype::F64, &new), (Dtype::F64, &new)).unwrap();
        assert_eq!(same.relation, Relation::Identical);
    }
    let bytes = stored(Dtype::F32, &[1.0; 6]);
    let error = tensor(&view(Dtype::F32, &[2, 3], &bytes), &view(Dtype::F32, &[3, 2], &bytes), Effort::Norms)
        .unwrap_err();
    assert_eq!(error.code(), "CS-TSR-026");
}

#[test]
fn tensors_are_paired_by_name() {
    let pairing = pair(["b", "a", "d"], ["c", "d", "b"]);
    assert_eq!(pairing, Pairing { common: vec![(0, 2), (2, 1)], removed: vec![1], added: vec![0] });
    assert_eq!(place_of("model.layers.3.q_proj.weight"), ("model.layers.*.q_proj".into(), Some(3)));
    assert_eq!(place_of("model.norm.bias"), ("model.norm.bias".into(), None));
}

/// An adapter of one module, as a file and its configuration.
fn adapter(seed: u64, rank: usize, alpha: usize) -> (Vec<u8>, Config) {
    let (a, b) =
        (stored(Dtype::F32, &random(rank * 20, seed)), stored(Dtype::F32, &random(30 * rank, seed + 1)));
    let file = write(&[
        ("base_model.model.h.0.q.lora_A.weight", Dtype::F32, &[rank, 20], &a),
        ("base_model.model.h.0.q.lora_B.weight", Dtype::F32, &[30, rank], &b),
    ]);
    let config = format!(r#"{{"peft_type":"LORA","r":{rank},"lora_alpha":{alpha}}}"#);
    (file.unwrap(), Config::read(config.as_bytes()).unwrap())
}

#[test]
fn adapters_are_measured_from_their_factors() {
    let ((old, old_config), (new, new_config)) = (adapter(1, 3, 6), adapter(9, 5, 5));
    let (old, new) = (SafeTensors::read(&old).unwrap(), SafeTensors::read(&new).unwrap());
    let (old, new) = (Adapter::join(old_config, &old), Adapter::join(new_config, &new));
    let mut work = Work::limit(u64::MAX);
    let (between, before) = between_adapters(&old.modules[0], &new.modules[0], &mut work).unwrap();
    let dense = |rank, scaling, seed| {
        let (a, b) = (random(rank * 20, seed), random(30 * rank, seed + 1));
        let a = a.clone();
        b.chunks(rank)
            .flat_map(|row| {
                (0..20)
                    .map(|j| scaling * row.iter().enumerate().map(|(k, b)| b * a[k * 20 + j]).sum::<f64>())
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<f64>>()
    };
    let (old_dense, new_dense) = (dense(3, 2.0, 1), dense(5, 1.0, 9));
    let difference: Vec<f64> = new_dense.iter().zip(&old_dense).map(|(new, old)| new - old).collect();
    assert!((between.frobenius - norm(&difference)).abs() < 1e-5 * norm(&difference));
    assert!((before - norm(&old_dense)).abs() < 1e-5 * before);
    assert_eq!((between.rows, between.columns, between.rank), (30, 20, 8));
    let (itself, _) = between_adapters(&old.modules[0], &old.modules[0], &mut work).unwrap();
    assert!(itself.frobenius < 1e-12 * before, "{}", itself.frobenius);

    let base = stored(Dtype::F32, &random(600, 77));
    let shape = [30, 20];
    let base = view(Dtype::F32, &shape, &base);
    let change = adapter_change(&old.modules[0], Some(&base), BaseLayout::OutIn, &mut work).unwrap();
    let relative = change.measured.relative.unwrap().frobenius_ppm as f64 / 1e6;
    assert!((relative - norm(&old_dense) / norm(&random(600, 77))).abs() < 1e-4 * relative);
    assert!((change.statistics.frobenius - before).abs() < 1e-12 * before);
}
