//! OpenSSF Model Signing (OMS): Sigstore bundles v0.3 around an in-toto statement that lists a model's files.
//!
//! Formats, as `model_signing` 1.1.1 writes and reads them: the bundle is JSON with `mediaType`,
//! `verificationMaterial` (a key's hint or a certificate chain) and a DSSE envelope; the statement has one subject (the
//! folder's name, and the SHA-256 of all listed digests in a row) and the predicate
//! `https://model_signing/signature/v1.0` with `serialization` and `resources`.
//!
//! | module | what it answers |
//! |---|---|
//! | [`manifest`] | which files with which digests, and the statement around them |
//! | [`plan`] | which parts of which files are to be hashed, and whether what is there is what was signed |
//! | [`bundle`] | the envelope: read, checked against a key or roots, written |
//! | [`key`] | ECDSA keys on P-256, P-384 and P-521 in PEM |
//! | [`certificate`] | X.509 chains, judged at a given time |
//! | [`inclusion`] | that a transparency log holds a bundle, and since when |
//!
//! Where this is stricter than the format's own tool: the subject's digest leaves out the files' names, so a
//! countersigned bundle also signs a digest of names, digests and settings ([`manifest::Manifest::names`]); a
//! certificate counts at a time that is shown or given, not at the time it itself says; names that lead out of the
//! folder, repeated names, several signatures and files that were not signed are refused.
//!
//! What this module does not do: read files, hash on its own account, make signatures, look at the clock.

pub mod bundle;
pub mod certificate;
pub mod inclusion;
pub mod key;
pub mod manifest;
mod name;
pub mod plan;

pub use bundle::{Bundle, Signer, Trust, Unsigned, Verified};
pub use certificate::Certificate;
pub use key::PublicKey;
pub use manifest::{HashType, Manifest, Method, Resource, Serialization, Symlinks};
pub use plan::{Found, Job};
