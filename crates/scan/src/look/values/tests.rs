use super::*;

fn view<'a>(dtype: Dtype, shape: &'a [usize], data: &'a [u8]) -> View<'a> {
    View { name: "t", dtype, shape, data }
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn every_sort_of_value_is_counted_once() {
    let mut values = vec![0.5_f32; 5000];
    values[0] = f32::NAN;
    values[1] = f32::from_bits(0x7fc0_0001);
    values[2] = f32::INFINITY;
    values[3] = f32::NEG_INFINITY;
    values[4] = f32::from_bits(1);
    values[5] = -0.0;
    values[4999] = -1e30;
    let data = f32s(&values);
    let facts = Facts::of(&view(Dtype::F32, &[5000], &data)).unwrap();
    assert_eq!((facts.nans, facts.nan_payloads, facts.infinities), (2, 1, 2));
    assert_eq!((facts.subnormals, facts.zeros, facts.elements), (1, 1, 5000));
    assert!(!facts.constant);
    assert!((magnitude(Dtype::F32, facts.magnitude_max) - f64::from(1e30_f32)).abs() < 1e20);
    // Of those with bits below bfloat16: the odd NaN, the subnormal and -1e30.
    assert_eq!(facts.low_half, 3);
}

#[test]
fn half_precision_is_counted_in_its_own_terms() {
    let values = [half::f16::NAN, half::f16::INFINITY, half::f16::from_bits(1), half::f16::from_f32(-2.5)];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let facts = Facts::of(&view(Dtype::F16, &[4], &data)).unwrap();
    assert_eq!((facts.nans, facts.infinities, facts.subnormals), (1, 1, 1));
    assert!((magnitude(Dtype::F16, facts.magnitude_max) - 2.5).abs() < 1e-12);
    let values = [half::bf16::NEG_INFINITY, half::bf16::from_f32(3.0)];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let facts = Facts::of(&view(Dtype::BF16, &[2], &data)).unwrap();
    assert_eq!((facts.nans, facts.infinities), (0, 1));
    assert!((magnitude(Dtype::BF16, facts.magnitude_max) - 3.0).abs() < 1e-12);
}

#[test]
fn chance_is_even_and_words_are_not() {
    let mut state = 7_u64;
    let noise: Vec<u8> = (0..65536)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    assert!(unevenness(&noise).abs() < 0.003, "{}", unevenness(&noise));
    let words: Vec<u8> = b"the quick brown fox jumps ".iter().copied().cycle().take(65536).collect();
    assert!(unevenness(&words) > 3.0);
    assert!(unevenness(&[]) == 0.0);
}
