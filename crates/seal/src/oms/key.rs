//! ECDSA public keys, as `model_signing` takes them: SubjectPublicKeyInfo (RFC 5480) in PEM (RFC 7468).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, UnparsedPublicKey,
    VerificationAlgorithm,
};
use statement::{Bytes, Digest};

use crate::Error;
use x509::der::{Reader, tag};

pub use x509::PEM_BYTES_MAX;

/// The curves of OMS, each with the hash that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256 with SHA-256.
    P256,
    /// P-384 with SHA-384.
    P384,
    /// P-521 with SHA-512.
    P521,
}

impl Curve {
    /// Its object identifier in DER, its name, and the bytes of a point.
    const ALL: [(Self, &'static [u8], usize); 3] = [
        (Self::P256, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], 65),
        (Self::P384, &[0x2b, 0x81, 0x04, 0x00, 0x22], 97),
        (Self::P521, &[0x2b, 0x81, 0x04, 0x00, 0x23], 133),
    ];

    /// The name people know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "ECDSA P-256 with SHA-256",
            Self::P384 => "ECDSA P-384 with SHA-384",
            Self::P521 => "ECDSA P-521 with SHA-512",
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
            Self::P521 => &ECDSA_P521_SHA512_ASN1,
        }
    }
}

/// `ecPublicKey` (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// A public key that bundles are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    curve: Curve,
    point: Vec<u8>,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let blocks = x509::blocks(text, "PUBLIC KEY").ok_or(Error::Key { reason: "it is not PEM" })?;
        match blocks.as_slice() {
            [der] => Self::from_spki(der),
            _ => Err(Error::Key { reason: "there is not exactly one `PUBLIC KEY` in it" }),
        }
    }

    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        let (curve, point) = parts(der).ok_or(Error::Key {
            reason: "it is no ECDSA key on P-256, P-384 or P-521 (OMS knows no others, Ed25519 among them)",
        })?;
        Ok(Self { curve, point: point.to_vec(), spki: der.to_vec() })
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The key in PEM, spelled as OpenSSL and `model_signing` do.
    pub fn to_pem(&self) -> String {
        let text = Bytes::new(self.spki.clone()).to_base64();
        let mut out = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            out.extend(line.iter().map(|byte| char::from(*byte)));
            out.push('\n');
        }
        out.push_str("-----END PUBLIC KEY-----\n");
        out
    }

    /// What bundles name the key by: SHA-256 of its PEM.
    pub fn hint(&self) -> String {
        Digest::of(self.to_pem().as_bytes()).to_string()
    }

    /// Whether the signature (DER) is by this key over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.curve.algorithm(), &self.point).verify(message, signature).is_ok()
    }
}

fn parts(der: &[u8]) -> Option<(Curve, &[u8])> {
    let mut outer = Reader::new(der);
    let mut spki = outer.nested(tag::SEQUENCE)?;
    let mut algorithm = spki.nested(tag::SEQUENCE)?;
    let is_ec = algorithm.value(tag::OID)? == EC_PUBLIC_KEY;
    let curve = algorithm.value(tag::OID)?;
    let point = spki.bits()?;
    let (curve, _, length) = Curve::ALL.into_iter().find(|(_, oid, _)| *oid == curve)?;
    let whole = outer.is_empty() && spki.is_empty() && algorithm.is_empty();
    (whole && is_ec && point.len() == length && point.first() == Some(&4)).then_some((curve, point))
}
