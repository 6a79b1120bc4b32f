//! Certificates (X.509, RFC 5280): read strictly, and followed to roots that whoever checks has pinned, at a given time.
//!
//! Read are validity, names, keys, and the extensions basic constraints and key usage; others, extended key usage among
//! them, can be asked for by their identifier, and a critical one that is not known here is refused (name constraints among them).
//!
//! What this crate does not do: read a clock, look revocations up, or know what a certificate is for; its caller judges
//! that.

mod certificate;
mod chain;
pub mod der;
mod key;
mod pem;

pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate};
pub use chain::{CERTIFICATES_MAX, ChainFault, DEPTH_MAX, Fault, chain};
pub use key::{Key, SignatureKind};
pub use pem::{PEM_BYTES_MAX, blocks};
