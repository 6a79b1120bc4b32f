use proptest::prelude::*;

use super::{ElementType, Family, Heads, RotaryRows, Tensor, Transform, Weights};
use crate::gguf::{self, GgmlType, Gguf, TensorInfo};
use crate::safetensors::{Dtype, SafeTensors, write};

fn plain<'a>(dtype: Dtype, shape: &'a [usize], data: &'a [u8]) -> Tensor<'a> {
    Tensor::new("t", ElementType::Plain(dtype), shape, data).unwrap()
}

#[test]
fn the_same_weights_in_two_containers_are_the_same_list() {
    let a: Vec<u8> = [1.0_f32, -2.0, 0.5, 3.0, 4.0, 5.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let b: Vec<u8> = [0x3c00_u16, 0x4000].into_iter().flat_map(u16::to_le_bytes).collect();
    let safe = write(&[("b", Dtype::F16, &[2], &b), ("a", Dtype::F32, &[2, 3], &a)]).unwrap();
    let info = |name, kind, shape| TensorInfo { name, kind, shape };
    let gguf =
        gguf::write(&[], &[(info("b", GgmlType::F16, &[2]), &b), (info("a", GgmlType::F32, &[2, 3]), &a)])
            .unwrap();
    let (safe, gguf) = (SafeTensors::read(&safe).unwrap(), Gguf::read(&gguf).unwrap());
    let (safe, gguf) = (Weights::from(&safe), Weights::from(&gguf));
    assert_eq!(safe.tensors(), gguf.tensors());
    assert_eq!((safe.len(), safe.is_empty()), (2, false));
    let tensor = gguf.tensor("a").unwrap();
    assert_eq!((tensor.rows(), tensor.row_len(), tensor.shape()), (2, 3, [2, 3].as_slice()));
    let mut row = [0.0; 3];
    tensor.decode_rows(1..2, &mut row).unwrap();
    assert_eq!(row.map(f32::to_bits), [3.0_f32, 4.0, 5.0].map(f32::to_bits));
    assert!(gguf.tensor("c").is_none());
    let twice = Weights::gather([safe.tensors()[0].clone(), gguf.tensors()[0].clone()]);
    assert_eq!(twice.unwrap_err().code(), "CS-TSR-570");
}

#[test]
fn every_plain_type_is_decoded() {
    #[track_caller]
    fn check(dtype: Dtype, data: &[u8], expected: f32) {
        let decoded = plain(dtype, &[1], data).decode().unwrap();
        assert_eq!(decoded[0].to_bits(), expected.to_bits(), "{dtype:?}: {decoded:?}");
    }
    check(Dtype::F32, &1.5_f32.to_le_bytes(), 1.5);
    check(Dtype::F64, &0.1_f64.to_le_bytes(), 0.1);
    check(Dtype::F16, &[0x00, 0xc0], -2.0);
    check(Dtype::BF16, &[0x80, 0x3f], 1.0);
    check(Dtype::F8E4M3, &[0x38], 1.0);
    check(Dtype::F8E5M2, &[0x3c], 1.0);
    check(Dtype::I8, &[0xff], -1.0);
    check(Dtype::U8, &[0xff], 255.0);
    check(Dtype::Bool, &[1], 1.0);
    check(Dtype::I16, &(-300_i16).to_le_bytes(), -300.0);
    check(Dtype::U16, &300_u16.to_le_bytes(), 300.0);
    check(Dtype::I32, &(-70_000_i32).to_le_bytes(), -70_000.0);
    check(Dtype::U32, &70_000_u32.to_le_bytes(), 70_000.0);
    check(Dtype::I64, &(-7_i64).to_le_bytes(), -7.0);
    check(Dtype::U64, &7_u64.to_le_bytes(), 7.0);
    assert_eq!(plain(Dtype::F32, &[], &[0; 4]).decode().unwrap(), [0.0]);
    assert!(plain(Dtype::F32, &[0, 3], &[]).decode().unwrap().is_empty());
}

#[test]
fn blocks_are_decoded_row_by_row() {
    let values: Vec<f32> = (0_i16..96).map(|at| f32::from(at - 48)).collect();
    let blocks = quant::quantize(quant::Kind::Q8_0, &values, 32, None).unwrap();
    let shape = [3, 32];
    let tensor = Tensor::new("t", GgmlType::Q8_0.into(), shape.as_slice(), blocks).unwrap();
    let all = tensor.decode().unwrap();
    assert!(values.iter().zip(&all).all(|(value, decoded)| (value - decoded).abs() < 0.3));
    let mut last = [0.0; 32];
    tensor.decode_rows(2..3, &mut last).unwrap();
    assert_eq!(last.as_slice(), &all[64..]);
    tensor.decode_rows(1..1, &mut []).unwrap();
    for (rows, buffer) in [(2..4, 64), (3..4, 32), (1..2, 31), (1..3, 32)] {
        assert_eq!(tensor.decode_rows(rows, &mut vec![0.0; buffer]).unwrap_err().code(), "CS-TSR-572");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "it is to be refused")]
    let reversed = tensor.decode_rows(2..1, &mut []);
    assert_eq!(reversed.unwrap_err().code(), "CS-TSR-572");
    let unknown = Tensor::new("t", GgmlType::IQ1_S.into(), [256].as_slice(), vec![0; 50]).unwrap();
    assert_eq!(unknown.decode().unwrap_err().code(), "CS-TSR-573");
    assert!(!unknown.element().is_decodable());
    let short = Tensor::new("t", GgmlType::Q8_0.into(), [32].as_slice(), vec![0; 33]);
    assert_eq!(short.unwrap_err().code(), "CS-TSR-571");
    let overflow = Tensor::new("t", Dtype::F32.into(), [0, usize::MAX, 2].as_slice(), vec![]);
    assert_eq!(overflow.unwrap_err().code(), "CS-TSR-571");
}

