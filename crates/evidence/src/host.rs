//! What hosts say about themselves, as it stands in an attestation.

use std::fmt;

use serde::{Deserialize, Serialize};
use statement::kind::AttestingHost;
use statement::{Bytes, Digest};

/// Kinds of host evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// A TPM 2.0.
    Tpm2,
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel SGX.
    Sgx,
    /// An NVIDIA GPU.
    NvidiaGpu,
}

impl HostKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Tpm2, Self::Tdx, Self::SevSnp, Self::Sgx, Self::NvidiaGpu];

    /// The name in files and messages.
    pub const fn name(self) -> &'static str {
        self.attesting().name()
    }

    /// The kind as findings name it.
    pub const fn attesting(self) -> AttestingHost {
        match self {
            Self::Tpm2 => AttestingHost::Tpm2,
            Self::Tdx => AttestingHost::Tdx,
            Self::SevSnp => AttestingHost::SevSnp,
            Self::Sgx => AttestingHost::Sgx,
            Self::NvidiaGpu => AttestingHost::NvidiaGpu,
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Tpm2 => "TPM 2.0",
            Self::Tdx => "Intel TDX",
            Self::SevSnp => "AMD SEV-SNP",
            Self::Sgx => "Intel SGX",
            Self::NvidiaGpu => "NVIDIA GPU",
        }
    }
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// One host's evidence, nothing about it believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Host {
    /// A TPM's quote.
    #[serde(rename = "tpm2")]
    Tpm2(Tpm),
    /// A quote of a trust domain.
    #[serde(rename = "tdx")]
    Tdx(Intel),
    /// A report of a guest.
    #[serde(rename = "sev-snp")]
    SevSnp(Snp),
    /// A quote of an enclave.
    #[serde(rename = "sgx")]
    Sgx(Intel),
    /// A report of a GPU.
    #[serde(rename = "nvidia-gpu")]
    NvidiaGpu(Gpu),
}

impl Host {
    /// Its kind.
    pub const fn kind(&self) -> HostKind {
        match self {
            Self::Tpm2(_) => HostKind::Tpm2,
            Self::Tdx(_) => HostKind::Tdx,
            Self::SevSnp(_) => HostKind::SevSnp,
            Self::Sgx(_) => HostKind::Sgx,
            Self::NvidiaGpu(_) => HostKind::NvidiaGpu,
        }
    }
}

impl Host {
    /// Whether it says of itself that it is a simulation.
    pub const fn is_simulated(&self) -> bool {
        match self {
            Self::Tpm2(tpm) => tpm.simulated,
            Self::Tdx(_) | Self::SevSnp(_) | Self::Sgx(_) | Self::NvidiaGpu(_) => false,
        }
    }
}

/// A quote of a TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tpm {
    /// The signed TPMS_ATTEST.
    pub attest: Bytes,
    /// Certificates of the key in DER, the key's own first; none where the key is known by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Bytes>,
    /// The registers' values, of the SHA-256 bank, in ascending order of their indices.
    pub pcrs: Vec<Pcr>,
    /// The key's TPMT_PUBLIC.
    pub public: Bytes,
    /// The TPMT_SIGNATURE.
    pub signature: Bytes,
    /// Whether the collector knew the TPM to be a simulation. Not covered by the signature.
    pub simulated: bool,
}

/// A platform configuration register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pcr {
    /// Its index, 0 to 23.
    pub index: u8,
    /// Its value.
    pub value: Digest,
}

/// A quote of Intel's, with what Intel says about the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intel {
    /// The collateral as JSON, as `dcap-qvl` writes it; without it nothing can be verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collateral: Option<Bytes>,
    /// The quote.
    pub quote: Bytes,
}

/// A report of AMD SEV-SNP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snp {
    /// Certificates in DER: the chip's (VCEK or VLEK) first, then its issuers up to the root.
    pub certificates: Vec<Bytes>,
    /// The report, 1,184 bytes.
    pub report: Bytes,
}

/// A report of an NVIDIA GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Certificates in DER: the attestation key's first, then its issuers up to the root.
    pub certificates: Vec<Bytes>,
    /// The request and the response of SPDM, one after the other.
    pub report: Bytes,
}
