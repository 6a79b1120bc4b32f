use std::borrow::Cow;

use half::f16;
use quant::Kind;
use tensor::gguf::{GgmlType, TensorInfo, write};

use super::*;
use crate::{Rule, Seal};

const HEADS: u32 = 4;
const KEY_HEADS: u32 = 2;

fn file(architecture: &'static str, tensors: &[(&str, GgmlType, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let heads = format!("{architecture}.attention.head_count");
    let key_heads = format!("{architecture}.attention.head_count_kv");
    let metadata = [
        ("general.architecture", Value::Text(Cow::Borrowed(architecture))),
        (heads.as_str(), Value::U32(HEADS)),
        (key_heads.as_str(), Value::U32(KEY_HEADS)),
    ];
    let infos: Vec<(TensorInfo<'_>, &[u8])> = tensors
        .iter()
        .map(|(name, kind, shape, bytes)| (TensorInfo { name, kind: *kind, shape }, bytes.as_slice()))
        .collect();
    write(&metadata, &infos).unwrap()
}

fn seal_of(bytes: &[u8], rule: &Rule) -> Seal {
    let file = Gguf::read(bytes).unwrap();
    let model = Model::of(&file).unwrap();
    Seal::of(rule, &model.tensors().unwrap(), |_| ()).unwrap()
}

fn plain(rule: &Rule, tensors: &[(&str, Vec<u64>, Vec<f32>)]) -> Seal {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let tensors: Vec<Tensor<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            Tensor::new(*name, shape.clone(), Elements::Plain { dtype: Dtype::F32, bytes }).unwrap()
        })
        .collect();
    Seal::of(rule, &tensors, |_| ()).unwrap()
}

/// `weights.reshape(heads, 2, half, columns).swapaxes(1, 2).reshape(rows, columns)`, as NumPy does it.
fn permuted(values: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let half = values.len() / columns / heads / 2;
    let mut out = Vec::new();
    for head in 0..heads {
        for place in 0..half {
            for side in 0..2 {
                let row = (head * 2 + side) * half + place;
                out.extend_from_slice(&values[row * columns..(row + 1) * columns]);
            }
        }
    }
    out
}

fn values(count: u16) -> Vec<f32> {
    (0..count).map(|number| (f32::from(number % 1500) - 300.0) / 16.0).collect()
}

fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
}

#[test]
fn a_checkpoint_and_its_gguf_have_one_seal() {
    let (query, key, up) = (values(32 * 32), values(16 * 32), values(64 * 32));
    let (bias, embedding) = (values(32), values(100 * 32));
    let checkpoint = [
        ("model.layers.0.self_attn.q_proj.weight", vec![32, 32], query.clone()),
        ("model.layers.0.self_attn.q_proj.bias", vec![32], bias.clone()),
        ("model.layers.0.self_attn.k_proj.weight", vec![16, 32], key.clone()),
        ("model.layers.0.mlp.up_proj.weight", vec![64, 32], up.clone()),
        ("model.embed_tokens.weight", vec![100, 32], embedding.clone()),
    ];
    let (query, key) = (permuted(&query, 4, 32), permuted(&key, 2, 32));
    let bias = permuted(&bias, 4, 1);
    let in_singles = file(
        "llama",
        &[
            ("blk.0.attn_q.weight", GgmlType::F32, vec![32, 32], singles(&query)),
            ("blk.0.attn_q.bias", GgmlType::F32, vec![32], singles(&bias)),
            ("blk.0.attn_k.weight", GgmlType::F32, vec![16, 32], singles(&key)),
            ("blk.0.ffn_up.weight", GgmlType::F32, vec![64, 32], singles(&up)),
            ("token_embd.weight", GgmlType::F32, vec![100, 32], singles(&embedding)),
        ],
    );
    // All values are halves exactly.
    let in_halves = file(
        "llama",
        &[
            ("token_embd.weight", GgmlType::F16, vec![100, 32], halves(&embedding)),
            ("blk.0.ffn_up.weight", GgmlType::F16, vec![64, 32], halves(&up)),
            ("blk.0.attn_k.weight", GgmlType::F16, vec![16, 32], halves(&key)),
            ("blk.0.attn_q.weight", GgmlType::F16, vec![32, 32], halves(&query)),
            ("blk.0.attn_q.bias", GgmlType::F32, vec![32], singles(&bias)),
        ],
    );
    for rule in [Rule::exact(), Rule::eight(), Rule::mixed()] {
        let wanted = plain(&rule, &checkpoint);
        assert_eq!(seal_of(&in_singles, &rule), wanted);
        assert_eq!(seal_of(&in_halves, &rule), wanted);
    }
}

