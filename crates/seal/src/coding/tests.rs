#![expect(clippy::float_cmp, reason = "conversions are exact or wrong")]

use half::{bf16, f16};
use statement::Digest;
use tensor::safetensors::Dtype;

use super::*;

fn mark(coding: Coding, dtype: Dtype, bytes: &[u8]) -> Mark {
    let keys = Keys::of(&Digest::of(b"rule"));
    let count = bytes.len() / dtype.bytes();
    leaf(&keys, coding, Elements::Plain { dtype, bytes }, 0, 0, count, &mut Scratch::default()).unwrap()
}

#[test]
fn every_half_widens_as_the_reference_does_and_comes_back() {
    for half in 0..=u16::MAX {
        let wide = f32_of_f16(half);
        let value = f32::from_bits(wide);
        if value.is_nan() {
            assert_eq!(wide & 0x7f_ffff, u32::from(half & 0x3ff) << 13, "the payload stays");
        } else {
            assert_eq!(wide, f16::from_bits(half).to_f32().to_bits());
        }
        assert_eq!(f16_of_f32(wide), Some(half));
        assert_eq!(f32_of_f64(f64_of_f32(wide)), Some(wide));
        if half & 0x7fff != 0x7c00 {
            assert_eq!(f16_of_f32(wide | 1), None, "what does not fit is not rounded");
        }
        let brain = u32::from(half) << 16;
        assert_eq!(bf16_of_f32(brain), Some(half));
        assert_eq!(f32_of_f64(f64_of_f32(brain)), Some(brain));
    }
}

#[test]
fn what_narrows_to_half_is_what_the_reference_narrows_without_loss() {
    let mut state = 1_u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Few mantissa bits and exponents around those of F16, so that both answers occur.
        let bits = (state & 0x8000_0000) | (95 + (state >> 8) % 55) << 23 | (state & 0x7ff) << 12;
        let value = f32::from_bits(bits);
        let half = f16::from_f32(value);
        let wanted = (half.to_f32().to_bits() == bits).then_some(half.to_bits());
        assert_eq!(f16_of_f32(bits), wanted, "{value:e}");
    }
    for value in [0.1_f64, f64::MAX, 5e-324, 1.0 + f64::EPSILON] {
        assert_eq!(f32_of_f64(value.to_bits()), None);
    }
}

#[test]
fn every_value_of_the_eight_bit_types_is_what_their_definition_says() {
    for byte in 0..=u8::MAX {
        let value = bf16::from_bits(E4M3[usize::from(byte)]).to_f64();
        let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f64::from(byte & 7));
        let wanted = match exponent {
            15 if byte & 7 == 7 => f64::NAN,
            0 => mantissa * 2_f64.powi(-9),
            _ => (1.0 + mantissa / 8.0) * 2_f64.powi(exponent - 7),
        };
        let wanted = if byte & 0x80 == 0 { wanted } else { -wanted };
        assert!(value.to_bits() == wanted.to_bits() || (value.is_nan() && wanted.is_nan()), "{byte:#x}");
        let value = bf16::from_bits(E5M2[usize::from(byte)]).to_f64();
        let wanted = f16::from_bits(u16::from(byte) << 8).to_f64();
        assert!(value == wanted || (value.is_nan() && wanted.is_nan()), "{byte:#x}");
    }
}

#[test]
fn the_same_values_have_one_leaf_in_every_type_that_holds_them() {
    let values: Vec<f32> = (0..100_i16).map(|number| f32::from(number - 50) / 8.0).collect();
    let halves: Vec<u8> = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
    let brains: Vec<u8> = values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
    let singles: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let doubles: Vec<u8> = values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    for coding in [Coding::Exact, Coding::Bits8, Coding::Bits4, Coding::Bits2] {
        let wanted = mark(coding, Dtype::F32, &singles);
        assert_eq!(mark(coding, Dtype::F16, &halves), wanted, "{coding:?}");
        assert_eq!(mark(coding, Dtype::BF16, &brains), wanted, "{coding:?}");
        assert_eq!(mark(coding, Dtype::F64, &doubles), wanted, "{coding:?}");
    }
}

#[test]
fn zeros_of_either_sign_and_payloads_of_nans_differ_exactly() {
    let one = |bits: u32| mark(Coding::Exact, Dtype::F32, &bits.to_le_bytes());
    let marks =
        [one(0), one(0x8000_0000), one(0x7fc0_0000), one(0x7fc0_0001), one(0x7f80_0000), one(0x7fa0_0000)];
    for (at, mark) in marks.iter().enumerate() {
        assert!(!marks[..at].contains(mark));
    }
    let low = |bits: u32| mark(Coding::Bits8, Dtype::F32, &bits.to_le_bytes());
    assert_eq!(low(0), low(0x8000_0000), "below any resolution");
    assert_ne!(low(0x7fc0_0000), low(0x7fc0_0001), "groups with a NaN are exact");
}

#[test]
fn integers_are_exact_under_every_coding_and_keep_their_type() {
    let bytes = [1_u8, 2, 3, 4, 5, 6, 7, 8];
    let exact = mark(Coding::Exact, Dtype::I8, &bytes);
    assert_eq!(mark(Coding::Bits2, Dtype::I8, &bytes), exact);
    assert_ne!(mark(Coding::Exact, Dtype::U8, &bytes), exact);
}
