//! The file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use statement::json::{self, Limits};
use statement::kind::AttestingHost;

use crate::claims::Claims;
use crate::error::Error;
use crate::host::Host;

/// Largest attestation, in bytes.
pub const ATTESTATION_BYTES_MAX: usize = 1 << 20;
/// Most hosts in one attestation.
pub const HOSTS_MAX: usize = 4;

/// The only form there is.
const FORMAT: &str = "countersign-attestation-1";

/// Claims about a run, and the evidence of the hosts that it ran on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    format: String,
    /// What ran.
    pub claims: Claims,
    /// Where: at most one of each kind. Empty where the host can say nothing about itself.
    pub hosts: Vec<Host>,
}

impl Attestation {
    /// Puts one together.
    ///
    /// # Errors
    /// [`Error::Hosts`].
    pub fn new(claims: Claims, hosts: Vec<Host>) -> Result<Self, Error> {
        let attestation = Self { format: FORMAT.to_owned(), claims, hosts };
        attestation.check()
    }

    /// Reads the file: strict JSON of at most [`ATTESTATION_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Format`], [`Error::Hosts`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = "attestation";
        let refuse = |reason: String| Error::Json { document, reason };
        let value = json::parse(bytes, Limits::signed(ATTESTATION_BYTES_MAX))
            .map_err(|error| refuse(error.to_string()))?;
        let attestation: Self = json::from_value(&value).map_err(|error| refuse(error.to_string()))?;
        if attestation.format != FORMAT {
            return Err(Error::Format { document, wanted: FORMAT });
        }
        attestation.check()
    }

    /// The kinds of hosts that say something, as a finding names them: a simulated one is none of them.
    pub fn attesting(&self) -> BTreeSet<AttestingHost> {
        let real = self.hosts.iter().filter(|host| !host.is_simulated());
        real.map(|host| host.kind().attesting()).collect()
    }

    /// Whether bytes say that they are an attestation, whatever else is wrong with them.
    pub fn is_meant(bytes: &[u8]) -> bool {
        let value = json::parse(bytes, Limits::signed(ATTESTATION_BYTES_MAX));
        let Ok(json::Value::Object(members)) = value else { return false };
        members.get("format").is_some_and(|format| *format == json::Value::String(FORMAT.to_owned()))
    }

    /// The file's bytes: canonical JSON.
    ///
    /// # Errors
    /// [`Error::Json`] where it cannot be written, which a parsed one always can.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::to_canonical(self)
            .map_err(|error| Error::Json { document: "attestation", reason: error.to_string() })
    }

    fn check(self) -> Result<Self, Error> {
        let kinds: BTreeSet<_> = self.hosts.iter().map(Host::kind).collect();
        if self.hosts.len() > HOSTS_MAX || kinds.len() != self.hosts.len() {
            return Err(Error::Hosts);
        }
        Ok(self)
    }
}
