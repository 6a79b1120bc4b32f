//! X.509 certificates (RFC 5280) as far as model signing needs them: a chain from the signer to a root that whoever
//! checks trusts, judged at a given time.
//!
//! Read are validity, names, keys and the extensions basic constraints, key usage and extended key usage. Any other
//! critical extension is refused (name constraints among them). Revocation is not looked up.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::der::{Reader, tag};
use super::key::{PublicKey, pem};
use crate::Error;

/// Largest certificate, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 10;
/// Most certificates in a bundle or a file.
pub const CERTIFICATES_MAX: usize = 32;
/// Longest way from the signer to the root.
const DEPTH_MAX: usize = 8;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// Signature algorithms: identifier, and which keys verify it how.
const ALGORITHMS: [(&[u8], &dyn VerificationAlgorithm); 6] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], &RSA_PKCS1_2048_8192_SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], &RSA_PKCS1_2048_8192_SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], &RSA_PKCS1_2048_8192_SHA512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], &ECDSA_P256_SHA256_ASN1),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], &ECDSA_P384_SHA384_ASN1),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], &ECDSA_P521_SHA512_ASN1),
];

/// A certificate, read; nothing about it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    signed: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    from: i64,
    until: i64,
    spki: Vec<u8>,
    /// The key's bits, as signatures are verified with.
    key: Vec<u8>,
    is_authority: bool,
    depth_below: Option<u64>,
    key_usage: Option<u8>,
    code_signing: Option<bool>,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`Error::Certificate`] with this index.
    pub fn from_der(der: &[u8], index: usize) -> Result<Self, Error> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Error::Certificate { index, reason: "it is larger than 64 KiB" });
        }
        read(der).map_err(|reason| Error::Certificate { index, reason })
    }

    /// Reads all certificates of a PEM file.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        let blocks =
            pem(text, "CERTIFICATE").ok_or(Error::Certificate { index: 0, reason: "it is not PEM" })?;
        if blocks.is_empty() || blocks.len() > CERTIFICATES_MAX {
            return Err(Error::Certificate {
                index: 0,
                reason: "there is no certificate in it, or more than 32",
            });
        }
        blocks.iter().enumerate().map(|(index, der)| Self::from_der(der, index)).collect()
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The first and the last second it is valid in, Unix time.
    pub const fn validity(&self) -> (i64, i64) {
        (self.from, self.until)
    }

    /// The key it is about.
    ///
    /// # Errors
    /// [`Error::Key`] where that key cannot sign models.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_spki(&self.spki)
    }

    fn check_time(&self, index: usize, at: i64) -> Result<(), Error> {
        if (self.from..=self.until).contains(&at) {
            return Ok(());
        }
        Err(Error::Expired { index, from: self.from, until: self.until, at })
    }

    fn is_signed_by(&self, issuer: &Self) -> bool {
        let algorithm = ALGORITHMS.iter().find(|(oid, _)| *oid == self.algorithm);
        algorithm.is_some_and(|(_, algorithm)| {
            UnparsedPublicKey::new(*algorithm, &issuer.key).verify(&self.signed, &self.signature).is_ok()
        })
    }

    fn may_issue(&self, below: u64) -> bool {
        let may_sign = self.key_usage.is_none_or(|usage| usage & 0x04 != 0);
        self.is_authority && may_sign && self.depth_below.is_none_or(|most| below <= most)
    }

    /// For signatures (bit 0 of the usage, the highest of its byte) and, where it says so at all, for code.
    fn may_sign_models(&self) -> bool {
        let usage = self.key_usage.map(|usage| usage & 0x80 != 0);
        match (usage, self.code_signing) {
            (None, None) => false,
            (usage, code) => usage != Some(false) && code != Some(false),
        }
    }
}

/// Finds a way from `chain`'s first certificate through the others to one of the roots, and checks every step at the
/// time `at` (Unix seconds). Answers the signer's certificate.
///
/// # Errors
/// [`Error::Chain`], [`Error::Expired`].
pub fn check_chain<'c>(
    chain: &'c [Certificate],
    roots: &[Certificate],
    at: i64,
) -> Result<&'c Certificate, Error> {
    let Some((signer, others)) = chain.split_first() else {
        return Err(Error::Chain { index: 0, reason: "there is no certificate" });
    };
    if !signer.may_sign_models() {
        return Err(Error::Chain {
            index: 0,
            reason: "it is not for signing: key usage and extended key usage",
        });
    }
    signer.check_time(0, at)?;
    let mut current = signer;
    for step in 0..DEPTH_MAX {
        if roots.contains(current) {
            return Ok(signer);
        }
        let below = step as u64;
        let issues = |issuer: &&Certificate| {
            issuer.subject == current.issuer && *issuer != current && current.is_signed_by(issuer)
        };
        let Some(issuer) = roots.iter().find(issues).or_else(|| others.iter().find(issues)) else {
            return Err(Error::Chain { index: step, reason: "nothing that is trusted has signed it" });
        };
        if !issuer.may_issue(below) {
            return Err(Error::Chain {
                index: step + 1,
                reason: "it may not sign certificates, or not so deep a chain",
            });
        }
        issuer.check_time(step + 1, at)?;
        if roots.contains(issuer) {
            return Ok(signer);
        }
        // INVARIANT: an issuer that is no root is one of the bundle's, which live as long as the chain.
        current = others.iter().find(|other| *other == issuer).unwrap_or(signer);
    }
    Err(Error::Chain { index: DEPTH_MAX, reason: "it is longer than eight certificates" })
}

