//! What the fuzz target about exports promises, over its committed corpus: the fuzz package leaves it out of the build that
//! every test run does. `COUNTERSIGN_WRITE_VECTORS=1` writes the seeds anew.

use std::path::Path;

use super::*;

#[path = "../../../../../fuzz/src/exports.rs"]
mod exports;

/// Exports that are right, and one that ends early.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut realm = Realm::new();
    let founded = realm.export();
    realm.release(Plan::tuning("first"));
    let released = realm.export();
    vec![("founded", founded), ("cut", released[..released.len() / 2].to_vec()), ("released", released)]
}

#[test]
fn exports_keep_their_promises() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/export_audit");
    if std::env::var_os("COUNTERSIGN_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds() {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        exports::export_audit(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 3, "{replayed} files");
}
