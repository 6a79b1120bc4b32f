//! Damage on the disk, and the code that names it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use merkle::{Checkpoint, NoteSigner};
use translog::{FindingKind, MissingCheckpoint};

use super::*;

/// The segments, in order.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join("wal")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

fn flip(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[track_caller]
fn assert_refused(dir: &Path, code: &str) -> LogError {
    let error = Log::open(disk(dir), config()).expect_err("opened");
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
    error
}

#[track_caller]
fn assert_found(dir: &Path, kind: FindingKind, path: &str) -> translog::Finding {
    let report = report(dir);
    assert!(!report.is_clean());
    let found = report.findings.iter().find(|finding| finding.kind == kind && finding.path.contains(path));
    found.cloned().unwrap_or_else(|| panic!("{:?}", report.findings))
}

/// A log whose segments each hold many groups: one submission, one group.
fn many_groups(dir: &Path) {
    let mut roomy = config();
    roomy.segment_bytes = 1 << 20;
    let log = Log::create(disk(dir), roomy).unwrap();
    for index in 0..20 {
        log.submit(content(index)).unwrap().wait().unwrap();
    }
    log.close().unwrap();
}

#[test]
fn a_flipped_bit_in_a_group_header_is_damage_and_not_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    many_groups(dir.path());
    // Opening made it in the place of the first; its groups start at each block.
    flip(&segments(dir.path())[0], 4096 * 6 + 30);
    let LogError::Damaged { at, .. } = assert_refused(dir.path(), "CS-LOG-006") else { panic!() };
    assert_eq!((at.path.as_str(), at.offset, at.index), ("wal/000000000002.wal", 4096 * 6, 5));
    let finding = assert_found(dir.path(), FindingKind::WalDamaged, "000000000002.wal");
    assert_eq!((finding.offset, finding.index), (Some(4096 * 6), Some(5)));
}

#[test]
fn a_flipped_bit_in_an_entry_names_the_entry() {
    let dir = tempfile::tempdir().unwrap();
    many_groups(dir.path());
    let path = &segments(dir.path())[0];
    let bytes = fs::read(path).unwrap();
    let place = bytes.windows(17).position(|window| window == b"content number 11").unwrap() as u64;
    flip(path, place + 3);
    let LogError::Damaged { at, .. } = assert_refused(dir.path(), "CS-LOG-006") else { panic!() };
    assert_eq!((at.offset, at.index), (place, 11));
    let finding = assert_found(dir.path(), FindingKind::EntryDamaged, "000000000002.wal");
    assert_eq!((finding.offset, finding.index), (Some(place), Some(11)));
}

#[test]
fn a_flipped_bit_in_an_entry_of_an_older_segment_is_found_on_reading() {
    let dir = tempfile::tempdir().unwrap();
    many_groups(dir.path());
    drop(Log::open(disk(dir.path()), config()).unwrap());
    let path = &segments(dir.path())[0];
    let bytes = fs::read(path).unwrap();
    let place = bytes.windows(17).position(|window| window == b"content number 11").unwrap() as u64;
    flip(path, place);
    let mut by_length = config();
    by_length.tile_check = TileCheck::Lengths;
    let log = Log::open(disk(dir.path()), by_length).unwrap();
    assert_eq!(log.entry(11).unwrap_err().code(), "CS-LOG-006");
    assert_eq!(log.entry(12).unwrap(), content(12));
}

#[test]
fn a_truncated_write_ahead_log_is_a_roll_back_with_both_heads() {
    let dir = tempfile::tempdir().unwrap();
    many_groups(dir.path());
    let file = fs::File::options().write(true).open(&segments(dir.path())[0]).unwrap();
    file.set_len(4096 * 8).unwrap();
    let LogError::RolledBack(conflict) = assert_refused(dir.path(), "CS-LOG-007") else { panic!() };
    assert!(conflict.published.starts_with("log.example/it\n20\n"), "{conflict}");
    assert!(conflict.recovered.starts_with("log.example/it\n7\n"), "{conflict}");
    let finding = assert_found(dir.path(), FindingKind::RolledBack, "tiles/checkpoint");
    assert!(finding.what.contains("\n20\n") && finding.what.contains("\n7\n"));
    let error = ReadLog::open(disk(dir.path()), ORIGIN, &[log_key()]).unwrap_err();
    assert_eq!(error.code(), "CS-LOG-007");
}

