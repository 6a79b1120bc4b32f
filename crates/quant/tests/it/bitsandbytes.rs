//! bitsandbytes. The digests in `bitsandbytes.golden` are of what the library made of the same weights, run by
//! `bitsandbytes_golden.py`.

use quant::Error;
use quant::bitsandbytes::{
    Backend, FourBit, dequantize_4bit, dequantize_8bit, dequantize_int8, dynamic_map, quantize_4bit,
    quantize_int8,
};
use sha2::{Digest as _, Sha256};

use crate::inputs::Generator;

/// The weights of the Python script's cases.
fn weights(case: &str, seed: u64, count: usize) -> Vec<f32> {
    let mut generator = Generator::new(seed);
    let mut middles = Vec::new();
    for table in [FourBit::Nf4, FourBit::Fp4] {
        let mut levels = table.levels();
        levels.sort_by(|one, other| one.partial_cmp(other).unwrap());
        middles.extend(levels);
    }
    let middles: Vec<f32> = middles.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])).collect();
    (0..count)
        .map(|at| {
            let bits = generator.next();
            match case {
                "even" => ((bits >> 40) as f64 / 16_777_216.0 - 0.5) as f32,
                "bell" => {
                    let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
                    ((sum as f64 - 131_070.0) / 1_048_576.0) as f32
                }
                "wide" => f32::from_bits((bits as u32 & 0x83ff_ffff) | 0x3800_0000),
                "small" => f32::from_bits((bits as u32 & 0x807f_ffff) | 0x0080_0000),
                "coarse" => ((bits % 33) as f32 - 16.0) / 16.0,
                "zeros" => 0.0,
                "middles" if at % 32 == 0 => 1.0,
                "middles" => {
                    let middle = middles[(bits % 31) as usize];
                    match (bits >> 32) % 3 {
                        0 => middle.next_down(),
                        1 => middle,
                        _ => middle.next_up(),
                    }
                }
                _ => unreachable!("{case}"),
            }
        })
        .collect()
}

