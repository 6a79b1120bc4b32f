//! Keys: 32 bytes that are wiped when dropped and never printed.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Length in bytes of every key here.
pub(crate) const KEY_LEN: usize = 32;

/// The key under which a key ring's files are sealed. The caller keeps it (a passphrase-sealed file, an HSM).
pub struct MasterKey(Zeroizing<[u8; KEY_LEN]>);

/// A tenant's key: it wraps the data keys of the tenant's artefacts and names their records.
pub struct TenantKey(Zeroizing<[u8; KEY_LEN]>);

/// The key of one artefact's content.
pub(crate) struct DataKey(Zeroizing<[u8; KEY_LEN]>);

impl MasterKey {
    /// Takes 32 uniformly random bytes as the key.
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(bytes)
    }

    /// A fresh key from the system's random generator.
    ///
    /// # Errors
    /// [`Error::Randomness`] when the generator does not answer.
    pub fn generate() -> Result<Self> {
        Ok(Self(random_key()?))
    }

    pub(crate) fn derive(&self, label: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>> {
        expand(&self.0, label)
    }
}

impl TenantKey {
    /// Takes 32 uniformly random bytes as the key (for implementations of [`KeyRing`](crate::KeyRing)).
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(bytes)
    }

    /// A fresh key from the system's random generator.
    ///
    /// # Errors
    /// [`Error::Randomness`] when the generator does not answer.
    pub fn generate() -> Result<Self> {
        Ok(Self(random_key()?))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The key that seals this tenant's records.
    pub(crate) fn record_key(&self) -> Result<Zeroizing<[u8; KEY_LEN]>> {
        expand(&self.0, b"countersign-vault/record-key/v1")
    }

    /// The 32-byte name of `digest` among this tenant's records.
    pub(crate) fn name_of(&self, digest: &statement::Digest) -> Result<[u8; 32]> {
        let key = expand(&self.0, b"countersign-vault/name-key/v1")?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), digest.as_bytes());
        tag.as_ref().try_into().map_err(|_| Error::Cryptography)
    }
}

impl DataKey {
    pub(crate) fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn generate() -> Result<Self> {
        Ok(Self(random_key()?))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// Fills `N` bytes from the system's random generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|source| Error::Randomness { source })?;
    Ok(bytes)
}

fn random_key() -> Result<Zeroizing<[u8; KEY_LEN]>> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(&mut *bytes).map_err(|source| Error::Randomness { source })?;
    Ok(bytes)
}

/// HKDF-Expand (RFC 5869) with SHA-512; `key` is uniformly random, so the extract step is not needed.
fn expand(key: &[u8; KEY_LEN], label: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>> {
    let mut out = Zeroizing::new([0; KEY_LEN]);
    expand_into(key, &[label], &mut *out).ok_or(Error::Cryptography)?;
    Ok(out)
}

/// HKDF-Expand with SHA-512 of `key` over the joined `info` into `out`; `None` where `out` is too long.
pub(crate) fn expand_into(key: &[u8; KEY_LEN], info: &[&[u8]], out: &mut [u8]) -> Option<()> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, key);
    let okm = prk.expand(info, Length(out.len())).ok()?;
    okm.fill(out).ok()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(redacted)")
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(redacted)")
    }
}
