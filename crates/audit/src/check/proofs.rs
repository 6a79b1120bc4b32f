//! The proofs of the release orders: what a gateway or a third party gets to see of the log.

use dossier::Checked;
use merkle::{LogProof, VerifiedCheckpoint, verify_inclusion};
use statement::Content;
use statement::kind::Kind;

use crate::error::AuditError;
use crate::export::{self, Nodes};

/// Checks that there is exactly one proof for each release order, in order, and that each leads to the root.
pub(super) fn check(
    bytes: &[u8],
    leaves: &[Checked],
    nodes: &Nodes,
    checkpoint: &VerifiedCheckpoint,
) -> Result<(), AuditError> {
    let mut orders = leaves.iter().filter(|entry| is_order(entry));
    let ours = checkpoint.to_bytes();
    let mut number = 0;
    for bytes in export::proofs(bytes)? {
        let proof = LogProof::parse(bytes)
            .map_err(|source| AuditError::ProofText { number, source: Box::new(source) })?;
        let index = proof.index();
        let expected = orders.next();
        let expected = expected.map(Checked::index);
        if expected != Some(index) {
            return Err(AuditError::ProofSet { number, expected, found: Some(index) });
        }
        // That checkpoint's signatures have been checked once; other bytes would need another check.
        let theirs = proof.checkpoint().to_bytes();
        if theirs != ours {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Err(AuditError::ProofCheckpoint { number, theirs: text(&theirs), ours: text(&ours) });
        }
        check_one(number, bytes, &proof, nodes, checkpoint)?;
        number += 1;
    }
    match orders.next() {
        None => Ok(()),
        Some(order) => Err(AuditError::ProofSet { number, expected: Some(order.index()), found: None }),
    }
}

fn check_one(
    number: u64,
    bytes: &[u8],
    proof: &LogProof,
    nodes: &Nodes,
    checkpoint: &VerifiedCheckpoint,
) -> Result<(), AuditError> {
    let index = proof.index();
    let bad = |source| {
        let proof = String::from_utf8_lossy(bytes).into_owned();
        AuditError::BadProof { number, index, source, proof }
    };
    // The entry had this hash when it was read.
    let leaf = nodes.leaf(index);
    verify_inclusion(index, checkpoint.size(), &leaf, proof.path(), checkpoint.root()).map_err(bad)
}

fn is_order(entry: &Checked) -> bool {
    match entry.leaf() {
        Ok(leaf) => match &leaf.content {
            Content::Known(statement) => statement.body.kind() == Kind::ReleaseOrder,
            Content::Opaque(_) => false,
        },
        Err(_) => false,
    }
}
