//! C2SP signed notes: a text and the signatures of those who vouch for it.
//!
//! Reading a note says nothing about its signatures: [`SignedNote::open`] does. A note has one spelling, so
//! [`SignedNote::to_bytes`] gives back the very bytes that were parsed.

mod key;
mod signer;
#[cfg(test)]
mod tests;

pub use key::{KeyId, KeyKind, VerifierKey, verify_ed25519, verify_ml_dsa_44};
pub use signer::{Ed25519NoteSigner, NoteSigner};

use crate::encoding::{from_base64, to_base64};
use crate::error::{MerkleError, excerpt};

/// The longest text of a note, in bytes (the limit of Go's `sumdb/note`).
pub const MAX_TEXT: usize = 1_000_000;
/// The most signatures that a note may have.
pub const MAX_SIGNATURES: usize = 64;
/// The longest note, in bytes: the text and room for 64 post-quantum signatures.
pub const MAX_NOTE: usize = MAX_TEXT + MAX_SIGNATURES * 8192;

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: KeyId,
    signature: Vec<u8>,
}

impl NoteSignature {
    /// A line of `signature` (without the key id) by the key with this name and id.
    pub fn new(name: &str, key_id: KeyId, signature: Vec<u8>) -> Result<Self, MerkleError> {
        if !is_key_name(name) {
            return Err(MerkleError::KeyName { name: excerpt(name) });
        }
        if signature.is_empty() {
            return Err(MerkleError::NoteForm { reason: "a signature is empty" });
        }
        Ok(Self { name: name.to_owned(), key_id, signature })
    }

    /// Reads one line, `— <name> <base64>` with its final newline, as a witness answers it.
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::NoteForm { reason };
        if bytes.len() > MAX_NOTE {
            return Err(MerkleError::TooLong {
                what: "signature line",
                length: bytes.len(),
                limit: MAX_NOTE,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form("a signature line is not UTF-8"))?;
        let line = text.strip_suffix('\n').ok_or(form("a signature line does not end in a newline"))?;
        Self::from_line(line)
    }

    fn from_line(line: &str) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::NoteForm { reason };
        let rest =
            line.strip_prefix("\u{2014} ").ok_or(form("a signature line does not start with an em dash"))?;
        let (name, encoded) = rest.split_once(' ').ok_or(form("a signature line has no signature"))?;
        let bytes = from_base64(encoded).ok_or(form("a signature is not in canonical base64"))?;
        let (id, signature) =
            bytes.split_first_chunk::<4>().ok_or(form("a signature is shorter than its key id"))?;
        Self::new(name, KeyId::from_bytes(*id), signature.to_vec())
    }

    /// The name of the key that signed, as claimed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that signed, as claimed.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The signature's bytes, without the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The line with its final newline.
    pub fn to_line(&self) -> String {
        let mut bytes = self.key_id.as_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        format!("\u{2014} {} {}\n", self.name, to_base64(&bytes))
    }
}

/// A note whose form is sound and whose signatures are not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A signature of a note that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSignature<'k> {
    /// The key that signed.
    pub key: &'k VerifierKey,
    /// When, in seconds since the Epoch, for the timestamped kinds; none for plain Ed25519.
    pub timestamp: Option<u64>,
}

impl SignedNote {
    /// Reads a note; strict, and bounded by [`MAX_NOTE`], [`MAX_TEXT`] and [`MAX_SIGNATURES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::NoteForm { reason };
        if bytes.len() > MAX_NOTE {
            return Err(MerkleError::TooLong { what: "note", length: bytes.len(), limit: MAX_NOTE });
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
        let (before, lines) = whole.rsplit_once("\n\n").ok_or(form("no blank line before the signatures"))?;
        let text = format!("{before}\n");
        check_text(&text)?;
        let lines = lines.strip_suffix('\n').ok_or(form("it does not end in a signature line"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(MerkleError::TooManySignatures { limit: MAX_SIGNATURES });
        }
        let signatures = lines.split('\n').map(NoteSignature::from_line).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { text, signatures })
    }

    /// Signs `text`, which ends in a newline, with at least one signer.
    pub fn sign(text: &str, signers: &[&dyn NoteSigner]) -> Result<Self, MerkleError> {
        check_text(text)?;
        if signers.is_empty() {
            return Err(MerkleError::NoteForm { reason: "no signer was given" });
        }
        let mut note = Self { text: text.to_owned(), signatures: Vec::new() };
        for signer in signers {
            let name = signer.name();
            let signature = signer
                .sign(text.as_bytes())
                .map_err(|source| MerkleError::SigningFailed { name: name.to_owned(), source })?;
            note.add(NoteSignature::new(name, KeyId::from_bytes(signer.key_id()), signature)?)?;
        }
        Ok(note)
    }

    /// Adds a signature line, such as a witness's cosignature; one that is already there is not added twice.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), MerkleError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(MerkleError::TooManySignatures { limit: MAX_SIGNATURES });
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The text that is signed, with its final newline. Not to be believed before [`SignedNote::open`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The note's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.text.clone();
        out.push('\n');
        for signature in &self.signatures {
            out.push_str(&signature.to_line());
        }
        out.into_bytes()
    }

    /// Checks every signature that claims to be from one of `keys` and returns those, in the note's order.
    ///
    /// Signatures of unknown keys are ignored. One bad signature under a known key's name and id refuses the
    /// whole note, and so does a note without any signature from a known key.
    pub fn open<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<VerifiedSignature<'k>>, MerkleError> {
        let verified = self.verified(keys)?;
        if verified.is_empty() {
            let wanted = keys.iter().map(VerifierKey::name).collect::<Vec<_>>().join(", ");
            return Err(MerkleError::NoKnownSignature { wanted });
        }
        Ok(verified)
    }

    /// As [`SignedNote::open`], but no signature from a known key is an answer, not an error.
    pub(crate) fn verified<'k>(
        &self,
        keys: &'k [VerifierKey],
    ) -> Result<Vec<VerifiedSignature<'k>>, MerkleError> {
        let mut verified = Vec::new();
        for line in &self.signatures {
            for key in keys.iter().filter(|key| key.matches(line)) {
                let timestamp = key.verify(&self.text, line.signature())?;
                verified.push(VerifiedSignature { key, timestamp });
            }
        }
        Ok(verified)
    }

    /// The note with only the lines that claim to be from one of `keys`.
    pub(crate) fn restricted_to(&self, keys: &[VerifierKey]) -> Self {
        let known = |line: &&NoteSignature| keys.iter().any(|key| key.matches(line));
        Self { text: self.text.clone(), signatures: self.signatures.iter().filter(known).cloned().collect() }
    }
}

/// Whether `name` may name a key: not empty, no Unicode spaces, no `+`, no control characters.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+' || c < ' ')
}

fn check_text(text: &str) -> Result<(), MerkleError> {
    if text.len() > MAX_TEXT {
        return Err(MerkleError::TooLong { what: "note text", length: text.len(), limit: MAX_TEXT });
    }
    if !text.ends_with('\n') {
        return Err(MerkleError::NoteForm { reason: "the text does not end in a newline" });
    }
    if text.chars().any(|c| c < ' ' && c != '\n') {
        return Err(MerkleError::NoteForm { reason: "the text has control characters" });
    }
    Ok(())
}
