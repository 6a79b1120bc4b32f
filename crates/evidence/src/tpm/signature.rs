//! TPMT_SIGNATURE (part 2, section 11.3.4).

use x509::{Key, SignatureKind};

use super::{KIND, Public, algorithm};
use crate::cursor::Cursor;
use crate::error::Error;

const RSA_BYTES_MAX: usize = 512;
const NUMBER_MAX: usize = 48;

/// A signature, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// RSASSA-PKCS1-v1_5 or RSASSA-PSS.
    Rsa {
        /// The scheme.
        scheme: u16,
        /// The hash.
        hash: u16,
        /// The number.
        bytes: Vec<u8>,
    },
    /// ECDSA.
    Ecdsa {
        /// The hash.
        hash: u16,
        /// Its first number, big-endian.
        r: Vec<u8>,
        /// Its second number, big-endian.
        s: Vec<u8>,
    },
}

impl Signature {
    /// Reads the structure, to its last byte.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(KIND, bytes);
        let scheme = cursor.be_u16("signature.sigAlg")?;
        let hash = cursor.be_u16("signature.hash")?;
        if ![algorithm::SHA256, algorithm::SHA384].contains(&hash) {
            return cursor.refuse("signature.hash", "it is neither SHA-256 nor SHA-384");
        }
        let signature = match scheme {
            algorithm::RSASSA | algorithm::RSAPSS => {
                let bytes = cursor.sized(RSA_BYTES_MAX, "signature.sig")?.to_vec();
                Self::Rsa { scheme, hash, bytes }
            }
            algorithm::ECDSA => {
                let r = cursor.sized(NUMBER_MAX, "signature.r")?.to_vec();
                let s = cursor.sized(NUMBER_MAX, "signature.s")?.to_vec();
                Self::Ecdsa { hash, r, s }
            }
            _ => return cursor.refuse("signature.sigAlg", "the scheme is not known here"),
        };
        cursor.end("signature")?;
        Ok(signature)
    }

    /// The hash that was signed with.
    pub const fn hash(&self) -> u16 {
        match self {
            Self::Rsa { hash, .. } | Self::Ecdsa { hash, .. } => *hash,
        }
    }

    /// Whether it is by this key over the message, in the scheme and with the hash that the key is bound to.
    pub fn verify(&self, public: &Public, message: &[u8]) -> bool {
        match self {
            Self::Rsa { scheme, hash, bytes } => {
                let kind = match (*scheme, *hash) {
                    (algorithm::RSASSA, algorithm::SHA256) => SignatureKind::RsaSha256,
                    (algorithm::RSASSA, algorithm::SHA384) => SignatureKind::RsaSha384,
                    (algorithm::RSAPSS, algorithm::SHA256) => SignatureKind::PssSha256,
                    (algorithm::RSAPSS, algorithm::SHA384) => SignatureKind::PssSha384,
                    _ => return false,
                };
                (*scheme, *hash) == (public.scheme, public.hash) && public.key.verify(kind, message, bytes)
            }
            Self::Ecdsa { hash, r, s } => {
                let size = match (&public.key, *hash) {
                    (Key::P256(_), algorithm::SHA256) => 32,
                    (Key::P384(_), algorithm::SHA384) => 48,
                    _ => return false,
                };
                let mut fixed = Vec::with_capacity(size * 2);
                for number in [r, s] {
                    let Some(missing) = size.checked_sub(number.len()) else { return false };
                    fixed.extend(std::iter::repeat_n(0, missing));
                    fixed.extend_from_slice(number);
                }
                (algorithm::ECDSA, *hash) == (public.scheme, public.hash)
                    && public.key.verify(SignatureKind::EcdsaFixed, message, &fixed)
            }
        }
    }
}
