//! A log and its witness.

use std::fs;

use merkle::{Checkpoint, Cosigner, Ed25519Cosigner, MlDsa44Cosigner, NoteSigner, WatchedLog};
use translog::witness::WitnessStore;

use super::*;

fn cosigner() -> Arc<Ed25519Cosigner> {
    Arc::new(Ed25519Cosigner::from_seed("witness.example", &[3; 32]).unwrap())
}

fn witness(dir: &Path) -> Result<WitnessStore, LogError> {
    let logs = vec![WatchedLog::new(ORIGIN, vec![log_key()])];
    WitnessStore::open(disk(dir), vec![cosigner()], logs, Arc::new(|| 1_700_000_000_000))
}

fn keys() -> Vec<VerifierKey> {
    vec![cosigner().verifier().clone()]
}

#[test]
fn a_witness_cosigns_growth_across_restarts() {
    let (dir, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Log::create(disk(dir.path()), config()).unwrap();
    let mut known = 0;
    for size in [3, 300] {
        log.submit_many((0..size).map(content).collect()).unwrap().wait().unwrap();
        log.publish().unwrap();
        let store = witness(memory.path()).unwrap();
        assert_eq!(store.size(ORIGIN), Some(known));
        let answer = store.add_checkpoint(&log.witness_request(known).unwrap());
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let cosigned = log.add_cosignatures(&answer.body, &keys()).unwrap();
        let cosigned = SignedCheckpoint::parse(&cosigned).unwrap();
        assert_eq!(cosigned.note().open(&keys()).unwrap()[0].timestamp, Some(1_700_000_000));
        assert_eq!(fs::read(dir.path().join("tiles/checkpoint")).unwrap(), cosigned.to_bytes());
        known = size;
    }
    // What no witness has cosigned yet is published, and convinces nobody.
    log.submit(content(300)).unwrap().wait().unwrap();
    let open = [ReadLog::open, ReadLog::open_cosigned];
    let sizes = || open.map(|open| open(disk(dir.path()), ORIGIN, &[log_key()]).unwrap().size());
    assert_eq!(sizes(), [300, 300]);
    log.publish().unwrap();
    assert_eq!(sizes(), [301, 300]);
    // The wrong old size: the witness says which it knows.
    let answer = witness(memory.path()).unwrap().add_checkpoint(&log.witness_request(3).unwrap());
    assert_eq!((answer.status, answer.body.as_slice()), (409, b"300\n".as_slice()));
    drop(log);
    assert_clean(dir.path());
    let cosigned = SignedCheckpoint::parse(&fs::read(dir.path().join("cosigned")).unwrap()).unwrap();
    assert_eq!(cosigned.claims().size(), 300);
    assert_eq!(Log::open(disk(dir.path()), config()).unwrap().size(), 301);
}

#[test]
fn several_keys_cosign_at_once() {
    let (dir, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 5);
    let log = Log::open(disk(dir.path()), config()).unwrap();
    let second = Arc::new(MlDsa44Cosigner::from_seed("witness.example", &[4; 32]).unwrap());
    let mut both = keys();
    both.push(second.verifier().clone());
    let logs = vec![WatchedLog::new(ORIGIN, vec![log_key()])];
    let store =
        WitnessStore::open(disk(memory.path()), vec![cosigner(), second], logs, Arc::new(|| 1000)).unwrap();
    let answer = store.add_checkpoint(&log.witness_request(0).unwrap());
    let cosigned = SignedCheckpoint::parse(&log.add_cosignatures(&answer.body, &both).unwrap()).unwrap();
    assert_eq!(cosigned.note().open(&both).unwrap().len(), 2);
}

#[test]
fn a_fork_is_refused_and_kept_with_both_checkpoints() {
    let memory = tempfile::tempdir().unwrap();
    let store = witness(memory.path()).unwrap();
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(one.path(), 5);
    let log = Log::create(disk(other.path()), config()).unwrap();
    log.submit_many((10..15).map(content).collect()).unwrap().wait().unwrap();
    log.publish().unwrap();
    let honest = Log::open(disk(one.path()), config()).unwrap();
    assert_eq!(store.add_checkpoint(&honest.witness_request(0).unwrap()).status, 200);
    // The same size with another root, then a larger tree that does not contain the first.
    assert_eq!(store.add_checkpoint(&log.witness_request(5).unwrap()).status, 422);
    log.submit_many((15..25).map(content).collect()).unwrap().wait().unwrap();
    log.publish().unwrap();
    assert_eq!(store.add_checkpoint(&log.witness_request(5).unwrap()).status, 422);
    assert_eq!(store.size(ORIGIN), Some(5));

    let mut kept: Vec<_> =
        fs::read_dir(memory.path().join("forks")).unwrap().map(|e| e.unwrap().path()).collect();
    kept.sort();
    assert_eq!(kept.len(), 2);
    let honest_head = String::from_utf8(honest.checkpoint()).unwrap();
    for path in &kept {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(&honest_head), "{text}");
    }
    assert!(kept[0].to_string_lossy().contains("-split-"));
}

