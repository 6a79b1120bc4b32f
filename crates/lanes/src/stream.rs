//! Streams: their state, what is left of a block, their end.

use crate::{BLOCK, DIGEST, LANES, State, compress};

/// The first state (FIPS 180-4, section 5.3.3).
const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// Bytes of the length at the end of the last block.
const LENGTH: usize = 8;

/// SHA-256 of one stream that comes in pieces.
#[derive(Clone)]
pub struct Sha256 {
    state: State,
    bytes: u64,
    /// The beginning of a block that is not full: the first `bytes % 64`.
    pending: [u8; BLOCK],
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha256").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    /// One that has seen nothing.
    pub const fn new() -> Self {
        Self { state: INITIAL, bytes: 0, pending: [0; BLOCK] }
    }

    /// How many bytes it has seen.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        update_together(&mut [Part { stream: self, bytes }]);
    }

    /// The digest (FIPS 180-4, section 5.1.1).
    pub fn finish(mut self) -> [u8; DIGEST] {
        let bits = self.bytes.wrapping_mul(8).to_be_bytes();
        let filled = self.filled();
        let mut last = [0; 2 * BLOCK];
        let (block, _) = last.split_at_mut(BLOCK);
        block.copy_from_slice(&self.pending);
        let mut end = BLOCK;
        for (at, byte) in last.iter_mut().enumerate().skip(filled) {
            *byte = if at == filled { 0x80 } else { 0 };
        }
        if filled + 1 + LENGTH > BLOCK {
            end = 2 * BLOCK;
        }
        for (byte, bit) in last.iter_mut().take(end).rev().zip(bits.iter().rev()) {
            *byte = *bit;
        }
        let (blocks, _) = last.as_chunks::<BLOCK>();
        let blocks = blocks.get(..end / BLOCK).unwrap_or(blocks);
        compress(std::slice::from_mut(&mut self.state), &[blocks]);
        let mut digest = [0; DIGEST];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    /// Bytes of the block that is not full.
    #[expect(clippy::cast_possible_truncation, reason = "less than a block")]
    const fn filled(&self) -> usize {
        (self.bytes % BLOCK as u64) as usize
    }

    /// Fills the block that was begun with the head of `bytes`; the rest.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let filled = self.filled();
        if filled == 0 {
            return bytes;
        }
        let (head, rest) = bytes.split_at_checked(BLOCK - filled).unwrap_or((bytes, &[]));
        self.keep(head);
        if self.filled() == 0 && !head.is_empty() {
            compress(std::slice::from_mut(&mut self.state), &[std::slice::from_ref(&self.pending)]);
        }
        rest
    }

    /// Keeps what does not fill a block.
    fn keep(&mut self, bytes: &[u8]) {
        let filled = self.filled();
        for (place, byte) in self.pending.iter_mut().skip(filled).zip(bytes) {
            *place = *byte;
        }
        self.bytes = self.bytes.wrapping_add(bytes.len() as u64);
    }
}

/// A stream, and the bytes that it is given.
#[derive(Debug)]
pub struct Part<'p> {
    /// Whose bytes they are.
    pub stream: &'p mut Sha256,
    /// What comes next in it.
    pub bytes: &'p [u8],
}

/// Gives each stream its bytes; those of several take turns on this core. Fastest where all get as many. Afterwards the
/// parts have no bytes.
pub fn update_together(parts: &mut [Part<'_>]) {
    for part in &mut *parts {
        part.bytes = part.stream.fill(part.bytes);
    }
    let mut states = [INITIAL; LANES];
    loop {
        let mut blocks: [&[[u8; BLOCK]]; LANES] = [&[]; LANES];
        let mut lanes = 0;
        let full = |part: &&mut Part<'_>| part.bytes.len() >= BLOCK;
        for ((part, state), blocks) in parts.iter_mut().filter(full).zip(&mut states).zip(&mut blocks) {
            *state = part.stream.state;
            (*blocks, _) = part.bytes.as_chunks();
            lanes += 1;
        }
        let (Some(states), Some(blocks)) = (states.get_mut(..lanes), blocks.get_mut(..lanes)) else { break };
        let Some(count) = blocks.iter().map(|blocks| blocks.len()).min() else { break };
        for blocks in &mut *blocks {
            *blocks = blocks.get(..count).unwrap_or_default();
        }
        compress(states, blocks);
        let taken = count * BLOCK;
        // The same parts again: none has changed since.
        for (part, state) in parts.iter_mut().filter(full).zip(states) {
            part.stream.state = *state;
            part.stream.bytes = part.stream.bytes.wrapping_add(taken as u64);
            part.bytes = part.bytes.get(taken..).unwrap_or_default();
        }
    }
    for part in parts {
        part.stream.keep(part.bytes);
        part.bytes = &[];
    }
}

#[cfg(test)]
mod tests;
