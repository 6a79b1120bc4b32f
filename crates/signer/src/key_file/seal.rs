//! Sealing: Argon2id (RFC 9106), then AES-256-GCM.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::Kdf;
use crate::error::SignerError;
use crate::passphrase::Passphrase;
use crate::secret::Seed;

const TAG_BYTES: usize = 16;
const SEED_BYTES: usize = 32;
/// Nonce, ciphertext and tag.
pub(super) const SEALED_BYTES: usize = NONCE_LEN + SEED_BYTES + TAG_BYTES;

/// What a passphrase was stretched to; wiped when dropped.
pub(super) struct Stretched {
    key: Zeroizing<[u8; 32]>,
    check: Zeroizing<[u8; 32]>,
}

/// Stretches a passphrase, in memory that is wiped after.
pub(super) fn stretch(passphrase: &Passphrase, kdf: &Kdf) -> Result<Stretched, SignerError> {
    let failed = |_| SignerError::Library("stretching the passphrase");
    let costs = kdf.stretching;
    let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, Some(64)).map_err(failed)?;
    let blocks = params.block_count();
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(blocks).map_err(|_| SignerError::Memory { memory_kib: costs.memory_kib })?;
    memory.resize(blocks, Block::new());
    let mut out = Zeroizing::new([0; 64]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.as_bytes(),
            &kdf.salt,
            out.as_mut_slice(),
            memory.as_mut_slice(),
        )
        .map_err(failed)?;
    let mut stretched = Stretched { key: Zeroizing::new([0; 32]), check: Zeroizing::new([0; 32]) };
    let (key, check) = out.split_at(32);
    stretched.key.copy_from_slice(key);
    stretched.check.copy_from_slice(check);
    Ok(stretched)
}

impl Stretched {
    /// What the file may say of the passphrase.
    pub(super) fn check(&self) -> &[u8; 32] {
        &self.check
    }

    /// Whether this is the passphrase the file was sealed with, in constant time.
    pub(super) fn verify(&self, check: &[u8; 32]) -> Result<(), SignerError> {
        if ::secret::equal(self.check.as_slice(), check) { Ok(()) } else { Err(SignerError::WrongPassphrase) }
    }

    /// Seals a seed with the head of its file. The nonce is random, and the key is used once: its salt is new.
    pub(super) fn seal(&self, head: &[u8], seed: &Seed) -> Result<[u8; SEALED_BYTES], SignerError> {
        let mut nonce = [0; NONCE_LEN];
        super::random(&mut nonce)?;
        // Becomes the ciphertext.
        let mut text = seed.copy();
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(head), text.as_mut())
            .map_err(|_| SignerError::Library("sealing the key"))?;
        let mut sealed = [0; SEALED_BYTES];
        let parts = nonce.iter().chain(text.as_bytes()).chain(tag.as_ref());
        for (place, byte) in sealed.iter_mut().zip(parts) {
            *place = *byte;
        }
        Ok(sealed)
    }

    /// Opens a seed; the tag, which covers the head, is checked first, in constant time.
    pub(super) fn open(&self, head: &[u8], sealed: &[u8; SEALED_BYTES]) -> Result<Seed, SignerError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SignerError::Tampered)?;
        let mut text = Zeroizing::new([0; SEED_BYTES + TAG_BYTES]);
        text.copy_from_slice(rest);
        let opened = self
            .cipher()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(head), text.as_mut_slice())
            .map_err(|_| SignerError::Tampered)?;
        let mut seed = Seed::zero();
        seed.as_mut().copy_from_slice(opened);
        Ok(seed)
    }

    fn cipher(&self) -> Result<LessSafeKey, SignerError> {
        let key = UnboundKey::new(&AES_256_GCM, self.key.as_slice())
            .map_err(|_| SignerError::Library("preparing the cipher"))?;
        Ok(LessSafeKey::new(key))
    }
}
