//! The file itself: whatever is changed in it, it is refused, wherever the pieces that are read begin and end.

use proptest::prelude::*;
use statement::Digest;

use super::scene::{EXAMINER, SENDER, Scene, read, refused};
use crate::{BundleError, HEADER_BYTES_MAX, MAGIC, Reader, SectionKind, Whole};

/// Findings as a file, and what stands before the sections of the request that they answer. Readers in other languages
/// may use them; the keys are of published seeds.
const FINDINGS: &[u8] = include_bytes!("../../testdata/findings.bundle");
const REQUEST_OPENING: &[u8] = include_bytes!("../../testdata/request.opening");

fn read_in_pieces(bytes: &[u8], piece: usize) -> Result<Whole, BundleError> {
    let mut reader = Reader::new();
    for part in bytes.chunks(piece.max(1)) {
        reader.feed(part)?;
    }
    reader.finish()
}

#[test]
fn the_vectors_are_what_this_version_writes() {
    let scene = Scene::new();
    let request = scene.request();
    let findings = scene.answer(&request).signed(EXAMINER);
    let opening = read(&request).unwrap().signed().opening();
    if std::env::var_os("COUNTERSIGN_WRITE_VECTORS").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
        std::fs::write(format!("{folder}/findings.bundle"), &findings).unwrap();
        std::fs::write(format!("{folder}/request.opening"), &opening).unwrap();
    }
    assert_eq!(opening, REQUEST_OPENING);
    assert_eq!(findings, FINDINGS);
    assert!(request.starts_with(REQUEST_OPENING));
}

#[test]
fn sections_lie_where_the_reader_says() {
    let whole = read(FINDINGS).unwrap();
    for place in whole.places() {
        let at = usize::try_from(place.at).unwrap();
        let bytes = &FINDINGS[at..at + usize::try_from(place.section.bytes).unwrap()];
        assert_eq!(Digest::of(bytes), place.section.sha256);
    }
    let last = whole.places().last().unwrap();
    assert_eq!(last.at + last.section.bytes, FINDINGS.len() as u64);
}

#[test]
fn a_flipped_bit_in_any_byte_is_refused() {
    for index in 0..FINDINGS.len() {
        let mut bytes = FINDINGS.to_vec();
        bytes[index] ^= 1 << (index % 8);
        let error = read(&bytes).unwrap_err();
        let expected: &[&str] = if index < MAGIC.len() {
            &["CS-BUN-001"]
        } else if index < usize::try_from(read(FINDINGS).unwrap().places()[0].at).unwrap() {
            &["CS-BUN-002", "CS-BUN-003", "CS-BUN-004"]
        } else {
            &["CS-BUN-006"]
        };
        assert!(expected.contains(&error.code()), "byte {index}: {error}");
    }
}

#[test]
fn every_beginning_is_cut_off_and_every_more_is_too_much() {
    for length in 0..FINDINGS.len() {
        refused(read(&FINDINGS[..length]), "CS-BUN-004");
    }
    for more in [&[0][..], b"\n", FINDINGS] {
        refused(read(&[FINDINGS, more].concat()), "CS-BUN-005");
    }
}

#[test]
fn other_files_and_long_headers_are_refused_at_once() {
    refused(read(b"countersign-export/v1\n{}"), "CS-BUN-001");
    refused(read(&[0x50, 0x4b, 3, 4]), "CS-BUN-001");
    for length in [0, u32::try_from(HEADER_BYTES_MAX).unwrap() + 1, u32::MAX] {
        refused(read(&[MAGIC, &length.to_be_bytes()].concat()), "CS-BUN-002");
    }
    // A header that says it is long takes no memory before its bytes come.
    let mut reader = Reader::new();
    reader.feed(&[MAGIC, &u32::try_from(HEADER_BYTES_MAX).unwrap().to_be_bytes(), b"{"].concat()).unwrap();
    refused(reader.finish(), "CS-BUN-004");
}

#[test]
fn a_header_whose_members_do_not_go_together_is_refused() {
    let scene = Scene::new();
    let check = |change: &dyn Fn(&mut super::scene::Draft)| {
        let mut draft = scene.draft();
        draft.list();
        change(&mut draft);
        refused(crate::Unsigned::new(draft.header), "CS-BUN-002");
    };
    check(&|draft| draft.header.nonce = statement::Bytes::new(vec![1; 15]));
    check(&|draft| draft.header.expires_ms = draft.header.created_ms);
    check(&|draft| draft.header.expires_ms = draft.header.created_ms + crate::LIFETIME_MS_MAX + 1);
    check(&|draft| draft.header.sections.clear());
    check(&|draft| draft.header.sections.swap(1, 2));
    check(&|draft| draft.header.sections[2] = draft.header.sections[1]);
    check(&|draft| draft.header.sections[1].bytes = u64::MAX);
    check(&|draft| draft.header.sections[1].kind = SectionKind::Finding);
    check(&|draft| draft.header.answers = Some(Digest::of(b"")));
    check(&|draft| draft.header.head = None);
    check(&|draft| draft.header.about = None);
    check(&|draft| draft.header.leaf = Some(1));
    check(&|draft| draft.header.direction = crate::Direction::Findings);
    check(&|draft| {
        let one = draft.header.sections[0];
        draft.header.sections = vec![one; crate::SECTIONS_MAX + 1];
    });
}

#[test]
fn a_header_signed_by_another_than_it_names_is_refused() {
    let scene = Scene::new();
    let mut draft = scene.draft();
    draft.list();
    let unsigned = || crate::Unsigned::new(draft.header.clone()).unwrap();
    let by = |who: audit::fixture::Who| who.sign(&unsigned().message()).sig.into_vec();
    refused(unsigned().finish(EXAMINER.public_key(), by(EXAMINER)), "CS-BUN-003");
    refused(unsigned().finish(SENDER.public_key(), by(EXAMINER)), "CS-BUN-003");
    refused(unsigned().finish(SENDER.public_key(), vec![0; 64]), "CS-BUN-003");
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same(piece in 1_usize..5_000) {
        let whole = read(FINDINGS).unwrap();
        let again = read_in_pieces(FINDINGS, piece).unwrap();
        prop_assert_eq!(whole.places(), again.places());
        prop_assert_eq!(whole.signed().id(), again.signed().id());
    }

    #[test]
    fn what_was_changed_anywhere_is_refused(
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        with in prop::collection::vec(any::<u8>(), 0..40),
        piece in 1_usize..3_000,
    ) {
        let at = at.index(FINDINGS.len());
        let end = (at + length).min(FINDINGS.len());
        let changed = [&FINDINGS[..at], &with, &FINDINGS[end..]].concat();
        prop_assume!(changed != FINDINGS);
        prop_assert!(read_in_pieces(&changed, piece).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let with_magic = [MAGIC, &bytes].concat();
        prop_assert!(read_in_pieces(&bytes, 7).is_err());
        prop_assert!(read(&with_magic).is_err());
    }
}
