//! Asks the host for evidence of where code runs, bound to a digest.
//!
//! | host | how it is asked |
//! |---|---|
//! | TPM 2.0 | commands to `/dev/tpmrm0`, or to a socket where `swtpm` listens ([`tpm`]) |
//! | Intel TDX, AMD SEV-SNP | the kernel's configfs-tsm ([`tsm`]) |
//! | Intel SGX | Gramine's `/dev/attestation` ([`gramine`]) |
//!
//! [`Sources::detect`] finds what is there; where nothing is, the list is empty and says so. A TPM that is `swtpm` says
//! so itself, by its manufacturer, and its evidence is labelled simulated.
//!
//! What this crate does not do: judge evidence (crate `evidence` does), fetch collateral, or enrol keys. Reports of GPUs
//! are collected by their vendor's own tool; `evidence` verifies them.

mod error;
pub mod gramine;
mod sources;
mod tcti;
pub mod tpm;
pub mod tsm;

pub use error::Error;
pub use sources::{Sources, TpmSource};
pub use tcti::Tcti;
