#![allow(clippy::cast_possible_truncation, reason = "any bytes do")]

use proptest::prelude::*;
use sha2::Digest as _;

use super::*;

/// FIPS 180-4's examples, as NIST publishes them: one block, two blocks, none, and a million `a`.
const EXAMPLES: [(&[u8], usize, &str); 4] = [
    (b"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    (b"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What no period of the hash divides.
fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / 251) as u8 ^ seed).collect()
}

/// The digests of contents that are given together, `piece` bytes at a time.
fn digests(contents: &[Vec<u8>], piece: usize) -> Vec<[u8; DIGEST]> {
    let mut streams = vec![Sha256::new(); contents.len()];
    let longest = contents.iter().map(Vec::len).max().unwrap_or(0);
    for begin in (0..longest).step_by(piece) {
        let mut parts: Vec<Part<'_>> = streams
            .iter_mut()
            .zip(contents)
            .map(|(stream, content)| {
                let end = (begin + piece).min(content.len());
                Part { stream, bytes: content.get(begin..end).unwrap_or_default() }
            })
            .collect();
        update_together(&mut parts);
        assert!(parts.iter().all(|part| part.bytes.is_empty()));
    }
    for (stream, content) in streams.iter().zip(contents) {
        assert_eq!(stream.bytes(), content.len() as u64);
    }
    streams.into_iter().map(Sha256::finish).collect()
}

#[track_caller]
fn check(contents: &[Vec<u8>], piece: usize) {
    for (content, digest) in contents.iter().zip(digests(contents, piece)) {
        assert_eq!(hex(&digest), hex(&sha2::Sha256::digest(content)), "{} bytes by {piece}", content.len());
    }
}

#[test]
fn the_standards_examples_come_out_in_every_number_of_lanes() {
    for (text, times, expected) in EXAMPLES {
        let content = text.repeat(times);
        for lanes in 1..=LANES + 2 {
            for digest in digests(&vec![content.clone(); lanes], 100_003) {
                assert_eq!(hex(&digest), expected, "{lanes} lanes");
            }
        }
    }
}

#[test]
fn every_length_around_the_borders_of_blocks_agrees_in_every_number_of_lanes() {
    for length in 0..=4 * BLOCK + 2 {
        for lanes in 1..=LANES + 1 {
            // Lengths that differ by lane, so that lanes end at different blocks.
            let contents: Vec<_> =
                (0..lanes).map(|lane| content(length + lane * 37 % 130, lane as u8)).collect();
            check(&contents, length.max(1));
            check(&contents, 64);
            check(&contents, 63);
        }
    }
}

#[test]
fn lanes_do_not_mix() {
    let same = content(1000, 7);
    let mut other = same.clone();
    other[999] ^= 1;
    let found = digests(&[same.clone(), other, same.clone(), same], 1000);
    assert_eq!(found[0], found[2]);
    assert_eq!(found[0], found[3]);
    assert_ne!(found[0], found[1]);
}

proptest! {
    #[test]
    fn streams_of_any_lengths_in_any_pieces_have_the_digests_of_sha2(
        lengths in proptest::collection::vec(0_usize..3000, 1..10),
        piece in 1_usize..1500,
    ) {
        let contents: Vec<_> = lengths.iter().zip(0..).map(|(length, seed)| content(*length, seed)).collect();
        check(&contents, piece);
    }
}
