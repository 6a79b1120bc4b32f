//! The bundle: a Sigstore bundle v0.3 with one signature over an in-toto statement.

use statement::envelope::{PAYLOAD_TYPE, pre_authentication_encoding};
use statement::json::{self, Limits, Numbers, Value};
use statement::{Bytes, Digest};

use super::certificate::{CERTIFICATES_MAX, Certificate, check_chain};
use super::key::PublicKey;
use super::manifest::{Manifest, PAYLOAD_BYTES_MAX};
use crate::Error;
use crate::error::shown;
use crate::fingerprint::document::object;

/// The media type of bundles.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 3 * 4 + (4 << 20);
/// Longest signature, in bytes: P-521 needs 139.
const SIGNATURE_BYTES_MAX: usize = 256;

/// A bundle, read; nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    digest: Digest,
    material: Material,
    payload: Vec<u8>,
    signature: Vec<u8>,
    unchecked: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// A key, by its hint, or as releases before 1.0.2 wrote it.
    Hint(String),
    Pem(Vec<u8>),
    Chain(Vec<Certificate>),
}

/// What a bundle is checked by.
#[derive(Debug, Clone)]
pub enum Trust<'t> {
    /// A key that is trusted.
    Key(&'t PublicKey),
    /// Root certificates that are trusted, and the time that the chain is judged at, in Unix seconds.
    Roots {
        /// The roots.
        roots: &'t [Certificate],
        /// The time.
        at: i64,
    },
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// The key that was given.
    Key,
    /// A certificate that leads to a root that was given, valid at the time that was given.
    Certificate {
        /// First and last second of its validity.
        validity: (i64, i64),
    },
}

/// Token: this manifest was signed by what was trusted. Only [`Bundle::verify`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    manifest: Manifest,
    signer: Signer,
    key: PublicKey,
    bundle: Digest,
    unchecked: Vec<&'static str>,
}

impl Verified {
    /// What was signed.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Who signed.
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The key of the signature.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 of the bundle's bytes.
    pub const fn bundle(&self) -> &Digest {
        &self.bundle
    }

    /// What the bundle carries that was not looked at.
    pub fn unchecked(&self) -> &[&'static str] {
        &self.unchecked
    }
}

impl Bundle {
    /// Reads a bundle. Unknown members, repeated members, and anything but one signature are refused.
    ///
    /// # Errors
    /// [`Error::Bundle`], [`Error::Certificate`], [`Error::Material`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let limits = Limits { bytes: BUNDLE_BYTES_MAX, depth: 16, numbers: Numbers::Any };
        let value = json::parse(bytes, limits).map_err(|error| Error::bundle("bundle", error))?;
        let outer = Members::of(&value, "bundle", &["mediaType", "verificationMaterial", "dsseEnvelope"])?;
        if outer.text("mediaType")? != MEDIA_TYPE {
            return Err(Error::bundle("mediaType", "it is not that of a Sigstore bundle v0.3"));
        }
        let names =
            ["publicKey", "x509CertificateChain", "certificate", "tlogEntries", "timestampVerificationData"];
        let held = Members::of(outer.get("verificationMaterial"), "verificationMaterial", &names)?;
        let mut unchecked = Vec::new();
        if !is_bare(held.get("tlogEntries")) {
            unchecked.push("tlogEntries");
        }
        if !is_bare(held.get("timestampVerificationData")) {
            unchecked.push("timestampVerificationData");
        }
        let envelope = Members::of(
            outer.get("dsseEnvelope"),
            "dsseEnvelope",
            &["payload", "payloadType", "signatures"],
        )?;
        if envelope.text("payloadType")? != PAYLOAD_TYPE {
            return Err(Error::bundle("payloadType", "it is not that of an in-toto statement"));
        }
        let Value::Array(signatures) = envelope.get("signatures") else {
            return Err(Error::bundle("signatures", "it is not a list"));
        };
        let [signature] = signatures.as_slice() else {
            return Err(Error::bundle("signatures", "there is not exactly one"));
        };
        let signature = Members::of(signature, "signatures", &["sig", "keyid"])?;
        if !matches!(signature.get("keyid"), Value::Null | Value::String(_)) {
            return Err(Error::bundle("keyid", "it is not a string"));
        }
        let signature = signature.bytes("sig")?;
        if signature.is_empty() || signature.len() > SIGNATURE_BYTES_MAX {
            return Err(Error::bundle("sig", "it is empty or too long"));
        }
        Ok(Self {
            digest: Digest::of(bytes),
            material: material(&held)?,
            payload: envelope.bytes("payload")?,
            signature,
            unchecked,
        })
    }

    /// SHA-256 of the bundle's bytes.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Checks who signed, then reads what was signed.
    ///
    /// # Errors
    /// [`Error::Material`], [`Error::OtherKey`], [`Error::Chain`], [`Error::Expired`], [`Error::Signature`], and the
    /// errors of [`Manifest::of_payload`].
    pub fn verify(self, trust: &Trust<'_>) -> Result<Verified, Error> {
        let (key, signer) = match (&self.material, trust) {
            (Material::Hint(said), Trust::Key(key)) => {
                if *said != key.hint() {
                    return Err(Error::OtherKey { said: shown(said), given: key.hint() });
                }
                ((*key).clone(), Signer::Key)
            }
            (Material::Pem(pem), Trust::Key(key)) => {
                let said = PublicKey::from_pem(pem)?;
                if said != **key {
                    return Err(Error::OtherKey { said: said.hint(), given: key.hint() });
                }
                (said, Signer::Key)
            }
            (Material::Chain(chain), Trust::Roots { roots, at }) => {
                let signer = check_chain(chain, roots, *at)?;
                (signer.public_key()?, Signer::Certificate { validity: signer.validity() })
            }
            (Material::Chain(_), Trust::Key(_)) => {
                return Err(Error::Material { found: "with a certificate", wanted: "a key" });
            }
            (Material::Hint(_) | Material::Pem(_), Trust::Roots { .. }) => {
                return Err(Error::Material { found: "with a key", wanted: "a certificate" });
            }
        };
        if !key.verify(&pre_authentication_encoding(PAYLOAD_TYPE, &self.payload), &self.signature) {
            return Err(Error::Signature);
        }
        let manifest = Manifest::of_payload(&self.payload)?;
        Ok(Verified { manifest, signer, key, bundle: self.digest, unchecked: self.unchecked })
    }
}

