//! C2SP tlog-checkpoints: the log's signed head.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::encoding::{decimal, hash_from_base64, to_base64};
use crate::error::{MerkleError, excerpt};
use crate::note::{KeyKind, MAX_TEXT, NoteSignature, NoteSigner, SignedNote, VerifierKey};
use crate::tree::{Hash, MAX_SIZE};

/// What a log says of itself: its name, its size and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, MerkleError> {
        Self::with_extensions(origin, size, root, Vec::new())
    }

    /// A checkpoint with extension lines, each not empty and without its newline.
    pub fn with_extensions(
        origin: &str,
        size: u64,
        root: Hash,
        extensions: Vec<String>,
    ) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::CheckpointForm { reason };
        if !is_line(origin) {
            return Err(form("the origin is not one line of text"));
        }
        if size > MAX_SIZE {
            return Err(form("the tree size is above 2^63 - 1"));
        }
        if !extensions.iter().all(|line| is_line(line)) {
            return Err(form("an extension is not one line of text"));
        }
        let checkpoint = Self { origin: origin.to_owned(), size, root, extensions };
        check_length(checkpoint.to_text().len())?;
        Ok(checkpoint)
    }

    /// Reads a checkpoint's text (the note's text, without signatures); strict and bounded.
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::CheckpointForm { reason };
        check_length(bytes.len())?;
        let text = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
        let body = text.strip_suffix('\n').ok_or(form("it does not end in a newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().ok_or(form("no origin"))?;
        let size = lines
            .next()
            .and_then(decimal)
            .ok_or(form("the tree size is not a decimal number without leading zeros"))?;
        let root = lines
            .next()
            .and_then(hash_from_base64)
            .ok_or(form("the root hash is not 32 bytes in canonical base64"))?;
        Self::with_extensions(origin, size, root, lines.map(str::to_owned).collect())
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root.
    pub const fn root(&self) -> &Hash {
        &self.root
    }

    /// The extension lines, without newlines.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The text that is signed, with its final newline.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, to_base64(self.root.as_bytes()));
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Signs the checkpoint.
    pub fn sign(&self, signers: &[&dyn NoteSigner]) -> Result<SignedCheckpoint, MerkleError> {
        let note = SignedNote::sign(&self.to_text(), signers)?;
        Ok(SignedCheckpoint { checkpoint: self.clone(), note })
    }
}

/// A signed note whose text is a checkpoint; its signatures are not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: SignedNote,
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint; strict and bounded as [`SignedNote::parse`] and [`Checkpoint::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        Self::from_note(SignedNote::parse(bytes)?)
    }

    /// The checkpoint that a note's text is.
    pub fn from_note(note: SignedNote) -> Result<Self, MerkleError> {
        let checkpoint = Checkpoint::parse(note.text().as_bytes())?;
        Ok(Self { checkpoint, note })
    }

    /// What it claims. Not to be believed before [`SignedCheckpoint::open`].
    pub const fn claims(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    pub const fn note(&self) -> &SignedNote {
        &self.note
    }

    /// Adds a signature line, such as a cosignature, unchecked; one that is already there is not added twice.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), MerkleError> {
        self.note.add(signature)
    }

    /// The signed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }

    /// Checks that this is the log `origin`'s checkpoint, signed with at least one of its keys.
    ///
    /// ML-DSA-44 signatures do not cover extension lines, so where there are some, one of another kind is needed.
    pub fn open(self, origin: &str, log_keys: &[VerifierKey]) -> Result<VerifiedCheckpoint, MerkleError> {
        if self.checkpoint.origin != origin {
            return Err(MerkleError::OriginMismatch {
                expected: excerpt(origin),
                found: excerpt(&self.checkpoint.origin),
            });
        }
        let verified = self.note.open(log_keys)?;
        let covers_all = |kind| match kind {
            KeyKind::Ed25519 | KeyKind::Ed25519Cosignature => true,
            KeyKind::MlDsa44Cosignature => false,
        };
        if !self.checkpoint.extensions.is_empty() && !verified.iter().any(|v| covers_all(v.key.kind())) {
            return Err(MerkleError::CheckpointForm { reason: "no signature covers its extension lines" });
        }
        Ok(VerifiedCheckpoint { signed: self })
    }
}

/// Token: a checkpoint that bears a valid signature of its log. Only [`SignedCheckpoint::open`] makes one.
#[derive(PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    signed: SignedCheckpoint,
}

impl VerifiedCheckpoint {
    /// Reads and checks a signed checkpoint in one go.
    pub fn open(bytes: &[u8], origin: &str, log_keys: &[VerifierKey]) -> Result<Self, MerkleError> {
        SignedCheckpoint::parse(bytes)?.open(origin, log_keys)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.signed.checkpoint.origin()
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.signed.checkpoint.size
    }

    /// The tree's root.
    pub const fn root(&self) -> &Hash {
        &self.signed.checkpoint.root
    }

    /// The checkpoint.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.signed.checkpoint
    }

    /// The checkpoint with its signatures; those of other keys than the log's are not checked.
    pub const fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// The signed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signed.to_bytes()
    }

    /// Keeps only the signature lines of `keys` (of which at least one was checked).
    pub(crate) fn restricted_to(self, keys: &[VerifierKey]) -> Self {
        let SignedCheckpoint { checkpoint, note } = self.signed;
        Self { signed: SignedCheckpoint { checkpoint, note: note.restricted_to(keys) } }
    }
}

impl fmt::Debug for VerifiedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedCheckpoint").field(&self.signed.checkpoint).finish()
    }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c < ' ')
}

const fn check_length(length: usize) -> Result<(), MerkleError> {
    if length > MAX_TEXT {
        return Err(MerkleError::TooLong { what: "checkpoint", length, limit: MAX_TEXT });
    }
    Ok(())
}
