//! Files that were changed after they were written, with ever more care.

use proptest::prelude::*;

use super::*;

fn entries_of(sections: &BTreeMap<Section, Vec<u8>>) -> Vec<Vec<u8>> {
    export::entries(&sections[&Section::Entries]).unwrap().into_iter().map(<[u8]>::to_vec).collect()
}

fn put_entries(sections: &mut BTreeMap<Section, Vec<u8>>, entries: &[Vec<u8>]) {
    let framed = entries.iter().flat_map(|entry| {
        let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
        [length.to_vec(), entry.clone()].concat()
    });
    sections.insert(Section::Entries, framed.collect());
}

fn put_hashes(sections: &mut BTreeMap<Section, Vec<u8>>, entries: &[Vec<u8>]) {
    let hashes = entries.iter().flat_map(|entry| *leaf_hash(entry).as_bytes());
    sections.insert(Section::Hashes, hashes.collect());
}

/// Moves the stamp of a leaf by a millisecond: the smallest lie.
fn restamp(entry: &mut [u8]) {
    let at = entry.len() - 2;
    entry[at] = if entry[at] == b'1' { b'2' } else { b'1' };
}

#[test]
fn an_altered_entry_is_named() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let mut entries = entries_of(&sections);
    restamp(&mut entries[17]);
    put_entries(&mut sections, &entries);
    let error = refused(&whole(&sections), &realm.expectations(), "CS-AUD-009");
    assert!(error.to_string().contains("leaf `17`"), "{error}");
}

#[test]
fn an_altered_entry_with_its_hash_makes_another_root() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let mut entries = entries_of(&sections);
    restamp(&mut entries[17]);
    put_entries(&mut sections, &entries);
    put_hashes(&mut sections, &entries);
    let error = refused(&whole(&sections), &realm.expectations(), "CS-AUD-010");
    let [(title, text)] = error.evidence().try_into().unwrap();
    assert_eq!(title, "checkpoint");
    assert!(text.starts_with("example.invalid/log\n"), "{text}");
}

#[test]
fn a_removed_leaf_is_missed() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let mut entries = entries_of(&sections);
    entries.remove(17);
    put_entries(&mut sections, &entries);
    refused(&whole(&sections), &realm.expectations(), "CS-AUD-008");
    put_hashes(&mut sections, &entries);
    refused(&whole(&sections), &realm.expectations(), "CS-AUD-008");
}

#[test]
fn an_added_leaf_is_one_too_many() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let mut entries = entries_of(&sections);
    entries.push(entries[3].clone());
    put_entries(&mut sections, &entries);
    put_hashes(&mut sections, &entries);
    refused(&whole(&sections), &realm.expectations(), "CS-AUD-008");
}

#[test]
fn swapped_leaves_make_another_root() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let mut entries = entries_of(&sections);
    entries.swap(4, 5);
    put_entries(&mut sections, &entries);
    let error = refused(&whole(&sections), &realm.expectations(), "CS-AUD-009");
    assert!(error.to_string().contains("leaf `4`"), "{error}");
    put_hashes(&mut sections, &entries);
    refused(&whole(&sections), &realm.expectations(), "CS-AUD-010");
}

#[test]
fn entries_that_break_off_are_named() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    sections.get_mut(&Section::Entries).unwrap().pop();
    let last = realm.entries().len() - 1;
    let error = refused(&whole(&sections), &realm.expectations(), "CS-AUD-007");
    assert!(error.to_string().contains(&format!("leaf `{last}`")), "{error}");
}

#[test]
fn proofs_are_one_for_each_order_and_lead_to_the_root() {
    let realm = busy();
    let whole_file = realm.export();
    let sections = parts(&whole_file);
    let proofs: Vec<Vec<u8>> =
        export::proofs(&sections[&Section::Proofs]).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(proofs.len(), 2);
    let with = |proofs: &[Vec<u8>]| {
        let framed = proofs.iter().flat_map(|proof| {
            [u32::try_from(proof.len()).unwrap().to_be_bytes().to_vec(), proof.clone()].concat()
        });
        let mut sections = sections.clone();
        sections.insert(Section::Proofs, framed.collect());
        whole(&sections)
    };
    let expectations = realm.expectations();
    assert_eq!(with(&proofs), whole_file);
    for (proofs, told) in [
        (&[proofs[0].clone()][..], "is missing"),
        (&[proofs[1].clone(), proofs[0].clone()], "proof `0` should be about leaf `"),
        (&[proofs[0].clone(), proofs[1].clone(), proofs[1].clone()], "is one too many"),
    ] {
        let text = refused(&with(proofs), &expectations, "CS-AUD-027").to_string();
        assert!(text.contains(told) && !text.contains("Some("), "{text}");
    }
    let edit = |from: &str, to: &str| {
        let text = String::from_utf8(proofs[1].clone()).unwrap();
        assert!(text.contains(from));
        with(&[proofs[0].clone(), text.replacen(from, to, 1).into_bytes()])
    };
    refused(&edit("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"), &expectations, "CS-AUD-024");
    // Another hash in the path.
    let text = String::from_utf8(proofs[1].clone()).unwrap();
    let line = text.lines().nth(2).unwrap();
    let other = text.lines().nth(3).unwrap();
    let error = refused(&edit(line, other), &expectations, "CS-AUD-026");
    assert_eq!(error.evidence()[0].0, "proof");
    // A path that is too short.
    refused(&edit(&format!("{line}\n"), ""), &expectations, "CS-AUD-026");
    // A cosignature less is another checkpoint.
    let end = text.trim_end().rfind('\n').unwrap() + 1;
    let error =
        refused(&with(&[proofs[0].clone(), text.as_bytes()[..end].to_vec()]), &expectations, "CS-AUD-025");
    assert_eq!(error.evidence().len(), 2);
    let mut cut = sections.clone();
    cut.get_mut(&Section::Proofs).unwrap().pop();
    refused(&whole(&cut), &expectations, "CS-AUD-023");
}

