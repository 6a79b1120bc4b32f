//! Where published files are.

use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder of `cargo xtask models`, if it is there.
pub(crate) fn model(test: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COUNTERSIGN_MODELS")
        .map_or_else(|| workspace().join("target/models"), PathBuf::from);
    present(test, "models", root.join(path))
}

/// A folder of other projects' vectors, if it is there.
pub(crate) fn data(test: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COUNTERSIGN_DATA")
        .map_or_else(|| workspace().join("../shared/data"), PathBuf::from);
    present(test, "data", root.join(path))
}

fn present(test: &str, what: &str, path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED {test}: {what} absent");
    None
}
