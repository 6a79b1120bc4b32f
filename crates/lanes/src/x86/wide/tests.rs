#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

use super::*;

#[test]
fn every_number_of_lanes_and_of_blocks_is_as_sha2_has_it() {
    if !detected() {
        eprintln!("SKIPPED the kernel of sixteen streams: no AVX-512 here");
        return;
    }
    for lanes in 0..=WIDE {
        for count in [0, 1, 2, 5] {
            let contents: Vec<Vec<[u8; BLOCK]>> = (0..lanes)
                .map(|lane| {
                    let byte =
                        |at: usize, block: usize| u8::try_from((at * 7 + block * 101 + lane * 31) % 251);
                    (0..count).map(|block| std::array::from_fn(|at| byte(at, block).unwrap())).collect()
                })
                .collect();
            let blocks: Vec<&[[u8; BLOCK]]> = contents.iter().map(Vec::as_slice).collect();
            // Any state will do, and each lane has its own.
            let mut states: Vec<State> = (0..lanes)
                .map(|lane| std::array::from_fn(|word| ((lane * 8 + word) as u32).rotate_right(9)))
                .collect();
            let mut expected = states.clone();
            for (state, blocks) in expected.iter_mut().zip(&blocks) {
                sha2::block_api::compress256(state, blocks);
            }
            compress(&mut states, &blocks);
            assert_eq!(states, expected, "{lanes} lanes of {count} blocks");
        }
    }
}

#[test]
fn more_lanes_than_it_has_are_refused() {
    if !detected() {
        eprintln!("SKIPPED too many lanes for the kernel of sixteen streams: no AVX-512 here");
        return;
    }
    let none: &[[u8; BLOCK]] = &[];
    let refused = std::panic::catch_unwind(|| compress(&mut [[0; 8]; WIDE + 1], &[none; WIDE + 1]));
    let said = refused.unwrap_err();
    assert_eq!(said.downcast_ref::<&str>(), Some(&"a list of blocks for each of 16 lanes"));
}
