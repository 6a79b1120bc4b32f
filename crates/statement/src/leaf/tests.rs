use proptest::prelude::*;

use super::{ENTRY_BYTES_MAX, Leaf, split, stamp};
use crate::envelope::ENVELOPE_BYTES_MAX;
use crate::example;
use crate::json::{self, INTEGER_MAX};
use crate::kind::Kind;

fn envelope() -> Vec<u8> {
    example::envelope(Kind::Retirement).unwrap().to_bytes().unwrap()
}

#[test]
fn a_leaf_round_trips() {
    for kind in Kind::ALL {
        let envelope = example::envelope(*kind).unwrap();
        let entry = stamp(&envelope.to_bytes().unwrap(), 1_800_000_000_250);
        // The entry as a whole is canonical JSON.
        assert!(json::parse_canonical(&entry, ENTRY_BYTES_MAX).is_ok());
        let leaf = Leaf::parse(41, &entry).unwrap();
        assert_eq!((leaf.index, leaf.stamp_ms), (41, 1_800_000_000_250));
        assert_eq!(leaf.id, envelope.id());
        assert_eq!(leaf.content.header().kind.as_str(), kind.name());
        assert_eq!(leaf.to_entry().unwrap(), entry);
    }
}

#[track_caller]
fn refuse(entry: &[u8], code: &str) {
    let error = Leaf::parse(0, entry).unwrap_err();
    assert_eq!(error.code(), code, "{error}: {}", String::from_utf8_lossy(entry));
}

#[test]
fn tampered_stamps_are_refused() {
    let envelope = envelope();
    let with = |digits: &str| {
        [b"{\"envelope\":", envelope.as_slice(), b",\"stamp_ms\":", digits.as_bytes(), b"}"].concat()
    };
    assert!(Leaf::parse(0, &with("0")).is_ok());
    assert!(Leaf::parse(0, &with(&INTEGER_MAX.to_string())).is_ok());
    for digits in [
        "",
        "00",
        "01",
        "-0",
        "-1",
        "+1",
        "1.0",
        "1e3",
        " 1",
        "1 ",
        "null",
        "\"1\"",
        "[1]",
        "9007199254740992",
        "99999999999999999999999999",
        "1,\"stamp_ms\":2x",
        "1}",
        "0x10",
        "\u{0661}",
    ] {
        refuse(&with(digits), "CS-STM-023");
    }
    // Two stamps: the first becomes part of the envelope, which is none then.
    refuse(&with("1,\"stamp_ms\":2"), "CS-STM-007");
}

#[test]
fn tampered_frames_are_refused() {
    let envelope = envelope();
    let entry = stamp(&envelope, 7);
    let text = String::from_utf8(entry.clone()).unwrap();
    refuse(&entry[..entry.len() - 1], "CS-STM-023");
    refuse(&entry[1..], "CS-STM-023");
    refuse(b"", "CS-STM-023");
    refuse(b"{}", "CS-STM-023");
    refuse(b"}", "CS-STM-023");
    refuse(b"{\"envelope\":}", "CS-STM-023");
    refuse(b"{\"envelope\":,\"stamp_ms\":1}", "CS-STM-003");
    refuse(&envelope, "CS-STM-023");
    refuse(format!("{text}\n").as_bytes(), "CS-STM-023");
    refuse(format!(" {text}").as_bytes(), "CS-STM-023");
    refuse(text.replace("stamp_ms", "stamp_us").as_bytes(), "CS-STM-023");
    refuse(text.replace("{\"envelope\":", "{\"envelope\": ").as_bytes(), "CS-STM-008");
    refuse(text.replace("\"envelope\"", "\"Envelope\"").as_bytes(), "CS-STM-023");
    refuse(format!("{{\"stamp_ms\":7,{}", &text[1..]).as_bytes(), "CS-STM-023");
    refuse(text.replace("}]},\"stamp", "}]},\"more\":1,\"stamp").as_bytes(), "CS-STM-007");
}

#[test]
fn oversize_entries_are_refused() {
    refuse(&vec![b'1'; ENTRY_BYTES_MAX + 1], "CS-STM-021");
    refuse(&vec![b'1'; ENTRY_BYTES_MAX], "CS-STM-023");
    // The largest envelope fits into an entry with the largest stamp.
    let entry = stamp(&vec![b'1'; ENVELOPE_BYTES_MAX], u64::try_from(INTEGER_MAX).unwrap());
    assert!(entry.len() <= ENTRY_BYTES_MAX);
    assert_eq!(split(&entry).unwrap().0.len(), ENVELOPE_BYTES_MAX);
}

proptest! {
    #[test]
    fn split_undoes_stamp(envelope in prop::collection::vec(any::<u8>(), 0..300), stamp_ms in 0..=9_007_199_254_740_991_u64) {
        let entry = stamp(&envelope, stamp_ms);
        prop_assert_eq!(split(&entry).unwrap(), (envelope.as_slice(), stamp_ms));
    }

    /// What is split is exactly what was read: stamping it again gives the same bytes.
    #[test]
    fn stamp_undoes_split(tail in "[0-9a,\":}\\\\ ]{0,20}") {
        let entry = format!("{{\"envelope\":{{}},\"stamp_ms\":{tail}}}");
        if let Ok((envelope, stamp_ms)) = split(entry.as_bytes()) {
            prop_assert_eq!(stamp(envelope, stamp_ms), entry.into_bytes());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(Leaf::parse(0, &bytes).is_err());
    }
}