#[test]
fn a_missing_last_segment_is_a_roll_back_and_a_missing_middle_one_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    many_groups(dir.path());
    // Two groups each: the next segment holds a copy of the second.
    for index in [20, 22] {
        let log = Log::open(disk(dir.path()), config()).unwrap();
        log.submit(content(index)).unwrap().wait().unwrap();
        log.submit(content(index + 1)).unwrap().wait().unwrap();
        log.close().unwrap();
    }
    let all = segments(dir.path());
    let kept = fs::read(&all[1]).unwrap();
    fs::remove_file(&all[1]).unwrap();
    assert_refused(dir.path(), "CS-LOG-006");
    fs::write(&all[1], kept).unwrap();
    Log::open(disk(dir.path()), config()).unwrap();
    for path in &segments(dir.path())[1..] {
        fs::remove_file(path).unwrap();
    }
    assert_refused(dir.path(), "CS-LOG-007");
}

#[test]
fn a_forged_checkpoint_of_the_logs_own_key_is_a_fork_with_both_heads() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10);
    let signer = signer();
    let forged = Checkpoint::new(ORIGIN, 9, merkle::leaf_hash(b"another tree")).unwrap();
    let forged = forged.sign(&[&*signer as &dyn NoteSigner]).unwrap().to_bytes();
    fs::write(dir.path().join("tiles/checkpoint"), &forged).unwrap();
    let LogError::Forked(conflict) = assert_refused(dir.path(), "CS-LOG-008") else { panic!() };
    assert_eq!(conflict.published.as_bytes(), forged);
    assert!(conflict.recovered.starts_with("log.example/it\n9\n"));
    let finding = assert_found(dir.path(), FindingKind::Forked, "tiles/checkpoint");
    assert!(finding.what.contains(&conflict.recovered));
}

#[test]
fn a_checkpoint_that_is_missing_unsigned_or_of_another_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10);
    let path = dir.path().join("tiles/checkpoint");
    let good = fs::read_to_string(&path).unwrap();
    for bad in
        [good.replace("\n10\n", "\n11\n"), "nothing".to_owned(), good.replace("example/it", "example/at")]
    {
        fs::write(&path, bad).unwrap();
        assert_refused(dir.path(), "CS-LOG-016");
        assert_found(dir.path(), FindingKind::CheckpointInvalid, "tiles/checkpoint");
    }
    fs::remove_file(&path).unwrap();
    assert_refused(dir.path(), "CS-LOG-015");
    assert_found(dir.path(), FindingKind::CheckpointMissing, "tiles/checkpoint");
    let mut republishing = config();
    republishing.missing_checkpoint = MissingCheckpoint::Republish;
    fs::remove_dir_all(dir.path().join("tiles")).unwrap();
    drop(Log::open(disk(dir.path()), republishing).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    assert_clean(dir.path());
}

#[test]
fn wrong_and_missing_tiles_are_found_and_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 600);
    let tiles = dir.path().join("tiles");
    flip(&tiles.join("tile/0/001"), 77);
    flip(&tiles.join("tile/entries/001"), 5);
    fs::remove_file(tiles.join("tile/0/000")).unwrap();
    fs::remove_file(tiles.join("tile/entries/002.p/88")).unwrap();
    flip(&tiles.join("tile/1/000.p/2"), 40);
    let wrong = assert_found(dir.path(), FindingKind::TileWrong, "tile/0/001");
    assert_eq!((wrong.offset, wrong.index), (Some(77), Some(256)));
    let wrong = assert_found(dir.path(), FindingKind::BundleWrong, "tile/entries/001");
    assert_eq!(wrong.index, Some(256));
    assert_found(dir.path(), FindingKind::TileMissing, "tile/0/000");
    assert_found(dir.path(), FindingKind::BundleMissing, "tile/entries/002.p/88");
    assert_found(dir.path(), FindingKind::TileWrong, "tile/1/000.p/2");

    let log = Log::open(disk(dir.path()), config()).unwrap();
    let expected =
        ["tile/0/000", "tile/0/001", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88"];
    assert_eq!(log.recovery().repaired, expected);
    drop(log);
    assert_clean(dir.path());
}

