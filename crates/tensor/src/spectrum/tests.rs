#![expect(clippy::cast_precision_loss, reason = "small numbers")]

use proptest::prelude::*;
use serde_json::Value;

use super::family::{self, FAMILY_MIN, family_of, standings};
use super::{Form, LowRank, Shape, Statistics, matrix, module, singular_values};
use crate::measure::Work;
use crate::peft::{Adapter, Config};
use crate::safetensors::{Dtype, SafeTensors, write};

const ENOUGH: u64 = u64::MAX;

/// SplitMix64, each draw as a multiple of 2^-23 in [-1, 1); `golden.py` has the same.
fn draws(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        ((mixed >> 40) as f64 - f64::from(1 << 23)) / f64::from(1 << 23)
    }
}

fn factors(kind: &str, rows: usize, columns: usize, rank: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut draw = draws(seed);
    let mut a: Vec<f64> = (0..rank * columns).map(|_| draw()).collect();
    let mut b: Vec<f64> = (0..rows * rank).map(|_| draw()).collect();
    match kind {
        "spike" => {
            for value in &mut b[rank..2 * rank] {
                *value *= 64.0;
            }
        }
        "deficient" => a.copy_within(..columns, (rank - 1) * columns),
        "steep" => {
            for row in b.chunks_mut(rank) {
                let mut size = 1.0;
                for value in row {
                    *value *= size;
                    size /= 16.0;
                }
            }
        }
        other => assert_eq!(other, "plain"),
    }
    (a, b)
}

fn statistics(factors: &LowRank, shape: Shape) -> Statistics {
    Statistics::of_factors(factors, shape, "x", &mut Work::limit(ENOUGH)).unwrap()
}

#[track_caller]
fn near(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1e-3), "{what}: {found} for {wanted}");
}

#[test]
fn statistics_are_those_of_numpys_dense_decomposition() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let number = |name: &str| usize::try_from(case[name].as_u64().unwrap()).unwrap();
        let (rows, columns, rank) = (number("rows"), number("columns"), number("rank"));
        let kind = case["kind"].as_str().unwrap();
        let (a, b) = factors(kind, rows, columns, rank, case["seed"].as_u64().unwrap());
        let factors = LowRank::new(&a, &b, rank, case["scaling"].as_f64().unwrap()).unwrap();
        let found = statistics(&factors, Shape::AsIs);
        let alone = singular_values(&factors).unwrap();
        let expected = &case["expected"];
        let wanted: Vec<f64> =
            expected["singular_values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!((found.singular_values.len(), alone.len()), (wanted.len(), wanted.len()));
        for ((found, alone), one) in found.singular_values.iter().zip(alone).zip(&wanted) {
            assert!((found - one).abs() <= 1e-13 * wanted[0], "{kind}: {found} for {one}");
            assert!((alone - one).abs() <= 1e-13 * wanted[0], "{kind}: {alone} for {one}");
        }
        let form = found.form.unwrap();
        for (name, value) in [
            ("frobenius", Some(found.frobenius)),
            ("log_rms", Some(form.log_rms)),
            ("top1_energy", Some(form.top1_energy)),
            ("stable_rank", Some(form.stable_rank)),
            ("spectral_entropy", Some(form.spectral_entropy)),
            ("excess_concentration", Some(form.excess_concentration)),
            ("kurtosis", form.kurtosis),
            ("row_hoyer", form.row_hoyer),
            ("column_hoyer", form.column_hoyer),
            ("row_top8_share", Some(form.row_top8_share)),
        ] {
            match (value, expected[name].as_f64()) {
                (Some(value), Some(wanted)) => near(value, wanted, 1e-11, &format!("{kind} {rows} {name}")),
                (value, wanted) => assert_eq!(value, wanted, "{kind} {rows} {name}"),
            }
        }
    }
}

/// `s·B·A`, row-major, element by element.
fn dense(a: &[f64], b: &[f64], rank: usize, scaling: f64) -> Vec<f64> {
    let columns = a.len() / rank;
    b.chunks(rank)
        .flat_map(|row| {
            (0..columns).map(move |j| {
                scaling * row.iter().enumerate().map(|(k, b)| b * a[k * columns + j]).sum::<f64>()
            })
        })
        .collect()
}

