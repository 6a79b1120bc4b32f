//! From a certificate to a pinned root.

use std::collections::BTreeSet;

use statement::Digest;

use crate::certificate::Certificate;

/// Longest way from a certificate to its root, in steps.
pub const DEPTH_MAX: usize = 8;
/// Most certificates in one file. A chain is sought among twice as many: what came, and the roots.
pub const CERTIFICATES_MAX: usize = 32;

/// Why a certificate is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("{0}")]
    Form(&'static str),
    /// Nothing that is pinned has signed it.
    #[error("nothing that is pinned has signed it")]
    Unrooted,
    /// Its issuer may not issue it.
    #[error("its issuer may not sign certificates, or not so deep a chain")]
    MayNotIssue,
    /// It is not valid at the time it is judged at.
    #[error("it is valid from {from} to {until} (Unix seconds) and was judged at {at}")]
    Expired {
        /// The first second.
        from: i64,
        /// The last second.
        until: i64,
        /// When it was judged.
        at: i64,
    },
    /// The chain is too long.
    #[error("the chain is longer than {DEPTH_MAX} steps, or there are too many to choose from")]
    TooLong,
}

/// Which certificate of a chain is not believed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("certificate {step} of the chain: {fault}")]
pub struct ChainFault {
    /// How many steps from the leaf, which is 0.
    pub step: usize,
    /// Why.
    pub fault: Fault,
}

/// Follows `leaf` through `others`, in whatever order those are, to a certificate whose SHA-256 is pinned, and checks
/// every step at the time `at` (Unix seconds): signature, name, what the issuer may, validity. Answers the way, the leaf
/// first and the root last.
///
/// # Errors
/// [`ChainFault`] for the first step that fails.
pub fn chain<'c>(
    leaf: &'c Certificate,
    others: &'c [Certificate],
    pinned: &BTreeSet<Digest>,
    at: i64,
) -> Result<Vec<&'c Certificate>, ChainFault> {
    let fault = |step, fault| Err(ChainFault { step, fault });
    if others.len() > 2 * CERTIFICATES_MAX {
        return fault(0, Fault::TooLong);
    }
    let mut way = vec![leaf];
    let mut current = leaf;
    for step in 0..=DEPTH_MAX {
        let (from, until) = current.validity();
        if !current.is_valid_at(at) {
            return fault(step, Fault::Expired { from, until, at });
        }
        if pinned.contains(&current.digest()) {
            return Ok(way);
        }
        let issues = |issuer: &&Certificate| *issuer != current && current.is_issued_by(issuer);
        let Some(issuer) = others.iter().find(issues) else {
            return fault(step, Fault::Unrooted);
        };
        if !issuer.may_issue(step as u64) {
            return fault(step + 1, Fault::MayNotIssue);
        }
        way.push(issuer);
        current = issuer;
    }
    fault(DEPTH_MAX, Fault::TooLong)
}
