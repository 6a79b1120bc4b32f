//! GPTQ and AWQ. The layers in `packing.golden` were packed by AutoGPTQ and AutoAWQ (`packing_golden.py`); others are
//! packed here, bit by bit.

use quant::gptq::{Grouping, ZeroPoints};
use quant::{Error, awq, gptq};
use sha2::{Digest as _, Sha256};

use crate::inputs::Generator;

fn integers(words: &str) -> Vec<i32> {
    words.split(',').map(|word| u32::from_str_radix(word, 16).unwrap().cast_signed()).collect()
}

fn digest(weights: &[f32]) -> String {
    let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn layers_of_autogptq_and_autoawq_are_unpacked_to_their_weights() {
    for line in include_str!("packing.golden").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let (inputs, outputs, group_size) = (number(2), number(3), number(4));
        let (qweight, qzeros) = (integers(words[6]), integers(words[7]));
        let scales: Vec<f32> =
            integers(words[8]).iter().map(|word| f32::from_bits(word.cast_unsigned())).collect();
        let mut out = vec![0.0; inputs * outputs];
        if words[0] == "awq" {
            let layer = awq::Layer {
                inputs,
                outputs,
                qweight: &qweight,
                qzeros: &qzeros,
                scales: &scales,
                group_size,
            };
            awq::unpack(&layer, &mut out).unwrap();
        } else {
            let index = integers(words[9]);
            let mut layer = gptq::Layer {
                bits: words[1].parse().unwrap(),
                inputs,
                outputs,
                qweight: &qweight,
                qzeros: &qzeros,
                scales: &scales,
                grouping: Grouping::Index(&index),
                zero_points: ZeroPoints::LessOne,
            };
            gptq::unpack(&layer, &mut out).unwrap();
            if words[5] == "0" {
                let mut again = vec![0.0; inputs * outputs];
                layer.grouping = Grouping::Even(group_size);
                gptq::unpack(&layer, &mut again).unwrap();
                assert_eq!(out, again);
            }
        }
        assert_eq!(digest(&out), *words.last().unwrap(), "{}", &line[..30]);
    }
}

/// Fields as a string of zeros and ones, the lowest bit first, cut into words.
fn stream(fields: impl IntoIterator<Item = u32>, bits: u32) -> Vec<i32> {
    let ones: Vec<u32> =
        fields.into_iter().flat_map(|field| (0..bits).map(move |bit| (field >> bit) & 1)).collect();
    ones.chunks(32)
        .map(|word| word.iter().enumerate().fold(0, |word, (at, one)| word | (one << at)).cast_signed())
        .collect()
}

#[test]
fn what_is_packed_bit_by_bit_comes_back() {
    let mut generator = Generator::new(3);
    for bits in [2, 3, 4, 8] {
        let (inputs, outputs, groups) = (64, 32, 4);
        let top = 1_u64 << bits;
        let weights: Vec<u32> = (0..inputs * outputs).map(|_| (generator.next() % top) as u32).collect();
        let zeros: Vec<u32> = (0..groups * outputs).map(|_| (generator.next() % top) as u32).collect();
        let scales: Vec<f32> = (0..groups * outputs).map(|_| generator.unit() + 0.1).collect();
        let index: Vec<i32> = (0..inputs).map(|_| (generator.next() % groups as u64) as i32).collect();
        // A column of the words holds an output's stream along the inputs.
        let columns: Vec<Vec<i32>> = (0..outputs)
            .map(|output| stream((0..inputs).map(|input| weights[output * inputs + input]), bits))
            .collect();
        let qweight: Vec<i32> =
            (0..columns[0].len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        let qzeros: Vec<i32> =
            zeros.chunks(outputs).flat_map(|row| stream(row.iter().copied(), bits)).collect();
        for zero_points in [ZeroPoints::AsTheyAre, ZeroPoints::LessOne] {
            let layer = gptq::Layer {
                bits,
                inputs,
                outputs,
                qweight: &qweight,
                qzeros: &qzeros,
                scales: &scales,
                grouping: Grouping::Index(&index),
                zero_points,
            };
            let mut out = vec![0.0; inputs * outputs];
            gptq::unpack(&layer, &mut out).unwrap();
            for output in 0..outputs {
                for input in 0..inputs {
                    let place = index[input] as usize * outputs + output;
                    let zero =
                        zeros[place] as f32 + if zero_points == ZeroPoints::LessOne { 1.0 } else { 0.0 };
                    let expected = scales[place] * (weights[output * inputs + input] as f32 - zero);
                    assert_eq!(out[output * inputs + input], expected, "{bits} bits");
                }
            }
        }
    }
}

#[track_caller]
fn refused(outcome: Result<(), Error>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn layers_whose_parts_do_not_fit_are_refused() {
    let sound = gptq::Layer {
        bits: 4,
        inputs: 32,
        outputs: 32,
        qweight: &[0; 128],
        qzeros: &[0; 4],
        scales: &[1.0; 32],
        grouping: Grouping::Even(32),
        zero_points: ZeroPoints::LessOne,
    };
    let mut out = [0.0; 1024];
    gptq::unpack(&sound, &mut out).unwrap();
    let mut check = |layer: gptq::Layer<'_>, code| refused(gptq::unpack(&layer, &mut out), code);
    check(gptq::Layer { bits: 5, ..sound }, "CS-QNT-011");
    check(gptq::Layer { bits: 40, ..sound }, "CS-QNT-011");
    check(gptq::Layer { inputs: 33, ..sound }, "CS-QNT-012");
    check(gptq::Layer { outputs: 0, ..sound }, "CS-QNT-012");
    check(gptq::Layer { outputs: 31, ..sound }, "CS-QNT-012");
    check(gptq::Layer { inputs: usize::MAX, ..sound }, "CS-QNT-012");
    check(gptq::Layer { scales: &[], ..sound }, "CS-QNT-012");
    check(gptq::Layer { qweight: &[0; 127], ..sound }, "CS-QNT-006");
    check(gptq::Layer { qzeros: &[0; 5], ..sound }, "CS-QNT-006");
    check(gptq::Layer { grouping: Grouping::Even(0), ..sound }, "CS-QNT-012");
    check(gptq::Layer { grouping: Grouping::Even(16), ..sound }, "CS-QNT-013");
    check(gptq::Layer { grouping: Grouping::Index(&[0; 31]), ..sound }, "CS-QNT-006");
    check(gptq::Layer { grouping: Grouping::Index(&[1; 32]), ..sound }, "CS-QNT-013");
    check(gptq::Layer { grouping: Grouping::Index(&[-1; 32]), ..sound }, "CS-QNT-013");
    refused(gptq::unpack(&sound, &mut [0.0; 1]), "CS-QNT-006");

    let sound = awq::Layer {
        inputs: 4,
        outputs: 8,
        qweight: &[0; 4],
        qzeros: &[0; 2],
        scales: &[1.0; 16],
        group_size: 2,
    };
    let mut out = [0.0; 32];
    awq::unpack(&sound, &mut out).unwrap();
    let mut check = |layer: awq::Layer<'_>, code| refused(awq::unpack(&layer, &mut out), code);
    check(awq::Layer { outputs: 12, ..sound }, "CS-QNT-012");
    check(awq::Layer { inputs: usize::MAX, outputs: 16, ..sound }, "CS-QNT-012");
    check(awq::Layer { qweight: &[0; 5], ..sound }, "CS-QNT-006");
    check(awq::Layer { qzeros: &[], ..sound }, "CS-QNT-006");
    check(awq::Layer { group_size: 1, ..sound }, "CS-QNT-013");
}
