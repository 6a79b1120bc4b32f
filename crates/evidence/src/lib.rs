//! Evidence of where an examination ran, verified from bytes at a given time.
//!
//! An [`Attestation`] is a file: [`Claims`] about one run of a worker (its digest, the digest of its inputs, the root of
//! its execution trace, a nonce), and what the host says about itself, bound to the claims: the SHA-256 of their
//! canonical JSON ([`Claims::binding`]) is the qualifying data of a TPM's quote, and the first half of the report data
//! of a confidential machine. [`verify`] answers what holds, or the one reason why not.
//!
//! | module | what it verifies |
//! |---|---|
//! | [`tpm`] | quotes over platform configuration registers (TPM 2.0 Library, parts 1 and 2) |
//! | [`snp`] | attestation reports of AMD SEV-SNP (document 56860) |
//! | [`gpu`] | measurement reports of NVIDIA's GPUs (SPDM 1.1, DSP0274) |
//! | [`dcap`] | quotes of Intel SGX and TDX, through `dcap-qvl`; with the feature `dcap` |
//!
//! Roots are pinned by digest, and a status counts only where it is listed: a platform that is out of date is refused
//! unless a [`Policy`] names that status. Nothing is required of any tier by default ([`Policy::none_required`]).
//!
//! What this crate does not do: read clocks, files or devices, fetch collateral, or look revocations up beyond what
//! Intel's collateral says. A TPM proves what its key signed, not who holds the machine; a simulated TPM proves nothing
//! and is labelled so wherever it shows.

mod attestation;
mod claims;
mod cursor;
#[cfg(feature = "dcap")]
pub mod dcap;
mod error;
#[cfg(feature = "fixture")]
pub mod fixture;
pub mod gpu;
mod hex;
mod host;
mod policy;
pub mod snp;
mod status;
pub mod tpm;
mod verify;

pub use attestation::{ATTESTATION_BYTES_MAX, Attestation, HOSTS_MAX};
pub use claims::{Claims, NONCE_BYTES_MAX, NONCE_BYTES_MIN, inputs_digest};
pub use error::Error;
pub use hex::{Hex, HexError};
pub use host::{Gpu, Host, HostKind, Intel, Pcr, Snp, Tpm};
pub use policy::{
    GpuPolicy, MeasurementRule, PcrRule, Policy, SgxPolicy, SnpPolicy, SnpTcb, TdxPolicy, TierRule, TpmPolicy,
};
pub use status::Status;
pub use verify::{Expected, Facts, Verified, certificates_from_pem, data_for, host, verify};
