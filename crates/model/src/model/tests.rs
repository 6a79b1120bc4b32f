use tensor::safetensors::{Dtype, write};

use super::*;
use crate::config::Architecture;
use crate::graph::tests::tiny;
use crate::graph::{Graph, NamedValues, Trained};

fn file(tensors: &[NamedValues]) -> Bytes {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(.., values)| values.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let entries: Vec<_> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (name.as_str(), Dtype::F32, shape.as_slice(), bytes.as_slice()))
        .collect();
    Bytes::from(write(&entries).unwrap())
}

/// `config.json` of the tiny models whose configuration it can express.
fn json(architecture: Architecture) -> String {
    let name = match architecture {
        Architecture::Qwen2 => "qwen2",
        Architecture::Qwen3 => "qwen3",
        Architecture::Gemma2 => "gemma2",
        Architecture::Gemma3 => "gemma3_text",
        Architecture::Llama | Architecture::Gpt2 => "llama",
    };
    let config = tiny(architecture);
    // The scale is 1/√scalar in Gemma, 1/√head in the others: the tests give Gemma theirs.
    let scalar = config.attention_scale.powi(-2);
    let scaling = match architecture {
        Architecture::Llama => {
            r#"{"rope_type":"llama3","factor":4,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":16}"#
        }
        Architecture::Qwen2 => r#"{"type":"linear","factor":2}"#,
        _ => "null",
    };
    let pattern = if architecture == Architecture::Gemma3 { (4, 3) } else { (5, 2) };
    format!(
        r#"{{"model_type":"{name}","vocab_size":61,"hidden_size":32,"num_hidden_layers":{},"num_attention_heads":4,
        "num_key_value_heads":2,"head_dim":{},"intermediate_size":48,"max_position_embeddings":40,
        "rms_norm_eps":1e-5,"rope_theta":10000.0,"rope_local_base_freq":100.0,"rope_scaling":{scaling},
        "query_pre_attn_scalar":{scalar},"attn_logit_softcapping":1.5,"final_logit_softcapping":3.0,
        "sliding_window":{},"sliding_window_pattern":{}}}"#,
        config.layers, config.head_len, pattern.0, pattern.1
    )
}

fn plain(architecture: Architecture) -> Config {
    let mut config = tiny(architecture);
    if !matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3) {
        config.attention_scale = (config.head_len as f64).sqrt().recip();
    }
    if matches!(architecture, Architecture::Gemma2) {
        // Its `config.json` has one base for all layers.
        if let crate::config::Positions::Rotary { global, local, .. } = &mut config.positions {
            *local = *global;
        }
    }
    if matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3) {
        config.embedding_scale = 32.0_f64.sqrt();
    }
    config
}

const TOKENS: [u32; 9] = [3, 14, 15, 9, 26, 5, 35, 8, 60];

fn logits(model: &Model, adapter: Option<&str>) -> Vec<f32> {
    model.observe(&[&TOKENS], adapter, &mut NoTap).unwrap().values
}

#[track_caller]
fn close(a: &[f32], b: &[f32]) {
    let most = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(a.len() == b.len() && most < 2e-4, "differs by {most}");
}

#[test]
fn what_is_written_in_the_transformers_library_s_form_is_read_again() {
    // Llama's rows are reordered on the way: its tiny form pairs neighbours, the files pair halves.
    for architecture in [
        Architecture::Llama,
        Architecture::Qwen2,
        Architecture::Qwen3,
        Architecture::Gemma2,
        Architecture::Gemma3,
    ] {
        let graph = Graph::untrained(plain(architecture), 5, &Trained::Nothing).unwrap();
        let read = Model::from_safetensors(json(architecture).as_bytes(), &[file(&graph.tensors().unwrap())])
            .unwrap();
        close(&logits(&read, None), &logits(&graph.model().unwrap(), None));
    }
}