fn material(held: &Members<'_>) -> Result<Material, Error> {
    match (held.get("publicKey"), held.get("x509CertificateChain"), held.get("certificate")) {
        (Value::Null, Value::Null, Value::Null) => {
            Err(Error::bundle("verificationMaterial", "it names neither a key nor a certificate"))
        }
        (key, Value::Null, Value::Null) => {
            let key = Members::of(key, "publicKey", &["hint", "rawBytes", "keyDetails"])?;
            match (key.get("hint"), key.get("rawBytes")) {
                (Value::String(hint), Value::Null) => Ok(Material::Hint(hint.clone())),
                (Value::Null, Value::String(_)) => Ok(Material::Pem(key.bytes("rawBytes")?)),
                _ => Err(Error::bundle("publicKey", "it has not exactly one of `hint` and `rawBytes`")),
            }
        }
        (Value::Null, chain, Value::Null) => {
            let chain = Members::of(chain, "x509CertificateChain", &["certificates"])?;
            let Value::Array(items) = chain.get("certificates") else {
                return Err(Error::bundle("x509CertificateChain", "`certificates` is not a list"));
            };
            if items.is_empty() || items.len() > CERTIFICATES_MAX {
                return Err(Error::bundle("x509CertificateChain", "it has no certificates, or more than 32"));
            }
            let mut certificates = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let der = Members::of(item, "certificates", &["rawBytes"])?.bytes("rawBytes")?;
                certificates.push(Certificate::from_der(&der, index)?);
            }
            Ok(Material::Chain(certificates))
        }
        (Value::Null, Value::Null, _) => Err(Error::Material {
            found: "without a key, by a public identity",
            wanted: "a key or a certificate",
        }),
        _ => Err(Error::bundle("verificationMaterial", "it names several keys or certificates")),
    }
}

/// Whether a member carries nothing.
fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The members of an object that has no others than these.
struct Members<'v> {
    place: &'static str,
    members: &'v std::collections::BTreeMap<String, Value>,
}

impl<'v> Members<'v> {
    fn of(value: &'v Value, place: &'static str, known: &[&str]) -> Result<Self, Error> {
        let Value::Object(members) = value else { return Err(Error::bundle(place, "it is not an object")) };
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(Error::bundle(place, format!("`{}` is unknown", shown(unknown)))),
            None => Ok(Self { place, members }),
        }
    }

    /// A member; null where it is absent, as in Protocol Buffers.
    fn get(&self, name: &str) -> &'v Value {
        self.members.get(name).unwrap_or(&Value::Null)
    }

    fn text(&self, name: &str) -> Result<&'v str, Error> {
        match self.get(name) {
            Value::String(text) => Ok(text),
            _ => Err(Error::bundle(self.place, format!("`{name}` is not a string"))),
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        let bytes = Bytes::from_base64(self.text(name)?);
        bytes.map(Bytes::into_vec).map_err(|_| Error::bundle(self.place, format!("`{name}` is not base64")))
    }
}

/// A statement that waits for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    payload: Vec<u8>,
}

impl Unsigned {
    /// The statement about this manifest.
    ///
    /// # Errors
    /// As [`Manifest::to_payload`].
    pub fn of(manifest: &Manifest) -> Result<Self, Error> {
        Ok(Self { payload: manifest.to_payload()? })
    }

    /// The statement.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What is signed: the pre-authentication encoding of DSSE.
    pub fn message(&self) -> Vec<u8> {
        pre_authentication_encoding(PAYLOAD_TYPE, &self.payload)
    }

    /// The bundle with this key's signature, which is checked.
    ///
    /// # Errors
    /// [`Error::Signature`] where the signature is not by this key.
    pub fn finish(self, key: &PublicKey, signature: &[u8]) -> Result<Vec<u8>, Error> {
        if !key.verify(&self.message(), signature) {
            return Err(Error::Signature);
        }
        let text = |bytes: Vec<u8>| Value::String(Bytes::new(bytes).to_base64());
        let signature = object([("keyid", Value::String(String::new())), ("sig", text(signature.to_vec()))]);
        let envelope = object([
            ("payload", text(self.payload)),
            ("payloadType", Value::String(PAYLOAD_TYPE.to_owned())),
            ("signatures", Value::Array(vec![signature])),
        ]);
        let material = object([
            ("publicKey", object([("hint", Value::String(key.hint()))])),
            ("tlogEntries", Value::Array(Vec::new())),
        ]);
        Ok(json::encode(&object([
            ("dsseEnvelope", envelope),
            ("mediaType", Value::String(MEDIA_TYPE.to_owned())),
            ("verificationMaterial", material),
        ])))
    }
}

#[cfg(test)]
mod tests;