fn read(der: &[u8]) -> Result<Certificate, &'static str> {
    const FORM: &str = "it is not a certificate in DER";
    let mut outer = Reader::new(der);
    let mut all = outer.nested(tag::SEQUENCE).filter(|_| outer.is_empty()).ok_or(FORM)?;
    let signed = all.whole(tag::SEQUENCE).ok_or(FORM)?;
    let algorithm = all.whole(tag::SEQUENCE).ok_or(FORM)?;
    let signature = all.bits().ok_or(FORM)?;
    let mut body = Reader::new(signed).nested(tag::SEQUENCE).filter(|_| all.is_empty()).ok_or(FORM)?;
    if body.nested(tag::VERSION).and_then(|mut version| version.value(tag::INTEGER)) != Some(&[2]) {
        return Err("it is not of version 3");
    }
    body.value(tag::INTEGER).ok_or(FORM)?;
    if body.whole(tag::SEQUENCE) != Some(algorithm) {
        return Err("its two signature algorithms differ");
    }
    let issuer = body.whole(tag::SEQUENCE).ok_or(FORM)?;
    let mut validity = body.nested(tag::SEQUENCE).ok_or(FORM)?;
    let from = time(&mut validity).ok_or("its validity cannot be read")?;
    let until = time(&mut validity).filter(|_| validity.is_empty()).ok_or("its validity cannot be read")?;
    let subject = body.whole(tag::SEQUENCE).ok_or(FORM)?;
    let spki = body.whole(tag::SEQUENCE).ok_or(FORM)?;
    let mut key_parts = Reader::new(spki).nested(tag::SEQUENCE).ok_or(FORM)?;
    key_parts.value(tag::SEQUENCE).ok_or(FORM)?;
    let key = key_parts.bits().ok_or(FORM)?;
    let oid = Reader::new(algorithm)
        .nested(tag::SEQUENCE)
        .and_then(|mut parts| parts.value(tag::OID))
        .ok_or(FORM)?;
    let mut certificate = Certificate {
        der: der.to_vec(),
        signed: signed.to_vec(),
        algorithm: oid.to_vec(),
        signature: signature.to_vec(),
        issuer: issuer.to_vec(),
        subject: subject.to_vec(),
        from,
        until,
        spki: spki.to_vec(),
        key: key.to_vec(),
        is_authority: false,
        depth_below: None,
        key_usage: None,
        code_signing: None,
    };
    if let Some(mut wrapped) = body.nested(tag::EXTENSIONS) {
        let mut extensions = wrapped.nested(tag::SEQUENCE).filter(|_| wrapped.is_empty()).ok_or(FORM)?;
        let mut seen: Vec<&[u8]> = Vec::new();
        while !extensions.is_empty() {
            let mut extension = extensions.nested(tag::SEQUENCE).ok_or(FORM)?;
            let oid = extension.value(tag::OID).ok_or(FORM)?;
            let critical = extension.value(tag::BOOLEAN).is_some_and(|value| value == [0xff]);
            let content = extension.value(tag::OCTETS).filter(|_| extension.is_empty()).ok_or(FORM)?;
            if seen.contains(&oid) {
                return Err("an extension is there twice");
            }
            seen.push(oid);
            extend(&mut certificate, oid, content, critical)?;
        }
    }
    if body.is_empty() { Ok(certificate) } else { Err(FORM) }
}

fn extend(
    certificate: &mut Certificate,
    oid: &[u8],
    content: &[u8],
    critical: bool,
) -> Result<(), &'static str> {
    const FORM: &str = "an extension cannot be read";
    let mut value = Reader::new(content);
    match oid {
        KEY_USAGE => {
            let (_, bits) = value.value(tag::BITS).and_then(<[u8]>::split_first).ok_or(FORM)?;
            certificate.key_usage = Some(bits.first().copied().unwrap_or(0));
        }
        BASIC_CONSTRAINTS => {
            let mut parts = value.nested(tag::SEQUENCE).ok_or(FORM)?;
            certificate.is_authority = parts.value(tag::BOOLEAN).is_some_and(|value| value == [0xff]);
            if let Some(depth) = parts.value(tag::INTEGER) {
                let depth = match depth {
                    [depth @ 0..=0x7f] => u64::from(*depth),
                    _ => return Err(FORM),
                };
                certificate.depth_below = Some(depth);
            }
            if !parts.is_empty() {
                return Err(FORM);
            }
        }
        EXTENDED_KEY_USAGE => {
            let mut parts = value.nested(tag::SEQUENCE).ok_or(FORM)?;
            let mut for_code = false;
            while let Some(usage) = parts.value(tag::OID) {
                for_code |= usage == CODE_SIGNING;
            }
            if !parts.is_empty() {
                return Err(FORM);
            }
            certificate.code_signing = Some(for_code);
        }
        _ if critical => return Err("it has a critical extension that is not known here"),
        _ => return Ok(()),
    }
    if value.is_empty() { Ok(()) } else { Err(FORM) }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` in Unix seconds (RFC 5280, section 4.1.2.5).
fn time(reader: &mut Reader<'_>) -> Option<i64> {
    let digits = |text: &[u8]| {
        text.iter().try_fold(0_i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, rest) = match reader.peek()? {
        tag::UTC_TIME => {
            let (year, rest) = reader.value(tag::UTC_TIME)?.split_at_checked(2)?;
            let year = digits(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = reader.value(tag::GENERALIZED_TIME)?.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let [m1, m2, d1, d2, h1, h2, n1, n2, s1, s2, b'Z'] = *rest else { return None };
    let (month, day) = (digits(&[m1, m2])?, digits(&[d1, d2])?);
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[n1, n2])?, digits(&[s1, s2])?);
    let in_range =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    in_range.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1 January 1970 (Hinnant, "chrono-compatible low-level date algorithms"), for years from 0 on.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests;
