//! Free text and evidence whose digest goes into the log.
//!
//! Short texts can be guessed from their digest. An attachment's digest is salted, and the salt is stored with
//! the content and destroyed with it: after a purge the digest in the log tells nothing.

use std::fmt;

use statement::Digest;

use crate::error::{Error, Result};
use crate::secret::random;
use crate::tenant::Tenant;
use crate::vault::Vault;

const DOMAIN: &[u8] = b"countersign-attachment-v1";
const SALT: usize = 16;

/// Content with a salt. Its digest is `SHA-256("countersign-attachment-v1" || salt || content)`, which is also the
/// digest under which its bytes are an artefact.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    salt: [u8; SALT],
    content: Vec<u8>,
}

impl Attachment {
    /// Salts `content` freshly.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn new(content: Vec<u8>) -> Result<Self> {
        Ok(Self::with_salt(random()?, content))
    }

    /// Takes a salt that was chosen before.
    pub const fn with_salt(salt: [u8; SALT], content: Vec<u8>) -> Self {
        Self { salt, content }
    }

    /// The digest that goes into the log.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[DOMAIN, &self.salt, &self.content])
    }

    /// The salt.
    pub const fn salt(&self) -> &[u8; SALT] {
        &self.salt
    }

    /// The content without its salt.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// What is stored: `"countersign-attachment-v1" || salt || content`.
    pub fn to_bytes(&self) -> Vec<u8> {
        [DOMAIN, &self.salt, &self.content].concat()
    }

    /// Reads what [`Attachment::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Attachment`] when `bytes` are no attachment.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let salted = bytes.strip_prefix(DOMAIN).and_then(|rest| rest.split_first_chunk::<SALT>());
        let (salt, content) = salted.ok_or_else(|| Error::Attachment { digest: Digest::of(bytes) })?;
        Ok(Self { salt: *salt, content: content.to_vec() })
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither salt nor content: both may be personal data.
        write!(f, "Attachment({} bytes)", self.content.len())
    }
}

impl Vault {
    /// Stores an attachment and answers its digest.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn put_attachment(&self, tenant: &Tenant, attachment: &Attachment) -> Result<Digest> {
        Ok(self.put_bytes(tenant, &attachment.to_bytes()).await?.digest)
    }

    /// Reads an attachment of at most `limit` stored bytes.
    ///
    /// # Errors
    /// As [`Vault::read`], and [`Error::Attachment`].
    pub async fn attachment(&self, tenant: &Tenant, digest: &Digest, limit: u64) -> Result<Attachment> {
        Attachment::parse(&self.read(tenant, digest, limit).await?)
    }
}
