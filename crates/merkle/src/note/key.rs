//! Verifier keys and the one rule for each signature algorithm.

use std::fmt;
use std::str::FromStr;

use ml_dsa::MlDsa44;

use super::{NoteSignature, is_key_name};
use crate::cosignature;
use crate::encoding::{from_base64, to_base64};
use crate::error::{MerkleError, excerpt};
use crate::tree::Hash;

/// The longest key name that this crate trusts, in bytes (the bound of the ML-DSA-44 cosigned message).
const MAX_NAME: usize = 255;
/// The longest verifier key, in characters: a name, an id and an ML-DSA-44 key in base64.
const MAX_VKEY: usize = 4096;
const ED25519_KEY: usize = 32;
const ML_DSA_44_KEY: usize = 1312;

/// The short name of a key: four bytes of a hash. No protection by itself; the key is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Wraps four bytes.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes.
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// `SHA-256(name || 0x0A || kind || public key)[:4]` (C2SP signed-note, "Signatures").
    pub fn of(name: &str, kind: KeyKind, public_key: &[u8]) -> Self {
        let digest = Hash::of_parts(&[name.as_bytes(), b"\n", &[kind.byte()], public_key]);
        let [a, b, c, d, ..] = *digest.as_bytes();
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The signature types that are verified here (C2SP signed-note, "Signature types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `0x01`: Ed25519 over the note's text.
    Ed25519,
    /// `0x04`: timestamped Ed25519 cosignature of a checkpoint.
    Ed25519Cosignature,
    /// `0x06`: timestamped ML-DSA-44 cosignature of a checkpoint.
    MlDsa44Cosignature,
}

impl KeyKind {
    /// The signature type identifier byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Ed25519Cosignature => 0x04,
            Self::MlDsa44Cosignature => 0x06,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Ed25519Cosignature),
            0x06 => Some(Self::MlDsa44Cosignature),
            _ => None,
        }
    }

    const fn key_length(self) -> usize {
        match self {
            Self::Ed25519 | Self::Ed25519Cosignature => ED25519_KEY,
            Self::MlDsa44Cosignature => ML_DSA_44_KEY,
        }
    }
}

/// A named public key (a "vkey": `<name>+<id>+<base64>`).
///
/// Ed25519 keys that are no point, not in canonical form or of small order are refused when they are read.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: KeyId,
    public_key: Vec<u8>,
}

