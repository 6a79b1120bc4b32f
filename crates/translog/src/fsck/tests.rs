//! What only a faulty sequencer could write, and the bounds of the report.

use std::sync::Arc;

use merkle::Ed25519NoteSigner;

use super::*;
use crate::config::{Config, Publishing};
use crate::log::Log;
use crate::sim::disk::SimDisk;
use crate::storage::STAGING;
use crate::wal::{ActiveSegment, GroupBuilder, NextSegment, Record, SegmentHeader};

const ORIGIN: &str = "log.example/fsck";

fn key() -> VerifierKey {
    Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap().verifier().clone()
}

/// A log whose entries have these contents and stamps, without any of the sequencer's care.
fn careless(entries: &[(&[u8], u64)]) -> Arc<SimDisk> {
    let disk = SimDisk::new(1);
    disk.create_dir(STAGING).unwrap();
    let mut group = GroupBuilder::default();
    let mut frontier = Frontier::new();
    for (content, stamp_ms) in entries {
        let (key, leaf) = (Hash::of(content), leaf_hash(content));
        let length = u32::try_from(content.len()).unwrap();
        group.push(&Record { length, stamp_ms: *stamp_ms, key, leaf }, content);
        frontier.push(leaf);
    }
    let header = SegmentHeader {
        number: 1,
        first_index: 0,
        durable_through: 0,
        last_stamp_ms: 0,
        root: merkle::empty_root(),
        origin: Hash::of(ORIGIN.as_bytes()),
        nonce: [7; 16],
    };
    let copied = Some((&group, frontier.root()));
    ActiveSegment::create(&*disk, &NextSegment { header, copied, capacity: 1 << 16 }).unwrap();
    disk
}

#[track_caller]
fn check(entries: &[(&[u8], u64)], expected: &[(FindingKind, u64)]) {
    let disk = careless(entries);
    let report = fsck(&*disk, ORIGIN, &[key()]);
    let found: Vec<(FindingKind, u64)> =
        report.findings.iter().filter_map(|finding| Some((finding.kind, finding.index?))).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_stamp_that_decreases_is_found() {
    check(&[(b"a", 5), (b"b", 6), (b"c", 5)], &[(FindingKind::StampDecreases, 2)]);
}

#[test]
fn duplicates_are_found_whatever_the_number_of_passes() {
    let disk = careless(&[(b"a", 5), (b"b", 6), (b"a", 7), (b"c", 8), (b"b", 9)]);
    for at_once in [1, 2, 100] {
        let mut report = Report { entries: 5, ..Report::default() };
        find_duplicates(&*disk, ORIGIN, &mut report, at_once);
        let mut found: Vec<_> = report.findings.iter().map(|f| (f.kind.code(), f.index.unwrap())).collect();
        found.sort_unstable();
        assert_eq!(found, [("CS-LOG-104", 2), ("CS-LOG-104", 4)], "{at_once} at once");
    }
}

#[test]
fn an_empty_directory_is_no_log() {
    let report = fsck(&*SimDisk::new(1), ORIGIN, &[key()]);
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.kind.code()).collect();
    assert_eq!(codes, ["CS-LOG-109", "CS-LOG-101"]);
}

#[test]
fn the_report_is_bounded() {
    let mut report = Report::default();
    for index in 0..1500 {
        report.add_file(FindingKind::TileMissing, "tile", Some(index), "missing");
    }
    assert_eq!((report.findings.len(), report.unlisted), (MAX_FINDINGS, 500));
    assert!(!report.is_clean());
}

#[test]
fn the_walk_checks_each_tile_and_bundle_once() {
    let disk = SimDisk::new(1);
    let signer = Arc::new(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap());
    let mut config = Config::new(ORIGIN, vec![signer], vec![key()], Arc::new(|| 5));
    config.segment_bytes = 1 << 16;
    config.publishing = Publishing::OnRequest;
    let log = Log::create(Arc::clone(&disk) as _, config).unwrap();
    // Enough for a full tile of level 1.
    let contents = (0..65_536 + 300_u32).map(|number| number.to_be_bytes().to_vec()).collect();
    log.submit_many(contents).unwrap().wait().unwrap();
    log.close().unwrap();
    let report = fsck(&*disk, ORIGIN, &[key()]);
    assert!(report.is_clean(), "{:?}", report.findings);
    let tiles = disk.paths().iter().filter(|path| path.starts_with("tiles/tile/")).count();
    // 258 tiles of level 0 with their bundles, two of level 1, one of level 2.
    assert_eq!((report.tiles, tiles), (258 * 2 + 2 + 1, 258 * 2 + 2 + 1));

    for path in disk.paths().iter().filter(|path| path.starts_with("tiles/tile/")) {
        let mut original = Vec::new();
        assert!(disk.tamper(path, |bytes| {
            original.clone_from(bytes);
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        }));
        if path.contains("/1/") || path.contains("/2/") || path.ends_with("57") {
            let report = fsck(&*disk, ORIGIN, &[key()]);
            assert_eq!(report.findings.len(), 1, "{path}");
            assert_eq!(&report.findings[0].path, path);
        }
        assert!(disk.tamper(path, |bytes| *bytes = original));
    }
}
