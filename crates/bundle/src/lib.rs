//! Bundles: a change and the record it stands in, as one signed file for a machine without a network, and the findings
//! that come back the same way.
//!
//! ```text
//! countersign-bundle/v1\n
//! big-endian u32: bytes of the signed header
//! the signed header: canonical JSON (RFC 8785) of key, payload, payload type, signature
//! the sections' bytes, end to end, exactly to the end of the file
//! ```
//!
//! A [`Reader`] takes the bytes in pieces of any size and keeps the header and one hash: models of gigabytes pass in
//! constant memory. At the end it gives the token [`Whole`]: the header's signature is its key's, and every byte is the
//! one that was signed for. What a whole bundle is good for is decided by `accept_request` on the machine without a
//! network and by `accept_findings` where the log is (feature `accept`).
//!
//! Invariant: a bundle brings no authority. Its sender counts only if the record, checked from the trust root that the
//! receiver has pinned, gives the sender's key the role.
//! What this crate does not do: read files, ask a clock, keep what was taken before, or encrypt.

mod error;
#[cfg(feature = "accept")]
mod findings;
mod header;
mod reader;
#[cfg(feature = "accept")]
mod request;
mod submission;
#[cfg(test)]
mod tests;

pub use error::BundleError;
#[cfg(feature = "accept")]
pub use findings::{Desk, Findings, accept_findings};
pub use header::{
    About, Direction, HEADER_BYTES_MAX, Head, Header, LIFETIME_MS_MAX, MAGIC, NONCE_BYTES, PAYLOAD_TYPE,
    SECTIONS_MAX, Section, SectionKind, SignedHeader, Unsigned,
};
pub use reader::{Place, Reader, Whole};
#[cfg(feature = "accept")]
pub use request::{Known, Request, Station, accept_request, may_examine, may_send, needed};
pub use submission::{Submission, accept_receipt, accept_submission, named};
