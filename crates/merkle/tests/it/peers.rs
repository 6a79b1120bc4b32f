//! Finding the peers' vectors.

use std::path::{Path, PathBuf};

/// The folder of vectors, or none (said in the output) where the shared data is absent.
pub(crate) fn vectors(test: &str, folder: &str) -> Option<PathBuf> {
    let data = std::env::var_os("COUNTERSIGN_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = data.join("vectors").join(folder);
    if path.is_dir() {
        Some(path)
    } else {
        println!("SKIPPED {test}: shared data absent");
        None
    }
}

/// Every file below `folder`, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
