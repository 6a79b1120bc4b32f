//! What this host can be asked, and asking all of it.

use std::path::{Path, PathBuf};

use evidence::{Attestation, Claims, Host, HostKind, data_for};

use crate::error::Error;
use crate::tcti::Tcti;
use crate::tpm::Tpm;
use crate::tsm::Kernel;
use crate::{gramine, tsm};

/// Registers that are quoted unless others are named: the firmware, its settings, the boot loader and secure boot (TCG PC
/// Client Platform Firmware Profile, section 3.3.4).
const REGISTERS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// A TPM, and what it is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmSource {
    /// The way to it.
    pub tcti: Tcti,
    /// The persistent handle of the attestation key; one is made where none is named.
    pub key: Option<u32>,
    /// Which registers.
    pub registers: Vec<u8>,
}

impl TpmSource {
    /// The usual registers, and a key that is made.
    pub fn new(tcti: Tcti) -> Self {
        Self { tcti, key: None, registers: REGISTERS.to_vec() }
    }
}

/// What there is to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// A TPM.
    pub tpm: Option<TpmSource>,
    /// The root of configfs-tsm.
    pub tsm: Option<PathBuf>,
    /// The folder of Gramine's files.
    pub gramine: Option<PathBuf>,
}

impl Sources {
    /// Finds what this host has. Everything is none where it has nothing.
    pub fn detect() -> Self {
        let there = |path: &str| Some(PathBuf::from(path)).filter(|path| path.exists());
        let tpm = there("/dev/tpmrm0").map(|path| TpmSource::new(Tcti::Device(path)));
        Self { tpm, tsm: there(tsm::ROOT), gramine: there(gramine::ROOT) }
    }

    /// Whether there is nothing to ask.
    pub const fn is_none(&self) -> bool {
        self.tpm.is_none() && self.tsm.is_none() && self.gramine.is_none()
    }

    /// Asks all of it for evidence bound to the claims.
    ///
    /// # Errors
    /// The first source that gives none, or evidence that is bound to something else.
    pub fn attest(&self, claims: &Claims) -> Result<Attestation, Error> {
        let binding = claims.binding().map_err(Error::Unsound)?;
        let mut data = [0; 64];
        for (to, from) in data.iter_mut().zip(binding.as_bytes()) {
            *to = *from;
        }
        let mut hosts = Vec::new();
        if let Some(source) = &self.tpm {
            hosts.push(quote(source, &data_for(HostKind::Tpm2, &binding))?);
        }
        if let Some(root) = &self.tsm {
            hosts.push(tsm::report(&Kernel, Path::new(root), &data)?);
        }
        if let Some(root) = &self.gramine {
            hosts.push(gramine::quote(&Kernel, Path::new(root), &data)?);
        }
        Attestation::new(claims.clone(), hosts).map_err(Error::Unsound)
    }
}

fn quote(source: &TpmSource, data: &[u8]) -> Result<Host, Error> {
    let mut tpm = Tpm::open(&source.tcti)?;
    let key = match source.key {
        Some(handle) => tpm.persistent_key(handle)?,
        None => tpm.attestation_key()?,
    };
    let quote = tpm.quote(&key, data, &source.registers);
    // The key goes, whatever became of the quote; a refused quote says more than a key that stayed.
    let gone = tpm.let_go(key);
    let quote = quote?;
    gone?;
    // A register that changed between reading and signing is found here and not by whoever verifies.
    evidence::tpm::check_form(&quote).map_err(Error::Unsound)?;
    Ok(Host::Tpm2(quote))
}
