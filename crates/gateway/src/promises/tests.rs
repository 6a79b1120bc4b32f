use std::path::Path;

use super::*;

/// The committed corpus of a fuzz target.
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
fn what_fuzzing_was_given_keeps_the_promises() {
    replay("gateway_request", request);
    replay("gateway_answer", answer);
    replay("gateway_heads", heads);
}
