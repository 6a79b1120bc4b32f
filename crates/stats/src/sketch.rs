//! Sketches that merge: what several gateways saw apart is what one would have seen.
//!
//! [`Histogram`] is of this crate, because its buckets are integers to the last bit on every machine and its counts can
//! be signed; the published DDSketch ports compute bucket numbers with the platform's logarithm, and KLL and REQ in
//! `datasketches` draw random bits from the system. Distinct counts and frequent items come from `datasketches`
//! (feature `sketches`), where both are deterministic.

mod histogram;
#[cfg(feature = "sketches")]
mod streams;

pub use histogram::Histogram;
#[cfg(feature = "sketches")]
pub use streams::{Distinct, Frequent, Item};
