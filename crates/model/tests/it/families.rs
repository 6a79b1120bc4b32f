//! Every family and every kind of adapter against the transformers library, peft and PyTorch: `../golden/families.py` made
//! `families.json`, in double precision. Weights follow from their names, so that nothing is fetched.

use bytes::Bytes;
use candle_core::{Device, Tensor, Var};
use model::tap::NoTap;
use model::train::{AdamW, AdamWSettings};
use model::{Encoder, Model};
use serde_json::Value;
use tensor::safetensors::{Dtype, write};

/// The largest difference of a logit: rotary angles are in single precision on both sides, the rest here only.
const TOLERANCE: f64 = 2e-4;
/// Every so many tokens of the vocabulary stand in the file, and of an encoder's vectors.
const STEP: usize = 11;
const VECTOR_STEP: usize = 5;

fn rows() -> Vec<Value> {
    serde_json::from_str(include_str!("../golden/families.json")).unwrap()
}

/// As `weight` in the script.
fn weights(name: &str, shape: &[usize], norm: f32) -> Vec<u8> {
    let seed =
        name.bytes().fold(0x811c_9dc5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let value = |at: usize| {
        let mut mixed = (at as u32).wrapping_add(seed).wrapping_mul(2_654_435_761);
        mixed ^= mixed >> 15;
        mixed = mixed.wrapping_mul(2_246_822_519);
        // 24 bits, which single precision holds.
        let share = f32::from((mixed >> 16) as u16) / 65_536.0 + f32::from((mixed >> 8) as u8) / 16_777_216.0;
        (share - 0.5) * 0.5 + norm
    };
    (0..shape.iter().product()).flat_map(|at| value(at).to_le_bytes()).collect()
}

fn file(tensors: &Value, gemma: bool) -> Bytes {
    let tensors: Vec<(String, Vec<usize>)> = serde_json::from_value(tensors.clone()).unwrap();
    let is_norm = |name: &str| {
        ["norm", "ln_", "LayerNorm"].iter().any(|part| name.contains(part)) && name.ends_with("weight")
    };
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(name, shape)| weights(name, shape, if is_norm(name) && !gemma { 1.0 } else { 0.0 }))
        .collect();
    let entries: Vec<_> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (name.as_str(), Dtype::F32, shape.as_slice(), bytes.as_slice()))
        .collect();
    Bytes::from(write(&entries).unwrap())
}

fn tokens(row: &Value) -> Vec<u32> {
    serde_json::from_value(row["tokens"].clone()).unwrap()
}

/// The largest difference from what stands in the file.
fn farthest(values: &[f32], width: usize, step: usize, expected: &Value) -> f64 {
    let expected: Vec<Vec<f64>> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(values.len(), width * expected.len());
    let mut most = 0.0_f64;
    for (found, expected) in values.chunks_exact(width).zip(&expected) {
        assert_eq!(expected.len(), width.div_ceil(step));
        for (found, expected) in found.iter().step_by(step).zip(expected) {
            most = most.max((f64::from(*found) - expected).abs());
        }
    }
    most
}

#[test]
fn every_family_computes_what_the_transformers_library_does() {
    let mut known = 0;
    for row in rows().iter().filter(|row| row["logits"].is_array()) {
        let what = row["what"].as_str().unwrap();
        let config = row["config"].to_string();
        let files = [file(&row["tensors"], what.contains("gemma"))];
        let mut model = Model::from_safetensors(config.as_bytes(), &files)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let adapter = row["adapter"].is_object().then(|| {
            let file = file(&row["adapter_tensors"], false);
            let loaded = model.load_adapter("change", row["adapter"].to_string().as_bytes(), &file);
            loaded.unwrap_or_else(|error| panic!("{what}: {error}"));
            "change"
        });
        let tokens = tokens(row);
        let width = model.config().vocabulary;
        let seen = model.observe(&[&tokens], adapter, &mut NoTap).unwrap().values;
        let most = farthest(&seen, width, STEP, &row["logits"]);
        assert!(most < TOLERANCE, "{what}: a logit differs by {most}");
        if adapter.is_some() {
            let merged =
                model.merged("change").unwrap().observe(&[&tokens], None, &mut NoTap).unwrap().values;
            let most = farthest(&merged, width, STEP, &row["logits"]);
            assert!(most < TOLERANCE, "{what}, merged: a logit differs by {most}");
            // The adapter is no trifle, so that leaving it out would be seen.
            let plain = model.observe(&[&tokens], None, &mut NoTap).unwrap().values;
            assert!(farthest(&plain, width, STEP, &row["logits"]) > 100.0 * TOLERANCE, "{what}");
        }
        known += 1;
    }
    assert_eq!(known, 14);
}

#[test]
fn an_encoder_computes_what_the_transformers_library_does() {
    let rows = rows();
    let row = rows.iter().find(|row| row["what"] == "bert").unwrap();
    let encoder =
        Encoder::from_safetensors(row["config"].to_string().as_bytes(), &[file(&row["tensors"], false)])
            .unwrap();
    let vectors = encoder.vectors(&[&tokens(row)], &mut NoTap).unwrap();
    let most = farthest(&vectors.values, 32, VECTOR_STEP, &row["vectors"]);
    assert!(most < TOLERANCE, "a vector differs by {most}");
}

#[test]
fn steps_of_adamw_are_those_of_pytorch() {
    let rows = rows();
    let row = rows.iter().find(|row| row["what"] == "adamw").unwrap();
    let start: Vec<f32> = serde_json::from_value(row["start"].clone()).unwrap();
    let number = |name: &str| row["settings"][name].as_f64().unwrap();
    let settings = AdamWSettings {
        weight_decay: number("weight_decay"),
        epsilon: number("eps"),
        clip: None,
        ..AdamWSettings::at(number("lr"))
    };
    let weights = Var::from_vec(start, 3, &Device::Cpu).unwrap();
    let mut optimiser = AdamW::new(std::slice::from_ref(&weights), settings).unwrap();
    let pairs: Vec<(Vec<f32>, Vec<f32>)> = row["gradients"]
        .as_array()
        .unwrap()
        .iter()
        .zip(row["steps"].as_array().unwrap())
        .map(|(gradient, step)| {
            (serde_json::from_value(gradient.clone()).unwrap(), serde_json::from_value(step.clone()).unwrap())
        })
        .collect();
    assert_eq!(pairs.len(), 5);
    for (gradient, expected) in pairs {
        let gradient = Tensor::from_vec(gradient, 3, &Device::Cpu).unwrap();
        optimiser.step(&(weights.as_tensor() * gradient).unwrap().sum_all().unwrap()).unwrap();
        let found = weights.to_vec1::<f32>().unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }
}
