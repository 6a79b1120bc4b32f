//! What the fuzz targets about suites and rendered templates promise, over their committed corpora: the fuzz package leaves them
//! out of the build that every test run does.

#[path = "../../../../fuzz/src/executed.rs"]
mod executed;

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
fn suites_and_templates_keep_their_promises() {
    replay("examine_suite", executed::examine_suite);
    replay("chat_render", executed::chat_render);
}