#[test]
fn schemas_of_another_version_are_told() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let mut schemas = export::schemas();
    schemas["freeze"]["title"] = "freeze, as it was".into();
    schemas["thaw"] = true.into();
    sections.insert(Section::Schemas, schemas.to_string().into_bytes());
    let report = audit(&whole(&sections), &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::SchemasDiffer]);
    assert_eq!(report.warnings[0].text, "of: freeze, thaw");
    for text in ["", "[]", "{", "{}x"] {
        sections.insert(Section::Schemas, text.as_bytes().to_vec());
        refused(&whole(&sections), &realm.expectations(), "CS-AUD-028");
    }
}

#[test]
fn attachments_are_named_by_a_statement() {
    let realm = busy();
    let mut sections = parts(&realm.export());
    let report = audit(&whole(&sections), &realm.expectations()).unwrap();
    assert_eq!(report.attachments.len(), 1);
    // The slot's definition is the first that names the scope file.
    let kinds = |index: u64| {
        realm.leaves()[usize::try_from(index).unwrap()].leaf().unwrap().content.header().kind.clone()
    };
    assert_eq!(kinds(report.attachments[0].named_by.unwrap()).as_str(), "slot");
    sections.insert(Section::Attachments, [&[0; 4][..], &3_u32.to_be_bytes(), b"abc"].concat());
    let report = audit(&whole(&sections), &realm.expectations()).unwrap();
    // The scope file went with what was put in its place.
    remarks(&report, &[], &[RemarkCode::AttachmentUnnamed, RemarkCode::NotCarried]);
    sections.insert(Section::Attachments, vec![0; 7]);
    refused(&whole(&sections), &realm.expectations(), "CS-AUD-029");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_single_flip_is_clean(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let (file, expectations) = sample();
        let mut file = file.clone();
        let at = place.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(audit(&file, expectations).is_err());
    }
}

proptest! {
    // Each case decides everything again.
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// As above, by somebody who knows the format and mends every digest.
    #[test]
    fn no_single_flip_with_mended_digests_is_clean(
        section in 0..Section::ALL.len(), place in any::<prop::sample::Index>(), bit in 0_u32..8
    ) {
        let (file, expectations) = sample();
        let mut sections = parts(file);
        let section = Section::ALL[section];
        let bytes = sections.get_mut(&section).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if section == Section::Entries
            && let Ok(entries) = export::entries(bytes)
        {
            let hashes = entries.iter().flat_map(|entry| *leaf_hash(entry).as_bytes()).collect();
            sections.insert(Section::Hashes, hashes);
        }
        match audit(&whole(&sections), expectations) {
            Err(_) => {}
            // Nothing signs the schemas, the attachments or a cosignature under another name: that is remarked.
            Ok(report) => {
                prop_assert!(!report.reasons.is_empty() || !report.warnings.is_empty(), "{section} at {at}");
                let unsigned = [Section::Schemas, Section::Attachments, Section::FromCheckpoint, Section::Checkpoint];
                prop_assert!(unsigned.contains(&section), "{section} at {at}");
            }
        }
    }
}

/// A small export with every section, and what its auditor expects.
fn sample() -> &'static (Vec<u8>, Expectations) {
    static SAMPLE: std::sync::OnceLock<(Vec<u8>, Expectations)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let mut realm = Realm::new();
        let from = realm.checkpoint(7, 0);
        realm.release(Plan::tuning("first"));
        let head = realm.checkpoint(realm.entries().len() as u64, 1);
        (realm.export_with(&head, Some(&from)).to_bytes(), realm.expectations())
    })
}