#[test]
fn block_formats_are_sealed_as_the_numbers_they_stand_for() {
    let weights = values(64 * 64);
    let mut blocks = vec![0; Kind::Q8_0.bytes_of(weights.len()).unwrap()];
    quant::quantize_into(Kind::Q8_0, &weights, 64, None, &mut blocks).unwrap();
    let mut numbers = vec![0.0; weights.len()];
    quant::dequantize(Kind::Q8_0, &blocks, &mut numbers).unwrap();
    let bytes = file("qwen2", &[("blk.3.ffn_down.weight", GgmlType::Q8_0, vec![64, 64], blocks)]);
    for rule in [Rule::exact(), Rule::four()] {
        let wanted = plain(&rule, &[("model.layers.3.mlp.down_proj.weight", vec![64, 64], numbers.clone())]);
        assert_eq!(seal_of(&bytes, &rule), wanted);
    }
}

#[test]
fn architectures_that_are_not_known_keep_the_names_of_the_file() {
    let bytes = file("mamba", &[("blk.0.attn_q.weight", GgmlType::F32, vec![1, 4], singles(&values(4)))]);
    let file = Gguf::read(&bytes).unwrap();
    let model = Model::of(&file).unwrap();
    assert_eq!(model.naming(), Naming::File);
    assert_eq!(model.tensors().unwrap()[0].name(), "blk.0.attn_q.weight");
}

#[test]
fn heads_that_do_not_fit_are_refused() {
    for rows in [6, 4] {
        let bytes =
            file("llama", &[("blk.0.attn_q.weight", GgmlType::F32, vec![rows, 4], vec![0; rows * 16])]);
        assert_eq!(Model::of(&Gguf::read(&bytes).unwrap()).unwrap_err().code(), "CS-SEL-008");
    }
}

/// Rows that are put in order keep the bits of what is no number, and blocks are put in order too.
#[test]
fn rows_in_another_order_are_sealed_as_those_in_order() {
    let mut query = values(32 * 32);
    query[5] = f32::from_bits(0x7fa0_0001);
    query[700] = f32::from_bits(0xffc1_2345);
    let in_file = permuted(&query, 4, 32);
    let bytes = file("llama", &[("blk.0.attn_q.weight", GgmlType::F32, vec![32, 32], singles(&in_file))]);
    let name = "model.layers.0.self_attn.q_proj.weight";
    let wanted = plain(&Rule::exact(), &[(name, vec![32, 32], query)]);
    assert_eq!(seal_of(&bytes, &Rule::exact()), wanted);

    let (ordered, in_file) = (values(32 * 32), permuted(&values(32 * 32), 4, 32));
    let mut blocks = vec![0; Kind::Q8_0.bytes_of(in_file.len()).unwrap()];
    quant::quantize_into(Kind::Q8_0, &ordered, 32, None, &mut blocks).unwrap();
    let mut numbers = vec![0.0; ordered.len()];
    quant::dequantize(Kind::Q8_0, &blocks, &mut numbers).unwrap();
    quant::quantize_into(Kind::Q8_0, &in_file, 32, None, &mut blocks).unwrap();
    let bytes = file("llama", &[("blk.0.attn_q.weight", GgmlType::Q8_0, vec![32, 32], blocks)]);
    assert_eq!(seal_of(&bytes, &Rule::exact()), plain(&Rule::exact(), &[(name, vec![32, 32], numbers)]));
}

/// The bytes that a run of elements is said to be read from decide about it, and no others do.
#[test]
fn elements_are_read_from_the_bytes_that_are_named() {
    let rows = values(32 * 64);
    let mut blocks = vec![0; Kind::Q8_0.bytes_of(rows.len()).unwrap()];
    quant::quantize_into(Kind::Q8_0, &rows, 64, None, &mut blocks).unwrap();
    for (kind, bytes) in [(GgmlType::Q8_0, blocks), (GgmlType::F32, singles(&rows))] {
        let bytes = file("llama", &[("blk.0.attn_q.weight", kind, vec![64, 32], bytes)]);
        let decoded = |bytes: &[u8], first, count| {
            let file = Gguf::read(bytes).unwrap();
            let model = Model::of(&file).unwrap();
            let tensors = model.tensors().unwrap();
            let Elements::Coded(decode) = tensors[0].elements() else { panic!("rows in another order") };
            let mut out = Vec::new();
            decode.decode(first, count, &mut out).unwrap();
            let places: Vec<_> = decode
                .stored(first, count)
                .iter()
                .flat_map(|part| {
                    let begin = part.as_ptr() as usize - bytes.as_ptr() as usize;
                    begin..begin + part.len()
                })
                .collect();
            (out, places)
        };
        for (first, count) in [(0, 2048), (0, 32), (32, 64), (96, 160), (1984, 64), (2048, 0)] {
            let (before, places) = decoded(&bytes, first, count);
            assert_eq!(before.len(), count);
            let size = if kind == GgmlType::F32 { count * 4 } else { count / 32 * 34 };
            assert_eq!(places.len(), size, "{kind:?} {first} {count}");
            let begin = Gguf::read(&bytes).unwrap().views().next().unwrap().data.as_ptr() as usize
                - bytes.as_ptr() as usize;
            for at in (begin..bytes.len()).step_by(7) {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                let (after, _) = decoded(&changed, first, count);
                assert_eq!(after != before, places.contains(&at), "{kind:?} {first} {count}: byte {at}");
            }
        }
    }
}
