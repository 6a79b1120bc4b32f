//! Where test vectors lie: our own in `docs/statements/`, peers' in the shared data beside the project.

use std::path::{Path, PathBuf};

/// A file or folder of the shared data; where it is absent, the test is skipped by name.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("COUNTERSIGN_DATA") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    println!("SKIPPED {path}: shared data absent");
    None
}

/// The folder `docs/statements/`.
pub(crate) fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/statements")
}

/// A JSON file, read by a reader that is not ours.
pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Bytes from hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
