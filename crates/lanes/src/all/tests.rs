#![allow(clippy::cast_possible_truncation, reason = "any bytes do")]

use std::cell::Cell;
use std::collections::VecDeque;

use proptest::prelude::*;
use sha2::Digest as _;

use super::*;

/// Bytes that come in pieces of one length; it fails where it is told to.
#[derive(Debug)]
struct Pieces {
    name: usize,
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    fails_at: Option<usize>,
}

impl Source for Pieces {
    type Error = String;

    fn fill(&mut self) -> Result<&[u8], String> {
        if self.fails_at.is_some_and(|at| self.at >= at) {
            return Err(format!("{} cannot be read", self.name));
        }
        let rest = &self.bytes[self.at..];
        // A piece begins at a multiple of its length, as a buffer does that is filled anew when it is empty.
        let end = (self.at / self.piece + 1) * self.piece - self.at;
        Ok(&rest[..end.min(rest.len())])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
        assert!(self.at <= self.bytes.len());
    }
}

fn pieces(name: usize, length: usize, piece: usize) -> Pieces {
    let bytes = (0..length).map(|at| (at * 31 + name * 7) as u8).collect();
    Pieces { name, bytes, at: 0, piece, fails_at: None }
}

#[track_caller]
fn check(lengths: &[usize], piece: usize, at_once: usize) {
    let mut queue: VecDeque<Pieces> =
        lengths.iter().enumerate().map(|(name, length)| pieces(name, *length, piece)).collect();
    let mut done = vec![0; lengths.len()];
    let outcome = hash_all(
        at_once,
        || Ok(queue.pop_front()),
        |source: Pieces, digest| {
            assert_eq!(source.at, source.bytes.len());
            assert_eq!(digest.as_slice(), sha2::Sha256::digest(&source.bytes).as_slice());
            done[source.name] += 1;
            Ok(())
        },
    );
    assert_eq!(outcome, Ok(()));
    assert!(done.iter().all(|times| *times == 1), "{done:?}");
}

#[test]
fn everything_is_hashed_once_with_its_own_digest() {
    for at_once in 0..=LANES + 1 {
        check(&[], 64, at_once);
        check(&[0], 64, at_once);
        check(&[0, 0, 0, 0, 0, 0, 1], 64, at_once);
        check(&[100_000, 5, 63, 64, 65, 0, 128, 70_000], 4096, at_once);
        // Pieces that are no multiple of a block.
        check(&[1000, 1000, 999, 1], 100, at_once);
        check(&[1000, 3, 500], 1, at_once);
    }
}

#[test]
fn the_first_failure_ends_it() {
    for failing in 0..3 {
        let mut queue: VecDeque<Pieces> = (0..3).map(|name| pieces(name, 5000, 128)).collect();
        queue[failing].fails_at = Some(2048);
        let outcome = hash_all(2, || Ok(queue.pop_front()), |_, _| Ok(()));
        assert_eq!(outcome, Err(format!("{failing} cannot be read")));
    }
    let outcome = hash_all(2, || Err::<Option<Pieces>, _>("none comes".to_owned()), |_, _| Ok(()));
    assert_eq!(outcome, Err("none comes".to_owned()));
    let came = Cell::new(0);
    let next = || Ok(Some(pieces(came.replace(came.get() + 1), 1, 1)));
    assert_eq!(hash_all(1, next, |_, _| Err("no room".to_owned())), Err("no room".to_owned()));
    assert_eq!(came.get(), 1);
}

#[test]
fn no_thread_takes_several_while_another_has_none() {
    assert_eq!(share(0, 2), 1);
    assert_eq!(share(1, 2), 1);
    assert_eq!(share(2, 2), 1);
    assert_eq!(share(3, 2), lanes().min(2));
    assert_eq!(share(100, 2), lanes());
    assert_eq!(share(3, 0), lanes().min(3));
}

proptest! {
    #[test]
    fn any_lengths_in_any_pieces(
        lengths in proptest::collection::vec(0_usize..2000, 0..12),
        piece in 1_usize..700,
        at_once in 1_usize..=LANES,
    ) {
        check(&lengths, piece, at_once);
    }
}