fn kurtosis(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let moment = |power: i32| values.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / count;
    (values.len() > 1).then(|| moment(4) / moment(2).powi(2))
}

proptest! {
    #[test]
    fn factors_and_the_dense_product_have_one_spectrum(
        rows in 1_usize..60,
        columns in 1_usize..60,
        rank in 1_usize..12,
        seed in any::<u64>(),
        kind in prop::sample::select(vec!["plain", "deficient", "steep"]),
        scaling in prop::sample::select(vec![1.0, -0.25, 16.0]),
    ) {
        let (a, b) = factors(kind, rows, columns, rank, seed);
        let low_rank = LowRank::new(&a, &b, rank, scaling).unwrap();
        let product = dense(&a, &b, rank, scaling);
        let whole = matrix(&product, rows, columns, "x").unwrap();
        let found = statistics(&low_rank, Shape::AsIs);
        for (at, wanted) in whole.iter().enumerate() {
            let found = found.singular_values.get(at).copied().unwrap_or(0.0);
            prop_assert!((found - wanted).abs() <= 1e-12 * whole[0], "{found} for {wanted}");
        }
        let form = found.form.unwrap();
        if let Some(wanted) = kurtosis(&product) {
            near(form.kurtosis.unwrap(), wanted, 1e-7, "kurtosis");
        }
        // Turned round, rows and columns change places and nothing else does.
        let turned = statistics(&low_rank, Shape::Transposed);
        prop_assert_eq!((turned.rows, turned.columns), (columns, rows));
        let other = turned.form.unwrap();
        prop_assert_eq!((other.row_hoyer, other.column_hoyer), (form.column_hoyer, form.row_hoyer));
        prop_assert_eq!(turned.singular_values, found.singular_values);
    }

    #[test]
    fn the_form_does_not_depend_on_the_size(seed in any::<u64>(), halvings in 0_i32..100) {
        let (a, b) = factors("plain", 30, 20, 4, seed);
        let form = |scaling: f64| {
            let found = statistics(&LowRank::new(&a, &b, 4, scaling).unwrap(), Shape::AsIs);
            Form { log_rms: 0.0, ..found.form.unwrap() }
        };
        prop_assert_eq!(form(1.0), form(0.5_f64.powi(halvings)));
    }

    #[test]
    fn a_line_over_depth_leaves_no_standing(
        slope in -3.0_f64..3.0,
        level in -5.0_f64..5.0,
        count in 16_usize..700,
    ) {
        let layers: Vec<f64> = (0..count).map(|l| l as f64).collect();
        let values: Vec<f64> = layers.iter().map(|l| level + slope * l).collect();
        for rest in family::detrended(&layers, &values) {
            prop_assert!(rest.abs() < 1e-9, "{rest}");
        }
    }
}

#[test]
fn both_ways_to_the_fourth_moment_agree() {
    // Rank 24 of 40 × 30 is streamed, rank 2 of 200 × 300 is paired; a work limit leaves the kurtosis out and
    // nothing else.
    for (rows, columns, rank) in [(40, 30, 24), (200, 300, 2)] {
        let (a, b) = factors("plain", rows, columns, rank, 11);
        let low_rank = LowRank::new(&a, &b, rank, 1.0).unwrap();
        let form = statistics(&low_rank, Shape::AsIs).form.unwrap();
        near(form.kurtosis.unwrap(), kurtosis(&dense(&a, &b, rank, 1.0)).unwrap(), 1e-11, "kurtosis");
        let mut work = Work::limit(low_rank.cost());
        let limited = Statistics::of_factors(&low_rank, Shape::AsIs, "x", &mut work).unwrap();
        assert_eq!(limited.form.unwrap(), Form { kurtosis: None, ..form });
        let mut work = Work::limit(low_rank.cost() - 1);
        let error = Statistics::of_factors(&low_rank, Shape::AsIs, "x", &mut work).unwrap_err();
        assert_eq!(error.code(), "CS-TSR-300");
    }
}

