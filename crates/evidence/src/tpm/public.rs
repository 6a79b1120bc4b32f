//! TPMT_PUBLIC of a signing key (part 2, section 12.2.4).

use statement::Digest;
use x509::Key;

use super::{KIND, algorithm};
use crate::cursor::Cursor;
use crate::error::Error;

/// Attributes of an object (part 2, section 8.3).
mod attribute {
    pub(super) const FIXED_TPM: u32 = 1 << 1;
    pub(super) const FIXED_PARENT: u32 = 1 << 4;
    pub(super) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub(super) const RESTRICTED: u32 = 1 << 16;
    pub(super) const DECRYPT: u32 = 1 << 17;
    pub(super) const SIGN: u32 = 1 << 18;
}

/// The exponent that a field of zero stands for.
const DEFAULT_EXPONENT: u32 = 65_537;
const RSA_BYTES_MAX: usize = 512;
const POLICY_MAX: usize = 64;

/// A signing key's public area, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// What the TPM enforces for it.
    pub attributes: u32,
    /// Its signature scheme.
    pub scheme: u16,
    /// The hash that belongs to the scheme.
    pub hash: u16,
    /// The key.
    pub key: Key,
}

/// SHA-256 of a TPMT_PUBLIC: with the two bytes of the algorithm ahead of it, the key's name.
pub fn name_digest(public: &[u8]) -> Digest {
    Digest::of(public)
}

impl Public {
    /// Reads the structure, to its last byte: RSA from 2048 bits, or P-256 or P-384, with a fixed signature scheme.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(KIND, bytes);
        let kind = cursor.be_u16("public.type")?;
        if cursor.be_u16("public.nameAlg")? != algorithm::SHA256 {
            return cursor.refuse("public.nameAlg", "it is not SHA-256");
        }
        let attributes = cursor.be_u32("public.objectAttributes")?;
        cursor.sized(POLICY_MAX, "public.authPolicy")?;
        if cursor.be_u16("public.symmetric")? != algorithm::NULL {
            return cursor.refuse("public.symmetric", "a signing key has none");
        }
        let scheme = cursor.be_u16("public.scheme")?;
        if ![algorithm::RSASSA, algorithm::RSAPSS, algorithm::ECDSA].contains(&scheme) {
            return cursor.refuse("public.scheme", "the key is not bound to a scheme that is known here");
        }
        let hash = cursor.be_u16("public.scheme.hash")?;
        if ![algorithm::SHA256, algorithm::SHA384].contains(&hash) {
            return cursor.refuse("public.scheme.hash", "it is neither SHA-256 nor SHA-384");
        }
        let key = match kind {
            algorithm::RSA if scheme != algorithm::ECDSA => rsa(&mut cursor)?,
            algorithm::ECC if scheme == algorithm::ECDSA => ecc(&mut cursor)?,
            _ => return cursor.refuse("public.type", "the key's type does not fit its scheme"),
        };
        cursor.end("public")?;
        Ok(Self { attributes, scheme, hash, key })
    }

    /// Whether the TPM made the key, keeps it, and signs only its own statements with it.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn check_attributes(&self) -> Result<(), Error> {
        use attribute as a;
        let needed = [
            (a::SIGN, "it is not a signing key"),
            (a::RESTRICTED, "it is not restricted, so it may sign what looks like a quote"),
            (a::FIXED_TPM, "it may be moved to another TPM"),
            (a::FIXED_PARENT, "it may be moved under another key"),
            (a::SENSITIVE_DATA_ORIGIN, "it was not made in the TPM"),
        ];
        let lacking = needed.iter().find(|(bit, _)| self.attributes & bit == 0).map(|(_, reason)| *reason);
        let reason = lacking.or((self.attributes & a::DECRYPT != 0).then_some("it also decrypts"));
        match reason {
            Some(reason) => Err(Error::Key { kind: KIND, reason }),
            None => Ok(()),
        }
    }
}

fn rsa(cursor: &mut Cursor<'_>) -> Result<Key, Error> {
    let bits = cursor.be_u16("public.keyBits")?;
    let exponent = match cursor.be_u32("public.exponent")? {
        0 => DEFAULT_EXPONENT,
        exponent => exponent,
    };
    let modulus = cursor.sized(RSA_BYTES_MAX, "public.unique")?;
    if bits < 2048
        || modulus.len() * 8 != usize::from(bits)
        || modulus.first().is_none_or(|first| *first == 0)
    {
        return cursor.refuse("public.unique", "it is not a modulus of the size named, from 2048 bits");
    }
    let exponent = exponent.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    Ok(Key::Rsa { modulus: modulus.to_vec(), exponent })
}

fn ecc(cursor: &mut Cursor<'_>) -> Result<Key, Error> {
    let size = match cursor.be_u16("public.curveID")? {
        0x0003 => 32,
        0x0004 => 48,
        _ => return cursor.refuse("public.curveID", "it is neither P-256 nor P-384"),
    };
    if cursor.be_u16("public.kdf")? != algorithm::NULL {
        return cursor.refuse("public.kdf", "a signing key has none");
    }
    let mut point = vec![4];
    for place in ["public.unique.x", "public.unique.y"] {
        let number = cursor.sized(size, place)?;
        point.extend(std::iter::repeat_n(0, size - number.len()));
        point.extend_from_slice(number);
    }
    Ok(if size == 32 { Key::P256(point) } else { Key::P384(point) })
}