fn digest(bytes: impl IntoIterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.into_iter().collect();
    Sha256::digest(&bytes).iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn floats(values: &[f32]) -> String {
    digest(values.iter().flat_map(|value| value.to_le_bytes()))
}

/// What our code makes of the case that a golden line names.
fn repeat(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words[1] {
        "4bit" => {
            let table = if words[2] == "nf4" { FourBit::Nf4 } else { FourBit::Fp4 };
            let backend = if words[0].starts_with("0.48") { Backend::Argmin } else { Backend::Midpoints };
            let (block, count) = (words[4].parse().unwrap(), words[5].parse().unwrap());
            let blocks = quantize_4bit(table, backend, &weights(words[3], 41, count), block).unwrap();
            let mut back = vec![0.0; count];
            dequantize_4bit(table, backend, &blocks.packed, &blocks.absmax, block, &mut back).unwrap();
            // The library's zeros have either sign.
            for weight in &mut back {
                *weight += 0.0;
            }
            format!(
                "{} {} {} {}",
                words[..6].join(" "),
                digest(blocks.packed),
                floats(&blocks.absmax),
                floats(&back)
            )
        }
        "int8" => {
            let columns = words[4].parse().unwrap();
            let threshold = Some(words[5].parse().unwrap()).filter(|threshold| *threshold > 0.0);
            let rows = quantize_int8(&weights(words[3], 43, 4096), columns, threshold).unwrap();
            let mut back = vec![0.0; 4096];
            dequantize_int8(&rows.values, &rows.row_absmax, columns, &mut back).unwrap();
            format!(
                "{} {} {} {} {}",
                words[..6].join(" "),
                digest(rows.values.iter().map(|value| value.cast_unsigned())),
                floats(&rows.row_absmax),
                floats(&back),
                digest(rows.outlier_columns.iter().flat_map(|column| (*column as i64).to_le_bytes()))
            )
        }
        "map" => format!("{} {} {}", words[0], words[1], floats(&dynamic_map())),
        "8bit" => {
            let codes: Vec<u8> = (0..=255).cycle().take(1000).collect();
            let mut back = vec![0.0; 1000];
            let absmax = weights(words[2], 47, 4);
            dequantize_8bit(&dynamic_map(), &codes, &absmax, 256, 0.0, &mut back).unwrap();
            format!("{} {}", words[..3].join(" "), floats(&back))
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn codes_are_those_of_the_library() {
    let golden = include_str!("bitsandbytes.golden");
    let different: Vec<(&str, String)> =
        golden.lines().map(|line| (line, repeat(line))).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty(), "{} of {}: {different:#?}", different.len(), golden.lines().count());
}

#[test]
fn the_trees_differ_from_the_middles_next_to_thresholds_only() {
    for table in [FourBit::Nf4, FourBit::Fp4] {
        for case in ["even", "bell", "coarse"] {
            let weights = weights(case, 9, 8192);
            let middles = quantize_4bit(table, Backend::Midpoints, &weights, 64).unwrap();
            let trees = quantize_4bit(table, Backend::Cuda, &weights, 64).unwrap();
            assert_eq!(middles.absmax, trees.absmax);
            let (mut one, mut other) = (vec![0.0; 8192], vec![0.0; 8192]);
            dequantize_4bit(table, Backend::Midpoints, &middles.packed, &middles.absmax, 64, &mut one)
                .unwrap();
            dequantize_4bit(table, Backend::Cuda, &trees.packed, &trees.absmax, 64, &mut other).unwrap();
            for ((weight, one), other) in weights.iter().zip(&one).zip(&other) {
                let (one, other) = ((weight - one).abs(), (weight - other).abs());
                assert!((one - other).abs() <= 1e-6, "{table:?} {weight}: {one} {other}");
            }
        }
    }
    // What the kernels make of a block of zeros is not a number, and passes no threshold.
    let zeros = quantize_4bit(FourBit::Nf4, Backend::Cuda, &[0.0; 64], 64).unwrap();
    assert_eq!(zeros.packed, [0; 32]);
    let zeros = quantize_4bit(FourBit::Nf4, Backend::Midpoints, &[0.0; 64], 64).unwrap();
    assert_eq!(zeros.packed, [0x77; 32]);
}

#[test]
fn a_threshold_takes_columns_out() {
    let rows = quantize_int8(&[1.0, 8.0, -2.0, 1.0, 0.5, 4.0], 3, Some(6.0)).unwrap();
    assert_eq!(rows.outlier_columns, [1]);
    assert_eq!(rows.row_absmax, [2.0, 4.0]);
    assert_eq!(rows.values, [64, 0, -127, 32, 0, 127]);
}

#[track_caller]
fn refused(outcome: Result<impl std::fmt::Debug, Error>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let map = dynamic_map();
    for size in [0, 48, 8192] {
        refused(quantize_4bit(FourBit::Nf4, Backend::Cuda, &[0.0; 8], size), "CS-QNT-010");
        refused(dequantize_8bit(&map, &[], &[], size, 0.0, &mut []), "CS-QNT-010");
    }
    for bad in [f32::NAN, f32::INFINITY] {
        refused(quantize_4bit(FourBit::Fp4, Backend::Argmin, &[0.0, bad], 64), "CS-QNT-003");
        refused(quantize_int8(&[0.0, bad], 2, None), "CS-QNT-003");
    }
    let back = |packed: &[u8], absmax: &[f32]| {
        dequantize_4bit(FourBit::Nf4, Backend::Midpoints, packed, absmax, 64, &mut [0.0; 65])
    };
    back(&[0; 33], &[1.0; 2]).unwrap();
    refused(back(&[0; 32], &[1.0; 2]), "CS-QNT-006");
    refused(back(&[0; 33], &[1.0; 1]), "CS-QNT-006");
    refused(dequantize_8bit(&map, &[0; 2], &[1.0], 64, 0.0, &mut [0.0; 3]), "CS-QNT-006");
    refused(quantize_int8(&[0.0; 5], 2, None), "CS-QNT-002");
    refused(quantize_int8(&[], 0, None), "CS-QNT-002");
    refused(dequantize_int8(&[0; 4], &[1.0], 2, &mut [0.0; 4]), "CS-QNT-006");
    refused(dequantize_int8(&[0; 4], &[1.0], 0, &mut [0.0; 4]), "CS-QNT-002");
}
