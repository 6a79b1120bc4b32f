//! What the fuzz targets about policies promise, over their committed corpora: the fuzz package leaves them out of the build that
//! every test run does.

#[path = "../../../../fuzz/src/policies.rs"]
mod policies;

use std::path::Path;

#[track_caller]
fn replay(target: &str, promise: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        promise(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 2, "{replayed} files");
}

#[test]
fn rules_and_cedar_keep_their_promises() {
    replay("policy_rules", policies::policy_rules);
    replay("policy_cedar", policies::policy_cedar);
}