/// Made by `names.py`, which stands beside it, with the Python package `gguf`.
const NAMES: &str = include_str!("../../tests/golden/names.txt");

#[test]
fn names_are_those_of_the_converter_both_ways() {
    let mut count = 0;
    for line in NAMES.lines() {
        let [family, hugging_face, gguf] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let family = Family::of_architecture(family).unwrap();
        let (name, there) = family.to_gguf(hugging_face).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(name, gguf, "{line}");
        let (name, back) = family.to_hugging_face(gguf).unwrap();
        assert_eq!(name, hugging_face, "{line}");
        assert_eq!(there, back, "{line}");
        count += 1;
    }
    assert_eq!(count, 121);
    assert_eq!(Family::Gpt2.to_gguf("h.3.attn.c_attn.weight").unwrap().0, "blk.3.attn_qkv.weight");
    assert_eq!(Family::Gpt2.to_gguf("h.3.attn.c_attn.bias").unwrap().1, Transform::Same);
    assert_eq!(Family::Gpt2.to_gguf("h.3.attn.bias"), None);
    let query = Family::Bert.to_gguf("bert.encoder.layer.0.attention.self.query.bias").unwrap();
    assert_eq!(query, ("blk.0.attn_q.bias".to_owned(), Transform::Same));
    for name in [
        "blk.07.attn_q.weight",
        "blk..attn_q.weight",
        "blk.x.attn_q.weight",
        "blk.1.attn_q",
        "rope_freqs.weight",
    ] {
        assert_eq!(Family::Llama.to_hugging_face(name), None, "{name}");
    }
    assert_eq!(Family::of_model_type("mistral"), Some(Family::Llama));
    assert_eq!(Family::of_architecture("mamba"), None);
}

#[test]
fn what_the_converter_did_is_undone() {
    // Two heads of four rows: as `permute` orders 0..8.
    let order = RotaryRows::new(8, 2).unwrap();
    let rows: Vec<usize> = (0..8).map(|row| order.to_hugging_face(row)).collect();
    assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
    assert!(
        RotaryRows::new(8, 3).is_none() && RotaryRows::new(6, 2).is_none() && RotaryRows::new(8, 0).is_none()
    );

    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let rotated = bytes(&[0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    let straight: Vec<f32> = (0_u8..8).map(f32::from).collect();
    let bias = plain(Dtype::F32, &[8], &rotated);
    assert_eq!(bias.decode_as_hugging_face(Transform::Rotary(Heads::Query), 2).unwrap(), (vec![8], straight));
    let refused = bias.decode_as_hugging_face(Transform::Rotary(Heads::Query), 3).unwrap_err();
    assert_eq!(refused.code(), "CS-TSR-574");

    let data = bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let matrix = plain(Dtype::F32, &[2, 3], &data);
    let turned = matrix.decode_as_hugging_face(Transform::Transposed, 0).unwrap();
    assert_eq!(turned, (vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    let less = matrix.decode_as_hugging_face(Transform::PlusOne, 0).unwrap().1;
    assert_eq!(less, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(matrix.decode_as_hugging_face(Transform::Same, 0).unwrap().0, [2, 3]);
}

proptest! {
    #[test]
    fn orders_of_rows_undo_each_other(heads in 1..9_usize, half in 1..40_usize) {
        let rows = heads * half * 2;
        let order = RotaryRows::new(rows, heads).unwrap();
        let mut reached: Vec<usize> = (0..rows).map(|row| order.to_gguf(row)).collect();
        for row in 0..rows {
            prop_assert_eq!(order.to_hugging_face(order.to_gguf(row)), row);
        }
        reached.sort_unstable();
        prop_assert!(reached.into_iter().eq(0..rows));
    }
}

#[cfg(feature = "spectrum")]
#[test]
fn blocks_are_compared_from_any_element_on() {
    use crate::delta::Operand as _;

    let values: Vec<f32> = (0_i16..128).map(|at| f32::from(at - 60)).collect();
    let blocks = quant::quantize(quant::Kind::Q4_1, &values, 64, None).unwrap();
    let tensor = Tensor::new("t", GgmlType::Q4_1.into(), [2, 64].as_slice(), blocks).unwrap();
    let all: Vec<f64> = tensor.decode().unwrap().into_iter().map(f64::from).collect();
    let mut part = Vec::new();
    for (first, count) in [(0, 128), (0, 1), (31, 2), (33, 60), (127, 5), (128, 4), (500, 1)] {
        tensor.decode_part(first, count, &mut part);
        let begin = first.min(128);
        assert_eq!(part, &all[begin..(first + count).min(128).max(begin)], "{first}+{count}");
    }
    let unknown = Tensor::new("t", GgmlType::IQ1_S.into(), [256].as_slice(), vec![0; 50]).unwrap();
    unknown.decode_part(3, 4, &mut part);
    assert!(part.len() == 4 && part.iter().all(|value| value.is_nan()));
}