#[test]
fn an_adapter_folder_is_the_factors_it_was_written_from() {
    let base = Model::untrained(plain(Architecture::Llama), 6).unwrap();
    let targets = vec!["q_proj".to_owned(), "k_proj".to_owned(), "down_proj".to_owned()];
    let graph = Graph::of(&base, &Trained::LowRank { rank: 2, alpha: 6.0, targets, seed: 7 }).unwrap();
    let mut normals = crate::random::Normals::new(8);
    let mut factors = graph.factors().unwrap();
    let mut tensors = Vec::new();
    for (path, a, b, _) in &mut factors {
        let values: Vec<f32> = (0..b.rows() * b.columns()).map(|_| normals.normal(0.3)).collect();
        *b = Matrix::from_values("b", b.rows(), b.columns(), &values).unwrap();
        let name = |part: &str| format!("base_model.model.{path}.lora_{part}.weight");
        tensors.push((name("A"), vec![a.rows(), a.columns()], a.dense()));
        tensors.push((name("B"), vec![b.rows(), b.columns()], values));
    }
    let config =
        br#"{"peft_type":"LORA","r":2,"lora_alpha":6,"target_modules":["q_proj","k_proj","down_proj"]}"#;
    let mut model = base.clone();
    model.load_factors("factors", &factors).unwrap();
    model.load_adapter("folder", config, &file(&tensors)).unwrap();
    let changed = logits(&model, Some("folder"));
    assert_eq!(changed, logits(&model, Some("factors")));
    close(&changed, &logits(&model.merged("folder").unwrap(), None));
    assert_ne!(changed, logits(&model, None));
    assert_eq!(logits(&model, None), logits(&base, None));

    // The same adapter on the transformers library's order of rows.
    let hf = Graph::of(&base, &Trained::Nothing).unwrap().tensors().unwrap();
    let mut hf = Model::from_safetensors(json(Architecture::Llama).as_bytes(), &[file(&hf)]).unwrap();
    hf.load_adapter("folder", config, &file(&tensors)).unwrap();
    close(&logits(&hf, Some("folder")), &changed);

    let mut other = Model::untrained(plain(Architecture::Gemma3), 6).unwrap();
    let error = other.load_adapter("folder", config, &file(&tensors)).unwrap_err();
    assert_eq!(error.code(), "CS-MDL-015");
    let alone = file(&tensors[..1]);
    assert_eq!(model.load_adapter("half", config, &alone).unwrap_err().code(), "CS-MDL-015");
    assert_eq!(model.load_adapter("none", b"{", &alone).unwrap_err().code(), "CS-MDL-006");
    model.unload_adapter("folder").unwrap();
    assert_eq!(model.unload_adapter("folder").unwrap_err().code(), "CS-MDL-014");
}

#[test]
fn the_head_of_a_tied_model_is_changed_and_its_embedding_is_not() {
    let base = Model::untrained(plain(Architecture::Llama), 6).unwrap();
    assert!(base.decoder.output.is_none(), "the model is tied");
    let table = base.decoder.embedding.dense();
    let doubled: Vec<f32> = table.iter().map(|value| value * 2.0).collect();
    let before = logits(&base, None);
    let twice: Vec<f32> = before.iter().map(|logit| logit * 2.0).collect();
    // A head that was saved whole, and the same as factors: of rank 32, the rows as they are.
    let mut identity = vec![0.0; 32 * 32];
    identity.iter_mut().step_by(33).for_each(|one| *one = 1.0);
    let name = |end: &str| format!("base_model.model.lm_head.{end}");
    let whole = vec![(name("weight"), vec![61, 32], doubled)];
    let factors = vec![
        (name("lora_A.weight"), vec![32, 32], identity),
        (name("lora_B.weight"), vec![61, 32], table.clone()),
    ];
    let saved = r#"{"peft_type":"LORA","r":32,"lora_alpha":32,"target_modules":["q_proj"],"modules_to_save":["lm_head"]}"#;
    let low = r#"{"peft_type":"LORA","r":32,"lora_alpha":32,"target_modules":["lm_head"]}"#;
    for (config, tensors) in [(saved, whole), (low, factors)] {
        let mut model = base.clone();
        model.load_adapter("head", config.as_bytes(), &file(&tensors)).unwrap();
        close(&logits(&model, Some("head")), &twice);
        assert_eq!(logits(&model, None), before);
        let merged = model.merged("head").unwrap();
        close(&logits(&merged, None), &twice);
        assert_eq!(merged.decoder.embedding.dense(), table);
    }
    let short = vec![(name("weight"), vec![60, 32], vec![0.0; 60 * 32])];
    let error = base.clone().load_adapter("short", saved.as_bytes(), &file(&short)).unwrap_err();
    assert_eq!(error.code(), "CS-MDL-015");
}

