//! SHA-256 (FIPS 180-4) of several streams at once, one beside the other on each core.
//!
//! One stream's rounds wait for each other: each takes several cycles, and a processor with SHA instructions could
//! begin another in every second one. So one stream leaves half of such a core idle, and several streams whose
//! rounds take turns do not. Sixteen streams fill the vectors of a processor with AVX-512, one word of each in a vector,
//! which is faster again by three quarters. A file is one stream; a folder of files, or the shards of a file that are
//! hashed apart, are several. Digests are those of the standard, in every way.
//!
//! | to | use |
//! |---|---|
//! | hash one stream | [`Sha256`] |
//! | give several streams more bytes | [`update_together`] |
//! | hash many things, however long each is | [`Source`], [`hash_all`], [`share`] |
//!
//! On processors without any of these instructions, and on other kinds of processors, streams are hashed one after the
//! other by the crate `sha2`; so is a stream that is alone.
//!
//! What this crate does not do: read files, start threads, or hash secrets in constant time beyond what the
//! instructions do.
//!
//! `unsafe` is confined to the module `x86`: vector instructions are called after they were detected. The published
//! crates that do this take whole messages; ours come in pieces.

mod all;
mod stream;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use all::{Source, hash_all, share};
pub use stream::{Part, Sha256, update_together};

/// Bytes of a digest.
pub const DIGEST: usize = 32;
/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;
/// Most streams that are hashed at once on a core.
pub const LANES: usize = 16;

/// From so many streams on, vectors with a word of each are faster than SHA instructions in turn: with fewer, too much of
/// each vector is idle (measured on a Zen 5).
#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 9;

/// The state between two blocks (FIPS 180-4, section 6.2.2).
type State = [u32; 8];

/// How many streams are worth giving together on this processor: one where they are hashed one after the other.
pub fn lanes() -> usize {
    #[cfg(target_arch = "x86_64")]
    return match (x86::wide::detected(), x86::detected()) {
        (true, _) => x86::wide::WIDE,
        (false, true) => x86::TURNS,
        (false, false) => 1,
    };
    #[cfg(not(target_arch = "x86_64"))]
    1
}

/// Takes each state on by its own blocks, of which all have as many. At most [`LANES`].
#[cfg(target_arch = "x86_64")]
fn compress(states: &mut [State], blocks: &[&[[u8; BLOCK]]]) {
    let rounds_take_turns = x86::detected();
    let enough = if rounds_take_turns { WIDE_FROM } else { x86::TURNS };
    if states.len() >= enough && x86::wide::detected() {
        x86::wide::compress(states, blocks);
        return;
    }
    for (states, blocks) in states.chunks_mut(x86::TURNS).zip(blocks.chunks(x86::TURNS)) {
        if states.len() > 1 && rounds_take_turns {
            x86::compress(states, blocks);
        } else {
            one_by_one(states, blocks);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
use one_by_one as compress;

/// Takes each state on by its own blocks, one stream after the other.
fn one_by_one(states: &mut [State], blocks: &[&[[u8; BLOCK]]]) {
    for (state, blocks) in states.iter_mut().zip(blocks) {
        sha2::block_api::compress256(state, blocks);
    }
}
