//! A key from a file, open and ready to sign.

use std::fmt;

use statement::PublicKey;
use statement::kind::Assurance;

use crate::error::DeviceFailure;
use crate::secret::SecretKey;
use crate::signer::{Message, Progress, Signer};

/// A key from a [`KeyFile`](crate::KeyFile). It signs at once. The secret is wiped when it is dropped, and `Debug`
/// shows only the public part.
pub struct FileKey {
    public: PublicKey,
    secret: SecretKey,
    assurance: Assurance,
}

impl FileKey {
    pub(crate) const fn new(public: PublicKey, secret: SecretKey, assurance: Assurance) -> Self {
        Self { public, secret, assurance }
    }

    /// How well its file keeps it.
    pub const fn assurance(&self) -> Assurance {
        self.assurance
    }
}

impl Signer for FileKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure> {
        let signature =
            self.secret.sign(message.as_bytes()).ok_or("the cryptographic library did not sign")?;
        Ok(Progress::Signed(signature))
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKey({}, {:?}, secret redacted)", self.public.id(), self.assurance)
    }
}
