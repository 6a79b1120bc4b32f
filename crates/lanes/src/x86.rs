//! The kernels for x86-64 processors: here the one for those with SHA instructions, in [`wide`] that for vectors of 512 bits.
//!
//! This is the one module of the crate that may use `unsafe`, for three reasons: calling a function that is compiled for
//! instructions the processor may lack (every call stands behind a `detected`), loading vectors from arrays whose
//! length their type says, and keeping the compiler from one change of order that makes it slow.
//!
//! The order of instructions within one stream is that of Intel's paper "Intel SHA Extensions" (2013); what is ours is
//! that several streams take turns at every step.

#![allow(unsafe_code, reason = "vector instructions behind run-time detection; see the module's text")]
#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "lanes are counted by a constant that all arrays have as their length"
)]

pub(crate) mod wide;

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_storeu_si128,
};
use std::sync::OnceLock;

use crate::{BLOCK, State};

/// The constants of the rounds (FIPS 180-4, section 4.2.2), four rounds a row.
const ROUNDS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// Most streams whose rounds take turns: more do not fit the registers.
pub(crate) const TURNS: usize = 4;

/// Whether this processor has the instructions.
pub(crate) fn detected() -> bool {
    static DETECTED: OnceLock<bool> = OnceLock::new();
    *DETECTED.get_or_init(|| {
        is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("avx")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1")
    })
}

/// Takes each state on by its own blocks. Does nothing for a number of states that it has no kernel for, or where there
/// are not as many lists of blocks, all of one length: [`crate::compress`] asks with such only.
pub(crate) fn compress(states: &mut [State], blocks: &[&[[u8; BLOCK]]]) {
    assert!(detected(), "the kernel is asked for without its instructions");
    // SAFETY: the processor has the instructions.
    unsafe {
        if let (Ok(states), Ok(blocks)) = (<&mut [State; 2]>::try_from(&mut *states), blocks.try_into()) {
            turns::<2>(states, blocks);
        } else if let (Ok(states), Ok(blocks)) =
            (<&mut [State; 3]>::try_from(&mut *states), blocks.try_into())
        {
            turns::<3>(states, blocks);
        } else if let (Ok(states), Ok(blocks)) =
            (<&mut [State; 4]>::try_from(&mut *states), blocks.try_into())
        {
            turns::<4>(states, blocks);
        } else {
            unreachable!("two to four lanes with a list of blocks each");
        }
    }
}

/// SAFETY of the calls: [`detected`] was asked.
#[target_feature(enable = "sha,avx,ssse3,sse4.1")]
unsafe fn turns<const N: usize>(states: &mut [State; N], blocks: &[&[[u8; BLOCK]]; N]) {
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut abef = [swap; N];
    let mut cdgh = [swap; N];
    for lane in 0..N {
        (abef[lane], cdgh[lane]) = load(&states[lane]);
    }
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for at in 0..count {
        let (abef_before, cdgh_before) = (abef, cdgh);
        // The last sixteen words of the schedule, four a vector, in a ring.
        let mut words = [[swap; 4]; N];
        // Written out by the macro, so that places in the ring are constants.
        macro_rules! rounds {
            ($($four:literal)*) => {$(
                for lane in 0..N {
                    let ring = &mut words[lane];
                    ring[$four % 4] = if $four < 4 {
                        _mm_shuffle_epi8(load_words(&blocks[lane][at], $four), swap)
                    } else {
                        let before = ring[($four + 3) % 4];
                        let sum = _mm_add_epi32(
                            _mm_sha256msg1_epu32(ring[$four % 4], ring[($four + 1) % 4]),
                            _mm_alignr_epi8::<4>(before, ring[($four + 2) % 4]),
                        );
                        _mm_sha256msg2_epu32(sum, before)
                    };
                    let with = _mm_add_epi32(ring[$four % 4], constants($four));
                    cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], with);
                    abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32::<0x0e>(with));
                }
            )*};
        }
        rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for lane in 0..N {
            abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
        }
    }
    for lane in 0..N {
        store(&mut states[lane], abef[lane], cdgh[lane]);
    }
}

/// Words `4·four..` of a block, as they stand there.
#[target_feature(enable = "sse2")]
fn load_words(block: &[u8; BLOCK], four: usize) -> __m128i {
    let (quarters, _) = block.as_chunks::<16>();
    // SAFETY: sixteen bytes are read from an array of sixteen.
    unsafe { _mm_loadu_si128(quarters[four].as_ptr().cast()) }
}

#[target_feature(enable = "sse2")]
fn constants(four: usize) -> __m128i {
    // SAFETY: sixteen bytes are read from an array of four words.
    unsafe { _mm_loadu_si128(ROUNDS[four].as_ptr().cast()) }
}

/// The state as the instructions want it: `abef` and `cdgh`, the first letter highest.
#[target_feature(enable = "ssse3,sse4.1")]
fn load(state: &State) -> (__m128i, __m128i) {
    // SAFETY: both halves of eight words are read.
    let (abcd, efgh) =
        unsafe { (_mm_loadu_si128(state.as_ptr().cast()), _mm_loadu_si128(state.as_ptr().add(4).cast())) };
    let cdab = _mm_shuffle_epi32::<0xb1>(abcd);
    let efgh = _mm_shuffle_epi32::<0x1b>(efgh);
    (_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab))
}

/// The other way round.
#[target_feature(enable = "ssse3,sse4.1")]
fn store(state: &mut State, abef: __m128i, cdgh: __m128i) {
    let feba = _mm_shuffle_epi32::<0x1b>(abef);
    let dchg = _mm_shuffle_epi32::<0xb1>(cdgh);
    let abcd = _mm_blend_epi16::<0xf0>(feba, dchg);
    let efgh = _mm_alignr_epi8::<8>(dchg, feba);
    // SAFETY: both halves of eight words are written.
    unsafe {
        _mm_storeu_si128(state.as_mut_ptr().cast(), abcd);
        _mm_storeu_si128(state.as_mut_ptr().add(4).cast(), efgh);
    }
}
