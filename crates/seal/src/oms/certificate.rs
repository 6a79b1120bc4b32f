//! Certificates as far as model signing needs them: a chain from the signer to a root that whoever checks trusts, judged
//! at a given time.
//!
//! Reading and following are crate `x509`'s; here is what a signer of models must be: its key usage names signatures, or
//! its extended key usage code, and neither forbids it. Revocation is not looked up.

use std::collections::BTreeSet;

use x509::der::{Reader, tag};

use super::key::PublicKey;
use crate::Error;

pub use x509::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX};

const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// A certificate, read; nothing about it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate(x509::Certificate);

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`Error::Certificate`] with this index.
    pub fn from_der(der: &[u8], index: usize) -> Result<Self, Error> {
        let read = x509::Certificate::from_der(der).map(Self);
        read.map_err(|fault| Error::Certificate { index, reason: reason(fault) })
    }

    /// Reads all certificates of a PEM file.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        let blocks = x509::blocks(text, "CERTIFICATE")
            .ok_or(Error::Certificate { index: 0, reason: "it is not PEM" })?;
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
        self.0.der()
    }

    /// The first and the last second it is valid in, Unix time.
    pub const fn validity(&self) -> (i64, i64) {
        self.0.validity()
    }

    /// The key it is about.
    ///
    /// # Errors
    /// [`Error::Key`] where that key cannot sign models.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_spki(self.0.spki())
    }

    /// For signatures and, where it says so at all, for code.
    fn may_sign_models(&self) -> bool {
        let code = self.0.extension(EXTENDED_KEY_USAGE).map(|usages| names_code(usages).unwrap_or(false));
        match (self.0.usage_names_signing(), code) {
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
    let pinned: BTreeSet<_> = roots.iter().map(|root| root.0.digest()).collect();
    let issuers: Vec<x509::Certificate> = roots.iter().chain(others).map(|issuer| issuer.0.clone()).collect();
    match x509::chain(&signer.0, &issuers, &pinned, at) {
        Ok(_) => Ok(signer),
        Err(x509::ChainFault { step: index, fault: x509::Fault::Expired { from, until, at } }) => {
            Err(Error::Expired { index, from, until, at })
        }
        Err(x509::ChainFault { step: index, fault }) => Err(Error::Chain { index, reason: reason(fault) }),
    }
}

/// Whether an extended key usage names code signing.
fn names_code(content: &[u8]) -> Option<bool> {
    let mut value = Reader::new(content);
    let mut parts = value.nested(tag::SEQUENCE).filter(|_| value.is_empty())?;
    let mut for_code = false;
    while let Some(usage) = parts.value(tag::OID) {
        for_code |= usage == CODE_SIGNING;
    }
    parts.is_empty().then_some(for_code)
}

const fn reason(fault: x509::Fault) -> &'static str {
    match fault {
        x509::Fault::Form(reason) => reason,
        x509::Fault::Unrooted => "nothing that is trusted has signed it",
        x509::Fault::MayNotIssue => "it may not sign certificates, or not so deep a chain",
        x509::Fault::Expired { .. } => "it is not valid at the time it is judged at",
        x509::Fault::TooLong => "the chain is too long",
    }
}
