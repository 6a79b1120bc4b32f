use super::*;
use crate::fixture::{Plan, Realm};

/// A small export, in parts.
fn sections() -> BTreeMap<Section, Vec<u8>> {
    let mut realm = Realm::new();
    let from = realm.checkpoint(5, 1);
    realm.release(Plan::tuning("first"));
    let head = realm.checkpoint(realm.entries().len() as u64, 2);
    let file = realm.export_with(&head, Some(&from)).to_bytes();
    let export = Export::parse(&file).unwrap();
    export.sections().map(|(name, bytes)| (name, bytes.to_vec())).collect()
}

fn file(sections: &BTreeMap<Section, Vec<u8>>) -> Vec<u8> {
    assemble(&"example".parse().unwrap(), sections.clone()).unwrap().to_bytes()
}

fn with_header(header: &str, body: &[u8]) -> Vec<u8> {
    [MAGIC, header.as_bytes(), b"\n", body].concat()
}

#[track_caller]
fn refused(file: &[u8], code: &str) {
    let error = Export::parse(file).expect_err("an unsound file");
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn what_is_written_is_read() {
    let sections = sections();
    assert_eq!(sections.len(), Section::ALL.len());
    let bytes = file(&sections);
    let export = Export::parse(&bytes).unwrap();
    assert_eq!(export.realm().as_str(), "example");
    for (name, bytes) in &sections {
        assert_eq!(export.section(*name), Some(bytes.as_slice()), "{name}");
    }
}

#[test]
fn another_file_is_no_export() {
    refused(b"", "CS-AUD-001");
    refused(b"countersign-export/v2\n{}\n", "CS-AUD-001");
    refused(b"countersign-export/v1", "CS-AUD-001");
}

#[test]
fn unsound_headers_are_refused() {
    for header in [
        "",
        "[]",
        "{}",
        r#"{"realm":"example"}"#,
        r#"{"realm":"example", "sections":[]}"#,
        r#"{"more":1,"realm":"example","sections":[]}"#,
        r#"{"realm":"Example!","sections":[]}"#,
        r#"{"realm":"example","sections":[{"bytes":-1,"name":"entries","sha256":""}]}"#,
    ] {
        refused(&with_header(header, b""), "CS-AUD-002");
    }
    refused(MAGIC, "CS-AUD-002");
    // A header without an end is not looked for beyond a mebibyte.
    refused(&[MAGIC, &vec![b' '; 2 * HEADER_BYTES_MAX]].concat(), "CS-AUD-002");
    let empty = Digest::of(b"");
    let entry = format!(r#"{{"bytes":0,"name":"checkpoint","sha256":"{empty}"}}"#);
    let many = vec![entry; SECTIONS_MAX + 1].join(",");
    refused(&with_header(&format!(r#"{{"realm":"example","sections":[{many}]}}"#), b""), "CS-AUD-002");
}

#[test]
fn sections_have_their_names_and_their_order() {
    let empty = Digest::of(b"");
    let header = |names: &[&str]| {
        let entries: Vec<String> =
            names.iter().map(|name| format!(r#"{{"bytes":0,"name":"{name}","sha256":"{empty}"}}"#)).collect();
        with_header(&format!(r#"{{"realm":"example","sections":[{}]}}"#, entries.join(",")), b"")
    };
    refused(&header(&["checkpoint", "leaves"]), "CS-AUD-003");
    refused(&header(&["checkpoint", "checkpoint"]), "CS-AUD-003");
    refused(&header(&["entries", "checkpoint", "hashes", "proofs", "schemas"]), "CS-AUD-003");
    Export::parse(&header(&["checkpoint", "entries", "hashes", "proofs", "schemas"])).unwrap();
}

#[test]
fn a_missing_section_is_named() {
    let whole = sections();
    for name in Section::ALL {
        let mut sections = whole.clone();
        sections.remove(&name);
        let file = file(&sections);
        if name == Section::Attachments {
            Export::parse(&file).unwrap();
        } else {
            refused(&file, "CS-AUD-004");
            assert!(Export::parse(&file).unwrap_err().to_string().contains(&format!("`{name}`")), "{name}");
        }
    }
    let mut without_either = whole;
    without_either.remove(&Section::FromCheckpoint);
    without_either.remove(&Section::Consistency);
    Export::parse(&file(&without_either)).unwrap();
}

#[test]
fn the_file_ends_where_its_sections_end() {
    let file = file(&sections());
    refused(&file[..file.len() - 1], "CS-AUD-005");
    refused(&[&file, &b"\n"[..]].concat(), "CS-AUD-005");
    let head = file.len() - sections().values().map(Vec::len).sum::<usize>();
    refused(&file[..head], "CS-AUD-005");
    for end in 0..head {
        Export::parse(&file[..end]).unwrap_err();
    }
    let huge = 9_007_199_254_740_991_u64;
    let entry = format!(r#"{{"bytes":{huge},"name":"checkpoint","sha256":"{}"}}"#, Digest::of(b""));
    let header = format!(r#"{{"realm":"example","sections":[{entry}]}}"#);
    refused(&with_header(&header, b""), "CS-AUD-004");
}

#[test]
fn a_flipped_bit_in_any_section_is_named() {
    let sections = sections();
    let file = file(&sections);
    let mut at = file.len() - sections.values().map(Vec::len).sum::<usize>();
    for (name, bytes) in &sections {
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut file = file.clone();
            file[at + place] ^= 1;
            match Export::parse(&file) {
                Err(AuditError::SectionDigest { name: found, .. }) => assert_eq!(found, *name),
                other => panic!("{name}: {other:?}"),
            }
        }
        at += bytes.len();
    }
}

#[test]
fn attachments_have_the_vaults_digests() {
    let plain = Attachment { salt: None, content: b"abc" };
    assert_eq!(plain.digest(), Digest::of(b"abc"));
    let salted = Attachment { salt: Some([7; 16]), content: b"abc" };
    assert_eq!(salted.digest(), Digest::of(&[&b"countersign-attachment-v1"[..], &[7; 16], b"abc"].concat()));
    let mut both = [plain, salted];
    both.sort_by_key(Attachment::digest);
    let mut bytes = Vec::new();
    for attachment in &both {
        attachment.push(&mut bytes).unwrap();
    }
    let read = attachments(&bytes).unwrap();
    assert_eq!(read, both.map(|attachment| (attachment.digest(), attachment)));
    for cut in 1..bytes.len() {
        if cut != bytes.len() / 2 {
            let read = attachments(&bytes[..cut]);
            assert!(read.is_err() || read.unwrap().len() == 1, "cut at {cut}");
        }
    }
    let twice = [bytes.clone(), bytes].concat();
    assert_eq!(attachments(&twice).unwrap_err().code(), "CS-AUD-029");
    assert_eq!(attachments(&[0, 0, 0, 1, 7, 0, 0, 0, 0]).unwrap_err().code(), "CS-AUD-029");
}

#[test]
fn a_writer_refuses_what_does_not_go_together() {
    let realm = Realm::new();
    let head = realm.checkpoint(4, 0).to_bytes();
    let mut writer = Writer::new(realm.id().clone());
    assert_eq!(writer.entry(&vec![0; 65_536]).unwrap_err().code(), "CS-AUD-030");
    for entry in &realm.entries()[..3] {
        writer.entry(entry).unwrap();
    }
    assert_eq!(writer.finish(&head, None).unwrap_err().code(), "CS-AUD-030");
}
