#![expect(clippy::float_cmp, reason = "the floor and zero are meant exactly")]

use proptest::prelude::*;

use super::*;

fn payload(bits: u32, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut out = Vec::new();
    write(bits, Dtype::F32, &bytes, &mut out);
    out
}

/// The same through the integers alone.
fn by_integers(bits: u32, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| f64_of_f32(value.to_bits()).to_le_bytes()).collect();
    let mut out = Vec::new();
    write(bits, Dtype::F64, &bytes, &mut out);
    out
}

/// The step of a group, from its definition.
fn step(bits: i32, values: &[f32]) -> f64 {
    let largest = values.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    let mut power = 1.0_f64;
    while power > largest {
        power /= 2.0;
    }
    while power * 2.0 <= largest {
        power *= 2.0;
    }
    power * 2_f64.powi(2 - bits)
}

#[test]
fn a_group_written_by_hand() {
    // Largest magnitude 1.5, so E = 0 and the step is 2^-6 with eight bits.
    let mut values = [0.0_f32; 32];
    values[0] = 1.5;
    values[1] = -1.5;
    values[2] = 1.0 / 64.0;
    values[3] = -1.0 / 1024.0;
    let out = payload(8, &values);
    assert_eq!(out.len(), 34);
    assert_eq!(out[..7], [0, 0, 96, 160, 1, 255, 0]);
    // With four bits the step is 1/4, with two it is 1.
    assert_eq!(payload(4, &values)[..4], [0, 0, 6 | 10 << 4, 15 << 4]);
    assert_eq!(payload(2, &values)[..3], [0, 0, 1 | 2 << 2 | 3 << 6]);
    assert_eq!(payload(4, &values).len(), 18);
    assert_eq!(payload(2, &values).len(), 10);
}

#[test]
fn zeros_and_what_is_not_finite_have_their_own_forms() {
    assert_eq!(payload(8, &[0.0; 32])[..2], i16::MIN.to_le_bytes());
    let mut values = [1.0_f32; 32];
    values[7] = f32::NAN;
    let out = payload(2, &values);
    assert_eq!(out[..2], i16::MAX.to_le_bytes());
    assert_eq!(out.len(), 2 + 32 * 8);
}

fn any_value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0_f32..1.0,
        2 => any::<f32>().prop_filter("finite", |value| value.is_finite()),
        1 => (0_u32..0x0100_0000).prop_map(f32::from_bits),
        1 => Just(-0.0_f32),
        1 => Just(-f32::from_bits(1)),
    ]
}

proptest! {
    #[test]
    fn both_ways_give_the_same_codes(values in prop::collection::vec(any_value(), 1..97)) {
        for bits in [8, 4, 2] {
            prop_assert_eq!(payload(bits, &values), by_integers(bits, &values));
        }
    }

    #[test]
    fn codes_are_the_floor(values in prop::collection::vec(-8.0_f32..8.0, 32)) {
        let step = step(8, &values);
        let out = payload(8, &values);
        for (value, code) in values.iter().zip(&out[2..]) {
            let wanted = (f64::from(*value) / step).floor();
            prop_assert!((-128.0..128.0).contains(&wanted));
            prop_assert_eq!(f64::from(*code as i8), wanted);
        }
    }

    #[test]
    fn a_change_of_a_step_is_always_seen(
        mut values in prop::collection::vec(any_value(), 32),
        place in 0_usize..32,
        times in 1.0_f64..100.0,
        down in any::<bool>(),
    ) {
        for bits in [8_u32, 4, 2] {
            if values.iter().all(|value| *value == 0.0) {
                continue;
            }
            let before = payload(bits, &values);
            let by = step(bits as i32, &values) * times;
            let old = values[place];
            let new = (f64::from(old) + if down { -by } else { by }) as f32;
            // What is left of the change after rounding to the type that holds it.
            if !new.is_finite() || (f64::from(new) - f64::from(old)).abs() < step(bits as i32, &values) {
                continue;
            }
            values[place] = new;
            prop_assert_ne!(payload(bits, &values), before, "{} bits", bits);
            values[place] = old;
        }
    }
}
