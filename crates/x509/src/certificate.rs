//! A certificate, read from DER.

use statement::Digest;

use crate::chain::Fault;
use crate::der::{Reader, tag};
use crate::key::{Key, SignatureKind};
use crate::pem;

/// Largest certificate, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 10;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// Signature algorithms: the whole AlgorithmIdentifier in DER, and how such signatures are verified.
const ALGORITHMS: [(&[u8], SignatureKind); 7] = [
    (
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00],
        SignatureKind::RsaSha256,
    ),
    (
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c, 0x05, 0x00],
        SignatureKind::RsaSha384,
    ),
    (
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d, 0x05, 0x00],
        SignatureKind::RsaSha512,
    ),
    // ecdsa-with-SHA256, -SHA384 and -SHA512 (RFC 5758, section 3.2), each with the curve of that strength.
    (&[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], SignatureKind::EcdsaDer),
    (&[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], SignatureKind::EcdsaDer),
    (&[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], SignatureKind::EcdsaDer),
    (PSS_SHA384, SignatureKind::PssSha384),
];
/// RSASSA-PSS (RFC 4055, section 3.1) with SHA-384, MGF1 with SHA-384, a salt of 48 bytes and the trailer field written
/// out, as AMD's keys sign.
const PSS_SHA384: &[u8] = &[
    0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x39, 0xa0, 0x0f,
    0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c,
    0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30, 0xa3,
    0x03, 0x02, 0x01, 0x01,
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
    key: Option<Key>,
    is_authority: bool,
    depth_below: Option<u64>,
    key_usage: Option<u8>,
    extensions: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`Fault::Form`].
    pub fn from_der(der: &[u8]) -> Result<Self, Fault> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Fault::Form("it is larger than 64 KiB"));
        }
        read(der).map_err(Fault::Form)
    }

    /// Reads all certificates of a PEM file, in its order.
    ///
    /// # Errors
    /// [`Fault::Form`].
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Fault> {
        let blocks = pem::blocks(text, "CERTIFICATE").ok_or(Fault::Form("it is not PEM"))?;
        if blocks.is_empty() || blocks.len() > crate::CERTIFICATES_MAX {
            return Err(Fault::Form("there is no certificate in it, or more than 32"));
        }
        blocks.iter().map(|der| Self::from_der(der)).collect()
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the certificate: what roots are pinned by.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// The first and the last second it is valid in, Unix time.
    pub const fn validity(&self) -> (i64, i64) {
        (self.from, self.until)
    }

    /// The key it is about, where that can verify here.
    pub const fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The content of an extension, by its object identifier in DER without tag and length.
    pub fn extension(&self, oid: &[u8]) -> Option<&[u8]> {
        self.extensions.iter().find(|(name, _)| name == oid).map(|(_, content)| content.as_slice())
    }

    /// Whether the key usage names signatures of what is not a certificate (bit 0); none where no usage is named.
    pub fn usage_names_signing(&self) -> Option<bool> {
        self.key_usage.map(|usage| usage & 0x80 != 0)
    }

    /// Whether the certificate lets its key sign what is not a certificate, by naming that or no usage at all.
    pub fn may_sign(&self) -> bool {
        self.usage_names_signing() != Some(false)
    }

    pub(crate) const fn is_valid_at(&self, at: i64) -> bool {
        self.from <= at && at <= self.until
    }

    pub(crate) fn is_issued_by(&self, issuer: &Self) -> bool {
        let kind = ALGORITHMS.iter().find(|(name, _)| *name == self.algorithm).map(|(_, kind)| *kind);
        issuer.subject == self.issuer
            && kind
                .zip(issuer.key.as_ref())
                .is_some_and(|(kind, key)| key.verify(kind, &self.signed, &self.signature))
    }

    pub(crate) fn may_issue(&self, below: u64) -> bool {
        let may_sign = self.key_usage.is_none_or(|usage| usage & 0x04 != 0);
        self.is_authority && may_sign && self.depth_below.is_none_or(|most| below <= most)
    }
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
    let mut certificate = Certificate {
        der: der.to_vec(),
        signed: signed.to_vec(),
        algorithm: algorithm.to_vec(),
        signature: signature.to_vec(),
        issuer: issuer.to_vec(),
        subject: subject.to_vec(),
        from,
        until,
        spki: spki.to_vec(),
        key: Key::from_spki(spki),
        is_authority: false,
        depth_below: None,
        key_usage: None,
        extensions: Vec::new(),
    };
    if let Some(mut wrapped) = body.nested(tag::EXTENSIONS) {
        let mut extensions = wrapped.nested(tag::SEQUENCE).filter(|_| wrapped.is_empty()).ok_or(FORM)?;
        while !extensions.is_empty() {
            let mut extension = extensions.nested(tag::SEQUENCE).ok_or(FORM)?;
            let oid = extension.value(tag::OID).ok_or(FORM)?;
            let critical = extension.value(tag::BOOLEAN).is_some_and(|value| value == [0xff]);
            let content = extension.value(tag::OCTETS).filter(|_| extension.is_empty()).ok_or(FORM)?;
            if certificate.extension(oid).is_some() {
                return Err("an extension is there twice");
            }
            extend(&mut certificate, oid, content, critical)?;
            certificate.extensions.push((oid.to_vec(), content.to_vec()));
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
                let [depth @ 0..=0x7f] = depth else { return Err(FORM) };
                certificate.depth_below = Some(u64::from(*depth));
            }
            if !parts.is_empty() {
                return Err(FORM);
            }
        }
        // What a key is for is its caller's to judge.
        EXTENDED_KEY_USAGE => return Ok(()),
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
