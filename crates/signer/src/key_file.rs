//! Key files: a key at rest.
//!
//! One canonical JSON object, at most [`KEY_FILE_BYTES_MAX`] bytes:
//!
//! | member | content |
//! |---|---|
//! | `format` | `countersign-key-v1` |
//! | `scheme` | `ed25519` or `ecdsa-p256-sha256` |
//! | `public` | the public key, base64: 32 bytes, or the 65 of an uncompressed point |
//! | `kdf` | `{"argon2id":{"lanes","memory_kib","passes","salt"}}` (RFC 9106, version 0x13), or `"none"` |
//! | `check` | sealed: bytes 32 to 63 of Argon2id's output, base64 |
//! | `sealed` | sealed: nonce (12), ciphertext (32), tag (16), base64 |
//! | `unsealed` | not sealed: the secret key itself, base64 of 32 bytes |
//!
//! Bytes 0 to 31 of Argon2id's output are the AES-256-GCM key. The associated data is the canonical JSON of
//! `format`, `kdf`, `public` and `scheme`. `check` tells a wrong passphrase from an altered file, and binds the
//! file to one passphrase, which GCM alone does not; it makes guessing no easier, since the tag allows the same
//! guesses.

mod disk;
mod seal;
mod wire;

use std::path::Path;

use statement::PublicKey;
use statement::kind::Assurance;

use crate::error::SignerError;
use crate::file_key::FileKey;
use crate::passphrase::Passphrase;
use crate::secret::{FileScheme, SecretKey, Seed};

/// The format's name.
pub const KEY_FILE_FORMAT: &str = "countersign-key-v1";

/// The most bytes a key file has.
pub const KEY_FILE_BYTES_MAX: usize = 4_096;

/// What opening a sealed key costs: Argon2id's parameters, within bounds that protect the key from guessing and the
/// machine from hostile files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretching {
    lanes: u32,
    memory_kib: u32,
    passes: u32,
}

impl Stretching {
    /// The second recommended option of RFC 9106, section 4: 64 MiB, three passes, four lanes.
    pub const RFC_9106_SECOND: Self = Self { lanes: 4, memory_kib: 65_536, passes: 3 };
    /// The least memory: 8 MiB.
    pub const MEMORY_KIB_MIN: u32 = 8_192;
    /// The most memory: 1 GiB.
    pub const MEMORY_KIB_MAX: u32 = 1_048_576;
    /// The most passes.
    pub const PASSES_MAX: u32 = 16;
    /// The most lanes.
    pub const LANES_MAX: u32 = 16;

    /// Memory in KiB, passes and lanes, each within its bounds; refused by the name of the one that is not.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, SignerError> {
        let within = |member, found: u32, least: u32, most: u32| {
            if (least..=most).contains(&found) {
                Ok(())
            } else {
                Err(SignerError::Stretching { member, found, least, most })
            }
        };
        within("memory_kib", memory_kib, Self::MEMORY_KIB_MIN, Self::MEMORY_KIB_MAX)?;
        within("passes", passes, 1, Self::PASSES_MAX)?;
        within("lanes", lanes, 1, Self::LANES_MAX)?;
        Ok(Self { lanes, memory_kib, passes })
    }
}

/// How a new key file keeps its secret.
#[derive(Debug, Clone, Copy)]
pub enum Protection<'p> {
    /// Encrypted under a passphrase: for people.
    Sealed {
        /// The passphrase, of at least [`PASSPHRASE_CHARACTERS_MIN`](crate::PASSPHRASE_CHARACTERS_MIN) characters.
        passphrase: &'p Passphrase,
        /// What opening it costs.
        stretching: Stretching,
    },
    /// In clear, and the file says so: for services that start unattended.
    Unsealed,
}

/// A key file's content: the public key, and the secret as it is kept.
#[derive(Debug)]
pub struct KeyFile {
    scheme: FileScheme,
    public: PublicKey,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Sealed { kdf: Kdf, check: [u8; 32], sealed: [u8; seal::SEALED_BYTES] },
    Unsealed(Seed),
}

