//! C2SP chunked encryption, AES-256-GCM with SHA-512 ("Cobblestone-256", `c2sp.org/chunked-encryption`).
//!
//! `salt (24) || commitment (32) || chunks`, each chunk 16 KiB of plaintext and a 16-byte tag except the last,
//! which is shorter, may be empty, and so marks the end. The chunk's number is in its nonce: chunks cannot be
//! reordered, repeated, dropped or moved. The caller's *context* (what the message is and whose) is bound into
//! the derived key, and the commitment refuses a wrong key or context before anything is decrypted.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::secret::{KEY_LEN, expand_into, random};

/// Plaintext bytes of every chunk but the last.
pub(crate) const CHUNK: usize = 16 * 1024;
/// Bytes of an AES-GCM tag.
pub(crate) const TAG: usize = 16;
/// Stored bytes of every chunk but the last.
pub(crate) const SEALED_CHUNK: usize = CHUNK + TAG;
/// Bytes of salt and commitment before the first chunk.
pub(crate) const HEADER: usize = SALT + COMMITMENT;

const SALT: usize = 24;
const COMMITMENT: usize = 32;
const NONCE: usize = 12;
const MAX_CHUNKS: u64 = 1 << 38;
const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00";

/// Why a sealed message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// The length is none that sealing gives, or a buffer does not fit the chunk.
    #[error("the sealed message has an impossible length")]
    Length,
    /// The header does not commit to this key and context.
    #[error("the sealed message's header does not commit to this key and context")]
    Commitment,
    /// The chunk with this number did not authenticate.
    #[error("chunk {0} did not authenticate")]
    Chunk(u64),
    /// The cryptographic library or the random generator refused to work.
    #[error("the cryptographic library refused to work")]
    Library,
}

/// The salt and commitment that precede the chunks of one message.
pub(crate) type Header = [u8; HEADER];

/// Seals and opens the chunks of one message.
pub(crate) struct Chunks {
    key: LessSafeKey,
    base_nonce: [u8; NONCE],
}

impl Chunks {
    /// Keys for a new message under a fresh salt, and its header.
    pub(crate) fn begin(key: &[u8; KEY_LEN], context: &[u8]) -> Result<(Self, Header), SealError> {
        let salt: [u8; SALT] = random().map_err(|_| SealError::Library)?;
        let (chunks, commitment) = Self::derive(key, &salt, context)?;
        let mut header = [0; HEADER];
        for (to, from) in header.iter_mut().zip(salt.iter().chain(&commitment)) {
            *to = *from;
        }
        Ok((chunks, header))
    }

    /// Keys of the message that begins with `header`, if it commits to this key and context.
    pub(crate) fn resume(key: &[u8; KEY_LEN], context: &[u8], header: &Header) -> Result<Self, SealError> {
        let (salt, committed) = header.split_first_chunk::<SALT>().ok_or(SealError::Length)?;
        let (chunks, commitment) = Self::derive(key, salt, context)?;
        if secret::equal(&commitment, committed) { Ok(chunks) } else { Err(SealError::Commitment) }
    }

    fn derive(
        key: &[u8; KEY_LEN],
        salt: &[u8; SALT],
        context: &[u8],
    ) -> Result<(Self, [u8; COMMITMENT]), SealError> {
        let mut okm = Zeroizing::new([0; KEY_LEN + NONCE + COMMITMENT]);
        expand_into(key, &[LABEL, salt, context], &mut *okm).ok_or(SealError::Library)?;
        let (aead_key, rest) = okm.split_first_chunk::<KEY_LEN>().ok_or(SealError::Library)?;
        let (base_nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Library)?;
        let commitment = rest.first_chunk::<COMMITMENT>().ok_or(SealError::Library)?;
        let unbound = UnboundKey::new(&AES_256_GCM, aead_key).map_err(|_| SealError::Library)?;
        Ok((Self { key: LessSafeKey::new(unbound), base_nonce: *base_nonce }, *commitment))
    }

    /// Seals chunk `index` into `out`, which is 16 bytes longer than `plain`.
    pub(crate) fn seal(&self, index: u64, plain: &[u8], out: &mut [u8]) -> Result<(), SealError> {
        if plain.len() > CHUNK || out.len() != plain.len() + TAG {
            return Err(SealError::Length);
        }
        let (body, tag_out) = out.split_at_mut(plain.len());
        body.copy_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(index)?, Aad::empty(), body)
            .map_err(|_| SealError::Library)?;
        tag_out.copy_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens chunk `index` into `out`, which is 16 bytes shorter than `sealed`. On failure `out` is wiped.
    pub(crate) fn open(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<(), SealError> {
        if out.len() > CHUNK || sealed.len() != out.len() + TAG {
            return Err(SealError::Length);
        }
        let (body, tag) = sealed.split_at(out.len());
        let opened = self.key.open_separate_gather(self.nonce(index)?, Aad::empty(), body, tag, out);
        opened.map_err(|_| {
            out.fill(0);
            SealError::Chunk(index)
        })
    }

    fn nonce(&self, index: u64) -> Result<Nonce, SealError> {
        if index >= MAX_CHUNKS {
            return Err(SealError::Length);
        }
        let mut nonce = self.base_nonce;
        for (byte, mask) in nonce.iter_mut().rev().zip(index.to_le_bytes()) {
            *byte ^= mask;
        }
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chunks(redacted)")
    }
}

/// Stored length of the chunks of `plain` bytes, without the header.
pub(crate) const fn chunks_len(plain: u64) -> u64 {
    plain + TAG as u64 * (plain / CHUNK as u64 + 1)
}

/// Stored length of a message of `plain` bytes.
pub(crate) const fn sealed_len(plain: u64) -> u64 {
    HEADER as u64 + chunks_len(plain)
}

/// Seals `plain` whole.
pub(crate) fn seal_message(key: &[u8; KEY_LEN], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let (chunks, header) = Chunks::begin(key, context)?;
    let length = usize::try_from(sealed_len(plain.len() as u64)).map_err(|_| SealError::Length)?;
    let mut out = vec![0; length];
    let (head, body) = out.split_at_mut(HEADER);
    head.copy_from_slice(&header);
    // The last chunk is the remainder, which is empty where the length is a multiple of the chunk.
    let full = plain.chunks_exact(CHUNK);
    let last = full.remainder();
    for ((index, chunk), sealed) in (0_u64..).zip(full.chain([last])).zip(body.chunks_mut(SEALED_CHUNK)) {
        chunks.seal(index, chunk, sealed)?;
    }
    Ok(out)
}

/// Opens a whole message; nothing is returned unless all of it authenticates.
pub(crate) fn open_message(
    key: &[u8; KEY_LEN],
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (header, body) = sealed.split_first_chunk::<HEADER>().ok_or(SealError::Length)?;
    let chunks = Chunks::resume(key, context, header)?;
    let full = body.chunks_exact(SEALED_CHUNK);
    let last = full.remainder();
    // A full last chunk means that the end is missing; one below a tag is no chunk.
    let short_len = last.len().checked_sub(TAG).ok_or(SealError::Length)?;
    let mut plain = Zeroizing::new(vec![0; full.len() * CHUNK + short_len]);
    let (whole, short) = plain.split_at_mut(full.len() * CHUNK);
    for ((index, chunk), out) in (0_u64..).zip(full.clone()).zip(whole.chunks_exact_mut(CHUNK)) {
        chunks.open(index, chunk, out)?;
    }
    chunks.open(full.len() as u64, last, short)?;
    Ok(plain)
}

#[cfg(test)]
mod tests;
