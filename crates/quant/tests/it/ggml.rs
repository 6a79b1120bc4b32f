//! ggml's kinds. The digests in `ggml.golden` are of what the C makes (`benches/ggml`, `golden`); what the C turns
//! blocks back into is compared there.

use std::fmt::Write as _;

use quant::{Error, Kind};
use sha2::{Digest as _, Sha256};

use crate::inputs::{CASES, Generator, IMPORTANCES, importance, weights};

const SEED: u64 = 2026;

fn row_len(kind: Kind) -> usize {
    if kind.block_elements() == 32 { 13 * 32 } else { 3 * 256 }
}

#[test]
fn blocks_are_those_of_the_c() {
    let mut lines = String::new();
    for kind in Kind::ALL {
        let row_len = row_len(kind);
        let matrices = if kind.uses_importance() { IMPORTANCES.len() } else { 0 };
        for matrix in std::iter::once(None).chain((0..matrices).map(Some)) {
            let entries = matrix.map(|matrix| importance(matrix, SEED, row_len));
            let mut digest = Sha256::new();
            for case in 0..CASES.len() {
                let weights = weights(case, SEED, 2 * row_len);
                digest.update(quant::quantize(kind, &weights, row_len, entries.as_deref()).unwrap());
            }
            let name = matrix.map_or("none", |matrix| IMPORTANCES[matrix].0);
            let digest =
                digest.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            writeln!(lines, "{kind} {name} {digest}").unwrap();
        }
    }
    for (ours, theirs) in lines.lines().zip(include_str!("ggml.golden").lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(lines.lines().count(), include_str!("ggml.golden").lines().count());
}

#[test]
fn an_importance_matrix_that_a_kind_does_not_use_changes_nothing() {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.uses_importance()) {
        let row_len = row_len(kind);
        let weights = weights(6, SEED, row_len);
        let entries = importance(2, SEED, row_len);
        let with = quant::quantize(kind, &weights, row_len, Some(&entries)).unwrap();
        assert_eq!(with, quant::quantize(kind, &weights, row_len, None).unwrap(), "{kind}");
    }
}

#[test]
fn rows_do_not_depend_on_each_other() {
    for kind in Kind::ALL {
        let row_len = row_len(kind);
        let weights = weights(8, SEED, 2 * row_len);
        let entries = importance(2, SEED, row_len);
        let together = quant::quantize(kind, &weights, row_len, Some(&entries)).unwrap();
        let apart: Vec<u8> = weights
            .chunks(row_len)
            .flat_map(|row| quant::quantize(kind, row, row_len, Some(&entries)).unwrap())
            .collect();
        assert_eq!(together, apart, "{kind}");
    }
}

#[test]
fn what_is_turned_back_is_near() {
    for kind in Kind::ALL {
        let row_len = row_len(kind);
        let weights = weights(6, SEED, row_len);
        let blocks = quant::quantize(kind, &weights, row_len, None).unwrap();
        quant::check(kind, &blocks).unwrap();
        let mut back = vec![0.0; row_len];
        quant::dequantize(kind, &blocks, &mut back).unwrap();
        let square =
            |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
        let error = square(&mut weights.iter().zip(&back).map(|(before, after)| before - after));
        let relative = (error / square(&mut weights.iter().copied())).sqrt();
        let bits = kind.block_bytes() as f64 * 8.0 / kind.block_elements() as f64;
        // An even step over ±3 deviations at so many bits, with room for the scales' own rounding.
        assert!(relative < 4.0 / bits.exp2(), "{kind}: {relative}");
    }
}

#[test]
fn names_and_numbers_lead_back_to_the_kind() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(kind.name().to_lowercase().parse(), Ok(kind));
        assert_eq!(Kind::from_ggml_type(kind.ggml_type()), Some(kind));
        assert_eq!(kind.bytes_of(kind.block_elements() * 3), Some(kind.block_bytes() * 3));
        assert_eq!(kind.bytes_of(kind.block_elements() + 1), None);
    }
    assert_eq!(Kind::from_ggml_type(0), None);
    assert_eq!("F16\u{7}".parse::<Kind>(), Err(Error::UnknownKind { name: "F16\\u{7}".into() }));
}

#[track_caller]
fn refused(outcome: Result<impl std::fmt::Debug, Error>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let weights = vec![0.5; 512];
    refused(quant::quantize(Kind::Q4K, &weights, 128, None), "CS-QNT-001");
    refused(quant::quantize(Kind::Q4_0, &weights, 0, None), "CS-QNT-001");
    refused(quant::quantize(Kind::Q4_0, &weights[..500], 32, None), "CS-QNT-002");
    refused(quant::quantize(Kind::Q4_0, &weights, 32, Some(&[1.0; 31])), "CS-QNT-004");
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let mut entries = vec![1.0; 32];
        entries[7] = bad;
        refused(quant::quantize(Kind::Q4_0, &weights, 32, Some(&entries)), "CS-QNT-005");
    }
    refused(quant::quantize_into(Kind::Q4_0, &weights, 32, None, &mut [0; 18]), "CS-QNT-006");
    refused(quant::dequantize(Kind::Q4_0, &[0; 18], &mut [0.0; 33]), "CS-QNT-006");
    refused(quant::dequantize(Kind::Q4_0, &[0; 17], &mut [0.0; 32]), "CS-QNT-007");
    refused(quant::check(Kind::Q4_0, &[0; 17]), "CS-QNT-007");
    refused("Q9".parse::<Kind>(), "CS-QNT-008");
    assert!(quant::quantize(Kind::Q4K, &[], 256, None).unwrap().is_empty());
}

#[test]
fn weights_that_are_not_finite_are_refused_by_place() {
    for (at, bad) in [(0, f32::NAN), (1023, f32::INFINITY), (1024, f32::NEG_INFINITY), (2047, -f32::NAN)] {
        let mut weights = vec![0.5; 2048];
        weights[at] = bad;
        for kind in Kind::ALL {
            assert_eq!(quant::quantize(kind, &weights, 256, None), Err(Error::NotFinite { index: at }));
        }
    }
    refused(quant::quantize(Kind::Q8_0, &[f32::NAN; 32], 32, None), "CS-QNT-003");
}

#[test]
fn a_scale_beyond_half_precision_is_found() {
    let mut weights = vec![0.5_f32; 512];
    weights[300] = 1e15;
    for kind in Kind::ALL {
        let blocks = quant::quantize(kind, &weights, 512, None).unwrap();
        if matches!(kind, Kind::Mxfp4 | Kind::Q8K) {
            quant::check(kind, &blocks).unwrap();
        } else {
            let block = 300 / kind.block_elements();
            assert_eq!(quant::check(kind, &blocks), Err(Error::ScaleNotFinite { block }), "{kind}");
        }
    }
    refused(quant::check(Kind::Mxfp4, &[255; 17]), "CS-QNT-009");
    refused(quant::check(Kind::Q8K, &[255; 292]), "CS-QNT-009");
}

#[test]
fn any_bytes_can_be_turned_back() {
    let mut generator = Generator::new(11);
    for kind in Kind::ALL {
        let blocks: Vec<u8> = (0..kind.block_bytes() * 64).map(|_| generator.next() as u8).collect();
        quant::dequantize(kind, &blocks, &mut vec![0.0; kind.block_elements() * 64]).unwrap();
    }
}