impl VerifierKey {
    /// A key of `kind` with its public key (32 bytes for Ed25519, 1,312 for ML-DSA-44).
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8]) -> Result<Self, MerkleError> {
        if !is_key_name(name) || name.len() > MAX_NAME {
            return Err(MerkleError::KeyName { name: excerpt(name) });
        }
        if public_key.len() != kind.key_length() {
            return Err(MerkleError::KeyForm { reason: "the public key has the wrong length" });
        }
        let sound = match kind {
            KeyKind::Ed25519 | KeyKind::Ed25519Cosignature => ed25519_key(public_key).is_some(),
            KeyKind::MlDsa44Cosignature => true,
        };
        if !sound {
            return Err(MerkleError::WeakKey { name: name.to_owned() });
        }
        let id = KeyId::of(name, kind, public_key);
        Ok(Self { name: name.to_owned(), kind, id, public_key: public_key.to_vec() })
    }

    /// Reads a vkey; bounded.
    pub fn parse(bytes: &[u8]) -> Result<Self, MerkleError> {
        let form = |reason| MerkleError::KeyForm { reason };
        if bytes.len() > MAX_VKEY {
            return Err(MerkleError::TooLong { what: "verifier key", length: bytes.len(), limit: MAX_VKEY });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
        let (name, rest) = text.split_once('+').ok_or(form("no `+` after the name"))?;
        // The base64 alphabet has `+` too, so only the first two separate.
        let (id, encoded) = rest.split_once('+').ok_or(form("no `+` after the key id"))?;
        if id.len() != 8 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(form("the key id is not 8 lower-case hexadecimal digits"));
        }
        let material = from_base64(encoded).ok_or(form("the key is not in canonical base64"))?;
        let (kind, public_key) = material.split_first().ok_or(form("the key is empty"))?;
        let kind = KeyKind::from_byte(*kind)
            .ok_or_else(|| MerkleError::KeyKind { name: excerpt(name), kind: *kind })?;
        let key = Self::new(name, kind, public_key)?;
        if key.id.to_string() != id {
            return Err(MerkleError::KeyIdMismatch {
                name: key.name,
                expected: key.id.to_string(),
                found: id.to_owned(),
            });
        }
        Ok(key)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs and how.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key's id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The public key alone, without the signature type.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether the line claims to be from this key.
    pub fn matches(&self, line: &NoteSignature) -> bool {
        line.name() == self.name && line.key_id() == self.id
    }

    /// Checks `signature` (without the key id) over a note's text, and returns the time that it states, for
    /// the kinds that state one. The cosignature kinds need the text to be a checkpoint.
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, MerkleError> {
        let (timestamp, holds) = match self.kind {
            KeyKind::Ed25519 => (None, verify_ed25519(&self.public_key, text.as_bytes(), signature)),
            KeyKind::Ed25519Cosignature => {
                let (timestamp, bare) = cosignature::split_timestamp(&self.name, signature)?;
                let message = cosignature::ed25519_message(text, timestamp)?;
                (Some(timestamp), verify_ed25519(&self.public_key, &message, bare))
            }
            KeyKind::MlDsa44Cosignature => {
                let (timestamp, bare) = cosignature::split_timestamp(&self.name, signature)?;
                let message = cosignature::ml_dsa_44_message(&self.name, text, timestamp)?;
                (Some(timestamp), verify_ml_dsa_44(&self.public_key, &message, &[], bare))
            }
        };
        if holds { Ok(timestamp) } else { Err(MerkleError::BadSignature { name: self.name.clone() }) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = vec![self.kind.byte()];
        material.extend_from_slice(&self.public_key);
        write!(f, "{}+{}+{}", self.name, self.id, to_base64(&material))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({}+{}, {:?})", self.name, self.id, self.kind)
    }
}

impl FromStr for VerifierKey {
    type Err = MerkleError;

    fn from_str(text: &str) -> Result<Self, MerkleError> {
        Self::parse(text.as_bytes())
    }
}

/// The one Ed25519 rule: canonical encodings, no small-order key or `R`, cofactorless equation
/// (`verify_strict`); anything else, wrong lengths included, is false. Batch verification is never used.
pub fn verify_ed25519(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Some(key), Ok(signature)) =
        (ed25519_key(public_key), ed25519_dalek::Signature::from_slice(signature))
    else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// ML-DSA-44 (FIPS 204, algorithm 3) with a context string; wrong lengths are false.
pub fn verify_ml_dsa_44(public_key: &[u8], message: &[u8], context: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (
        ml_dsa::EncodedVerifyingKey::<MlDsa44>::try_from(public_key),
        ml_dsa::Signature::<MlDsa44>::try_from(signature),
    ) else {
        return false;
    };
    ml_dsa::VerifyingKey::<MlDsa44>::decode(&key).verify_with_context(message, context, &signature)
}

fn ed25519_key(public_key: &[u8]) -> Option<ed25519_dalek::VerifyingKey> {
    let bytes: &[u8; ED25519_KEY] = public_key.try_into().ok()?;
    if !is_canonical(bytes) {
        return None;
    }
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
    (!key.is_weak()).then_some(key)
}

/// Whether the y-coordinate is below the field's prime, 2^255 - 19 (RFC 8032, section 5.1.3, step 1).
fn is_canonical(bytes: &[u8; ED25519_KEY]) -> bool {
    let [low, middle @ .., high] = bytes;
    !(high & 0x7f == 0x7f && middle.iter().all(|b| *b == 0xff) && *low >= 0xed)
}
