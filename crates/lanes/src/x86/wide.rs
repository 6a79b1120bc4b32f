//! The kernel for processors with 512-bit vectors: sixteen streams, a word of each in every vector.
//!
//! The rounds are those of FIPS 180-4, section 6.2.2, as they stand there. Where the other kernel waits for the one unit
//! that knows SHA, this one has all vector units to itself, so it is the faster one for many streams; with few, most of each
//! vector is idle and it is the slower one.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set_epi64, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_storeu_si512,
    _mm512_sub_epi32, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::sync::OnceLock;

use super::ROUNDS;
use crate::{BLOCK, State};

/// Streams that the kernel takes.
pub(crate) const WIDE: usize = 16;

/// What `_mm512_ternarylogic_epi32` computes: the exclusive or of all three.
const XOR: i32 = 0x96;
/// The second where the first is set, else the third (`Ch`).
const CHOICE: i32 = 0xca;
/// What two of three say (`Maj`).
const MAJORITY: i32 = 0xe8;

/// Whether this processor has the instructions, and the operating system keeps their registers.
pub(crate) fn detected() -> bool {
    static DETECTED: OnceLock<bool> = OnceLock::new();
    *DETECTED.get_or_init(|| is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"))
}

/// Takes each state on by its own blocks: as many lists of blocks as states, all of one length, at most [`WIDE`].
pub(crate) fn compress(states: &mut [State], blocks: &[&[[u8; BLOCK]]]) {
    assert!(detected(), "the kernel is asked for without its instructions");
    assert!(states.len() <= WIDE && blocks.len() == states.len(), "a list of blocks for each of 16 lanes");
    let Some(first) = blocks.first() else { return };
    // Lanes that nobody needs hash the first one's blocks.
    let mut all = [*first; WIDE];
    all[..blocks.len()].copy_from_slice(blocks);
    let mut turned = [[0; WIDE]; 8];
    for (lane, state) in states.iter().enumerate() {
        for (word, row) in state.iter().zip(&mut turned) {
            row[lane] = *word;
        }
    }
    // SAFETY: the processor has the instructions.
    unsafe { side_by_side(&mut turned, &all) };
    for (lane, state) in states.iter_mut().enumerate() {
        for (word, row) in state.iter_mut().zip(&turned) {
            *word = row[lane];
        }
    }
}

/// SAFETY of the calls: [`detected`] was asked.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn side_by_side(states: &mut [[u32; WIDE]; 8], blocks: &[&[[u8; BLOCK]]; WIDE]) {
    let mut state = [_mm512_setzero_si512(); 8];
    for (vector, row) in state.iter_mut().zip(&*states) {
        *vector = load(row);
    }
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for at in 0..count {
        let before = state;
        // The last sixteen words of the schedule.
        let mut words = words_of(blocks, at);
        // Written out by the macro, so that places in the ring and the letters' turns are constants. The sums are taken in
        // the order that keeps the way from one round's `e` and `a` to the next one's short: three instructions.
        macro_rules! rounds {
            ($sixteen:expr, $word:expr; $($round:literal)*) => {$(
                let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(|letter| (letter + 16 - $round) % 8);
                words[$round] = $word(&words, $round);
                let constant = _mm512_set1_epi32(ROUNDS[$sixteen * 4 + $round / 4][$round % 4].cast_signed());
                let with = _mm512_add_epi32(_mm512_add_epi32(words[$round], constant), state[h]);
                let choice = _mm512_ternarylogic_epi32::<CHOICE>(state[e], state[f], state[g]);
                let next_e = _mm512_add_epi32(
                    so_far(_mm512_add_epi32(so_far(_mm512_add_epi32(with, state[d])), choice)),
                    big_sigma::<6, 11, 25>(state[e]),
                );
                let majority = _mm512_ternarylogic_epi32::<MAJORITY>(state[a], state[b], state[c]);
                let first = _mm512_sub_epi32(so_far(next_e), state[d]);
                state[h] =
                    _mm512_add_epi32(so_far(_mm512_add_epi32(first, majority)), big_sigma::<2, 13, 22>(state[a]));
                state[d] = next_e;
            )*};
        }
        rounds!(0, |words: &[__m512i; 16], round: usize| words[round]; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for sixteen in 1..4 {
            rounds!(sixteen, next_word; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        for (vector, before) in state.iter_mut().zip(before) {
            *vector = _mm512_add_epi32(*vector, before);
        }
    }
    for (row, vector) in states.iter_mut().zip(state) {
        // SAFETY: sixteen words are written to an array of sixteen.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), vector) };
    }
}

/// The word sixteen after `round` in the schedule.
#[target_feature(enable = "avx512f")]
fn next_word(words: &[__m512i; 16], round: usize) -> __m512i {
    let before = |back: usize| words[(round + 16 - back) % 16];
    _mm512_add_epi32(
        _mm512_add_epi32(words[round], small_sigma::<7, 18, 3>(before(15))),
        _mm512_add_epi32(before(7), small_sigma::<17, 19, 10>(before(2))),
    )
}

#[target_feature(enable = "avx512f")]
fn big_sigma<const A: i32, const B: i32, const C: i32>(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<A>(x),
        _mm512_ror_epi32::<B>(x),
        _mm512_ror_epi32::<C>(x),
    )
}

#[target_feature(enable = "avx512f")]
fn small_sigma<const A: i32, const B: i32, const C: u32>(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<A>(x),
        _mm512_ror_epi32::<B>(x),
        _mm512_srli_epi32::<C>(x),
    )
}

#[target_feature(enable = "avx512f")]
fn load(row: &[u32; WIDE]) -> __m512i {
    // SAFETY: sixteen words are read from an array of sixteen.
    unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
}

/// The words of every stream's block `at`: vector `w` has word `w` of all streams.
#[target_feature(enable = "avx512f,avx512bw")]
fn words_of(blocks: &[&[[u8; BLOCK]]; WIDE], at: usize) -> [__m512i; 16] {
    let swap = {
        let (high, low) = (0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        _mm512_set_epi64(high, low, high, low, high, low, high, low)
    };
    let mut rows = [swap; WIDE];
    for (row, blocks) in rows.iter_mut().zip(blocks) {
        let block: &[u8; BLOCK] = &blocks[at];
        // SAFETY: 64 bytes are read from an array of 64.
        *row = _mm512_shuffle_epi8(unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }, swap);
    }
    transposed(&rows)
}

/// Rows for columns, by words: pairs of rows, pairs of pairs, then quarters of the vectors.
#[target_feature(enable = "avx512f")]
fn transposed(rows: &[__m512i; 16]) -> [__m512i; 16] {
    let mut fours = *rows;
    for four in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[four * 4 + row]);
        let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        // Vector `k`: word `k` of each quarter of these four rows.
        fours[four * 4] = _mm512_unpacklo_epi64(ab_low, cd_low);
        fours[four * 4 + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
        fours[four * 4 + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
        fours[four * 4 + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
    }
    let mut columns = fours;
    for k in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|four| fours[four * 4 + k]);
        let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
        let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
        columns[k] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
        columns[k + 8] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
        columns[k + 4] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
        columns[k + 12] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
    }
    columns
}

/// The same. The compiler would otherwise take sums apart and put them together in an order of its own, in which each
/// round's way is longer by an instruction: a sixth slower, as measured.
#[target_feature(enable = "avx512f")]
fn so_far(sum: __m512i) -> __m512i {
    let mut sum = sum;
    // SAFETY: no instruction; the register stays as it is.
    unsafe {
        asm!("/* {} */", inlateout(zmm_reg) sum, options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

#[cfg(test)]
mod tests;