#[test]
fn models_that_cannot_be_run_are_refused() {
    let graph = Graph::untrained(plain(Architecture::Qwen3), 5, &Trained::Nothing).unwrap();
    let tensors = graph.tensors().unwrap();
    let config = json(Architecture::Qwen3);
    let refused = |config: &str, tensors: &[NamedValues]| {
        Model::from_safetensors(config.as_bytes(), &[file(tensors)]).unwrap_err().code()
    };
    assert_eq!(refused("{}", &tensors), "CS-MDL-001");
    assert_eq!(refused("[", &tensors), "CS-MDL-002");
    for (from, to) in [
        ("\"num_hidden_layers\":2", "\"num_hidden_layers\":1000000000000000000"),
        ("\"vocab_size\":61", "\"vocab_size\":-1"),
        ("\"num_key_value_heads\":2", "\"num_key_value_heads\":3"),
        ("\"num_attention_heads\":4", "\"num_attention_heads\":0"),
        ("\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":0"),
        ("\"rope_theta\":10000.0", "\"rope_theta\":\"x\""),
    ] {
        assert!(config.contains(from));
        assert_eq!(refused(&config.replace(from, to), &tensors), "CS-MDL-002", "{to}");
    }
    assert_eq!(refused(&config.replace("_layers\":2", "_layers\":4000"), &tensors), "CS-MDL-003");
    assert_eq!(refused(&config.replace("size\":48", "size\":64"), &tensors), "CS-MDL-004");
    assert_eq!(refused(&config, &tensors[1..]), "CS-MDL-003");
    let twice = [file(&tensors), file(&tensors)];
    assert_eq!(Model::from_safetensors(config.as_bytes(), &twice).unwrap_err().code(), "CS-MDL-006");
    let integers = write(&[("model.embed_tokens.weight", Dtype::I32, &[61, 32], &[0; 61 * 32 * 4])]).unwrap();
    let integers = Model::from_safetensors(config.as_bytes(), &[Bytes::from(integers)]);
    assert_eq!(integers.unwrap_err().code(), "CS-MDL-005");
    assert_eq!(Model::from_gguf(&Bytes::from_static(b"GGUX")).unwrap_err().code(), "CS-MDL-007");

    let mut damaged = tensors.clone();
    damaged[3].2[7] = f32::NAN;
    let damaged = Model::from_safetensors(config.as_bytes(), &[file(&damaged)]).unwrap();
    let mut cache = Cache::new(damaged.config(), 100);
    let next = Continuation { tokens: &TOKENS, cache: &mut cache, adapter: None };
    assert_eq!(damaged.next(next).unwrap_err().code(), "CS-MDL-013");
}

#[test]
fn requests_out_of_range_are_refused() {
    let model = Model::untrained(plain(Architecture::Qwen3), 5).unwrap();
    let mut cache = Cache::new(model.config(), 100);
    assert_eq!(cache.limit(), 40);
    let mut next = |tokens: &[u32]| {
        model
            .next(Continuation { tokens, cache: &mut cache, adapter: None })
            .map(|_| ())
            .map_err(|e| e.code())
    };
    assert_eq!(next(&[]), Err("CS-MDL-017"));
    assert_eq!(next(&[61]), Err("CS-MDL-012"));
    assert_eq!(next(&[1; 41]), Err("CS-MDL-011"));
    assert_eq!(next(&[1; 40]), Ok(()));
    assert_eq!(next(&[1]), Err("CS-MDL-011"));
    let score = |tokens: &[u32], from| {
        let scored = crate::Scored { tokens: tokens.to_vec(), from, top: 0, adapter: None };
        model.score(&[scored]).map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(score(&[1, 2], 0), Err("CS-MDL-017"));
    assert_eq!(score(&[1, 2], 2), Err("CS-MDL-017"));
    assert_eq!(score(&[1, 99], 1), Err("CS-MDL-012"));
    assert_eq!(score(&[1; 42], 1), Err("CS-MDL-011"));
    assert_eq!(score(&[1; 41], 1), Ok(()));
    for sampling in [
        crate::Sampling { temperature: f32::NAN, ..crate::Sampling::GREEDY },
        crate::Sampling { temperature: -1.0, ..crate::Sampling::GREEDY },
        crate::Sampling { top_p: 0.0, ..crate::Sampling::GREEDY },
        crate::Sampling { top_k: Some(0), ..crate::Sampling::GREEDY },
    ] {
        assert_eq!(crate::Sampler::new(sampling).unwrap_err().code(), "CS-MDL-017");
    }
}

#[test]
fn samples_follow_the_probabilities() {
    let logits = [0.0_f32, 1.0, 2.0, -1.0];
    let total: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
    let count = |sampling: crate::Sampling| {
        let mut sampler = crate::Sampler::new(sampling).unwrap();
        let mut counts = [0_u32; 4];
        for _ in 0..20_000 {
            counts[sampler.choose(&logits).unwrap() as usize] += 1;
        }
        counts
    };
    let all = crate::Sampling { temperature: 1.0, top_k: None, top_p: 1.0, seed: 9 };
    let counts = count(all.clone());
    for (count, logit) in counts.iter().zip(logits) {
        let p = f64::from(logit).exp() / total;
        let deviation = (20_000.0 * p * (1.0 - p)).sqrt();
        assert!((f64::from(*count) - 20_000.0 * p).abs() < 5.0 * deviation);
    }
    assert_eq!(count(all.clone()), counts);
    assert_eq!(count(crate::Sampling { top_k: Some(2), ..all.clone() })[0], 0);
    // 2 and 1 together reach 0.8808 of the probability.
    assert_eq!(count(crate::Sampling { top_p: 0.85, ..all.clone() })[0], 0);
    assert_ne!(count(crate::Sampling { top_p: 0.95, ..all })[0], 0);
}
