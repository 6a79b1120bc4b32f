//! SHA-256 (FIPS 180-4) of several streams at once, one beside the other on each core.
//!
//! One stream's rounds wait for each other: each takes several cycles, and a processor with SHA instructions could
//! begin another in every second one. So one stream leaves half of such a core idle, and several streams whose
//! rounds take turns do not. A file is one stream; a folder of files, or the shards of a file that are hashed apart, are
//! several. Digests are those of the standard, in every way.
//!
//! | to | use |
//! |---|---|
//! | hash one stream | [`Sha256`] |
//! | give several streams more bytes | [`update_together`] |
//! | hash many things, however long each is | [`Source`], [`hash_all`], [`share`] |
//!
//! On processors without these instructions, and on other kinds of processors, streams are hashed one after the other
//! by the crate `sha2`; so is a stream that is alone.
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
/// Most streams whose rounds take turns.
pub const LANES: usize = 4;

/// The state between two blocks (FIPS 180-4, section 6.2.2).
type State = [u32; 8];

/// How many streams are worth giving together on this processor: one where they are hashed one after the other.
pub fn lanes() -> usize {
    if interleaves() { LANES } else { 1 }
}

#[cfg(target_arch = "x86_64")]
fn interleaves() -> bool {
    x86::detected()
}

#[cfg(not(target_arch = "x86_64"))]
const fn interleaves() -> bool {
    false
}

/// Takes each state on by its own blocks, of which all have as many. At most [`LANES`].
fn compress(states: &mut [State], blocks: &[&[[u8; BLOCK]]]) {
    #[cfg(target_arch = "x86_64")]
    if states.len() > 1 && x86::detected() {
        x86::compress(states, blocks);
        return;
    }
    for (state, blocks) in states.iter_mut().zip(blocks) {
        sha2::block_api::compress256(state, blocks);
    }
}