/// How the passphrase becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kdf {
    stretching: Stretching,
    salt: [u8; 16],
}

impl KeyFile {
    /// Makes a new key from the system's randomness, and the content of its file.
    pub fn generate(scheme: FileScheme, protection: Protection<'_>) -> Result<(Self, FileKey), SignerError> {
        // Checked first, so that no key is made to no use.
        if let Protection::Sealed { passphrase, .. } = protection {
            passphrase.check_length()?;
        }
        let (seed, secret) = SecretKey::generate(scheme)?;
        let public = secret.public_key();
        let kept = match protection {
            Protection::Sealed { passphrase, stretching } => {
                let mut salt = [0; 16];
                random(&mut salt)?;
                let kdf = Kdf { stretching, salt };
                let stretched = seal::stretch(passphrase, &kdf)?;
                let head = wire::sealed_head(scheme, &public, &kdf)?;
                Kept::Sealed { kdf, check: *stretched.check(), sealed: stretched.seal(&head, &seed)? }
            }
            Protection::Unsealed => Kept::Unsealed(seed),
        };
        let file = Self { scheme, public, kept };
        let key = FileKey::new(file.public.clone(), secret, file.assurance());
        Ok((file, key))
    }

    /// Reads a key file's bytes: strict, canonical, bounded. Nothing is decrypted.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignerError> {
        wire::parse(bytes)
    }

    /// Reads a key file from disk.
    ///
    /// Refused: a symbolic link (of the last component of the path), anything but a regular file, and a file that
    /// its group or others may read, write or run.
    pub fn read(path: &Path) -> Result<Self, SignerError> {
        Self::parse(&disk::read(path)?)
    }

    /// Writes a new key file with mode 0600, whole or not at all, and on the disk when this returns. An existing
    /// file, or link, of that name is never overwritten.
    pub fn write_new(&self, path: &Path) -> Result<(), SignerError> {
        disk::write_new(path, &wire::to_bytes(self)?)
    }

    /// The public key. Before the file is opened, this is what it claims.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// How well the file keeps its key.
    pub const fn assurance(&self) -> Assurance {
        match self.kept {
            Kept::Sealed { .. } => Assurance::Sealed,
            Kept::Unsealed(_) => Assurance::Unsealed,
        }
    }

    /// Opens a sealed file. A file that is not sealed is refused: its owner believes otherwise.
    pub fn open_sealed(&self, passphrase: &Passphrase) -> Result<FileKey, SignerError> {
        let Kept::Sealed { kdf, check, sealed } = &self.kept else { return Err(SignerError::NotSealed) };
        let stretched = seal::stretch(passphrase, kdf)?;
        stretched.verify(check)?;
        let head = wire::sealed_head(self.scheme, &self.public, kdf)?;
        let seed = stretched.open(&head, sealed)?;
        self.key(&seed)
    }

    /// Opens a file that is not sealed.
    pub fn open_unsealed(&self) -> Result<FileKey, SignerError> {
        let Kept::Unsealed(seed) = &self.kept else { return Err(SignerError::PassphraseNeeded) };
        self.key(seed)
    }

    /// The key, if it is that of the public key in the file: an Ed25519 signature made with another's public key
    /// would give the secret away.
    fn key(&self, seed: &Seed) -> Result<FileKey, SignerError> {
        let secret = SecretKey::from_seed(self.scheme, seed)
            .filter(|secret| secret.public_key() == self.public)
            .ok_or(SignerError::PublicMismatch)?;
        Ok(FileKey::new(self.public.clone(), secret, self.assurance()))
    }
}

/// Fills `bytes` from the system's randomness.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), SignerError> {
    getrandom::fill(bytes).map_err(|failure| SignerError::Randomness(failure.into()))
}

#[cfg(test)]
mod tests;
