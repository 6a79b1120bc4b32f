//! Public keys and the signatures that certificates and quotes carry.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use crate::der::{Reader, tag};

/// `ecPublicKey` (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// `rsaEncryption` (RFC 8017, appendix A.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// A public key that can verify here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A point on P-256, uncompressed: 65 bytes.
    P256(Vec<u8>),
    /// A point on P-384, uncompressed: 97 bytes.
    P384(Vec<u8>),
    /// A point on P-521, uncompressed: 133 bytes.
    P521(Vec<u8>),
    /// RSA, from 2048 to 8192 bits, numbers big-endian without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The public exponent.
        exponent: Vec<u8>,
    },
}

/// How a signature was made, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// ECDSA as DER, with the hash that belongs to the key's curve.
    EcdsaDer,
    /// ECDSA as the two numbers one after the other, big-endian, each of the curve's size.
    EcdsaFixed,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    PssSha256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    PssSha384,
}

impl Key {
    /// Reads a SubjectPublicKeyInfo in DER; none where it is no key that can verify here.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut spki = outer.nested(tag::SEQUENCE)?;
        let mut algorithm = spki.nested(tag::SEQUENCE)?;
        let name = algorithm.value(tag::OID)?;
        let bits = spki.bits()?;
        if !outer.is_empty() || !spki.is_empty() {
            return None;
        }
        if name == EC_PUBLIC_KEY {
            let curve = algorithm.value(tag::OID).filter(|_| algorithm.is_empty())?;
            return match (curve, bits.len(), bits.first()) {
                (P256, 65, Some(4)) => Some(Self::P256(bits.to_vec())),
                (P384, 97, Some(4)) => Some(Self::P384(bits.to_vec())),
                (P521, 133, Some(4)) => Some(Self::P521(bits.to_vec())),
                _ => None,
            };
        }
        if name != RSA {
            return None;
        }
        let mut key = Reader::new(bits);
        let mut numbers = key.nested(tag::SEQUENCE).filter(|_| key.is_empty())?;
        let (modulus, exponent) = (number(&mut numbers)?, number(&mut numbers)?);
        numbers.is_empty().then_some(Self::Rsa { modulus, exponent })
    }

    /// Whether the signature is by this key over the message. A kind that does not fit the key never is.
    pub fn verify(&self, kind: SignatureKind, message: &[u8], signature: &[u8]) -> bool {
        use SignatureKind as S;
        let verified = match (self, kind) {
            (Self::P256(point), S::EcdsaDer) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            (Self::P256(point), S::EcdsaFixed) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Self::P384(point), S::EcdsaDer) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point).verify(message, signature)
            }
            (Self::P384(point), S::EcdsaFixed) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (Self::P521(point), S::EcdsaDer) => {
                UnparsedPublicKey::new(&ECDSA_P521_SHA512_ASN1, point).verify(message, signature)
            }
            (Self::P521(point), S::EcdsaFixed) => {
                UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point).verify(message, signature)
            }
            (Self::Rsa { modulus, exponent }, kind) => {
                let parameters = match kind {
                    S::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
                    S::RsaSha384 => &RSA_PKCS1_2048_8192_SHA384,
                    S::RsaSha512 => &RSA_PKCS1_2048_8192_SHA512,
                    S::PssSha256 => &RSA_PSS_2048_8192_SHA256,
                    S::PssSha384 => &RSA_PSS_2048_8192_SHA384,
                    S::EcdsaDer | S::EcdsaFixed => return false,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature)
            }
            (Self::P256(_) | Self::P384(_) | Self::P521(_), _) => return false,
        };
        verified.is_ok()
    }
}

/// A positive integer without its sign byte.
fn number(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    match reader.value(tag::INTEGER)? {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Some(rest.to_vec()),
        [first, ..] if *first == 0 || first & 0x80 != 0 => None,
        number => (!number.is_empty()).then(|| number.to_vec()),
    }
}
