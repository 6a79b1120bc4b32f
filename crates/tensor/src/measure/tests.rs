#![expect(clippy::cast_precision_loss, reason = "small numbers")]

use proptest::prelude::*;

use super::{BaseLayout, Change, Extent, SATURATED, Work, module, tensor};
use crate::Error;
use crate::peft::{Adapter, Config};
use crate::safetensors::{Dtype, SafeTensors, write};

/// A low-rank change, its base and the numbers to build them from.
#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    columns: usize,
    rank: usize,
    alpha: f64,
    a: Vec<f32>,
    b: Vec<f32>,
    magnitude: Option<Vec<f32>>,
    base: Vec<f32>,
}

const ENOUGH: u64 = u64::MAX;

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Case {
    fn measured(&self, work: u64) -> Result<Change, Error> {
        let (a, b, base) = (bytes_of(&self.a), bytes_of(&self.b), bytes_of(&self.base));
        let (a_shape, b_shape) = ([self.rank, self.columns], [self.rows, self.rank]);
        let magnitude = self.magnitude.as_deref().map(bytes_of);
        let mut tensors: Vec<(&str, Dtype, &[usize], &[u8])> = vec![
            ("base_model.model.q.lora_A.weight", Dtype::F32, &a_shape, &a),
            ("base_model.model.q.lora_B.weight", Dtype::F32, &b_shape, &b),
        ];
        let rows = [self.rows];
        if let Some(magnitude) = &magnitude {
            tensors.push(("base_model.model.q.lora_magnitude_vector", Dtype::F32, &rows, magnitude));
        }
        let adapter = write(&tensors).unwrap();
        let shape = [self.rows, self.columns];
        let base = write(&[("q.weight", Dtype::F32, &shape, &base)]).unwrap();
        let config = format!(
            r#"{{"peft_type":"LORA","r":{},"lora_alpha":{},"use_dora":{}}}"#,
            self.rank,
            self.alpha,
            self.magnitude.is_some()
        );
        let file = SafeTensors::read(&adapter).unwrap();
        let adapter = Adapter::join(Config::read(config.as_bytes()).unwrap(), &file);
        assert_eq!(adapter.findings, []);
        let base = SafeTensors::read(&base).unwrap();
        let view = base.view("q.weight").unwrap();
        module(&adapter.modules[0], Some(&view), BaseLayout::OutIn, &mut Work::limit(work))
    }

    /// `ΔW`, element by element, the plain way.
    fn dense(&self) -> Vec<f64> {
        let scaling = self.alpha / self.rank as f64;
        let mut delta = Vec::new();
        for i in 0..self.rows {
            let product = |j: usize| -> f64 {
                (0..self.rank)
                    .map(|k| f64::from(self.b[i * self.rank + k]) * f64::from(self.a[k * self.columns + j]))
                    .sum()
            };
            let row: Vec<f64> = (0..self.columns).map(|j| scaling * product(j)).collect();
            match &self.magnitude {
                None => delta.extend(row),
                Some(magnitude) => {
                    let base: Vec<f64> =
                        self.base[i * self.columns..][..self.columns].iter().map(|&w| f64::from(w)).collect();
                    let sum: Vec<f64> = row.iter().zip(&base).map(|(d, w)| d + w).collect();
                    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
                    let scale = f64::from(magnitude[i]) / length;
                    delta.extend(sum.iter().zip(&base).map(|(v, w)| scale * v - w));
                }
            }
        }
        delta
    }
}

fn norms(values: &[f64]) -> (f64, f64) {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (squares.sqrt(), values.iter().fold(0.0, |most, value| value.abs().max(most)))
}

/// The integer is the value rounded up, give or take the allowance.
#[track_caller]
fn close(integer: u64, value: f64, units: f64) {
    let scaled = value * units;
    let slack = 1e-9 * scaled + 1e-6;
    assert!(integer as f64 >= scaled - slack, "{integer} understates {scaled}");
    assert!(integer as f64 <= scaled + 1.0 + slack, "{integer} overstates {scaled}");
}

#[track_caller]
fn agrees(case: &Case) {
    let change = case.measured(ENOUGH).unwrap();
    let (frobenius, element) = norms(&case.dense());
    close(change.frobenius_nano, frobenius, 1e9);
    close(change.element_nano, element, 1e9);
    let base: Vec<f64> = case.base.iter().map(|&w| f64::from(w)).collect();
    let (base_frobenius, base_element) = norms(&base);
    let relative = change.relative.unwrap();
    close(relative.frobenius_ppm, frobenius / base_frobenius, 1e6);
    close(relative.element_ppm, element / base_element, 1e6);
    assert_eq!((change.frobenius_extent, change.element_extent), (Extent::Exact, Extent::Exact));
}