#[test]
fn no_change_has_no_form_and_a_constant_one_no_kurtosis() {
    let none = statistics(&LowRank::new(&[1.0; 6], &[0.0; 4], 2, 1.0).unwrap(), Shape::AsIs);
    assert_eq!((none.frobenius, none.spectral, none.form), (0.0, 0.0, None));
    assert_eq!(none.singular_values, [0.0, 0.0]);
    let constant = statistics(&LowRank::new(&[1.0; 3], &[2.0; 2], 1, 1.0).unwrap(), Shape::AsIs);
    assert_eq!(constant.form.unwrap().kurtosis, None);
    assert!((constant.frobenius - 24.0_f64.sqrt()).abs() < 1e-14);
    let unscaled = statistics(&LowRank::new(&[1.0; 3], &[2.0; 2], 1, 0.0).unwrap(), Shape::AsIs);
    assert_eq!(unscaled.form, None);
}

#[test]
fn the_largest_and_smallest_factors_neither_overflow_nor_vanish() {
    for size in [f64::from(f32::MAX), f64::from(f32::from_bits(1))] {
        let (a, b) = factors("plain", 20, 30, 3, 5);
        let scaled = |values: &[f64]| values.iter().map(|value| value * size).collect::<Vec<f64>>();
        let plain = statistics(&LowRank::new(&a, &b, 3, 1.0).unwrap(), Shape::AsIs);
        let found = statistics(&LowRank::new(&scaled(&a), &scaled(&b), 3, 1.0).unwrap(), Shape::AsIs);
        near(found.frobenius / size / size, plain.frobenius, 1e-12, "frobenius");
        let (found, plain) = (found.form.unwrap(), plain.form.unwrap());
        near(found.kurtosis.unwrap(), plain.kurtosis.unwrap(), 1e-10, "kurtosis");
        near(found.row_hoyer.unwrap(), plain.row_hoyer.unwrap(), 1e-10, "row_hoyer");
    }
}

#[test]
fn factors_that_are_none_are_refused() {
    let code = |a: &[f64], b: &[f64], rank, scaling| {
        LowRank::new(a, b, rank, scaling).map(|_| ()).unwrap_err().code()
    };
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0_f64.powi(128)] {
        assert_eq!(code(&[1.0, value], &[1.0], 1, 1.0), "CS-TSR-025");
        assert_eq!(code(&[1.0], &[1.0, -value], 1, 1.0), "CS-TSR-025");
    }
    assert_eq!(code(&[1.0], &[1.0], 0, 1.0), "CS-TSR-028");
    assert_eq!(code(&[1.0, 2.0, 3.0], &[1.0, 2.0], 2, 1.0), "CS-TSR-028");
    assert_eq!(code(&[], &[1.0], 1, 1.0), "CS-TSR-028");
    assert_eq!(code(&[1.0], &[1.0], 1, f64::NAN), "CS-TSR-028");
}

#[test]
fn matrices_that_are_none_or_too_large_are_refused() {
    assert_eq!(matrix(&[], 0, 5, "x").unwrap(), Vec::<f64>::new());
    assert_eq!(matrix(&[3.0], 1, 1, "x").unwrap(), [3.0]);
    let code = |values: &[f64], rows, columns| matrix(values, rows, columns, "x").unwrap_err().code();
    assert_eq!(code(&[1.0, 2.0], 1, 1), "CS-TSR-300");
    assert_eq!(code(&[1.0], usize::MAX, usize::MAX), "CS-TSR-300");
    let most = super::DENSE_ELEMENTS_MAX;
    assert_eq!(code(&vec![1.0; most + 1], 1, most + 1), "CS-TSR-300");
    assert_eq!(code(&[1.0, f64::NAN], 1, 2), "CS-TSR-025");
    assert_eq!(code(&[f64::INFINITY], 1, 1), "CS-TSR-025");
}

