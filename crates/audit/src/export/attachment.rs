//! Content of the vault that an export carries.

use statement::Digest;

use super::framing::{count, push_long, split_long};
use crate::error::AuditError;

/// Before the salt and the content of a salted attachment, so that its digest is nothing else's.
const DOMAIN: &[u8] = b"countersign-attachment-v1";

/// The length of a salt, in bytes.
const SALT_BYTES: usize = 16;

/// Content that statements name by digest: a scope file, a note, evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The 16 bytes of salt; none where the content is named by its own digest.
    pub salt: Option<[u8; SALT_BYTES]>,
    /// The content.
    pub content: &'a [u8],
}

impl Attachment<'_> {
    /// The digest by which statements name it.
    pub fn digest(&self) -> Digest {
        match &self.salt {
            None => Digest::of(self.content),
            Some(salt) => Digest::of_parts(&[DOMAIN, salt, self.content]),
        }
    }

    /// Appends it to a section; nothing where it is too long for its length prefix.
    pub(super) fn push(&self, out: &mut Vec<u8>) -> Option<()> {
        let salt: &[u8] = self.salt.as_ref().map_or(&[], |salt| salt);
        push_long(out, salt)?;
        push_long(out, self.content)
    }
}

/// The attachments of a section with their digests, which rise.
pub fn attachments(mut bytes: &[u8]) -> Result<Vec<(Digest, Attachment<'_>)>, AuditError> {
    let mut attachments: Vec<(Digest, Attachment<'_>)> = Vec::new();
    while !bytes.is_empty() {
        let wrong = |reason| AuditError::AttachmentsForm { number: count(attachments.len()), reason };
        let (salt, rest) = split_long(bytes).ok_or_else(|| wrong("it breaks off"))?;
        let (content, rest) = split_long(rest).ok_or_else(|| wrong("it breaks off"))?;
        let salt = match salt {
            [] => None,
            salt => Some(salt.try_into().map_err(|_| wrong("its salt is not 0 or 16 bytes"))?),
        };
        let attachment = Attachment { salt, content };
        let digest = attachment.digest();
        if attachments.last().is_some_and(|(last, _)| *last >= digest) {
            return Err(wrong("its digest does not follow the one before"));
        }
        attachments.push((digest, attachment));
        bytes = rest;
    }
    Ok(attachments)
}