fn any_case() -> impl Strategy<Value = Case> {
    (1_usize..40, 1_usize..40, 1_usize..7, 1_u32..64).prop_flat_map(|(rows, columns, rank, alpha)| {
        let values = |count: usize| prop::collection::vec(-2.0_f32..2.0, count);
        let magnitude = prop::option::of(prop::collection::vec(0.1_f32..3.0, rows));
        (values(rank * columns), values(rank * rows), values(rows * columns), magnitude).prop_map(
            move |(a, b, mut base, magnitude)| {
                base[0] = 1.0;
                Case { rows, columns, rank, alpha: f64::from(alpha), a, b, magnitude, base }
            },
        )
    })
}

proptest! {
    #[test]
    fn norms_agree_with_the_plain_way(mut case in any_case()) {
        case.magnitude = None;
        agrees(&case);
    }

    #[test]
    fn decomposed_modules_agree_with_the_plain_way(mut case in any_case()) {
        case.magnitude.get_or_insert(vec![1.5; case.rows]);
        agrees(&case);
    }

    #[test]
    fn a_bound_is_never_below_the_exact_value(mut case in any_case(), work in 0_u64..2000) {
        case.magnitude = None;
        let exact = case.measured(ENOUGH).unwrap();
        let limited = case.measured(work).unwrap();
        prop_assert!(limited.frobenius_nano >= exact.frobenius_nano - 1);
        prop_assert!(limited.element_nano >= exact.element_nano - 1);
        if limited.element_extent == Extent::Exact {
            prop_assert_eq!(limited.element_nano, exact.element_nano);
        }
        let none = case.measured(0).unwrap();
        prop_assert_eq!((none.frobenius_extent, none.element_extent), (Extent::Bound, Extent::Bound));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whole_tensors_agree_with_the_plain_way(
        pairs in prop::collection::vec((-2.0_f32..2.0, prop::option::of(-2.0_f32..2.0)), 1..5000),
    ) {
        let old: Vec<f32> = pairs.iter().map(|(old, _)| *old).collect();
        let new: Vec<f32> = pairs.iter().map(|(old, new)| new.unwrap_or(*old)).collect();
        let change = compare(&old, &new).unwrap();
        let delta: Vec<f64> = old.iter().zip(&new).map(|(o, n)| f64::from(*n) - f64::from(*o)).collect();
        let (frobenius, element) = norms(&delta);
        close(change.frobenius_nano, frobenius, 1e9);
        close(change.element_nano, element, 1e9);
        let changed = old.iter().zip(&new).filter(|(o, n)| o.to_bits() != n.to_bits()).count();
        prop_assert_eq!(change.changed_ppm, Some((changed as u64 * 1_000_000).div_ceil(old.len() as u64)));
    }
}

fn compare(old: &[f32], new: &[f32]) -> Result<Change, Error> {
    let file = |values: &[f32]| write(&[("x", Dtype::F32, &[values.len()], &bytes_of(values))]).unwrap();
    let (old, new) = (file(old), file(new));
    let (old, new) = (SafeTensors::read(&old).unwrap(), SafeTensors::read(&new).unwrap());
    tensor(&old.view("x").unwrap(), &new.view("x").unwrap())
}

/// A module of one row and one column, so that every number can be seen.
fn single(a: &[f32], b: &[f32], base: f32) -> Case {
    let rank = a.len();
    let alpha = rank as f64;
    Case { rows: 1, columns: 1, rank, alpha, a: a.to_vec(), b: b.to_vec(), magnitude: None, base: vec![base] }
}

#[test]
fn exact_values_come_out_exactly() {
    let change = single(&[0.5], &[0.25], 4.0).measured(ENOUGH).unwrap();
    // 0.125 is 125,000,000 units; the allowance rounds up to the next.
    assert_eq!((change.frobenius_nano, change.element_nano), (125_000_001, 125_000_001));
    let relative = change.relative.unwrap();
    assert_eq!((relative.frobenius_ppm, relative.element_ppm), (31_251, 31_251));
}

#[test]
fn no_change_measures_zero_even_against_nothing() {
    let change = single(&[1.0], &[0.0], 0.0).measured(ENOUGH).unwrap();
    assert_eq!((change.frobenius_nano, change.element_nano), (0, 0));
    let relative = change.relative.unwrap();
    assert_eq!((relative.frobenius_ppm, relative.element_ppm), (0, 0));
    let change = compare(&[0.0, 1.0], &[0.0, 1.0]).unwrap();
    assert_eq!((change.frobenius_nano, change.element_nano, change.changed_ppm), (0, 0, Some(0)));
}

#[test]
fn the_smallest_change_is_seen_and_a_change_of_nothing_is_beyond_measure() {
    let smallest = f32::from_bits(1);
    let change = single(&[smallest], &[smallest], 1.0).measured(ENOUGH).unwrap();
    assert_eq!((change.frobenius_nano, change.element_nano), (1, 1));
    assert_eq!(change.relative.unwrap().frobenius_ppm, 1);
    let relative = single(&[smallest], &[smallest], 0.0).measured(ENOUGH).unwrap().relative.unwrap();
    assert_eq!((relative.frobenius_ppm, relative.element_ppm), (SATURATED, SATURATED));
}

#[test]
fn the_largest_change_saturates() {
    let change = single(&[f32::MAX], &[f32::MAX], 1.0).measured(ENOUGH).unwrap();
    assert_eq!((change.frobenius_nano, change.element_nano), (SATURATED, SATURATED));
    assert_eq!(change.relative.unwrap().element_ppm, SATURATED);
}

#[test]
fn cancellation_cannot_hide_a_change() {
    // B·A = 2^40·2^40 - 2^40·2^40 + 1, in which the one is lost to rounding: the sum of the first two terms is
    // exact, but in another order, and in the Gram matrices, it is not. The report may overstate, not understate.
    let large = 2.0_f32.powi(40);
    for (a, b) in [
        ([1.0, large, large], [1.0, large, -large]),
        ([large, 1.0, large], [large, 1.0, -large]),
        ([large, large, 1.0], [large, -large, 1.0]),
    ] {
        let change = single(&a, &b, 20.0).measured(ENOUGH).unwrap();
        assert!(change.frobenius_nano >= 1_000_000_000, "{change:?}");
        assert!(change.element_nano >= 1_000_000_000, "{change:?}");
        assert!(change.relative.unwrap().frobenius_ppm >= 50_000, "{change:?}");
    }
}

#[test]
fn bases_of_another_shape_or_kind_are_refused() {
    let mut case = single(&[1.0], &[1.0], 1.0);
    case.base = vec![f32::NAN];
    assert_eq!(case.measured(ENOUGH).unwrap_err().code(), "CS-TSR-025");
    let error = compare(&[1.0], &[1.0, 2.0]).unwrap_err();
    assert_eq!(error.code(), "CS-TSR-026");
    assert_eq!(compare(&[1.0], &[f32::NAN]).unwrap_err().code(), "CS-TSR-025");
}

#[test]
fn layouts_and_embeddings_decide_the_shape_of_the_base() {
    let a = bytes_of(&[1.0; 6]);
    let b = bytes_of(&[1.0; 4]);
    let fit = |a_name: &str, b_name: &str, base: &[usize], dtype: Dtype, layout: BaseLayout| {
        let adapter = write(&[(a_name, Dtype::F32, &[2, 3], &a), (b_name, Dtype::F32, &[2, 2], &b)]).unwrap();
        let bytes = vec![1; 6 * dtype.bytes()];
        let base = write(&[("q.weight", dtype, base, &bytes)]).unwrap();
        let file = SafeTensors::read(&adapter).unwrap();
        let config = Config::read(br#"{"peft_type":"LORA","r":2,"lora_alpha":2}"#).unwrap();
        let adapter = Adapter::join(config, &file);
        let base = SafeTensors::read(&base).unwrap();
        let view = base.view("q.weight").unwrap();
        module(&adapter.modules[0], Some(&view), layout, &mut Work::limit(ENOUGH))
            .map(|_| ())
            .map_err(|error| error.code())
    };
    let linear = ("base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight");
    let embedding = ("base_model.model.q.lora_embedding_A", "base_model.model.q.lora_embedding_B");
    let (plain, turned) = (BaseLayout::OutIn, BaseLayout::InOut);
    assert_eq!(fit(linear.0, linear.1, &[2, 3], Dtype::F32, plain), Ok(()));
    assert_eq!(fit(linear.0, linear.1, &[3, 2], Dtype::F32, plain), Err("CS-TSR-026"));
    assert_eq!(fit(linear.0, linear.1, &[3, 2], Dtype::F32, turned), Ok(()));
    assert_eq!(fit(linear.0, linear.1, &[6], Dtype::F32, plain), Err("CS-TSR-026"));
    assert_eq!(fit(embedding.0, embedding.1, &[3, 2], Dtype::F32, plain), Ok(()));
    assert_eq!(fit(embedding.0, embedding.1, &[2, 3], Dtype::F32, plain), Err("CS-TSR-026"));
    for quantised in [Dtype::I8, Dtype::F8E4M3] {
        assert_eq!(fit(linear.0, linear.1, &[2, 3], quantised, plain), Err("CS-TSR-028"));
    }
}

#[test]
fn decomposed_modules_need_their_base_and_work() {
    let mut case = single(&[1.0], &[1.0], 1.0);
    case.magnitude = Some(vec![2.0]);
    assert_eq!(case.measured(0).unwrap_err().code(), "CS-TSR-028");
    case.base = vec![-1.0];
    assert_eq!(case.measured(ENOUGH).unwrap_err().code(), "CS-TSR-028", "the direction vanishes");
}

#[test]
fn a_rank_beyond_any_in_use_is_not_measured() {
    let rank = super::RANK_MAX + 1;
    let case = single(&vec![1.0; rank], &vec![1.0; rank], 1.0);
    assert_eq!(case.measured(ENOUGH).unwrap_err().code(), "CS-TSR-028");
}
