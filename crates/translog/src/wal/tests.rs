//! The format: every bit of a segment is under some check.

use merkle::{Frontier, Hash, leaf_hash};

use super::format::{GroupHeader, Record};
use super::segment::{segment_number, segment_path};
use super::*;
use crate::sim::disk::SimDisk;
use crate::storage::{STAGING, Storage as _};

const ORIGIN: &str = "log.example/wal";

fn header(number: u64) -> SegmentHeader {
    SegmentHeader {
        number,
        first_index: 0,
        durable_through: 0,
        last_stamp_ms: 0,
        root: merkle::empty_root(),
        origin: Hash::of(ORIGIN.as_bytes()),
        nonce: [9; 16],
    }
}

#[test]
fn a_header_is_read_back_and_every_flipped_bit_is_refused() {
    let header = header(12);
    let bytes = header.encode();
    assert_eq!(bytes.len() as u64, BLOCK);
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    for bit in (0..bytes.len() * 8).step_by(5) {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(SegmentHeader::decode(&wrong).is_err(), "bit {bit}");
    }
    for length in 0..200 {
        assert!(SegmentHeader::decode(&bytes[..length]).is_err());
    }
}

#[test]
fn group_headers_are_bound_to_their_segment() {
    let mut group = GroupBuilder::default();
    let record = Record { length: 3, stamp_ms: 5, key: Hash::of(b"k"), leaf: leaf_hash(b"abc") };
    group.push(&record, b"abc");
    let bytes = group.encode(&header(1), 0, leaf_hash(b"abc"));
    assert_eq!(bytes.len() as u64, group.bytes());
    let decoded = GroupHeader::decode(&bytes, &header(1)).unwrap();
    assert_eq!(decoded.records(&bytes[GroupHeader::LENGTH..][..decoded.table_bytes()]).unwrap(), [record]);
    assert_eq!(GroupHeader::decode(&bytes, &header(2)), None);
    let other_nonce = SegmentHeader { nonce: [8; 16], ..header(1) };
    assert_eq!(GroupHeader::decode(&bytes, &other_nonce), None);
    for bit in 0..GroupHeader::LENGTH * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(GroupHeader::decode(&wrong, &header(1)), None, "bit {bit}");
    }
    for bit in 0..decoded.table_bytes() * 8 {
        let mut wrong = bytes[GroupHeader::LENGTH..][..decoded.table_bytes()].to_vec();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(decoded.records(&wrong).is_err(), "bit {bit}");
    }
}

#[test]
fn names_have_one_spelling() {
    assert_eq!(segment_path(7), "wal/000000000007.wal");
    assert_eq!(segment_number("000000000007.wal"), Some(7));
    for name in ["7.wal", "000000000007", "+00000000007.wal", "000000000007.wal.tmp", "00000000000x.wal"] {
        assert_eq!(segment_number(name), None, "{name}");
    }
}

/// Three groups of two entries each in one segment.
fn three_groups() -> std::sync::Arc<SimDisk> {
    let disk = SimDisk::new(1);
    disk.create_dir(STAGING).unwrap();
    let next = NextSegment { header: header(1), copied: None, capacity: BLOCK * 8 };
    let mut segment = ActiveSegment::create(&*disk, &next).unwrap();
    let mut frontier = Frontier::new();
    for number in 0..3_u64 {
        let mut group = GroupBuilder::default();
        let first = frontier.size();
        for entry in [number * 2, number * 2 + 1] {
            let entry = entry.to_be_bytes();
            let (key, leaf) = (Hash::of(&entry), leaf_hash(&entry));
            group.push(&Record { length: 8, stamp_ms: number, key, leaf }, &entry);
            frontier.push(leaf);
        }
        assert!(segment.has_room(group.bytes()));
        segment.commit(&group.encode(&segment.header, first, frontier.root())).unwrap();
    }
    disk
}

/// The size recovered, or where the damage is.
fn read(disk: &SimDisk) -> Result<u64, (u64, u64)> {
    match recover(disk, ORIGIN, Bodies::Check, &mut |_| Ok(Flow::Continue)) {
        Ok(recovered) => Ok(recovered.frontier.size()),
        Err(crate::LogError::Damaged { at, .. }) => Err((at.offset, at.index)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn any_flipped_bit_of_a_group_is_damage_unless_it_is_the_last() {
    let disk = three_groups();
    assert_eq!(read(&disk), Ok(6));
    let used = GroupHeader::LENGTH as u64 + 2 * 76 + 16;
    for group in 0..3 {
        let start = BLOCK * (1 + group);
        for offset in start..start + used {
            let at = usize::try_from(offset).unwrap();
            assert!(disk.tamper(&segment_path(1), |bytes| bytes[at] ^= 4));
            match read(&disk) {
                Err((found, index)) => {
                    assert!(group < 2 && index == group * 2, "offset {offset}");
                    assert!((start..=offset).contains(&found), "offset {offset} found at {found}");
                }
                Ok(size) => assert!(group == 2 && size == 4, "offset {offset} was not noticed"),
            }
            assert!(disk.tamper(&segment_path(1), |bytes| bytes[at] ^= 4));
        }
    }
}

#[test]
fn a_block_of_zeros_before_a_valid_group_is_damage() {
    let disk = three_groups();
    assert!(disk.tamper(&segment_path(1), |bytes| bytes[8192..12288].fill(0)));
    assert_eq!(read(&disk), Err((8192, 2)));
    assert!(disk.tamper(&segment_path(1), |bytes| bytes.truncate(12288)));
    assert_eq!(read(&disk), Ok(2));
}

#[test]
fn an_entry_cannot_pass_for_a_later_group() {
    let disk = three_groups();
    // The last group is torn, and behind it stands the head of a group with another segment's nonce, as an entry
    // could carry it.
    let forged_in = SegmentHeader { nonce: [8; 16], ..header(1) };
    let mut forged = GroupBuilder::default();
    forged.push(&Record { length: 0, stamp_ms: 9, key: Hash::of(b""), leaf: leaf_hash(b"") }, b"");
    let forged = forged.encode(&forged_in, 90, merkle::empty_root());
    assert!(disk.tamper(&segment_path(1), |bytes| {
        bytes[12288] ^= 1;
        bytes[16384..20480].copy_from_slice(&forged);
    }));
    assert_eq!(read(&disk), Ok(4));
}