#[test]
fn modules_are_read_as_their_kind_stands() {
    let values = |count: usize, seed| -> Vec<u8> {
        let mut draw = draws(seed);
        #[expect(clippy::cast_possible_truncation, reason = "24 bits fit")]
        let bytes = (0..count).flat_map(|_| (draw() as f32).to_le_bytes()).collect();
        bytes
    };
    let (a, b) = (values(2 * 5, 1), values(3 * 2, 2));
    let of = |a_name: &str, b_name: &str, a: &[u8]| {
        let file = write(&[(a_name, Dtype::F32, &[2, 5], a), (b_name, Dtype::F32, &[3, 2], &b)]).unwrap();
        let file = SafeTensors::read(&file).unwrap();
        let config = Config::read(br#"{"peft_type":"LORA","r":2,"lora_alpha":4}"#).unwrap();
        let adapter = Adapter::join(config, &file);
        module(&adapter.modules[0], &mut Work::limit(ENOUGH))
    };
    let linear = of("base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight", &a).unwrap();
    assert_eq!((linear.rows, linear.columns, linear.rank), (3, 5, 2));
    let embedding =
        of("base_model.model.q.lora_embedding_A", "base_model.model.q.lora_embedding_B", &a).unwrap();
    assert_eq!((embedding.rows, embedding.columns), (5, 3));
    assert_eq!(embedding.singular_values, linear.singular_values);
    assert_eq!(embedding.form.unwrap().row_hoyer, linear.form.unwrap().column_hoyer);
    let mut broken = a.clone();
    broken[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    let error =
        of("base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight", &broken).unwrap_err();
    assert_eq!(error.code(), "CS-TSR-025");
}

#[test]
fn a_family_is_a_path_but_for_its_numbers() {
    let wanted = ("model.layers.*.self_attn.q_proj".to_owned(), Some(12));
    assert_eq!(family_of("model.layers.12.self_attn.q_proj"), wanted);
    assert_eq!(family_of("blk.3.experts.7.w1"), ("blk.*.experts.*.w1".into(), Some(3)));
    assert_eq!(family_of("lm_head"), ("lm_head".into(), None));
    assert_eq!(family_of("h.+3.x"), ("h.+3.x".into(), None));
    let large = "99999999999999999999999999";
    assert_eq!(family_of(&format!("h.{large}")), (format!("h.{large}"), None));
}

/// Statistics of a family with a trend over depth, one member of which is heaped on one row.
fn family_with_spike(count: usize, spike: usize) -> Vec<(String, Statistics)> {
    (0..count)
        .map(|layer| {
            let kind = if layer == spike { "spike" } else { "plain" };
            let (a, b) = factors(kind, 64, 48, 4, 100 + layer as u64);
            let factors = LowRank::new(&a, &b, 4, 1.0 + layer as f64 / 4.0).unwrap();
            (format!("model.layers.{layer}.q_proj"), statistics(&factors, Shape::AsIs))
        })
        .collect()
}

#[test]
fn what_stands_out_of_its_family_is_seen() {
    let modules = family_with_spike(FAMILY_MIN, 9);
    let borrowed: Vec<(&str, &Statistics)> = modules.iter().map(|(path, s)| (path.as_str(), s)).collect();
    let found = standings(&borrowed);
    let concentrations: Vec<f64> = found.iter().map(|standing| standing.concentration().unwrap()).collect();
    for (layer, concentration) in concentrations.iter().enumerate() {
        assert_eq!(*concentration > 14.0, layer == 9, "{concentrations:?}");
    }
    assert!(found[9].log_rms.unwrap() > 5.0, "louder than its neighbours: {:?}", found[9]);
    // One fewer is too few.
    let none = family::Standing::default();
    assert!(standings(&borrowed[..FAMILY_MIN - 1]).iter().all(|standing| *standing == none));
    // The order of modules does not matter.
    let backwards: Vec<(&str, &Statistics)> = borrowed.iter().rev().copied().collect();
    let turned = standings(&backwards);
    for (x, y) in turned.iter().rev().zip(&found) {
        assert!((x.kurtosis.unwrap() - y.kurtosis.unwrap()).abs() < 1e-9);
    }
}

#[test]
fn equal_members_have_no_standing() {
    let one = family_with_spike(2, 0).remove(1).1;
    let paths: Vec<String> = (0..20).map(|layer| format!("h.{layer}.w")).collect();
    let modules: Vec<(&str, &Statistics)> = paths.iter().map(|path| (path.as_str(), &one)).collect();
    let none = family::Standing::default();
    assert!(standings(&modules).iter().all(|standing| *standing == none));
    assert_eq!(family::robust_scores(&[]), None);
    let scores = family::robust_scores(&[0.0, 0.0, 0.0, 10.0]).unwrap();
    assert!((scores[3] - 10.0 / (1.253_314_137_315_500_3 * 2.5)).abs() < 1e-12, "{scores:?}");
}