#[test]
fn partial_tiles_of_earlier_checkpoints_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let log = Log::open(disk(dir.path()), config()).unwrap();
    log.submit_many((3..5).map(content).collect()).unwrap().wait().unwrap();
    log.close().unwrap();
    let tiles = dir.path().join("tiles/tile");
    flip(&tiles.join("entries/000.p/3"), 5);
    flip(&tiles.join("0/000.p/3"), 40);
    assert_found(dir.path(), FindingKind::BundleWrong, "tile/entries/000.p/3");
    assert_found(dir.path(), FindingKind::TileWrong, "tile/0/000.p/3");
    let log = Log::open(disk(dir.path()), config()).unwrap();
    assert_eq!(log.recovery().repaired, ["tile/0/000.p/3", "tile/entries/000.p/3"]);
    drop(log);
    assert_clean(dir.path());
}

#[test]
fn a_bundle_of_another_length_is_found_without_reading_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 300);
    fs::write(dir.path().join("tiles/tile/entries/000"), b"short").unwrap();
    let mut by_length = config();
    by_length.tile_check = TileCheck::Lengths;
    let log = Log::open(disk(dir.path()), by_length).unwrap();
    assert_eq!(log.recovery().repaired, ["tile/entries/000"]);
}

#[test]
fn an_unfinished_tail_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    many_groups(dir.path());
    let path = &segments(dir.path())[0];
    // What a crash in the middle of the 21st commit leaves: a group's head without its entry.
    let bytes = fs::read(path).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&bytes[4096 * 20..4096 * 20 + 100], 4096 * 21).unwrap();
    let report = report(dir.path());
    assert!(report.is_clean());
    assert_eq!(report.findings[0].kind.code(), "CS-LOG-114");
    let log = Log::open(disk(dir.path()), config()).unwrap();
    assert_eq!(log.size(), 20);
    assert_eq!(log.recovery().unfinished.as_ref().unwrap().offset, 4096 * 21);
}

#[test]
fn two_writers_do_not_go_together() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(disk(dir.path()), config()).unwrap();
    assert_refused(dir.path(), "CS-LOG-004");
    drop(log);
    Log::open(disk(dir.path()), config()).unwrap();
}

#[test]
fn making_and_opening_in_the_wrong_place() {
    let dir = tempfile::tempdir().unwrap();
    assert_refused(dir.path(), "CS-LOG-013");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    filled(dir.path(), 1);
    assert_eq!(Log::create(disk(dir.path()), config()).unwrap_err().code(), "CS-LOG-012");
    let mut other = config();
    other.origin = "log.example/other".to_owned();
    assert_eq!(Log::open(disk(dir.path()), other).unwrap_err().code(), "CS-LOG-014");
    let mut unsigned = config();
    unsigned.signers.clear();
    assert_eq!(Log::open(disk(dir.path()), unsigned).unwrap_err().code(), "CS-LOG-018");
}

#[test]
fn a_stamper_that_panics_stops_the_log_and_nobody_waits_forever() {
    let dir = tempfile::tempdir().unwrap();
    let mut broken = config();
    broken.stamper = Arc::new(|_, _| panic!("a broken stamper"));
    let log = Log::create(disk(dir.path()), broken).unwrap();
    assert_eq!(log.submit(content(0)).unwrap().wait().unwrap_err().code(), "CS-LOG-020");
    assert_eq!(log.close().unwrap_err().code(), "CS-LOG-003");
}