#[test]
fn bad_requests_and_strangers_get_their_status() {
    let memory = tempfile::tempdir().unwrap();
    let store = witness(memory.path()).unwrap();
    assert_eq!(store.add_checkpoint(b"old 0\n").status, 400);
    let stranger = Ed25519NoteSigner::from_seed(ORIGIN, &[9; 32]).unwrap();
    let request = |origin: &str, signer: &Ed25519NoteSigner| {
        let head = Checkpoint::new(origin, 0, merkle::empty_root()).unwrap();
        let head = head.sign(&[signer as &dyn NoteSigner]).unwrap();
        merkle::AddCheckpoint::new(0, Vec::new(), head).unwrap().to_bytes()
    };
    assert_eq!(store.add_checkpoint(&request(ORIGIN, &stranger)).status, 403);
    assert_eq!(store.add_checkpoint(&request("log.example/unknown", &stranger)).status, 404);
    assert_eq!(store.size("log.example/unknown"), None);
    assert_eq!(witness(memory.path()).unwrap_err().code(), "CS-LOG-004");
}

#[test]
fn a_state_that_was_changed_is_refused() {
    let (dir, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 5);
    let log = Log::open(disk(dir.path()), config()).unwrap();
    assert_eq!(witness(memory.path()).unwrap().add_checkpoint(&log.witness_request(0).unwrap()).status, 200);
    let state = fs::read_dir(memory.path().join("logs")).unwrap().next().unwrap().unwrap().path();
    let changed = fs::read_to_string(&state).unwrap().replace("\n5\n", "\n4\n");
    fs::write(&state, changed).unwrap();
    assert_eq!(witness(memory.path()).unwrap_err().code(), "CS-LOG-016");
}

#[test]
fn only_known_cosignatures_of_this_checkpoint_are_added() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let log = Log::open(disk(dir.path()), config()).unwrap();
    let head = SignedCheckpoint::parse(&log.checkpoint()).unwrap();
    let line = |text: &str| cosigner().cosign(text, 7).unwrap().to_line();
    let good = line(head.note().text());
    let other = line(&head.note().text().replace("\n5\n", "\n6\n"));
    for (lines, known) in
        [(other.as_str(), keys()), (good.as_str(), Vec::new()), ("", keys()), ("x\n", keys())]
    {
        let error = log.add_cosignatures(lines.as_bytes(), &known).unwrap_err();
        assert_eq!(error.code(), "CS-LOG-017", "{error}");
    }
    let own = head.note().signatures()[0].to_line();
    assert_eq!(log.add_cosignatures(own.as_bytes(), &[log_key()]).unwrap_err().code(), "CS-LOG-017");
    log.add_cosignatures(good.as_bytes(), &keys()).unwrap();
}

#[test]
fn a_cosigned_head_that_the_log_does_not_have_is_refused() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 5);
    // A longer history that was cosigned; then the shorter log is put back, checkpoint and all.
    filled(copy.path(), 8);
    let longer = Log::open(disk(copy.path()), config()).unwrap();
    let head = SignedCheckpoint::parse(&longer.checkpoint()).unwrap();
    let line = cosigner().cosign(head.note().text(), 7).unwrap().to_line();
    longer.add_cosignatures(line.as_bytes(), &keys()).unwrap();
    fs::copy(copy.path().join("cosigned"), dir.path().join("cosigned")).unwrap();
    let error = Log::open(disk(dir.path()), config()).unwrap_err();
    assert_eq!(error.code(), "CS-LOG-007");
    let report = report(dir.path());
    assert_eq!(report.findings[0].path, "cosigned");
}
