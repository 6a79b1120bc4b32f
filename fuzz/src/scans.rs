//! `scan`: a file of any kind that is looked into, alone in a folder.

use scan::{Artefact, Entry, Rules, Selection, render};

/// Names that decide how bytes are read, where the bytes do not.
const NAMES: [&str; 20] = [
    "model.safetensors",
    "model.gguf",
    "data.pkl",
    "pytorch_model.bin",
    "archive.zip",
    "model.keras",
    "weights.h5",
    "model.onnx",
    "array.npy",
    "arrays.npz",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "adapter_config.json",
    "chat_template.jinja",
    "saved_model.pb",
    "hparams.yaml",
    "README.md",
    "nothing-known",
];

/// The first byte is the name's number; what follows is the file.
pub(crate) fn file(data: &[u8]) {
    let Some((number, bytes)) = data.split_first() else { return };
    let name = NAMES[usize::from(*number) % NAMES.len()];
    let rules = Rules::built_in().expect("the rules are built in");
    let entry = || Entry::file(name, bytes);
    let artefact = Artefact::new(vec![entry()]);
    let report = scan::scan(&artefact, &rules, &Selection::default(), &|_| {});
    // A worker that says this is believed, and every form of the report can be written.
    let looked = scan::examine(&artefact, &entry(), &rules);
    looked.check(name, Some(bytes.len() as u64), &rules).expect("what is seen can have been seen");
    let text = render::text::report(&report, &rules);
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
    serde_json::to_vec(&report).expect("a report is JSON");
    serde_json::to_vec(&render::sarif::log(&report, &rules, "0")).expect("a log is JSON");
}
