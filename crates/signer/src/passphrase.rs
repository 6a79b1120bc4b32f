//! Passphrases.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::SignerError;

/// The fewest characters of a passphrase that may seal a key (NIST SP 800-63B, section 5.1.1.1).
pub const PASSPHRASE_CHARACTERS_MIN: usize = 8;

/// A passphrase; wiped when dropped, and `Debug` does not show it.
///
/// Its UTF-8 bytes count as they are typed: no Unicode normalisation, no trimming.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes what was typed. Any length may be tried for opening; sealing needs
    /// [`PASSPHRASE_CHARACTERS_MIN`] characters.
    pub fn new(typed: String) -> Self {
        Self(Zeroizing::new(typed))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it is long enough to seal with.
    pub(crate) fn check_length(&self) -> Result<(), SignerError> {
        let characters = self.0.chars().count();
        if characters < PASSPHRASE_CHARACTERS_MIN {
            return Err(SignerError::PassphraseShort { characters, least: PASSPHRASE_CHARACTERS_MIN });
        }
        Ok(())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}
