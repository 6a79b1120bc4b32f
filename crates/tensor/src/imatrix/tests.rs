use super::*;
use crate::gguf::{TensorInfo, write};

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn entry(name: &str, calls: i32, values: &[f32]) -> Vec<u8> {
    let length = |length: usize| i32::try_from(length).unwrap().to_le_bytes();
    let (name_length, count) = (length(name.len()), length(values.len()));
    let parts = [&name_length[..], name.as_bytes(), &calls.to_le_bytes(), &count, &floats(values)];
    parts.concat()
}

fn two_tensors(counts: &[f32], kind: GgmlType) -> Vec<u8> {
    let sums = floats(&[2.0, 4.0, 5.0, 7.0]);
    let counts_bytes = floats(counts);
    let counts_shape = [counts.len()];
    let info = |name, kind, shape| TensorInfo { name, kind, shape };
    let bytes = if kind == GgmlType::F32 { &counts_bytes } else { &counts_bytes[..counts_bytes.len() / 2] };
    write(
        &[],
        &[
            (info("a.in_sum2", GgmlType::F32, &[2, 2]), &sums[..]),
            (info("a.counts", kind, &counts_shape), bytes),
        ],
    )
    .unwrap()
}

#[test]
fn both_forms_are_read() {
    let older = [&2_i32.to_le_bytes()[..], &entry("a", 2, &[2.0, 6.0]), &entry("b", 0, &[3.0])].concat();
    let matrix = Matrix::read(&older).unwrap();
    assert_eq!(matrix.of("a"), Some(&[1.0, 3.0][..]));
    assert_eq!(matrix.of("b"), Some(&[3.0][..]));
    assert_eq!(matrix.of("c"), None);
    let matrix = Matrix::read(&two_tensors(&[2.0, 0.0], GgmlType::F32)).unwrap();
    // The second expert was never used.
    assert_eq!(matrix.iter().collect::<Vec<_>>(), [("a", &[1.0, 2.0, 1.0, 1.0][..])]);
}

#[test]
fn what_is_none_says_why() {
    #[track_caller]
    fn check(bytes: &[u8], why: &str) {
        let error = Matrix::read(bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    check(b"", "cut short");
    check(&0_i32.to_le_bytes(), "announces 0 entries");
    check(&i32::MAX.to_le_bytes(), "announces 2147483647 entries");
    check(&(-1_i32).to_le_bytes(), "below zero");
    let whole = [&1_i32.to_le_bytes()[..], &entry("a", 2, &[2.0, 6.0])].concat();
    for length in 4..whole.len() {
        check(&whole[..length], "cut short");
    }
    check(b"GGUF", "container");
    check(&two_tensors(&[2.0, 0.0, 1.0], GgmlType::F32), "do not fit");
    check(&two_tensors(&[2.0, 0.0], GgmlType::F16), "single precision");
    check(&write(&[], &[]).unwrap(), "no sums");
}
